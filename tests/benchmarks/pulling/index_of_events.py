"""Make an index of UBI events anew, and an empty one for queries; with no events, drop both.

python index_of_events.py URL INDEX EVENTS
"""

import random
import sys
from collections.abc import Iterator
from typing import Any

from opensearchpy import OpenSearch, helpers

from desireline.connectors.ubi_indexes import _EVENTS


def main(url: str, index: str, count: int) -> None:
    client = OpenSearch(url, timeout=120)
    names = (index, f"{index}-queries")
    for name in names:
        client.indices.delete(index=name, ignore=[404])
    if not count:
        return
    settings = {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"}
    for name in names:
        client.indices.create(index=name, body={"settings": settings, "mappings": _EVENTS})
    helpers.bulk(client, events(index, count), chunk_size=5_000)
    client.indices.forcemerge(index=index, max_num_segments=5)
    client.indices.refresh(index=index)


def events(index: str, count: int) -> Iterator[dict[str, Any]]:
    """Yield events as ubi.js sends them from a shop."""
    chance = random.Random(0)
    for number in range(count):
        source = {
            "application": "shop",
            "action_name": chance.choice(("impression",) * 5 + ("click",)),
            "query_id": f"{chance.getrandbits(128):032x}",
            "session_id": f"{chance.getrandbits(64):016x}",
            "client_id": f"{chance.getrandbits(128):032x}",
            "timestamp": f"2026-03-{1 + number % 28:02d}T09:00:{number % 60:02d}.123Z",
            "user_query": f"red shoes {chance.randrange(5000)}",
            "message_type": "INFO",
            "message": "a product was seen",
            "event_attributes": {
                "object": {
                    "object_id": f"B0{chance.randrange(10**8)}",
                    "object_id_field": "asin",
                    "name": "a nice red shoe for wet days",
                    "object_detail": {"price": 12.5, "colour": "red", "brand": "some brand"},
                },
                "position": {"ordinal": chance.randrange(20), "x": 300, "y": 400},
                "browser": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
            },
        }
        yield {"_index": index, "_source": source}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
