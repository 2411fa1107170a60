"""Rows of a file, each with its line: CSV of any dialect, NDJSON, Parquet."""

import codecs
import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
import polars as pl
from pydantic import BaseModel

from desireline.trainer.errors import TrainingDataError

_TABLES = {".csv", ".tsv", ".txt"}
_LINES = {".ndjson", ".jsonl"}
_DELIMITERS = ",\t;|"
_SAMPLE = 64 * 1024


class CSVOptions(BaseModel, frozen=True, extra="forbid"):
    """What a CSV file does not say by itself."""

    #: `auto` finds out which character parts the cells.
    dialect: Literal["auto", "excel", "excel-tab", "unix"] = "auto"
    #: `auto` takes the file's mark, then UTF-8, then Windows-1252.
    encoding: str = "auto"
    #: Two columns without names are text and label, not query and document.
    is_labeled: bool = False
    #: Most rows that are read.
    size: int | None = None


@dataclass(frozen=True, slots=True)
class FileRow:
    """Cells by column, or in their order where the file names no columns."""

    line: int
    cells: Mapping[str, Any] | tuple[Any, ...]


def read_rows(path: Path, options: CSVOptions) -> Iterator[FileRow]:
    """Read every row of a file.

    Raises:
        TrainingDataError: it cannot be read, or is of no known kind.

    """
    suffix = path.suffix.lower()
    try:
        if suffix in _TABLES:
            yield from _of_table(_decoded(path, options.encoding), options)
        elif suffix in _LINES:
            yield from _of_lines(path)
        elif suffix == ".parquet":
            rows = pl.read_parquet(path).iter_rows(named=True)
            yield from (FileRow(number, row) for number, row in enumerate(rows, 1))
        else:
            raise _unreadable(path, f"its name ends in {suffix!r}")
    except (OSError, LookupError, UnicodeError, csv.Error, pl.exceptions.PolarsError) as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, why: str) -> TrainingDataError:
    return TrainingDataError(
        f"{path} cannot be read as training data: {why}; nothing was trained",
        next_step="give a .csv, .tsv, .ndjson, .jsonl or .parquet file",
    )


def _decoded(path: Path, encoding: str) -> str:
    raw = path.read_bytes()
    if encoding != "auto":
        return raw.decode(encoding)
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if raw.startswith(mark):
            return raw.decode(name)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252")


def _of_table(text: str, options: CSVOptions) -> Iterator[FileRow]:
    reader = csv.reader(io.StringIO(text, newline=""), **_dialect(text, options))
    began = 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield FileRow(began, tuple(cells))
        began = reader.line_num + 1


def _dialect(text: str, options: CSVOptions) -> dict[str, Any]:
    if options.dialect != "auto":
        return {"dialect": options.dialect}
    return {"delimiter": _delimiter(text[:_SAMPLE])}


def _delimiter(sample: str) -> str:
    """Take the character that parts the most lines into the same number of cells, two or more."""
    best, most = ",", 0
    for delimiter in _DELIMITERS:
        rows = [row for row in csv.reader(io.StringIO(sample), delimiter=delimiter) if row]
        counts = [len(row) for row in rows[:200]]
        agreeing = sum(1 for count in counts if count > 1 and count == counts[0])
        if agreeing > most:
            best, most = delimiter, agreeing
    return best


def _of_lines(path: Path) -> Iterator[FileRow]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                found = orjson.loads(line)
            except orjson.JSONDecodeError:
                found = None
            text = line.decode("utf-8", "replace").strip()
            yield FileRow(number, found if isinstance(found, dict) else _listed(found, text))


def _listed(found: object, text: str) -> tuple[Any, ...]:
    """Give the cells of a JSON list; a line that is none is one cell, and wrong as such."""
    return tuple(found) if isinstance(found, list) else (text,)
