"""Rows of a file or a list, by the names of their columns, and what is wrong with which line."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desireline.trainer.errors import TrainingDataError
from desireline.trainer.finetuning.files import CSVOptions, FileRow, read_rows

Source = Path | str | Sequence[Any]
"""A file, or rows: texts, tuples in the order of the columns, dictionaries by their names."""

_NAMES = {
    "query": ("query", "question", "text"),
    "document_id": ("document_id", "doc_id", "_id", "id"),
    "text": ("text", "document", "passage", "body", "content"),
}
_OBJECTS = {".ndjson", ".jsonl"}
_MOST_NAMED = 20
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one row, and who is told what is wrong with it."""

    line: int
    values: Mapping[str, Any]
    problems: list[str]

    def has(self, column: str) -> bool:
        """Whether the row has such a column, be it empty."""
        return column in self.values

    def text(self, column: str) -> str:
        """Return the text of a column; empty, and a problem kept, where there is none."""
        value = self.values.get(column)
        text = str(value).strip() if _is_text(value) else ""
        if not text:
            self.wrong(value, f"text in {column}")
        return text

    def strange(self, column: str) -> bool:
        """Whether a cell holds what is neither text, nor texts, nor empty."""
        value = self.values.get(column)
        several = value if isinstance(value, list | tuple) else (value,)
        return any(each is not None and not _is_text(each) for each in several)

    def wrong(self, value: object, expected: str) -> None:
        """Keep what is wrong with this row."""
        shown = repr(value)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
        self.problems.append(f"line {self.line}: {shown}, expected {expected}")


class Rows:
    """Reads rows once, from the first to the last."""

    def __init__(
        self,
        source: Source,
        columns: tuple[str, ...],
        further: Mapping[str, tuple[str, ...]],
        fields: tuple[str, ...],
    ) -> None:
        """Name the columns that are understood.

        Args:
            source: a file or rows.
            columns: of rows without names, the first alone or both; see `_of_width`.
            further: columns beside them, by all their names.
            fields: columns of the user's own, by the names they have.

        """
        self.count = 0
        self.problems: list[str] = []
        self._source = source
        self._columns = columns
        self._names = {**{column: _NAMES[column] for column in columns}, **further}
        self._fields = fields
        self._head: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """What people call the source."""
        return str(self._source) if isinstance(self._source, str | Path) else "the list"

    def __iter__(self) -> Iterator[Cells]:
        """Yield every row that has cells by names; others are wrong."""
        for row in self._raw():
            if self._head is None and isinstance(row.cells, tuple):
                self._head = self._head_of(row.cells)
                if self._head is not None:
                    continue
                self._head = self._of_width(len(row.cells))
            self.count += 1
            values = self._values(row)
            if values is not None:
                yield Cells(row.line, values, self.problems)

    def raise_problems(self, expected: str) -> None:
        """Raise TrainingDataError if any row was wrong, or if there was none."""
        if self.problems:
            shown = "; ".join(self.problems[:_MOST_NAMED])
            more = len(self.problems) - _MOST_NAMED
            raise TrainingDataError(
                f"{len(self.problems):,} rows of {self.name} are wrong: {shown}"
                + (f"; and {more:,} more" if more > 0 else "")
                + "; nothing was made",
                next_step=f"mend these rows: expected {expected}",
            )
        if not self.count:
            raise TrainingDataError(
                f"{self.name} holds no rows; nothing was made",
                next_step=f"give {expected}",
            )

    def _raw(self) -> Iterator[FileRow]:
        if not isinstance(self._source, str | Path):
            yield from (
                FileRow(number, _cells_of(row)) for number, row in enumerate(self._source, 1)
            )
            return
        path = Path(self._source).expanduser()
        if path.suffix.lower() == ".txt":
            yield from _lines(path)
        else:
            yield from read_rows(path, CSVOptions())

    def _head_of(self, cells: tuple[Any, ...]) -> tuple[str, ...] | None:
        """Return the columns' names where these cells are names; None where they are a row."""
        if not isinstance(self._source, str | Path) or self._lines_of_one():
            return None
        told = [str(cell).strip() for cell in cells]
        known = {name for names in self._names.values() for name in names}
        named = [name for name in told if name.lower() in known or name in self._fields]
        return tuple(told) if named else None

    def _lines_of_one(self) -> bool:
        return self.name.lower().endswith(".txt")

    def _of_width(self, width: int) -> tuple[str, ...]:
        """Say what stands where in rows without names: text alone, or name and text."""
        if width == 1:
            return (next(column for column in self._columns if column != "document_id"),)
        return self._columns[:width]

    def _values(self, row: FileRow) -> dict[str, Any] | None:
        cells = row.cells
        if isinstance(cells, tuple):
            objects = isinstance(self._source, str | Path) and (
                Path(self._source).suffix.lower() in _OBJECTS
            )
            head = self._head or ()
            if objects or len(cells) != len(head):
                told = "a JSON object" if objects else f"{len(head)} cells: {', '.join(head)}"
                Cells(row.line, {}, self.problems).wrong(" | ".join(map(str, cells)), told)
                return None
            cells = dict(zip(head, cells, strict=True))
        return self._by_column(cells)

    def _by_column(self, cells: Mapping[Any, Any]) -> dict[str, Any]:
        """Give the columns their own names; the user's fields keep those they have."""
        lower = {str(name).strip().lower(): value for name, value in cells.items()}
        found = {name: cells[name] for name in self._fields if name in cells}
        for column, names in self._names.items():
            for name in names:
                if name in lower:
                    found[column] = lower[name]
                    break
        return found


def _cells_of(row: Any) -> Any:
    if isinstance(row, Mapping):
        return row
    return tuple(row) if isinstance(row, list | tuple) else (row,)


def _lines(path: Path) -> Iterator[FileRow]:
    """Yield every line that is not empty as one cell."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield FileRow(number, (line.strip(),))
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingDataError(
            f"{path} cannot be read: {error}; nothing was made",
            next_step="give a file of UTF-8 text, one query or document a line",
        ) from error


def _is_text(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | int) and not isinstance(value, bool)
