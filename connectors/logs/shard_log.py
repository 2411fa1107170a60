"""Indexes that only grow, read forward shard by shard in the order their records arrived.

The position in a shard is the number of a write (`_seq_no`), not a time: a record that arrives
days late is read when it arrives, and none is read twice. A page is a range of numbers, so it
needs no snapshot, no sorting and no former page, and the next are fetched while one is parsed.

Records are taken whole: to pick fields costs the cluster, which serves users meanwhile, about
twice what sending all of them does (tests/benchmarks/labels.py). What is not needed goes no
further than the parser.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

import orjson

from desireline.connectors.errors import LogFormatError
from desireline.connectors.log_source import Cursor
from desireline.connectors.logs.rare_collection import rare_collection
from desireline.connectors.opensearch_client import Cluster, path
from desireline.connectors.opensearch_shards import Shard, require_every_shard

#: Most records of a page: larger ones were no faster, and an index may refuse 10,000.
PAGE = 2_500
#: Pages that are fetched at once.
_AHEAD = 2
#: How many times the numbers of a full page one may span.
_WIDEST = 4_000

Record = Mapping[str, Any]


class ShardLog:
    """How far each shard was read, and what lies behind that.

    Args:
        cluster: where the shards are.
        since: a cursor of another ShardLog; None for the start.
        page: most records that are asked for at once.

    """

    def __init__(self, cluster: Cluster, since: Cursor | None, *, page: int = PAGE) -> None:
        self._cluster = cluster
        self._positions = _positions(since)
        self._page = page

    @property
    def cursor(self) -> Cursor:
        """Stands behind the last page that was read."""
        body = {"shards": self._positions}
        return Cursor(orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode())

    def read(
        self, shards: Iterable[Shard], clauses: Sequence[Mapping[str, Any]]
    ) -> Iterator[list[Record]]:
        """Yield pages of new records; the cursor goes with them.

        Args:
            shards: of `readable_shards`, whose checkpoints are where reading ends.
            clauses: a record must match all of them.

        Raises:
            PartialReadError: a shard did not answer.

        """
        for shard in shards:
            start = self._positions.get(shard.key, -1)
            pages = _Pages(self._cluster, shard, clauses, self._page)
            with rare_collection(), pages:
                for end, records in pages.since(start):
                    self._positions[shard.key] = end
                    yield records


@dataclass(frozen=True, slots=True, kw_only=True)
class _Range:
    """Numbers of writes: above `after`, up to `end`."""

    after: int
    end: int


class _Pages:
    """The pages of one shard; some are fetched while those before them are parsed."""

    def __init__(
        self,
        cluster: Cluster,
        shard: Shard,
        clauses: Sequence[Mapping[str, Any]],
        page: int,
    ) -> None:
        self._cluster, self._shard = cluster, shard
        self._clauses, self._page = clauses, page
        self._fetchers = ThreadPoolExecutor(_AHEAD, thread_name_prefix="log-page")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._fetchers.shutdown(cancel_futures=True)

    def since(self, after: int) -> Iterator[tuple[int, list[Record]]]:
        """Yield where each page ends and its records."""
        width = self._page
        under_way: deque[tuple[_Range, Future[list[Record]]]] = deque()
        while under_way or after < self._shard.checkpoint:
            while len(under_way) < _AHEAD and after < self._shard.checkpoint:
                asked = _Range(after=after, end=min(after + width, self._shard.checkpoint))
                under_way.append((asked, self._fetchers.submit(self._fetch, asked)))
                after = asked.end
            asked, fetched = under_way.popleft()
            records = fetched.result()
            if self._may_be_cut(asked, records):
                width = self._page
                yield from self._page_by_page(asked)
            else:
                width = self._next_width(width, len(records))
                yield asked.end, records

    def _may_be_cut(self, asked: _Range, records: list[Record]) -> bool:
        """Say whether a range that reached beyond a page may hold more than a page."""
        return asked.end - asked.after > self._page <= len(records)

    def _page_by_page(self, asked: _Range) -> Iterator[tuple[int, list[Record]]]:
        for after in range(asked.after, asked.end, self._page):
            narrow = _Range(after=after, end=min(after + self._page, asked.end))
            yield narrow.end, self._fetch(narrow)

    def _next_width(self, width: int, found: int) -> int:
        """Reach further where little was found: numbers outside the window match nothing."""
        if found < self._page // 4:
            return min(width * 2, self._page * _WIDEST)
        return max(self._page, width // 2) if found > self._page // 2 else width

    def _fetch(self, numbers: _Range) -> list[Record]:
        between = {"range": {"_seq_no": {"gt": numbers.after, "lte": numbers.end}}}
        body = {
            "size": self._page,
            "query": {"bool": {"filter": [between, *self._clauses]}},
            "sort": ["_doc"],
            "track_total_hits": False,
        }
        params = {
            "allow_partial_search_results": "false",
            "preference": f"_shards:{self._shard.number}|_primary",
        }
        answer = self._cluster.call(
            "POST", path(self._shard.index, "_search"), params=params, body=body
        )
        require_every_shard(answer, self._shard.index)
        return [hit.get("_source", {}) for hit in answer["hits"]["hits"]]


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
