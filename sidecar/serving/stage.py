"""What the index loses of an encoder's answers: the real query against every vector it holds.

The gate compares encoders without an index. Users are answered by one: an approximate graph,
filtered by generation, perhaps over vectors of half precision. What that costs is measured apart
from what the encoder gained, on the slot that is about to serve.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from desireline.connectors.documents import Vectors
from desireline.connectors.search_engine import Read, SearchEngine
from desireline.sidecar.errors import CutOverRefusedError
from desireline.sidecar.serving.live import LiveGeneration

_DEPTH = 10
#: Half precision changes a score by about this; what is so near to the last place is as good.
_AS_GOOD = 2e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRecall:
    """How much of the nearest documents the engine finds."""

    queries: int
    #: Share of the ten nearest, over all queries.
    recall: float
    #: Of the query that loses most.
    lowest: float

    @property
    def sentence(self) -> str:
        """One line for people."""
        return (
            f"the index finds {self.recall:.1%} of the ten nearest documents"
            f" ({self.queries} queries, the worst {self.lowest:.0%})"
        )


def served_recall(
    engine: SearchEngine, shadow: LiveGeneration, queries: Sequence[str]
) -> ServedRecall:
    """Ask the shadow slot as users will, and hold the answers against an exact search.

    The whole slot is read once, a page at a time. A document counts as found where its own
    score is as good as that of the tenth nearest. Documents without the generation's stamp are
    neither expected nor accepted.

    Args:
        engine: that serves.
        shadow: the generation about to go live.
        queries: some of those that users type; at least one.

    """
    vectors = shadow.encoder.encode_queries(list(queries))
    shares = []
    for text, scores in zip(queries, _scores(engine, shadow, vectors), strict=True):
        nearest = sorted(scores.values(), reverse=True)[:_DEPTH]
        if not nearest:
            continue
        answers = {hit.document_id for hit in shadow.search(engine, text, _DEPTH)}
        good = [key for key in answers if scores.get(key, -np.inf) >= nearest[-1] - _AS_GOOD]
        shares.append(min(1.0, len(good) / len(nearest)))
    return ServedRecall(
        queries=len(shares),
        recall=float(np.mean(shares)) if shares else 1.0,
        lowest=min(shares, default=1.0),
    )


def refuse_lossy(found: ServedRecall, least: float) -> None:
    """Let nothing go live whose index loses more than is allowed.

    Raises:
        CutOverRefusedError: it does; the live generation is unchanged.

    """
    if found.recall < least:
        raise CutOverRefusedError(
            f"{found.sentence}, and swap.min_recall asks for {least:.1%}; the live generation is"
            " unchanged",
            next_step="raise ef_search or the graph's m on the index, or lower swap.min_recall",
        )


def _scores(
    engine: SearchEngine, shadow: LiveGeneration, vectors: Vectors
) -> list[dict[str, float]]:
    """Score every document of the generation for every query, by document_id.

    Only those near enough to matter are kept, so that a large index fits.
    """
    kept: list[dict[str, float]] = [{} for _ in vectors]
    read = Read(slots=(shadow.slot,), embeddings=True, batch_size=500)
    for page in engine.scan(shadow.index, read):
        stamped = [
            document
            for document in page
            if shadow.slot in document.embeddings
            and document.stamps[shadow.slot].generation == shadow.stamp_number
        ]
        if not stamped:
            continue
        matrix = np.stack([document.embeddings[shadow.slot] for document in stamped])
        for row, scores in zip(kept, vectors @ matrix.T, strict=True):
            row.update(zip([d.document_id for d in stamped], scores.tolist(), strict=True))
            _forget_far(row)
    return kept


def _forget_far(scores: dict[str, float]) -> None:
    """Drop what can be neither among the nearest nor as good."""
    if len(scores) > _DEPTH:
        limit = sorted(scores.values(), reverse=True)[_DEPTH - 1] - _AS_GOOD
        for key in [key for key, score in scores.items() if score < limit]:
            del scores[key]
