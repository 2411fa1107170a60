"""How much of the trained weights to keep: shares between base and tuned, tried on two suites.

Weights half-way between an encoder and its tuned form often keep what the first could do and most
of what the second learned (WiSE-FT, Wortsman et al. 2022; LM-Cocktail, Xiao et al. 2023). The own
suite are anchors kept out of training, never queries of the gate's truth; the other is the general
suite that the gate asks, too.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch

from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder
from desireline.trainer.evaluation import evaluate, rank_exact
from desireline.trainer.general.suite import (
    GeneralPart,
    builtin_suite,
    foreign,
    measure_part,
    read_suite,
)
from desireline.trainer.jobs import FitJob
from desireline.trainer.measures.ndcg import Ndcg
from desireline.trainer.modes.chosen import train
from desireline.trainer.pairs import PairSet
from desireline.trainer.peers import peers
from desireline.trainer.training.tuned import Progress, Tuned, interpolate, save_encoder

_MEASURE = Ndcg(10)
_DEVELOPMENT = 0.05
_LEAST_ANCHORS = 50
_MOST_ANCHORS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What one share measured on both suites, as nDCG@10."""

    share: float
    own: float
    #: By part of the general suite.
    general: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The share that was taken, and why in one sentence."""

    share: float
    sentence: str


def train_with_share(
    job: FitJob,
    progress: Progress | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Tuned, str]:
    """Train, then keep the share of the trained weights that is best on both suites.

    Returns what was trained and why it is mixed as it is; empty where nothing was tried: no
    shares are configured, documents stay as they are, the encoder is a new one, or too few anchors
    could be kept out.

    Raises:
        GeneralSuiteError: the job's suite cannot be used.
        NothingToLearnError, UnsafeModelError, TrainerError: see `tune`.

    """
    config = job.config
    if not config.tuned_shares or config.leaves_documents or config.mode == "small":
        return train(job, progress, clock=clock), ""
    teaching, development = part_anchors(PairSet.read(job.pairs), seed=config.seed)
    if not development.pairs:
        return train(job, progress, clock=clock), ""
    with tempfile.TemporaryDirectory(prefix="desireline-share-") as folder:
        teaching.write(Path(folder))
        tuned = train(job.model_copy(update={"pairs": Path(folder)}), progress, clock=clock)
    if not peers().leads:
        return tuned, ""
    chosen = _search(job, tuned.folder, development, teaching)
    return tuned, chosen.sentence


def part_anchors(pairs: PairSet, *, seed: int) -> tuple[PairSet, PairSet]:
    """Keep a twentieth of the anchors out of training, by a salted hash of their words.

    The second set is empty where that would be fewer than fifty.
    """
    held = [
        anchor
        for anchor in sorted({pair.anchor for pair in pairs.pairs})
        if _drawn(anchor, seed) < _DEVELOPMENT
    ][:_MOST_ANCHORS]
    if len(held) < _LEAST_ANCHORS:
        return pairs, PairSet(pairs=(), related={})
    kept_out = frozenset(held)
    parts = (
        tuple(pair for pair in pairs.pairs if (pair.anchor in kept_out) is out)
        for out in (False, True)
    )
    teaching, development = (PairSet(pairs=part, related=pairs.related) for part in parts)
    return teaching, development


def choose_share(tried: Sequence[Tried], base: Tried, *, tolerance: float) -> Chosen:
    """Take the share that is best on the own suite of those that forget nothing.

    Where every share forgets, the one that forgets least is taken: the gate has the last word.

    Args:
        tried: at least one.
        base: the encoder before training.
        tolerance: most that a part of the general suite may lose.

    """
    holding = [each for each in tried if _forgot(each, base) <= tolerance]
    if not holding:
        least = min(tried, key=lambda each: (_forgot(each, base), -each.own))
        return Chosen(
            share=least.share,
            sentence=f"{least.share:.0%} of what was trained is kept: every share forgets more than"
            f" {tolerance:.3f}, this one least ({_forgot(least, base):.3f})",
        )
    best = max(holding, key=lambda each: (each.own, -each.share))
    dropped = len(tried) - len(holding)
    return Chosen(
        share=best.share,
        sentence=f"{best.share:.0%} of what was trained is kept: best on development queries"
        f" (nDCG@10 {base.own:.3f} -> {best.own:.3f}) of {len(holding)} shares that forget no more"
        f" than {tolerance:.3f}" + (f"; {dropped} forget more" if dropped else ""),
    )


def _search(job: FitJob, folder: Path, development: PairSet, teaching: PairSet) -> Chosen:
    """Try every share, and leave the folder with the weights of the one chosen."""
    texts = {
        pair.positive.document_id: pair.positive.text
        for pair in (*teaching.pairs, *development.pairs)
    }
    parts = _parts(job, list(texts.values()))
    before = SentenceTransformerEncoder(job.base, similarity=job.similarity)
    encoder = SentenceTransformerEncoder(folder, similarity=job.similarity)
    weights = {name: value.clone() for name, value in encoder.model.state_dict().items()}
    old = before.model.state_dict()
    if old.keys() != weights.keys():
        return Chosen(share=1.0, sentence="")
    base = _try(before, 0.0, development, texts, parts)
    tried = []
    for share in job.config.tuned_shares:
        _mix(encoder, weights, old, share)
        tried.append(_try(encoder, share, development, texts, parts))
    chosen = choose_share(tried, base, tolerance=job.general_tolerance)
    if chosen.share != 1:
        _mix(encoder, weights, old, chosen.share)
        shutil.rmtree(folder)
        save_encoder(encoder.model, folder)
    return chosen


def _mix(
    encoder: SentenceTransformerEncoder,
    weights: Mapping[str, torch.Tensor],
    old: dict[str, torch.Tensor],
    share: float,
) -> None:
    encoder.model.load_state_dict(dict(weights))
    interpolate(encoder.model, old, share)


def _try(
    encoder: SentenceTransformerEncoder,
    share: float,
    development: PairSet,
    texts: Mapping[str, str],
    parts: Sequence[GeneralPart],
) -> Tried:
    qrels: dict[str, dict[str, float]] = {}
    for pair in development.pairs:
        qrels.setdefault(pair.anchor, {})[pair.positive.document_id] = 1.0
    run = rank_exact(encoder, sorted(qrels), texts, k=_MEASURE.cutoff)
    return Tried(
        share=share,
        own=evaluate(run, qrels, [_MEASURE]).mean(_MEASURE),
        general={part.name: measure_part(encoder, part, _MEASURE).mean(_MEASURE) for part in parts},
    )


def _parts(job: FitJob, texts: Sequence[str]) -> tuple[GeneralPart, ...]:
    if job.general is None:
        return ()
    parts = builtin_suite() if job.general == "builtin" else read_suite(Path(job.general))
    return foreign(parts, texts)


def _forgot(each: Tried, base: Tried) -> float:
    """Return the greatest loss of any part; below zero where all gained."""
    return max((base.general[name] - each.general[name] for name in base.general), default=0.0)


def _drawn(anchor: str, seed: int) -> float:
    salted = f"development {seed}\n{anchor}".encode("utf-8", "surrogatepass")
    return int.from_bytes(sha256(salted).digest()[:8]) / 2**64
