"""Rows of a file, each with its line, one after another: CSV of any dialect, NDJSON, Parquet."""

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
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: Bytes, and rows of Parquet, that are in memory at a time.
_AT_ONCE, _ROWS = 1 << 20, 4_096


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
            yield from _of_table(path, options)
        elif suffix in _LINES:
            yield from _of_lines(path)
        elif suffix == ".parquet":
            yield from _of_parquet(path)
        else:
            raise _unreadable(path, f"its name ends in {suffix!r}")
    except (OSError, LookupError, UnicodeError, pl.exceptions.PolarsError) as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, why: str) -> TrainingDataError:
    return TrainingDataError(
        f"{path} cannot be read as training data: {why}; nothing was trained",
        next_step="give a .csv, .tsv, .ndjson, .jsonl or .parquet file",
    )


def _encoding_of(path: Path, encoding: str) -> str:
    """Find a file's encoding by its mark; by whether all of it is UTF-8 where it has none."""
    if encoding != "auto":
        return encoding
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        start = file.read(len(codecs.BOM_UTF8))
        for mark, name in _MARKS:
            if start.startswith(mark):
                return name
        try:
            decoder.decode(start)
            while some := file.read(_AT_ONCE):
                decoder.decode(some)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"


def _of_table(path: Path, options: CSVOptions) -> Iterator[FileRow]:
    with path.open(encoding=_encoding_of(path, options.encoding), newline="") as file:
        sample = file.read(_SAMPLE)
        file.seek(0)
        reader = csv.reader(file, **_dialect(sample, options))
        began = 1
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield FileRow(began, tuple(cells))
                began = reader.line_num + 1
        except csv.Error as error:
            raise TrainingDataError(
                f"{path} cannot be read from line {began} on: {error}; nothing was trained",
                next_step="look for a quote that is never closed there; longer texts go into"
                " .ndjson or .parquet",
            ) from error


def _of_parquet(path: Path) -> Iterator[FileRow]:
    lazy, start = pl.scan_parquet(path), 0
    while rows := lazy.slice(start, _ROWS).collect().to_dicts():
        yield from (FileRow(number, row) for number, row in enumerate(rows, start + 1))
        start += len(rows)


def _dialect(sample: str, options: CSVOptions) -> dict[str, Any]:
    if options.dialect != "auto":
        return {"dialect": options.dialect}
    return {"delimiter": _delimiter(sample)}


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
