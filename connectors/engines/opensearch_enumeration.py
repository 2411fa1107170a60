"""Every document of a cluster's index from one snapshot of all shards, in order of its id.

The proof's own way to read an index: `opensearch_shards` reads shard by shard in order of
writes, so a mistake there is not repeated here. The count that the snapshot gives of itself must
be the count of what came.

Tried on 3.5.0: sorting by `_id` is allowed unless `indices.id_field_data.enabled` says no. It
loads the ids into the heap, about 30 bytes a document for UUIDs, counted by the fielddata breaker;
50,000 documents took 4.7 s in pages of 1,000, and 1.4 s in the shards' own order. Each page looks
at all ids again, so a large index is read in that order, as is one whose cluster refuses.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog

from desireline.connectors.errors import ConnectorError, EngineBusyError, PartialReadError
from desireline.connectors.opensearch_client import Cluster, path
from desireline.connectors.opensearch_shards import refresh, require_every_shard

log = structlog.get_logger(__name__)

#: Ids of more documents than these are not loaded into the heap of somebody's cluster.
_MOST_SORTED = 2_000_000
_KEEP_ALIVE = "15m"
_WHOLE = {"allow_partial_search_results": "false"}
#: An id may stand twice, under two routings; then the position in the shard tells them apart.
_BY_ID = ({"_id": "asc"}, {"_shard_doc": "asc"})
_BY_SHARD = ({"_shard_doc": "asc"},)
#: The same for OpenSearch 2, which knows no position in the shard. Where two of these are alike in
#: two shards, one document is passed over, and the count tells.
_BY_ID_IN_2 = ({"_id": "asc"}, {"_seq_no": "asc"})
_BY_WRITE_IN_2 = ({"_seq_no": "asc"}, {"_id": "asc"})


class _OrderRefusedError(ConnectorError):
    """The cluster does not sort by id."""


def every_hit(
    cluster: Cluster, index: str, source: Sequence[str], batch_size: int
) -> Iterator[list[dict[str, Any]]]:
    """Yield every hit of an index, a page at a time.

    Raises:
        PartialReadError: a shard did not answer, the snapshot was lost, or fewer documents came
            than it holds.

    """
    refresh(cluster, index)
    opened = cluster.call(
        "POST",
        path(index, "_search", "point_in_time"),
        params={
            "keep_alive": _KEEP_ALIVE,
            # With segment replication a replica may lag behind the refresh.
            "preference": "_primary",
            "allow_partial_pit_creation": "false",
        },
    )
    try:
        body = {
            "pit": {"id": opened["pit_id"], "keep_alive": _KEEP_ALIVE},
            "size": batch_size,
            "seq_no_primary_term": True,
            "_source": {"includes": list(source)} if source else False,
        }
        yield from _counted(_pages(cluster, index, body), index)
    finally:
        # A snapshot that is not closed ends by itself; that must not hide the first error.
        with suppress(ConnectorError):
            snapshot = {"pit_id": [opened["pit_id"]]}
            cluster.call("DELETE", path("_search", "point_in_time"), body=snapshot)


def _counted(pages: Iterator[dict[str, Any]], index: str) -> Iterator[list[dict[str, Any]]]:
    total = came = 0
    for page in pages:
        hits = page["hits"]["hits"]
        total = page["hits"].get("total", {"value": total})["value"]
        came += len(hits)
        if hits:
            yield hits
    if came != total:
        raise PartialReadError(
            f"{index} holds {total} documents and {came} came, so the enumeration proves nothing",
            next_step="run again",
        )


def _pages(cluster: Cluster, index: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the pages; the first one carries the count of all."""
    page, order = _first_page(cluster, index, body)
    while True:
        yield page
        hits = page["hits"]["hits"]
        if len(hits) < body["size"]:
            return
        further = {"track_total_hits": False, "sort": order, "search_after": hits[-1]["sort"]}
        page = _ask(cluster, index, {**body, **further})


def _first_page(
    cluster: Cluster, index: str, body: Mapping[str, Any]
) -> tuple[dict[str, Any], Sequence[Mapping[str, str]]]:
    counted = {**body, "size": 0, "track_total_hits": True, "_source": False}
    total = _ask(cluster, index, counted)["hits"]["total"]["value"]
    by_id = (_BY_ID, _BY_ID_IN_2) if total <= _MOST_SORTED else ()
    for order in (*by_id, _BY_SHARD):
        try:
            return _ask(cluster, index, {**body, "track_total_hits": True, "sort": order}), order
        except (_OrderRefusedError, EngineBusyError) as error:
            log.info(
                "the cluster does not sort documents so; the next order is tried",
                index=index,
                order=[next(iter(key)) for key in order],
                reason=str(error),
            )
    last = {**body, "track_total_hits": True, "sort": _BY_WRITE_IN_2}
    return _ask(cluster, index, last), _BY_WRITE_IN_2


def _ask(cluster: Cluster, index: str, body: Mapping[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = cluster.call(
        "POST", path("_search"), params=_WHOLE, body=dict(body), refused=_OrderRefusedError
    )
    require_every_shard(answer, index)
    return answer
