"""Rows of four kinds: which cell is what, and what is wrong with which line."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from desireline.trainer.errors import TrainingDataError
from desireline.trainer.finetuning.files import CSVOptions, FileRow

Kind = Literal["pairs", "triplets", "scored", "labelled"]

#: Column names, as they are understood.
_NAMES = {
    "query": ("query", "anchor", "question", "sentence1"),
    "document": ("document", "positive", "passage", "answer", "sentence2"),
    "document_id": ("document_id", "doc_id"),
    "negative": ("negative", "negatives"),
    "margin": ("margin", "margins"),
    "score": ("score", "similarity", "grade"),
    "text": ("text", "sentence"),
    "label": ("label", "class"),
    "weight": ("weight",),
}
_COLUMN = {name: column for column, names in _NAMES.items() for name in names}
_EXPECTED = {
    "pairs": "query, document",
    "triplets": "query, document, negative",
    "scored": "query, document, score from 0 to 1",
    "labelled": "text, label",
}
_MOST_NAMED = 20
_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One good row: what somebody asked or wrote, and what is right for it."""

    query: str
    #: Empty for a labelled row.
    document: str
    #: The label of a labelled row; else the document's name, its text where it has none.
    document_id: str
    negatives: tuple[str, ...] = ()
    margins: tuple[float, ...] = ()
    score: float = 1.0
    weight: float = 1.0


def cells_of(row: Any) -> Any:
    """Give a row of a Python list as cells."""
    return (
        row if isinstance(row, Mapping) else tuple(row) if isinstance(row, list | tuple) else (row,)
    )


def columns_of(
    rows: list[FileRow], options: CSVOptions, *, named: bool
) -> tuple[tuple[str, ...], list[FileRow]]:
    """Say what stands in which cell: by the names of dictionaries, by a head line, or by guess."""
    if not rows:
        return (), rows
    first = rows[0].cells
    if isinstance(first, Mapping):
        names = dict.fromkeys(
            name for row in rows if isinstance(row.cells, Mapping) for name in row.cells
        )
        return tuple(_COLUMN.get(str(name).strip().lower(), str(name)) for name in names), rows
    head = [str(cell).strip().lower() for cell in first]
    if not named and any(cell in _COLUMN for cell in head):
        return tuple(_COLUMN.get(cell, cell) for cell in head), rows[1:]
    return _guessed(rows, options), rows


def _guessed(rows: list[FileRow], options: CSVOptions) -> tuple[str, ...]:
    cells = [row.cells for row in rows if isinstance(row.cells, tuple)]
    width = max(set(map(len, cells)), key=[*map(len, cells)].count, default=0)
    if options.is_labeled:
        return ("text", "label")
    if width < 3:  # noqa: PLR2004 - query and document
        return ("query", "document")
    third = [row[2] for row in cells if len(row) == width]
    if sum(_numeric(cell) for cell in third) * 2 > len(third):
        return ("query", "document", "score")
    return ("query", "document", "negative", "margin")[:width]


def kind_of(columns: tuple[str, ...], name: str) -> Kind:
    """Say what the columns make. Raises TrainingDataError if nothing."""
    if {"query", "document"} <= set(columns):
        return "triplets" if "negative" in columns else "scored" if "score" in columns else "pairs"
    if {"text", "label"} <= set(columns):
        return "labelled"
    raise TrainingDataError(
        f"{name} has the columns {', '.join(columns) or 'none'}, of which no training data is made;"
        " nothing was trained",
        next_step="name the columns query and document (and negative, score, weight), or text"
        " and label",
    )


