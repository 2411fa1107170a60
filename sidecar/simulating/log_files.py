"""A simulated log as a file that the ``files`` log source reads: NDJSON, CSV, TSV, Parquet."""

import csv
import gzip
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import orjson
import polars as pl

from desireline.connectors.errors import LogFormatError
from desireline.connectors.events import Action, Impression, Query
from desireline.connectors.log_source import LogBatch
from desireline.sidecar.demo.ubi_bulk import APPLICATION, Spec, bulk_lines

_Writer = Callable[[Iterable[LogBatch], IO[bytes], Spec, bool], None]

#: Columns of tables; `FieldMap` names them by default.
COLUMNS: Mapping[str, Any] = {
    "type": pl.String,
    "query_id": pl.String,
    "text": pl.String,
    "at": pl.String,
    "client": pl.String,
    "shown": pl.List(pl.String),
    "first_position": pl.Int32,
    "document_id": pl.String,
    "position": pl.Int32,
    "application": pl.String,
}


def write_log(
    batches: Iterable[LogBatch],
    out: Path,
    *,
    spec: Spec = "1.3",
    in_parts: bool = False,
    written: Callable[[int], None] = lambda _: None,
) -> None:
    """Write a log, in the format that the name of the file says.

    NDJSON holds UBI records in the lines of a bulk request; tables have `COLUMNS`. A file that
    exists is left as it is; one that cannot be finished is removed.

    Args:
        batches: the log.
        out: the file.
        spec: of UBI, for NDJSON.
        in_parts: give every record an id of its own; see `bulk_lines`.
        written: told after each batch how many there are so far.

    Raises:
        LogFormatError: the name says no format, or the file exists or cannot be written.

    """
    writer = _writer(out)
    with creating(out) as file:
        try:
            writer(_told(batches, written), file, spec, in_parts)
        except BaseException:
            out.unlink(missing_ok=True)
            raise


@contextmanager
def creating(out: Path) -> Iterator[IO[bytes]]:
    """Open a file that must not be there yet; gzip packs it where its name ends with .gz.

    Raises:
        LogFormatError: it exists and was left as it is, or it cannot be written.

    """
    try:
        with out.open("xb") as file:
            if out.suffix != ".gz":
                yield file
                return
            # Without a name and a time in it, the same log is the same bytes.
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
                yield cast("IO[bytes]", packed)
    except FileExistsError as error:
        raise LogFormatError(
            f"{out} exists; it was left as it is", next_step="name another --out"
        ) from error
    except OSError as error:
        raise LogFormatError(f"{out} cannot be written: {error.strerror}") from error


def _writer(out: Path) -> _Writer:
    """Return what writes the format that the name says; Parquet is packed already."""
    suffix = Path(out.name.removesuffix(".gz")).suffix
    if suffix not in _WRITERS or out.name.endswith(".parquet.gz"):
        raise LogFormatError(
            f"cannot tell by the name in which format to write {out}; nothing was written",
            next_step=f"end it with one of {', '.join(_WRITERS)} (or .gz, but for Parquet)",
        )
    return _WRITERS[suffix]


def _told(batches: Iterable[LogBatch], written: Callable[[int], None]) -> Iterator[LogBatch]:
    for number, batch in enumerate(batches, 1):
        yield batch
        written(number)


def _ndjson(batches: Iterable[LogBatch], file: IO[bytes], spec: Spec, in_parts: bool) -> None:
    for number, batch in enumerate(batches):
        file.writelines(bulk_lines(batch, spec=spec, part=str(number) if in_parts else ""))


def _parquet(batches: Iterable[LogBatch], file: IO[bytes], *_: object) -> None:
    frames = [pl.DataFrame(list(_records(batch)), schema=COLUMNS) for batch in batches]
    (pl.concat(frames) if frames else pl.DataFrame(schema=COLUMNS)).write_parquet(file)


def _csv(batches: Iterable[LogBatch], file: IO[bytes], *_: object, delimiter: str = ",") -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    rows = csv.DictWriter(text, list(COLUMNS), delimiter=delimiter)
    rows.writeheader()
    for batch in batches:
        rows.writerows(
            {**record, "shown": _joined(record.get("shown", []))} for record in _records(batch)
        )
    text.flush()
    text.detach()


def _tsv(batches: Iterable[LogBatch], file: IO[bytes], *_: object) -> None:
    _csv(batches, file, delimiter="\t")


def _joined(shown: list[str]) -> str:
    """Put ids into one cell, with | between them where no id holds one."""
    plain = not any("|" in each or each.startswith("[") for each in shown)
    return "|".join(shown) if plain else orjson.dumps(shown).decode()


def _records(batch: LogBatch) -> Iterator[dict[str, Any]]:
    for query in batch.queries:
        yield _search(query)
    events: tuple[Action | Impression, ...] = (*batch.actions, *batch.impressions)
    yield from map(_about_document, events)


def _search(query: Query) -> dict[str, Any]:
    return {
        "type": "query",
        "query_id": query.query_id,
        "text": query.text,
        "at": query.at.isoformat(),
        "client": query.client,
        "shown": list(query.shown),
        "first_position": query.first_position,
        "application": APPLICATION,
    }


def _about_document(event: Action | Impression) -> dict[str, Any]:
    return {
        "type": event.kind if isinstance(event, Action) else "impression",
        "query_id": event.query_id,
        "text": event.text if isinstance(event, Action) else None,
        "at": event.at.isoformat(),
        "client": event.client,
        "document_id": event.document_id,
        "position": event.position,
        "application": APPLICATION,
    }


_WRITERS: Mapping[str, _Writer] = {
    ".ndjson": _ndjson,
    ".parquet": _parquet,
    ".csv": _csv,
    ".tsv": _tsv,
}
