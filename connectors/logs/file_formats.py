"""Files of records, read forward from a position: NDJSON, CSV, Parquet, gzipped or not."""

import csv
import io
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Literal

import orjson
import polars as pl
from polars.exceptions import PolarsError

from desireline.connectors.errors import LogFormatError
from desireline.connectors.logs.file_places import LogFile

Format = Literal["ndjson", "csv", "tsv", "parquet"]

_BY_SUFFIX: Mapping[str, Format] = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
_PARQUET_ROWS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One record of a file and where the next one begins."""

    #: Counted from 1 where this reading began.
    number: int
    #: Bytes of the unpacked file for NDJSON, rows for the others.
    end: int
    #: None where the line cannot be read.
    record: Mapping[str, Any] | None


def format_of(path: LogFile) -> Format:
    """Tell the format by the suffix. Raises LogFormatError."""
    name = path.name.removesuffix(".gz")
    for suffix, known in _BY_SUFFIX.items():
        if name.endswith(suffix):
            return known
    raise LogFormatError(
        f"cannot tell the format of {path} by its name; nothing was read",
        next_step=f"set `format`, or end the name with one of {', '.join(_BY_SUFFIX)} (or .gz)",
    )


def read_lines(path: LogFile, kind: Format, start: int) -> Iterator[Line]:
    """Yield the records after `start`; a last line that is still being written is left."""
    if kind == "ndjson":
        return _read_ndjson(path, start)
    if kind == "parquet":
        return _read_parquet(path, start)
    return _read_csv(path, start, "\t" if kind == "tsv" else ",")


@contextmanager
def translated(path: LogFile) -> Iterator[None]:
    """Turn what reading a file can raise into a LogFormatError that names it."""
    try:
        yield
    except (OSError, EOFError, zlib.error, csv.Error, PolarsError) as error:
        said = str(error).strip() or "it is cut short"
        raise LogFormatError(
            f"cannot read {path}: {said.splitlines()[0]}; what was read before is kept",
            next_step="see that the file is whole and may be read, then run the same command again",
        ) from error


def _read_ndjson(path: LogFile, start: int) -> Iterator[Line]:
    end = start
    with path.open_unpacked() as file:
        file.seek(start)
        for number, line in enumerate(_until_cut(file), 1):
            record = _json_object(line)
            if record is None and line and not line.endswith(b"\n"):
                return
            end += len(line)
            if line.strip() or not line:
                yield Line(number=number, end=end, record=record)


def _until_cut(file: IO[bytes]) -> Iterator[bytes]:
    """Yield lines; an empty one stands for the missing rest of an archive that was cut short."""
    try:
        yield from file
    except EOFError:
        yield b""


def _json_object(line: bytes) -> Mapping[str, Any] | None:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None


def _read_csv(path: LogFile, start: int, delimiter: str) -> Iterator[Line]:
    with path.open_unpacked() as file:
        lines = _CsvLines(
            io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="")
        )
        rows = csv.reader(lines, delimiter=delimiter)
        header = next(rows, [])
        for row_number, row in enumerate(rows, 1):
            whole = len(row) == len(header)
            if not whole and not lines.last_ended:
                return
            if row_number > start and row:
                record = dict(zip(header, row, strict=True)) if whole else None
                yield Line(number=row_number - start, end=row_number, record=record)


class _CsvLines:
    """Lines of text, remembering whether the last one had its end."""

    def __init__(self, text: Iterable[str]) -> None:
        self._text = text
        self.last_ended = True

    def __iter__(self) -> Iterator[str]:
        for line in self._text:
            self.last_ended = line.endswith(("\n", "\r"))
            yield line


def _read_parquet(path: LogFile, start: int) -> Iterator[Line]:
    at = start
    with path.on_disk() as here:
        frame = pl.scan_parquet(here, glob=False)
        while len(rows := frame.slice(at, _PARQUET_ROWS).collect()):
            for record in rows.iter_rows(named=True):
                at += 1
                yield Line(number=at - start, end=at, record=record)