@dataclass(slots=True)
class Checked:
    """Turns cells into lessons and keeps what is wrong with them."""

    name: str
    kind: Kind
    problems: list[str] = field(default_factory=list)

    def lesson(self, row: FileRow, columns: tuple[str, ...]) -> Lesson | None:
        """Return what a row says; None, and one problem or more kept, if it is wrong."""
        before = len(self.problems)
        cells = self._by_column(row, columns)
        if cells is None:
            return None
        text, right = ("text", "label") if self.kind == "labelled" else ("query", "document")
        query = self._text(row, cells, text)
        document = self._text(row, cells, right)
        negatives = self._negatives(row, cells)
        score = self._number(row, cells, "score", lambda value: 0 <= value <= 1, "0 to 1")
        weight = self._number(row, cells, "weight", lambda value: value > 0, "a number above 0")
        margins = self._margins(row, cells, len(negatives))
        if len(self.problems) > before:
            return None
        labelled = self.kind == "labelled"
        named = str(cells.get("document_id") or "").strip()
        return Lesson(
            query=query,
            document="" if labelled else document,
            document_id=named or document,
            negatives=negatives,
            margins=margins,
            score=score,
            weight=weight,
        )

    def raise_problems(self) -> None:
        """Raise TrainingDataError if any row was wrong."""
        if not self.problems:
            return
        shown = "; ".join(self.problems[:_MOST_NAMED])
        more = len(self.problems) - _MOST_NAMED
        raise TrainingDataError(
            f"{len(self.problems):,} rows of {self.name} are wrong: {shown}"
            + (f"; and {more:,} more" if more > 0 else "")
            + "; nothing was trained",
            next_step=f"mend these rows: expected {_EXPECTED[self.kind]} in each",
        )

    def _by_column(self, row: FileRow, columns: tuple[str, ...]) -> dict[str, Any] | None:
        if isinstance(row.cells, Mapping):
            return {_COLUMN.get(str(k).strip().lower(), str(k)): v for k, v in row.cells.items()}
        if len(row.cells) != len(columns):
            self._wrong(
                row, " | ".join(map(str, row.cells)), f"{len(columns)} cells: {', '.join(columns)}"
            )
            return None
        return dict(zip(columns, row.cells, strict=True))

    def _wrong(self, row: FileRow, value: object, expected: str) -> None:
        shown = repr(value[:_SHOWN] if isinstance(value, str) else value)[: 2 * _SHOWN]
        self.problems.append(f"line {row.line}: {shown}, expected {expected}")

    def _text(self, row: FileRow, cells: Mapping[str, Any], column: str) -> str:
        value = cells.get(column)
        text = "" if value is None else _readable(str(value).strip())
        if not text or not isinstance(value, str | int | float):
            self._wrong(row, value, f"text in {column}")
        return text

    def _number(
        self,
        row: FileRow,
        cells: Mapping[str, Any],
        column: str,
        fits: Callable[[float], bool],
        expected: str,
    ) -> float:
        if column not in cells:
            return 1.0
        number = _number(cells[column])
        if number is None or not fits(number):
            self._wrong(row, cells[column], f"{expected} in {column}")
            return 1.0
        return number

    def _negatives(self, row: FileRow, cells: Mapping[str, Any]) -> tuple[str, ...]:
        if self.kind != "triplets":
            return ()
        value = cells.get("negative")
        several = value if isinstance(value, list | tuple) else [value]
        texts = tuple(
            _readable(one.strip()) for one in several if isinstance(one, str) and one.strip()
        )
        if not texts or len(texts) != len(several):
            self._wrong(row, value, "text in negative")
        return texts

    def _margins(self, row: FileRow, cells: Mapping[str, Any], count: int) -> tuple[float, ...]:
        if "margin" not in cells:
            return ()
        value = cells["margin"]
        several = value if isinstance(value, list | tuple) else [value]
        numbers = [number for one in several if (number := _number(one)) is not None]
        if len(numbers) != len(several) or len(numbers) != count:
            self._wrong(row, value, "a number for each negative in margin")
        return tuple(numbers)


def _readable(text: str) -> str:
    """Replace half surrogate pairs, which Python can hold and no tokenizer takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _numeric(value: object) -> bool:
    """Whether it is written as a number, be it infinite or none at all."""
    try:
        float(str(value).strip())
    except ValueError:
        return False
    return True


def _number(value: object) -> float | None:
    try:
        number = float(str(value).strip())
    except ValueError:
        return None
    return number if math.isfinite(number) else None
