"""The LanceDB tables of a folder: opened, locked for writing, kept compact, errors translated."""

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from desireline.connectors.engines.lance_layout import Layout
from desireline.connectors.errors import (
    ConnectorError,
    EngineUnavailableError,
    IndexMissingError,
    PluginMissingError,
    WriteBlockedError,
)

try:
    import lancedb
    import pyarrow as pa
    from lancedb.index import FTS
    from lancedb.query import FullTextOperator, MultiMatchQuery
except ImportError as error:
    raise PluginMissingError(
        f"the embedded engine needs a package that is not installed: {error}",
        next_step="pip install 'desireline[lancedb]'",
    ) from error

log = structlog.get_logger(__name__)

_FEWEST_COMMITS = 32
"""Each commit adds a fragment that every search must open; this many cost it a few ms."""

_ROWS_A_COMMIT = 500
"""A compaction rewrites the table, so one of n rows waits for n / 500 commits."""

_KEEP_VERSIONS = timedelta(minutes=1)
"""A search reads one version from its start to its end; none lasts this long."""

_IDS_PER_FILTER = 1000


class LanceTables:
    """Tables by index name. Safe between threads and between processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._compacted: dict[str, int] = {}
        with self._translated("open", ""):
            path.mkdir(parents=True, exist_ok=True)
            self._database: Any = lancedb.connect(path)

    def open(self, index: str) -> tuple[Any, Layout]:
        """Return the newest version of a table; it takes a fraction of a millisecond."""
        with self._translated("open", index):
            table = self._database.open_table(index)
            layout = Layout.of(table.schema)
        if layout is None:
            raise IndexMissingError(
                f"the table {index!r} in {self._path} was not made by desireline; it is untouched",
                next_step="choose another index name, or another folder",
            )
        return table, layout

    @contextmanager
    def reading(self, index: str) -> Iterator[tuple[Any, Layout]]:
        """Give the newest version of a table and translate what goes wrong."""
        table, layout = self.open(index)
        with self._translated("read", index):
            yield table, layout

    @contextmanager
    def writing(self, index: str) -> Iterator[tuple[Any, Layout]]:
        """Give the newest version of a table that nobody else writes meanwhile."""
        with self._locked(index):
            table, layout = self.open(index)
            with self._translated("write", index):
                yield table, layout
                self._compact_now_and_then(index, table)

    def create(self, index: str, layout: Layout) -> None:
        """Make an empty table whose text columns are searchable from the first row on."""
        with self._locked(index), self._translated("create", index):
            table = self._database.create_table(index, schema=layout.schema())
            for column in layout.text_columns.values():
                table.create_index(column, config=_like_the_standard_analyzer())

    def drop(self, index: str) -> None:
        """Delete a table; no error if it is missing."""
        with self._locked(index), self._translated("drop", index):
            self._database.drop_table(index, ignore_missing=True)
        self._compacted.pop(index, None)

    @contextmanager
    def _locked(self, index: str) -> Iterator[None]:
        # The lock is the open file's: other threads wait as other processes do, and the
        # system releases it when this process dies.
        with self._translated("lock", index):
            lock = (self._path / f"{index}.lock").open("ab")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _compact_now_and_then(self, index: str, table: Any) -> None:
        commits = table.version - self._compacted.setdefault(index, table.version)
        if commits < max(_FEWEST_COMMITS, table.count_rows() // _ROWS_A_COMMIT):
            return
        table.optimize(cleanup_older_than=_KEEP_VERSIONS)
        self._compacted[index] = table.version
        log.debug("compacted a table", index=index, version=table.version)

    @contextmanager
    def _translated(self, verb: str, index: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, RuntimeError, OSError, pa.ArrowException) as error:
            raise self._translate(error, verb, index) from error

    def _translate(self, error: Exception, verb: str, index: str) -> ConnectorError:
        said, place = str(error), f"cannot {verb} the index {index!r} in {self._path}"
        if "was not found" in said and verb == "open":
            return IndexMissingError(
                f"there is no index {index!r} in {self._path}",
                next_step="create the index, or correct its name in desireline.toml",
            )
        if "already exists" in said and verb == "create":
            return ConnectorError(
                f"{place}: it exists already and was left as it is",
                next_step="drop it first, or choose another name",
            )
        if any(sign in said for sign in ("No space left", "Permission denied", "Read-only")):
            return WriteBlockedError(
                f"{place}: {_first_line(said)}; the index is as it was",
                next_step="make room or give write permission, then run the same command again",
            )
        return EngineUnavailableError(
            f"{place}: {_first_line(said)}; a write that fails changes nothing",
            next_step="check that the folder is on a working disk and made by this version",
        )


def in_ids(ids: Sequence[str]) -> Iterator[str]:
    """Yield filters that together match these documents."""
    for start in range(0, len(ids), _IDS_PER_FILTER):
        quoted = (
            "'" + each.replace("'", "''") + "'" for each in ids[start : start + _IDS_PER_FILTER]
        )
        yield f"_id IN ({', '.join(quoted)})"


def select(table: Any, columns: Sequence[str], where: str | None = None) -> pa.Table:
    """Read columns of the rows that match, all of one version."""
    query = table.search().select(list(columns))
    return (query.where(where) if where else query).to_arrow()


def update_rows(table: Any, rows: pa.Table, seq_no: int, *, insert: bool = False) -> None:
    """Commit the columns given of the documents given; columns not given stay.

    The lock keeps others away. Should this thread be interrupted, LanceDB finishes the commit
    in its own thread, perhaps after the lock is free: rows written meanwhile are left alone.
    """
    change = table.merge_insert("_id").when_matched_update_all(where=f"target._seq_no < {seq_no}")
    change = change.when_not_matched_insert_all() if insert else change
    # Whatever is long enough to look like a vector may be null here; what fits was checked before.
    change.execute(rows, on_bad_vectors="null")


def match(text: str, boosts: Mapping[str, float]) -> MultiMatchQuery:
    """Match any word in any of the columns; the best column decides the score."""
    return MultiMatchQuery(
        text, list(boosts), boosts=list(boosts.values()), operator=FullTextOperator.OR
    )


def _like_the_standard_analyzer() -> FTS:
    """Split by Unicode words and lower the case; no stemming, no stop words, no folding."""
    return FTS(
        base_tokenizer="icu",
        max_token_length=255,
        stem=False,
        remove_stop_words=False,
        ascii_folding=False,
    )


def _first_line(said: str) -> str:
    return said.strip().splitlines()[0][:300] if said.strip() else "no reason was given"
