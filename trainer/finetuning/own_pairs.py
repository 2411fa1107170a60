"""Pairs, triplets, labelled rows and scored pairs of people's own become pairs to learn from."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from desireline.trainer.errors import NothingToLearnError, TrainingDataError
from desireline.trainer.finetuning.files import CSVOptions, FileRow, read_rows
from desireline.trainer.finetuning.rows import Checked, Kind, Lesson, cells_of, columns_of, kind_of
from desireline.trainer.pairs import Pair, PairSet, Passage
from desireline.trainer.query_text import normalise

Source = Path | str | Sequence[Any]
"""A file, or rows: tuples in the order of the columns, or dictionaries by their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """Rows of one kind, all of them good."""

    kind: Kind
    lessons: tuple[Lesson, ...]

    def split(self, share: float, seed: int) -> tuple["TrainingData", "TrainingData"]:
        """Hold out a share of the queries with all of their rows."""
        queries = sorted({normalise(lesson.query) for lesson in self.lessons})
        random.Random(seed).shuffle(queries)  # noqa: S311 - no secret
        held_out = set(queries[: round(share * len(queries))])
        kept: tuple[list[Lesson], list[Lesson]] = ([], [])
        for lesson in self.lessons:
            kept[normalise(lesson.query) in held_out].append(lesson)
        train, held = (replace(self, lessons=tuple(some)) for some in kept)
        return train, held

    def pairs(self, seed: int) -> PairSet:
        """Give the rows as pairs.

        All documents of one query are right for it, whatever row they stand in. A text of a
        labelled row learns from another text of its label. The same pair twice counts twice.
        """
        lessons = _of_labels(self.lessons, seed) if self.kind == "labelled" else self.lessons
        right: dict[str, set[str]] = {}
        for lesson in lessons:
            if lesson.score > 0:
                right.setdefault(normalise(lesson.query), set()).add(lesson.document_id)
        found: dict[tuple[str, str, str], Pair] = {}
        for lesson in lessons:
            key = (lesson.query, lesson.document_id, lesson.document)
            pair = _pair(lesson, right[normalise(lesson.query)] if lesson.score > 0 else set())
            found[key] = _added(found[key], pair) if key in found else pair
        return PairSet(
            pairs=tuple(found.values()),
            related={
                lesson.query: frozenset(right.get(normalise(lesson.query), ()))
                for lesson in lessons
            },
        )

    def truth(self, train: "TrainingData") -> tuple[dict[str, dict[str, float]], dict[str, str]]:
        """Give the right documents of each query here, and all documents here and there.

        The documents of labelled rows are the texts there; those of a text's label are right.
        """
        if self.kind == "labelled":
            return _truth_of_labels(self.lessons, train.lessons)
        qrels: dict[str, dict[str, float]] = {}
        for lesson in self.lessons:
            if lesson.score > 0:
                qrels.setdefault(lesson.query, {})[lesson.document_id] = lesson.score
        documents = {
            lesson.document_id: lesson.document for lesson in (*train.lessons, *self.lessons)
        }
        wrong = {text for lesson in self.lessons for text in lesson.negatives}
        return qrels, {**{text: text for text in wrong}, **documents}


