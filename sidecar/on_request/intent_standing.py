"""How good the intent head is that serves, as the cycle that learned it measured it."""

from collections.abc import Iterable
from itertools import chain
from typing import Any

from desireline.sidecar.models.intent_records import head_for, heads_of
from desireline.sidecar.reports.cycle_report import CycleReport, newest_cycles
from desireline.sidecar.target import Target
from desireline.trainer.errors import TrainerError
from desireline.trainer.intent.storing import IntentManifest

#: Of a cycle's report: what became of its head.
_STEP = "intent"


def intent_standing(target: Target) -> dict[str, Any] | None:
    """Return the head of the live encoder in plain values; nothing is measured anew.

    Keys: field, use, boost, min_confidence, max_categories, min_hits (as configured), head (None
    without one; else head, encoder, learned_at, cycle, queries, titles, categories, figures by
    part and figure), missing (why there is none), verdict (the sentence of the cycle that learned
    the head) and last (that of the newest cycle that has one), each with cycle and at, or None.
    None where the target learns no intent.
    """
    config = target.config.intent
    if config.category is None:
        return None
    manifest, missing = _serving(target)
    said = filter(None, map(_told, newest_cycles(target.store, target.name)))
    last = next(said, None)
    return {
        **config.model_dump(mode="json", exclude={"category", "min_queries", "max_titles"}),
        "field": config.category,
        "head": None if manifest is None else _plain(manifest),
        "missing": missing,
        "verdict": manifest and last and _of_cycle(manifest.cycle, chain((last,), said)),
        "last": last,
    }


def _serving(target: Target) -> tuple[IntentManifest | None, str]:
    """Return the head of the live encoder, or why there is none."""
    live = target.generations.live()
    if live is None:
        return None, "no generation is live yet; the first cycle with enough clicks makes a head"
    head = head_for(target, live.fingerprint)
    if head is None:
        return None, (
            f"no head serves with the encoder {live.fingerprint[:12]} yet; each cycle that has"
            " enough clicks to learn from makes one"
        )
    try:
        _, manifest = heads_of(target).load(head)
    except TrainerError as error:
        return None, str(error)
    return manifest, ""


def _plain(manifest: IntentManifest) -> dict[str, Any]:
    return {
        "head": manifest.head,
        "encoder": manifest.encoder,
        "learned_at": manifest.created_at.isoformat(),
        "cycle": manifest.cycle,
        "queries": manifest.queries,
        "titles": manifest.titles,
        "categories": len(manifest.categories),
        "figures": manifest.model_dump(mode="json")["figures"],
    }


def _told(report: CycleReport) -> dict[str, str] | None:
    """Return what a cycle said of its head; None where it came to no such line."""
    said = [step for step in report.steps if step.name == _STEP]
    if not said:
        return None
    return {
        "cycle": report.cycle,
        "at": said[-1].at.isoformat(),
        "sentence": said[-1].sentence,
    }


def _of_cycle(cycle: str, said: Iterable[dict[str, str]]) -> dict[str, str] | None:
    return next((each for each in said if each["cycle"] == cycle), None)
