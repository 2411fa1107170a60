"""The shards behind an index, alias or pattern: how far each has come, and reading one whole.

A shard numbers its writes (`_seq_no`). All up to its global checkpoint are safe on every copy
and none is missing, while the highest number ever seen may have gaps below it: positions
are always checkpoints.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from desireline.connectors.errors import ConnectorError, PartialReadError
from desireline.connectors.opensearch_client import Cluster, path

#: How long a snapshot waits for the reader between two pages.
_KEEP_ALIVE = "15m"
_WHOLE = {"allow_partial_search_results": "false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One primary shard and the position up to which its writes are complete."""

    index: str
    uuid: str
    number: int
    checkpoint: int

    @property
    def key(self) -> str:
        """Names the shard and the life of its index: an index made again has another uuid."""
        return f"{self.uuid}/{self.number}"


def readable_shards(cluster: Cluster, name: str) -> list[Shard]:
    """Return every shard with a checkpoint up to which all writes can now be found.

    The checkpoints are read first and the refresh comes after, never the other way round.

    Raises:
        PartialReadError: a primary shard did not answer.

    """
    found = all_shards(cluster, name)
    refresh(cluster, name)
    return found


def all_shards(cluster: Cluster, name: str) -> list[Shard]:
    """Return every shard as it stands; what lies before its checkpoint may not be visible yet.

    Raises:
        PartialReadError: a primary shard did not answer.

    """
    expected = _expected(cluster, name)
    found = _started_primaries(cluster, name)
    missing = expected.keys() - {(shard.index, shard.number) for shard in found}
    if missing:
        index, number = min(missing)
        raise PartialReadError(
            f"shard {number} of {index} has no running primary, so nothing can be proved",
            next_step="wait until the index is at least yellow, then run again",
        )
    return found


def _expected(cluster: Cluster, name: str) -> dict[tuple[str, int], None]:
    settings = cluster.call(
        "GET",
        path(name, "_settings", "index.number_of_shards"),
        params={"flat_settings": "true"},
    )
    return {
        (index, number): None
        for index, held in settings.items()
        for number in range(int(held["settings"]["index.number_of_shards"]))
    }


def _started_primaries(cluster: Cluster, name: str) -> list[Shard]:
    wanted = "indices.*.uuid,indices.*.shards.*.routing,indices.*.shards.*.seq_no"
    stats = cluster.call(
        "GET", path(name, "_stats", "docs"), params={"level": "shards", "filter_path": wanted}
    )
    return [
        Shard(
            index=index,
            uuid=held["uuid"],
            number=int(number),
            checkpoint=int(copy["seq_no"]["global_checkpoint"]),
        )
        for index, held in stats.get("indices", {}).items()
        for number, copies in sorted(held.get("shards", {}).items(), key=lambda item: int(item[0]))
        for copy in copies
        # A primary that is moving still answers, in state RELOCATING.
        if copy["routing"]["primary"] and "seq_no" in copy
    ]


def refresh(cluster: Cluster, name: str) -> None:
    """Make every write so far visible to searches. Raises PartialReadError."""
    answer = cluster.call("POST", path(name, "_refresh"))
    require_every_shard(answer, name)


def require_every_shard(answer: Mapping[str, Any], name: str) -> None:
    """Raise PartialReadError if the answer leaves out a shard or ran out of time."""
    failed = answer.get("_shards", {}).get("failed", 0)
    if failed or answer.get("timed_out"):
        what = "timed out" if answer.get("timed_out") else f"left out {failed} shards"
        raise PartialReadError(
            f"an answer about {name} {what}, so it proves nothing",
            next_step="wait until the cluster is green, then run again",
        )


def read_shard(
    cluster: Cluster,
    shard: Shard,
    query: Mapping[str, Any],
    source: Sequence[str] | Mapping[str, Any] | bool,
    batch_size: int,
    *,
    versions: bool = False,
) -> Iterator[list[dict[str, Any]]]:
    """Yield the hits of a query in one shard, in order of their writes, as of one moment.

    Reads the primary: with segment replication a replica may lag behind the refresh.

    Args:
        cluster: where the shard is.
        shard: which one.
        query: which of its documents.
        source: names of fields, or what `_source` of a search takes.
        batch_size: hits in a page.
        versions: whether each hit has its `_version`.

    """
    opened = cluster.call(
        "POST",
        path(shard.index, "_search", "point_in_time"),
        params={
            "keep_alive": _KEEP_ALIVE,
            "preference": f"_shards:{shard.number}|_primary",
            "allow_partial_pit_creation": "false",
        },
    )
    try:
        body = {
            "pit": {"id": opened["pit_id"], "keep_alive": _KEEP_ALIVE},
            "size": batch_size,
            "query": query,
            "sort": [{"_seq_no": "asc"}],
            "seq_no_primary_term": True,
            "version": versions,
            "track_total_hits": False,
            "_source": _wanted(source),
        }
        yield from _pages(cluster, body)
    finally:
        # A snapshot that is not closed ends by itself; that must not hide the first error.
        with suppress(ConnectorError):
            body = {"pit_id": [opened["pit_id"]]}
            cluster.call("DELETE", path("_search", "point_in_time"), body=body)


def _wanted(source: Sequence[str] | Mapping[str, Any] | bool) -> object:
    if isinstance(source, bool | Mapping):
        return source
    return {"includes": list(source)} if source else False


def _pages(cluster: Cluster, body: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    while True:
        answer = cluster.call("POST", path("_search"), params=_WHOLE, body=body)
        require_every_shard(answer, "the snapshot")
        hits = answer["hits"]["hits"]
        if hits:
            yield hits
        if len(hits) < body["size"]:
            return
        body["search_after"] = hits[-1]["sort"]