def _truth_of_labels(
    held_out: Sequence[Lesson], train: Sequence[Lesson]
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    of_label: dict[str, dict[str, float]] = {}
    for lesson in train:
        of_label.setdefault(lesson.document_id, {})[lesson.query] = 1.0
    known = [lesson for lesson in held_out if lesson.document_id in of_label]
    qrels = {lesson.query: of_label[lesson.document_id] for lesson in known}
    return qrels, {lesson.query: lesson.query for lesson in train}


def read_training_data(source: Source, options: CSVOptions | None = None) -> TrainingData:
    """Read and check every row.

    Raises:
        TrainingDataError: bad rows (all counted, the first twenty named), or no file of a kind
            that is known.
        NothingToLearnError: no rows at all.

    """
    options = options or CSVOptions()
    if not _of_rows(source):
        raise TrainingDataError(
            f"a {type(source).__name__} is no training data; nothing was trained",
            next_step="give the path of a file, or a list of tuples or of dictionaries",
        )
    if isinstance(source, str | Path):
        name, rows = str(source), [*read_rows(Path(source).expanduser(), options)]
    else:
        name, rows = "the list", [FileRow(n, cells_of(row)) for n, row in enumerate(source, 1)]
    columns, rows = columns_of(rows, options, named=not isinstance(source, str | Path))
    rows = rows[: options.size]
    if not rows:
        raise NothingToLearnError(
            f"{name} holds no rows; nothing was trained",
            next_step="give rows of query and document, or of text and label",
        )
    kind = kind_of(columns, name)
    checked = Checked(name, kind)
    lessons = [lesson for row in rows if (lesson := checked.lesson(row, columns))]
    checked.raise_problems()
    return TrainingData(kind=kind, lessons=tuple(lessons))


def refuse_one_document(pairs: PairSet, kind: Kind) -> None:
    """Raise NothingToLearnError where there is nothing to tell a document from."""
    documents = {
        each.document_id for pair in pairs.pairs for each in (pair.positive, *pair.negatives)
    }
    if len(documents) < 2:  # noqa: PLR2004 - a choice needs two
        what = "label" if kind == "labelled" else "document"
        raise NothingToLearnError(
            f"the training data names {len(documents)} {what}{'s' * (not documents)}, and nothing"
            " can be told apart; nothing was trained",
            next_step=f"give rows of at least two {what}s",
        )


def _of_rows(source: object) -> bool:
    """Whether it is a path or gives rows one by one; a table gives its columns."""
    return isinstance(source, Iterable | Path) and not (
        isinstance(source, Mapping | bytes) or hasattr(source, "columns")
    )


def _pair(lesson: Lesson, right: set[str]) -> Pair:
    kept = [number for number, text in enumerate(lesson.negatives) if text not in right]
    margins = lesson.margins
    return Pair(
        anchor=lesson.query,
        positive=Passage(lesson.document_id, lesson.document),
        negatives=tuple(Passage(lesson.negatives[at], lesson.negatives[at]) for at in kept),
        margins=tuple(margins[at] for at in kept) if margins else (),
        weight=lesson.weight,
        score=lesson.score,
        source="given",
    )


def _added(first: Pair, second: Pair) -> Pair:
    weight = first.weight + second.weight
    new = [at for at, one in enumerate(second.negatives) if one not in first.negatives]
    return replace(
        first,
        weight=weight,
        score=(first.weight * first.score + second.weight * second.score) / weight,
        negatives=(*first.negatives, *(second.negatives[at] for at in new)),
        margins=(*first.margins, *(second.margins[at] for at in new if second.margins)),
    )


def _of_labels(lessons: Sequence[Lesson], seed: int) -> list[Lesson]:
    """Give each text another one of its label: the next in a shuffled circle of the label."""
    drawn = random.Random(seed)  # noqa: S311 - no secret
    by_label: dict[str, list[Lesson]] = {}
    for lesson in _distinct(lessons):
        by_label.setdefault(lesson.document_id, []).append(lesson)
    found = []
    for several in by_label.values():
        drawn.shuffle(several)
        circle = zip(several, several[1:] + several[:1], strict=True)
        found += [replace(one, document=other.query) for one, other in circle if one is not other]
    if not found:
        raise NothingToLearnError(
            f"no label has two different texts among {len(lessons):,} rows; nothing was trained",
            next_step="give at least two texts for a label, and two labels",
        )
    return found


def _distinct(lessons: Iterable[Lesson]) -> Iterable[Lesson]:
    return {(lesson.query, lesson.document_id): lesson for lesson in lessons}.values()
