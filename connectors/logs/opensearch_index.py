"""Click logs of any shape in OpenSearch: an index, or several, and which field holds what."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from desireline.connectors.engines.source import look_up
from desireline.connectors.errors import EngineUnavailableError
from desireline.connectors.events import Action, Event, Impression, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.connectors.logs.field_map import FieldMap, event_of
from desireline.connectors.logs.log_window import (
    DATES,
    Window,
    field_types,
    is_exactly,
    within,
)
from desireline.connectors.logs.shard_log import Record, ShardLog
from desireline.connectors.opensearch_client import Cluster, OpenSearchSettings, path
from desireline.connectors.opensearch_shards import (
    Shard,
    readable_shards,
    refresh,
    require_every_shard,
)
from desireline.connectors.ubi_records import DOCUMENT_ACTIONS


class LogIndex(BaseModel):
    """One index whose records have one shape."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: str = Field(description="Index, alias, data stream or pattern.")
    fields: FieldMap = Field(default=FieldMap(), description="Which field of a record holds what.")
    types: Mapping[str, str] = Field(
        default={},
        description='The log\'s own words for types: { product_view = "impression" }.',
    )
    default_type: str = Field(
        default="",
        description="Type of a record that names none: query, impression, or an action.",
    )
    only: Mapping[str, str] = Field(
        default={}, description='Only records whose fields are this: { application = "shop" }.'
    )
    zero_based: bool | None = Field(
        default=None,
        description="Whether position 0 is the top; when not given, it is where a 0 is met.",
    )


class IndexLogsConfig(BaseModel):
    """Which indexes, and how to read their records."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["opensearch_index"] = "opensearch_index"
    indexes: tuple[LogIndex, ...] = Field(
        min_length=1,
        description="Searches may be in one index and clicks in another, each with its own fields.",
    )
    window: Window = Field(
        default=timedelta(days=60), description='How far back to read: "60d", "12h".'
    )
    actions: tuple[str, ...] = Field(
        default=(*DOCUMENT_ACTIONS, "leave"),
        description="Actions that count, besides impressions.",
    )


class IndexLogs:
    """A LogSource over any indexes that only grow.

    A record names its `type`: `query`, `impression`, or the kind of an action; other names
    are mapped by `fields` and `types`. As with UBI, the cursor holds a position per shard:
    what arrives late is read when it arrives, and nothing is read twice.
    """

    config_class: ClassVar = IndexLogsConfig

    def __init__(self, config: IndexLogsConfig, settings: OpenSearchSettings) -> None:
        self._config = config
        self._cluster = Cluster(settings)

    @classmethod
    def open(cls, config: IndexLogsConfig, settings: OpenSearchSettings | None) -> Self:
        """Build from the configuration. Raises EngineUnavailableError without a cluster."""
        if settings is None:
            raise EngineUnavailableError(
                'logs of kind "opensearch_index" are read from a cluster, but no cluster is named',
                next_step='set cluster.url, or use logs of kind "files"',
            )
        return cls(config, settings)

    def pull(self, since: Cursor | None = None) -> Iterator[LogBatch]:
        """Yield what the indexes hold after `since` (from the start of the window if None).

        Indexes are read in the order of the configuration: name that of the searches first.

        Raises:
            LogFormatError: the cursor is not ours.
            IndexMissingError: an index does not exist.
            PartialReadError: a shard did not answer.

        """
        log = ShardLog(self._cluster, since)
        # Taken last to first: what a record refers to is then before the fence of its own index.
        fences = [
            (held, readable_shards(self._cluster, held.index))
            for held in reversed(self._config.indexes)
        ]
        for held, shards in reversed(fences):
            yield from self._read(log, held, shards)
        yield LogBatch(cursor=log.cursor)

    def close(self) -> None:
        """Release connections."""
        self._cluster.close()

    def _read(self, log: ShardLog, held: LogIndex, shards: list[Shard]) -> Iterator[LogBatch]:
        zero_based = self._zero_based(held)
        for records in log.read(shards, self._clauses(held)):
            yield _batch(self._events(records, held, zero_based=zero_based), log.cursor)

    def _events(
        self, records: Iterable[Record], held: LogIndex, *, zero_based: bool
    ) -> tuple[list[Event], Counter[str]]:
        defects: Counter[str] = Counter()
        wanted = [record for record in records if _is_wanted(record, held)]
        found = [self._event(record, held, defects, zero_based=zero_based) for record in wanted]
        return [event for event in found if event is not None], defects

    def _event(
        self, record: Record, held: LogIndex, defects: Counter[str], *, zero_based: bool
    ) -> Event | None:
        word = str(look_up(record, held.fields.type) or held.default_type)
        kind = held.types.get(word, word)
        if not kind:
            defects["record without a type"] += 1
            return None
        if kind not in {"query", "impression", *self._config.actions}:
            defects["event of another action"] += 1
            return None
        return event_of(record, held.fields, kind, defects, zero_based=zero_based)

    def _clauses(self, held: LogIndex) -> list[Mapping[str, Any]]:
        """Return what the cluster can sort out; a time that is no date there is read as it is."""
        clauses = [is_exactly(field, value) for field, value in held.only.items()]
        types = field_types(self._cluster, held.index, held.fields.at).values()
        if set(types) <= DATES:
            clauses.append(within(held.fields.at, self._config.window))
        return clauses

    def _zero_based(self, held: LogIndex) -> bool:
        """Say how positions are counted: as told, or from 0 where the index has one."""
        if held.zero_based is not None:
            return held.zero_based
        refresh(self._cluster, held.index)
        field = held.fields.position
        # An analysed field finds "0" too; one that is not indexed finds nothing.
        places = [field, f"{field}.keyword", f"{field}.index"]
        tops = [{"term": {place: {"value": "0"}}} for place in places]
        body = {"size": 0, "terminate_after": 1, "query": {"bool": {"should": tops}}}
        answer = self._cluster.call("POST", path(held.index, "_search"), body=body)
        require_every_shard(answer, held.index)
        return bool(answer["hits"]["total"]["value"])


def _is_wanted(record: Record, held: LogIndex) -> bool:
    return all(str(look_up(record, field)) == value for field, value in held.only.items())


def _batch(found: tuple[list[Event], Counter[str]], cursor: Cursor) -> LogBatch:
    events, defects = found
    return LogBatch(
        cursor=cursor,
        queries=tuple(event for event in events if isinstance(event, Query)),
        impressions=tuple(event for event in events if isinstance(event, Impression)),
        actions=tuple(event for event in events if isinstance(event, Action)),
        defects=dict(+defects),
    )
