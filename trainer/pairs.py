"""What a loss eats: an anchor, its positive, its negatives, and how much the pair weighs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from desireline.trainer.errors import NothingToLearnError

_PAIRS = "pairs.parquet"
_RELATED = "related.parquet"
_PASSAGE = pl.Struct({"document_id": pl.String, "text": pl.String})


@dataclass(frozen=True, slots=True)
class Passage:
    """A document, or a part of one, as the encoder reads it."""

    document_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One lesson: the anchor belongs nearer to the positive than to any negative."""

    anchor: str
    positive: Passage
    negatives: tuple[Passage, ...] = ()
    #: Above 0; how much the lesson is worth beside others.
    weight: float = 1.0
    #: 0 to 1: how right the positive is, where somebody graded it.
    score: float = 1.0
    #: By how much a teacher scores the positive above each negative; empty where none was asked.
    margins: tuple[float, ...] = ()
    #: Which miner found it; several joined by +.
    source: str
    #: What it was found by, in words for people; it never leaves the process with the pairs.
    why: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSet:
    """Pairs of several miners, each (anchor, positive) once, and what must not be a negative."""

    pairs: tuple[Pair, ...]
    #: Documents by anchor that may be right for it: clicked, or judged not surely wrong. None
    #: of them is ever a negative of that anchor, neither here nor within a batch.
    related: Mapping[str, frozenset[str]]

    def write(self, folder: Path) -> None:
        """Write what `read` reads."""
        folder.mkdir(parents=True, exist_ok=True)
        _to_frame(self.pairs).write_parquet(folder / _PAIRS)
        pl.DataFrame(
            {
                "anchor": list(self.related),
                "document_ids": [sorted(known) for known in self.related.values()],
            },
            schema={"anchor": pl.String, "document_ids": pl.List(pl.String)},
        ).write_parquet(folder / _RELATED)

    @classmethod
    def read(cls, folder: Path) -> "PairSet":
        """Read a folder written by `write`.

        Raises:
            NothingToLearnError: there are no pairs, or they cannot be read.

        """
        try:
            frame = pl.read_parquet(folder / _PAIRS)
            related = pl.read_parquet(folder / _RELATED)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise NothingToLearnError(f"the pairs in {folder} cannot be read: {error}") from error
        return cls(
            pairs=tuple(_from_row(row) for row in frame.iter_rows(named=True)),
            related={anchor: frozenset(known) for anchor, known in related.iter_rows()},
        )


def merge(pairs: Iterable[Pair], related: Mapping[str, frozenset[str]]) -> PairSet:
    """Join what several miners found.

    The same anchor and positive twice is one pair with the greater weight and the negatives
    of both. A negative that is related to the anchor, or is the positive, is dropped, and so is
    a pair without text or weight. Order is that of first appearance.
    """
    found: dict[tuple[str, Passage], Pair] = {}
    for pair in pairs:
        if not (pair.anchor and pair.positive.text and pair.weight > 0):
            continue
        key = (pair.anchor, pair.positive)
        found[key] = _joined(found[key], pair) if key in found else pair
    return PairSet(
        pairs=tuple(_without_related(pair, related) for pair in found.values()),
        related={anchor: known for anchor, known in related.items() if known},
    )


def _joined(first: Pair, second: Pair) -> Pair:
    sources = dict.fromkeys((*first.source.split("+"), *second.source.split("+")))
    reasons = dict.fromkeys(filter(None, (first.why, second.why)))
    margins = dict(zip(second.negatives, second.margins, strict=False))
    margins |= dict(zip(first.negatives, first.margins, strict=False))
    negatives = tuple(dict.fromkeys((*first.negatives, *second.negatives)))
    return replace(
        first,
        negatives=negatives,
        margins=_margins_of(negatives, margins),
        weight=max(first.weight, second.weight),
        score=max(first.score, second.score),
        source="+".join(sources),
        why="; ".join(reasons),
    )


def _without_related(pair: Pair, related: Mapping[str, frozenset[str]]) -> Pair:
    never = related.get(pair.anchor, frozenset()) | {pair.positive.document_id}
    negatives = tuple(
        negative
        for negative in dict.fromkeys(pair.negatives)
        if negative.document_id not in never and negative.text
    )
    margins = dict(zip(pair.negatives, pair.margins, strict=False))
    return replace(pair, negatives=negatives, margins=_margins_of(negatives, margins))


def _margins_of(
    negatives: tuple[Passage, ...], margins: Mapping[Passage, float]
) -> tuple[float, ...]:
    """Return a margin for every negative, or none at all."""
    known = all(negative in margins for negative in negatives)
    return tuple(margins[negative] for negative in negatives) if known else ()


def _to_frame(pairs: tuple[Pair, ...]) -> pl.DataFrame:
    def plain(passage: Passage) -> dict[str, str]:
        return {"document_id": passage.document_id, "text": passage.text}

    return pl.DataFrame(
        {
            "anchor": [pair.anchor for pair in pairs],
            "positive": [plain(pair.positive) for pair in pairs],
            "negatives": [[plain(negative) for negative in pair.negatives] for pair in pairs],
            "weight": [pair.weight for pair in pairs],
            "score": [pair.score for pair in pairs],
            "margins": [list(pair.margins) for pair in pairs],
            "source": [pair.source for pair in pairs],
        },
        schema={
            "anchor": pl.String,
            "positive": _PASSAGE,
            "negatives": pl.List(_PASSAGE),
            "weight": pl.Float64,
            "score": pl.Float64,
            "margins": pl.List(pl.Float64),
            "source": pl.String,
        },
    )


def _from_row(row: Mapping[str, object]) -> Pair:
    positive, negatives, margins = row["positive"], row["negatives"], row["margins"]
    assert isinstance(positive, dict)
    assert isinstance(negatives, list)
    assert isinstance(margins, list)
    return Pair(
        anchor=str(row["anchor"]),
        positive=Passage(**positive),
        negatives=tuple(Passage(**negative) for negative in negatives),
        weight=float(str(row["weight"])),
        score=float(str(row["score"])),
        margins=tuple(margins),
        source=str(row["source"]),
    )
