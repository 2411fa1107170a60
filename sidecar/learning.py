"""From the click log to a trained candidate: sessions, judgments, pairs, fit."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path

from desireline.connectors.documents import Document
from desireline.connectors.errors import IndexMissingError
from desireline.connectors.log_source import LogSource
from desireline.connectors.search_engine import Read
from desireline.sidecar.clicked_truth import truth_of_clicks
from desireline.sidecar.cycle_report import Diary
from desireline.sidecar.errors import SidecarError
from desireline.sidecar.event_sample import frames_within
from desireline.sidecar.judged_truth import truth_of_people
from desireline.sidecar.judging import HeldOutTruth
from desireline.sidecar.mining import mine_target
from desireline.sidecar.pulling import pull_into
from desireline.sidecar.target import Target
from desireline.trainer.jobs import FitJob
from desireline.trainer.log_frames import LogFrames, gather
from desireline.trainer.manifest import Provenance
from desireline.trainer.pairs import PairSet
from desireline.trainer.sessions import Sessions, join_sessions
from desireline.trainer.shown_ids import without_document_numbers
from desireline.trainer.splits import Split, split_forward
from desireline.trainer.trust import trust

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
    """Keep what is believed of the sessions; the diary tells what was left out and why."""
    trusted = trust(sessions, target.config.trust)
    diary.step("trust", trusted.sentence, clicks=trusted.clicks)
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


def mine_pairs(target: Target, sessions: Sessions, incumbent: str, diary: Diary) -> PairSet:
    """Judge what was shown, and let every miner look for pairs."""
    mining = mine_target(target, sessions, incumbent)
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


def train(target: Target, pairs: PairSet, base: str, sessions: Sessions, diary: Diary) -> str:
    """Fit a candidate in a child process and register it; return its fingerprint.

    Training begins from the base encoder each time, so that what a user did leaves the
    encoder when it leaves the window of the log.
    """
    manifest = target.registry.get(base)
    if target.privacy is not None:
        target.privacy.trained_on.keep(
            diary.cycle,
            queries=sessions.frame.get_column("query").unique(),
            clients=sessions.frame.get_column("client").unique(),
        )
    # Beside the models: what a killed process leaves is found there, and swept.
    with target.registry.workspace() as folder:
        pairs.write(Path(folder, "pairs"))
        job = FitJob(
            base=target.registry.folder(base),
            pairs=Path(folder, "pairs"),
            out=Path(folder, "candidate"),
            registry=target.registry.root,
            template=manifest.text_template.fields,
            separator=manifest.text_template.separator,
            similarity=manifest.settings.similarity,
            config=target.config.tune.fit_config,
            provenance=Provenance(
                base_model=manifest.provenance.base_model,
                parent=base,
                cycle_id=diary.cycle,
                data_window=_window(sessions),
                seed=target.config.tune.seed,
                code_version=version("desireline"),
                pairs=len(pairs.pairs),
            ),
        )
        result = target.worker.run(job, diary)
    fingerprint = str(result["fingerprint"])
    if target.privacy is not None:
        target.privacy.trained_on.made(diary.cycle, fingerprint)
    diary.step(
        "fit",
        f"candidate {fingerprint[:12]} from {len(pairs.pairs):,} pairs: {result['sentence']}",
        candidate=fingerprint,
    )
    return fingerprint


def held_out_truth(target: Target, split: Split) -> HeldOutTruth:
    """Return what judges: the clicks of held-out queries, or the word of people.

    Where people judged, as `gate.judgments` says, theirs is the truth.
    """
    if target.config.gate.judgments is not None:
        return truth_of_people(target.config.gate.judgments, split)
    return truth_of_clicks(split, seed=target.config.tune.seed)


def _window(sessions: Sessions) -> tuple[datetime, datetime] | None:
    first, last = sessions.health.first, sessions.health.last
    return None if first is None or last is None else (first, last)
