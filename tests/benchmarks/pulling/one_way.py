"""Read an index of events to its end in one way, and tell what that took.

python pull_one_way.py WAY URL INDEX
"""

import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from opensearchpy import OpenSearch, helpers

from desireline.connectors.logs.shard_log import ShardLog
from desireline.connectors.logs.ubi import UbiConfig, UbiLogs
from desireline.connectors.opensearch_client import Cluster, OpenSearchSettings
from desireline.connectors.opensearch_shards import readable_shards
from desireline.connectors.ubi_records import parse_event

_VALUES = (
    *("action_name", "query_id", "user_query", "client_id", "application", "timestamp"),
    *("event_attributes.object.object_id", "event_attributes.object.object_id_field"),
    "event_attributes.position.ordinal",
)


def scanned(url: str, index: str) -> Iterator[Mapping[str, Any]]:
    for hit in helpers.scan(OpenSearch(url, timeout=120), index=index):
        yield hit["_source"]


def by_values(url: str, index: str) -> Iterator[Mapping[str, Any]]:
    client = OpenSearch(url, timeout=120)
    snapshot = client.create_pit(index=index, params={"keep_alive": "5m"})["pit_id"]
    body = {
        "pit": {"id": snapshot, "keep_alive": "5m"},
        "size": 10_000,
        "sort": [{"_shard_doc": "asc"}],
        "track_total_hits": False,
        "_source": False,
        "docvalue_fields": list(_VALUES),
    }
    wanted = {"filter_path": "hits.hits.fields,hits.hits.sort"}
    while hits := client.search(body=body, params=wanted).get("hits", {}).get("hits"):
        yield from (hit["fields"] for hit in hits)
        body["search_after"] = hits[-1]["sort"]
    client.delete_pit(body={"pit_id": [snapshot]})


def ours(url: str, index: str) -> Iterator[Mapping[str, Any]]:
    cluster = Cluster(OpenSearchSettings(url=url, timeout_s=120))
    log = ShardLog(cluster, None)
    for records in log.read(readable_shards(cluster, index), []):
        yield from records


def scanned_events(url: str, index: str) -> Iterator[object]:
    defects: Counter[str] = Counter()
    for record in scanned(url, index):
        yield parse_event(record, defects, zero_based=True)


def our_events(url: str, index: str) -> Iterator[object]:
    config = UbiConfig(
        queries_index=f"{index}-queries",
        events_index=index,
        window=timedelta(days=3650),
        zero_based=True,
    )
    for batch in UbiLogs(config, OpenSearchSettings(url=url, timeout_s=120)).pull():
        yield from (*batch.impressions, *batch.actions)


WAYS: Mapping[str, Callable[[str, str], Iterable[object]]] = {
    "scan": scanned,
    "docvalues": by_values,
    "ours": ours,
    "scan to events": scanned_events,
    "ours to events": our_events,
}


def main(way: str, url: str, index: str) -> None:
    start, cpu = time.perf_counter(), time.process_time()
    events = sum(1 for _ in WAYS[way](url, index))
    found = {
        "events": events,
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
