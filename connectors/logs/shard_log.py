"""Indexes that only grow, read forward shard by shard in the order their records arrived.

The position in a shard is the number of a write (`_seq_no`), not a time: a record that arrives
days late is read when it arrives, and none is read twice. A page is a range of numbers, so it
needs no snapshot, no sorting and no former page, and the next is fetched while one is parsed.
"""

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import orjson

from desireline.connectors.errors import LogFormatError
from desireline.connectors.log_source import Cursor
from desireline.connectors.opensearch_client import Cluster, path
from desireline.connectors.opensearch_shards import Shard, require_every_shard

#: Most records of a page: what an index returns at once unless it is told otherwise.
PAGE = 10_000
#: Records outside the window leave numbers without a match: pages then reach further.
_WIDEST = 10_000_000
_ANSWER = "timed_out,_shards.failed,hits.hits._source"

Record = Mapping[str, Any]


class ShardLog:
    """How far each shard was read, and what lies behind that."""

    def __init__(self, cluster: Cluster, since: Cursor | None) -> None:
        self._cluster = cluster
        self._positions = _positions(since)

    @property
    def cursor(self) -> Cursor:
        """Stands behind the last page that was read."""
        body = {"shards": self._positions}
        return Cursor(orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode())

    def read(
        self, shards: Iterable[Shard], clauses: Sequence[Mapping[str, Any]], fields: Sequence[str]
    ) -> Iterator[list[Record]]:
        """Yield pages of the fields of new records; the cursor goes with them.

        Args:
            shards: of `readable_shards`, whose checkpoints are where reading ends.
            clauses: a record must match all of them.
            fields: dotted names; an object's name takes all that is in it.

        Raises:
            PartialReadError: a shard did not answer.

        """
        for shard in shards:
            start = self._positions.get(shard.key, -1)
            with _Pages(self._cluster, shard, clauses, fields) as pages:
                for end, records in pages.since(start):
                    self._positions[shard.key] = end
                    yield records


@dataclass(frozen=True, slots=True, kw_only=True)
class _Range:
    """Numbers of writes: above `after`, up to `end`."""

    after: int
    end: int


class _Pages:
    """The pages of one shard, each fetched while the one before it is parsed."""

    def __init__(
        self,
        cluster: Cluster,
        shard: Shard,
        clauses: Sequence[Mapping[str, Any]],
        fields: Sequence[str],
    ) -> None:
        self._cluster, self._shard = cluster, shard
        self._clauses, self._fields = clauses, fields
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="log-page")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ahead.shutdown(cancel_futures=True)

    def since(self, after: int) -> Iterator[tuple[int, list[Record]]]:
        """Yield where each page ends and its records."""
        width = PAGE
        asked = self._next(after, width)
        fetched = self._ahead.submit(self._fetch, asked)
        while asked.after < asked.end:
            records = fetched.result()
            width = _width(width, len(records))
            overfull = len(records) >= PAGE and asked.end - asked.after > PAGE
            done, asked = asked, self._next(asked.after if overfull else asked.end, width)
            fetched = self._ahead.submit(self._fetch, asked)
            if not overfull:
                yield done.end, records

    def _next(self, after: int, width: int) -> _Range:
        return _Range(after=after, end=max(after, min(after + width, self._shard.checkpoint)))

    def _fetch(self, numbers: _Range) -> list[Record]:
        if numbers.after >= numbers.end:
            return []
        between = {"range": {"_seq_no": {"gt": numbers.after, "lte": numbers.end}}}
        body = {
            "size": PAGE,
            "query": {"bool": {"filter": [between, *self._clauses]}},
            "sort": ["_doc"],
            "track_total_hits": False,
            "_source": {"includes": list(self._fields)},
        }
        params = {
            "allow_partial_search_results": "false",
            "preference": f"_shards:{self._shard.number}|_primary",
            "filter_path": _ANSWER,
        }
        with _uncollected():
            answer = self._cluster.call(
                "POST", path(self._shard.index, "_search"), params=params, body=body
            )
        require_every_shard(answer, self._shard.index)
        return [hit.get("_source", {}) for hit in answer.get("hits", {}).get("hits", ())]


def _width(width: int, found: int) -> int:
    """Reach further where little was found, and no further than a page where much was."""
    if found >= PAGE:
        return max(PAGE, width // 4)
    return min(width * 2, _WIDEST) if found < PAGE // 4 else width


@contextmanager
def _uncollected() -> Iterator[None]:
    """Decode without the garbage collector: it finds none in a page, and takes half the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _positions(since: Cursor | None) -> dict[str, int]:
    if since is None:
        return {}
    try:
        return {str(key): int(last) for key, last in orjson.loads(since.token)["shards"].items()}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise LogFormatError(
            "the cursor is not one of a log on a cluster; nothing was read",
            next_step="pull without a cursor to read the whole window again",
        ) from error
