"""From the click log to what teaches and what judges: sessions, split, judgments, pairs."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from desireline.connectors.documents import Document
from desireline.connectors.errors import IndexMissingError
from desireline.connectors.log_source import LogSource
from desireline.connectors.search_engine import Read
from desireline.sidecar.archive.pulling import pull_into
from desireline.sidecar.archive.sample import frames_within
from desireline.sidecar.errors import SidecarError
from desireline.sidecar.judging.clicked_truth import truth_of_clicks
from desireline.sidecar.judging.evidence import HeldOutTruth
from desireline.sidecar.judging.judged_truth import truth_of_people
from desireline.sidecar.learning.mining import mine_target
from desireline.sidecar.reports.cycle_report import Diary
from desireline.sidecar.reports.log_reports import keep_health
from desireline.sidecar.target import Target
from desireline.trainer.logs.frames import LogFrames, gather
from desireline.trainer.logs.shown_ids import without_document_numbers
from desireline.trainer.pairs import PairSet
from desireline.trainer.query_vectors import RememberingEncoder
from desireline.trainer.sessions import Sessions, join_sessions
from desireline.trainer.splits import Split, split_forward
from desireline.trainer.trust.belief import trust

if TYPE_CHECKING:
    from datetime import timedelta

_TOO_OLD = "events older than privacy.keep, removed"


def pull_sessions(target: Target) -> Sessions:
    """Pull what the click log has gained, and join what is in its window.

    Raises:
        SidecarError: the target names no log, or its events cannot be kept.

    """
    if target.log_source is None:
        raise SidecarError(
            f"target {target.name!r} names no click log; nothing was changed",
            next_step=f'add logs = {{ kind = "ubi" }} to targets.{target.name}',
        )
    frames = _events(target, target.log_source)
    frames = without_document_numbers(frames, partial(_documents_among, target))
    return join_sessions(frames, target.config.session_config)


def too_few_clicks(target: Target, sessions: Sessions, *, purpose: str = "learn from") -> str:
    """Say how many clicks there are of those needed; empty where there are enough."""
    found, needed = sessions.health.clicks, target.config.tune.min_clicks
    return "" if found >= needed else f"too few clicks to {purpose}, {found} of {needed} needed"


def _events(target: Target, source: LogSource) -> LogFrames:
    if target.archive is None or target.config.logs is None:
        return gather(map(target.protect, source.pull()))
    pull_into(
        target.archive,
        source,
        settings=target.config.logs,
        clock=target.clock,
        transform=target.protect,
    )
    too_old = target.privacy.keep_promises(target.archive) if target.privacy else 0
    window: timedelta | None = getattr(target.config.logs, "window", None)
    with target.archive.reading() as events:
        frames = frames_within(
            events,
            None if window is None else target.clock() - window,
            most_rows=target.config.sessions.most_rows,
            seed=target.config.tune.seed,
        )
    return replace(frames, defects={**frames.defects, _TOO_OLD: too_old}) if too_old else frames


def _documents_among(target: Target, ids: Sequence[str]) -> set[str]:
    """Return which ids are of documents; all where there is no index to ask."""
    asked = [Document(document_id=each, fields={}) for each in ids]
    try:
        found = target.engine.fetch(target.config.index, asked, Read())
    except IndexMissingError:
        return set(ids)
    return {document.document_id for document in found}


def trusted_sessions(target: Target, sessions: Sessions, diary: Diary) -> Sessions:
    """Return what is believed of the sessions; the diary tells what was left out and why.

    The health report is kept as `desireline logs` keeps it: with what was left out.
    """
    trusted = trust(sessions, target.config.trust)
    diary.step("trust", trusted.sentence, clicks=trusted.clicks)
    keep_health(
        target.store,
        target.name,
        trusted.sessions.health,
        at=target.clock(),
        tune_from_clicks=target.config.tune.min_clicks,
    )
    return trusted.sessions


def split_sessions(target: Target, sessions: Sessions, diary: Diary) -> Split:
    """Split what is believed into what teaches and what judges."""
    tune = target.config.tune
    return split_forward(
        trusted_sessions(target, sessions, diary),
        held_out_share=tune.held_out,
        later_share=tune.later,
        seed=tune.seed,
        judges=target.config.trust.judges,
    )


def mine_pairs(
    target: Target, sessions: Sessions, encoder: RememberingEncoder, diary: Diary
) -> PairSet:
    """Judge what was shown, and let every miner look for pairs."""
    mining = mine_target(target, sessions, encoder)
    judgments = mining.material.judgments
    left_out = (
        f"; {mining.left_out:,} pairs are left out, for too few clients stand behind them"
        if mining.left_out
        else ""
    )
    diary.step(
        "judgments",
        f"{mining.sentence}, from {judgments.frame.height:,} judged"
        f" ({target.config.tune.click_model}, perplexity {judgments.perplexity:.3f})"
        + (f"; {judgments.sentence}" if judgments.sentence else "")
        + left_out,
        pairs=len(mining.pairs.pairs),
    )
    return mining.pairs


def held_out_truth(target: Target, split: Split) -> HeldOutTruth:
    """Return what judges: the clicks of held-out queries, or the word of people.

    Where people judged, as `gate.judgments` says, theirs is the truth.
    """
    enough = target.config.session_config
    if target.config.gate.judgments is not None:
        return truth_of_people(target.config.gate.judgments, split, enough=enough)
    return truth_of_clicks(split, seed=target.config.tune.seed, enough=enough)
