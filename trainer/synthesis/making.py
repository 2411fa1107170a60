"""The whole way from queries and documents to rows with margins."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import orjson

from desireline.trainer.errors import SynthesisError
from desireline.trainer.query_text import normalise
from desireline.trainer.synthesis.deadline import Deadline
from desireline.trainer.synthesis.pieces import Pieces, not_writable
from desireline.trainer.synthesis.relations import Related, RelationMiner, Search
from desireline.trainer.synthesis.settings import Progress, SynthesisSettings
from desireline.trainer.synthesis.sources import NOBODY, Documents
from desireline.trainer.synthesis.vectors import out_of_time

#: Queries that are mined together; a multiple of those that are read together.
MINED = 512

Read = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""How right each document is for its query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """The teacher by a name that decides its scores."""

    fingerprint: str
    read: Read
    #: Whether it says log-odds; else what it says is a margin's side as it is.
    odds: bool = True
    #: Queries in a piece: what a kill costs at most.
    at_once: int = 32


@dataclass(slots=True, kw_only=True)
class Made:
    """What came out, counted."""

    queries: int = 0
    rows: int = 0
    #: Queries whose known document scored below a wrong one.
    doubted: int = 0
    _margins: list[float] = field(default_factory=lambda: [0.0, 0.0])

    @property
    def mean_margin(self) -> float:
        """Mean of all margins."""
        return self._margins[0] / max(1, self.rows)

    @property
    def margin_deviation(self) -> float:
        """Standard deviation of all margins."""
        variance = self._margins[1] / max(1, self.rows) - self.mean_margin**2
        return math.sqrt(max(0.0, variance))

    def take(self, margins: Sequence[float], *, known: bool) -> None:
        """Count one query and its rows."""
        self.queries += 1
        self.rows += len(margins)
        self.doubted += known and min(margins) < 0
        self._margins[0] += sum(margins)
        self._margins[1] += sum(margin * margin for margin in margins)


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """Everything that rows are made of."""

    documents: Documents
    #: Each with the number of its right document, or `NOBODY`; in the order they have their turn.
    queries: Sequence[tuple[str, int]]
    searches: Sequence[Search]
    judge: Judge
    settings: SynthesisSettings
    #: Of the pieces.
    folder: Path
    deadline: Deadline
    progress: Progress

    def make(self, file: Path) -> Made:
        """Mine, read and write until all queries had their turn or the time is spent.

        Raises:
            SynthesisError: the time is spent before the first row, or the disk is full.

        """
        for search in self.searches:
            search.prepare(self.deadline, self.progress)
        made = Made()
        try:
            with file.open("wb") as rows:
                for related, scores in self._scored():
                    self._write(rows, related, scores, made)
        except OSError as error:
            raise not_writable(file, error) from error
        return made

    def _scored(self) -> Iterator[tuple[Related, Sequence[float]]]:
        miner = RelationMiner(
            searches=self.searches,
            documents=self.documents,
            right=right_of(self.queries),
            settings=self.settings,
            folder=self.folder / "found",
        )
        for number, start in enumerate(range(0, len(self.queries), MINED)):
            related = miner.mine(number, self.queries[start : start + MINED])
            for at in range(0, len(related), self.judge.at_once):
                some = related[at : at + self.judge.at_once]
                scores = self._read((start + at) // self.judge.at_once, some)
                if scores is None:
                    return
                yield from zip(some, scores, strict=True)
                self._tell(start + at + len(some))

    def _read(self, number: int, some: Sequence[Related]) -> list[list[float]] | None:
        """Return the scores of a piece; None where they are not there and the time is spent."""
        pieces = Pieces(self.folder / "scores")
        of = repr(
            (
                self.judge.fingerprint,
                self.documents.digest,
                [(each.query, each.documents) for each in some],
            )
        )
        if self.deadline.passed and not pieces.has(number, of):
            if number == 0:
                raise out_of_time("no query had been read")
            return None
        scores: list[list[float]] = pieces.values(number, of, lambda: self._ask(some))
        return scores

    def _ask(self, some: Sequence[Related]) -> list[list[float]]:
        numbers = sorted({number for each in some for number in each.documents})
        texts = dict(zip(numbers, self.documents.texts.texts(numbers), strict=True))
        pairs = [(each.query, texts[number]) for each in some for number in each.documents]
        told = self.judge.read(pairs)
        if not all(map(math.isfinite, told)):
            raise SynthesisError(
                "what the cross-encoder says of a pair is no number; nothing of it was kept",
                next_step="try it on a pair by itself: its weights may be broken",
            )
        scores = iter(told)
        return [[float(next(scores)) for _ in each.documents] for each in some]

    def _tell(self, queries: int) -> None:
        each = self.settings.num_relations
        self.progress("score", queries * each, len(self.queries) * each)

    def _write(self, file: BinaryIO, related: Related, scores: Sequence[float], made: Made) -> None:
        file.writelines(orjson.dumps(row) + b"\n" for row in self.rows_of(related, scores, made))

    def rows_of(
        self, related: Related, scores: Sequence[float], made: Made
    ) -> Iterator[dict[str, object]]:
        """Yield a row for each document but the right one.

        Where no document is known to be right, the one of the best score is; of equal scores, the
        nearer one.
        """
        told = [self._told(score) for score in scores]
        right = 0 if related.known else max(range(len(told)), key=lambda at: (told[at], -at))
        names = self.documents.names.texts(related.documents)
        texts = self.documents.texts.texts(related.documents)
        wrong = [at for at in range(len(told)) if at != right]
        margins = [told[right] - told[at] for at in wrong]
        made.take(margins, known=related.known)
        for at, margin in zip(wrong, margins, strict=True):
            row: dict[str, object] = {"query": related.query, "document": texts[right]}
            if self.documents.named:
                row["document_id"] = names[right]
            yield {**row, "negative": texts[at], "margin": margin}

    def _told(self, logit: float) -> float:
        if self.settings.scores == "logit" or not self.judge.odds:
            return logit
        return 1 / (1 + math.exp(-logit)) if logit >= 0 else 1 - 1 / (1 + math.exp(logit))


def right_of(queries: Sequence[tuple[str, int]]) -> dict[str, frozenset[int]]:
    """Return the right documents of each query that has any: never wrong ones, in no row of it."""
    found: dict[str, set[int]] = {}
    for query, document in queries:
        if document != NOBODY:
            found.setdefault(normalise(query), set()).add(document)
    return {query: frozenset(known) for query, known in found.items()}
