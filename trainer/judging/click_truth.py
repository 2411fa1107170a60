"""Held-out clicks as a truth that does not favour the answers which were shown."""

import random

import polars as pl

from desireline.trainer.clickmodels.base import UNKNOWN_POSITION, ClickNoise
from desireline.trainer.clickmodels.latent_relevance import LatentRelevance
from desireline.trainer.judgments import click_log
from desireline.trainer.measures.base import Qrels
from desireline.trainer.sessions import Sessions

#: Lower positions are taken to be looked at this often at least: a click there would else
#: outweigh dozens of others (a little bias for much less noise).
_LEAST_EXAMINATION = 0.1


def estimate_noise(sessions: Sessions) -> ClickNoise:
    """Learn how users look and err from a whole log: a few numbers that no encoder can sway."""
    return LatentRelevance().noise(click_log(sessions))


def corrected_qrels(
    sessions: Sessions, noise: ClickNoise, *, most: int | None = None, seed: int = 0
) -> Qrels:
    """Grade every document of every query by what its impressions say on average.

    With P(click) = theta(position) (a0 + (a1 - a0) R), the value (click / theta - a0) / (a1 - a0)
    is R on average, wherever the document stood (affine correction; Vardasbi et al. 2020). One
    value by itself lies far outside 0..1, and skipped documents are a little below 0: only
    linear measures may be taken of them, as `evaluate_clicks` does. Queries without a click
    count too: to leave them out would bring the bias back. A click on a document that the
    search did not show is taken to have been looked at.

    Args:
        sessions: held out, never trained on.
        noise: of the users, from a log as large as can be.
        most: queries at most; drawn by the seed where there are more.
        seed: of the draw.

    """
    grades = (
        sessions.frame.group_by("query", "document_id")
        .agg(grade=_value(noise).mean())
        .sort("query", "document_id")
    )
    qrels: dict[str, dict[str, float]] = {}
    for query, document_id, grade in grades.iter_rows():
        qrels.setdefault(query, {})[document_id] = grade
    if most is None or len(qrels) <= most:
        return qrels
    return {query: qrels[query] for query in random.Random(seed).sample(sorted(qrels), most)}  # noqa: S311 - a sample


def _value(noise: ClickNoise) -> pl.Expr:
    """Say what one impression tells of its document's relevance."""
    position = pl.col("position").fill_null(UNKNOWN_POSITION)
    looked = position.replace_strict(
        dict(noise.examination), default=_LEAST_EXAMINATION, return_dtype=pl.Float64
    )
    theta = pl.when("shown").then(looked.clip(_LEAST_EXAMINATION)).otherwise(1.0)
    click = pl.col("clicked").cast(pl.Float64)
    return (click / theta - noise.accident) / (noise.relevant - noise.accident)
