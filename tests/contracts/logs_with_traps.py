"""Every kind of click log that can be read, as an application would fill it.

Records are given as UBI records; each log writes them in its own shape, or says it cannot.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import fsspec
import orjson
import polars as pl
from opensearchpy import OpenSearch, helpers

from desireline.connectors.log_source import LogSource
from desireline.connectors.logs.files import FileLogs, FileLogsConfig
from desireline.connectors.logs.opensearch_index import IndexLogs, IndexLogsConfig
from desireline.connectors.logs.ubi import UbiConfig, UbiLogs
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.ubi_indexes import _EVENTS, _QUERIES

Records = Mapping[str, Any]
WINDOW = "10000d"
FIELDS = {
    "type": "what",
    "query_id": "search.id",
    "text": "search.typed",
    "at": "when",
    "client": "who",
    "shown": "results",
    "request": "body",
    "document_id": "sku",
    "position": "place",
}


class Log(Protocol):
    """A log that an application writes and a source that reads it."""

    #: What its records cannot hold.
    unable: frozenset[str]
    source: LogSource

    def write(self, *records: Records) -> None:
        """Append UBI records."""


def own_shape(record: Records) -> dict[str, Any]:
    """Turn a UBI record into one of a shop that knows nothing of UBI."""
    about = record.get("event_attributes", {})
    made = {
        "what": record.get("action_name", "query"),
        "search": {"id": record.get("query_id"), "typed": record.get("user_query")},
        "when": record.get("timestamp"),
        "who": record.get("client_id"),
        "results": record.get("query_response_hit_ids"),
        "body": record.get("query"),
        "sku": about.get("object", {}).get("object_id"),
        "place": about.get("position", {}).get("ordinal"),
    }
    return {name: value for name, value in made.items() if value is not None}


def flat(record: Records) -> dict[str, Any]:
    """Turn a UBI record into a row whose cells are text."""
    row = own_shape(record)
    row |= {"search_id": row["search"]["id"], "typed": row["search"]["typed"]}
    row["results"] = "|".join(map(str, row.get("results", ())))
    names = ("what", "search_id", "typed", "when", "who", "results", "body", "sku", "place")
    return {name: "" if row.get(name) is None else str(row[name]) for name in names}


FLAT_FIELDS = FIELDS | {"query_id": "search_id", "text": "typed"}


class LinesLog:
    """NDJSON on disk or at an address, of UBI's shape or another."""

    def __init__(self, place: str, *, shape: Callable[[Records], Any], fields: Any) -> None:
        self._place, self._shape = place, shape
        self.unable: frozenset[str] = frozenset()
        config = {"path": place, "batch_size": 7, **({"fields": fields} if fields else {})}
        self.source: LogSource = FileLogs(FileLogsConfig.model_validate(config))

    def write(self, *records: Records) -> None:
        lines = b"".join(orjson.dumps(self._shape(record)) + b"\n" for record in records)
        with fsspec.open(self._place, "ab") as file:
            file.write(lines)


class TableLog:
    """CSV, which grows, or Parquet, of which each write is a file."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._folder, self._kind, self._written = folder, kind, 0
        self.unable = frozenset({"object in a cell"})
        config = {"path": f"{folder}/*.{kind}", "fields": FLAT_FIELDS, "batch_size": 7}
        self.source: LogSource = FileLogs(FileLogsConfig.model_validate(config))

    def write(self, *records: Records) -> None:
        frame = pl.DataFrame([flat(record) for record in records])
        self._written += 1
        if self._kind == "parquet":
            frame.write_parquet(self._folder / f"{self._written:03d}.parquet")
            return
        path = self._folder / "log.csv"
        with path.open("ab") as file:
            frame.write_csv(file, include_header=self._written == 1)


class ClusterLog:
    """Two indexes; how they are mapped is what most traps are about."""

    def __init__(self, url: str, prefix: str) -> None:
        self._client = OpenSearch(url, timeout=30)
        self.queries, self.events = f"{prefix}queries", f"{prefix}events"
        self._shape: Callable[[Records], Any] = dict
        self.unable: frozenset[str] = frozenset()
        self._settings = OpenSearchSettings(url=url)

    def as_the_plugin_maps(self) -> "ClusterLog":
        """One shard, keywords, records of other shapes refused or ignored."""
        self.unable = frozenset({"another shape of position"})
        return self._created(1, _QUERIES, _EVENTS)._by_ubi()

    def mapped_by_what_came_first(self) -> "ClusterLog":
        """Text with `.keyword`, numbers as numbers, two shards."""
        return self._created(2, {}, {})._by_ubi()

    def of_its_own_shape(self) -> "ClusterLog":
        """Not UBI: a shop's own fields, by the field map."""
        self._shape = own_shape
        shape = {"fields": FIELDS}
        return self._created(2, {}, {})._by_fields(
            {"index": self.queries, **shape}, {"index": self.events, **shape}
        )

    def ubi_by_its_fields(self) -> "ClusterLog":
        """UBI's indexes read without knowing of UBI."""
        self.unable = frozenset({"another shape of position"})
        queries = {"shown": "query_response_hit_ids", "request": "query"}
        events = {
            "type": "action_name",
            "document_id": "event_attributes.object.object_id",
            "position": "event_attributes.position.ordinal",
        }
        both = {"text": "user_query", "at": "timestamp", "client": "client_id"}
        return self._created(1, _QUERIES, _EVENTS)._by_fields(
            {"index": self.queries, "default_type": "query", "fields": both | queries},
            {"index": self.events, "fields": both | events},
        )

    def write(self, *records: Records) -> None:
        helpers.bulk(
            self._client,
            (
                {
                    "_index": self.events if "action_name" in record else self.queries,
                    "_source": self._shape(record),
                }
                for record in records
            ),
        )

    def close(self) -> None:
        self._client.close()

    def _created(self, shards: int, queries: Any, events: Any) -> "ClusterLog":
        for name, mappings in ((self.queries, queries), (self.events, events)):
            settings = {"number_of_shards": shards, "number_of_replicas": 0}
            self._client.indices.create(
                index=name, body={"settings": settings, "mappings": mappings}
            )
        return self

    def _by_ubi(self) -> "ClusterLog":
        config = UbiConfig.model_validate(
            {"queries_index": self.queries, "events_index": self.events, "window": WINDOW}
        )
        self.source: LogSource = UbiLogs(config, self._settings)
        return self

    def _by_fields(self, *indexes: Any) -> "ClusterLog":
        config = IndexLogsConfig.model_validate({"indexes": list(indexes), "window": WINDOW})
        self.source = IndexLogs(config, self._settings)
        return self
