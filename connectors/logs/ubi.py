"""User Behavior Insights on a cluster: what users typed, saw and did, in the order it arrived."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from desireline.connectors.errors import EngineUnavailableError
from desireline.connectors.events import Action, Impression
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.connectors.logs.log_window import (
    DATES,
    Window,
    field_types,
    is_exactly,
    within,
)
from desireline.connectors.logs.shard_log import ShardLog
from desireline.connectors.opensearch_client import Cluster, OpenSearchSettings, path
from desireline.connectors.opensearch_shards import (
    readable_shards,
    refresh,
    require_every_shard,
)
from desireline.connectors.ubi_records import (
    DOCUMENT_ACTIONS,
    application,
    parse_event,
    parse_query,
)

_ORDINALS = (
    "event_attributes.position.ordinal",
    "event_attributes.position.ordinal.index",
    "event_attributes.position.index",
)
_MOST_APPLICATIONS = 1_000


class UbiConfig(BaseModel):
    """Where the UBI indexes are and how this application fills them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["ubi"] = "ubi"
    queries_index: str = Field(default="ubi_queries", description="Index, alias or pattern.")
    events_index: str = Field(default="ubi_events", description="Index, alias or pattern.")
    object_id_field: str = Field(
        default="",
        description="Field whose values the object ids are; events about ids of another field "
        "are left out. Empty: every object id is a document's id.",
    )
    application: str = Field(default="", description="Only records of this application.")
    window: Window = Field(
        default=timedelta(days=60), description='How far back to read: "60d", "12h".'
    )
    actions: tuple[str, ...] = Field(
        default=DOCUMENT_ACTIONS, description="Actions that count, besides impressions."
    )
    zero_based: bool | None = Field(
        default=None,
        description="Whether position 0 is the top; when not given, it is where a 0 is met, "
        "for each application.",
    )


class UbiLogs:
    """A LogSource over ``ubi_queries`` and ``ubi_events``.

    The cursor holds a position per shard, not a time: an event that arrives late is read
    when it arrives, and none is read twice. Where timestamps could not be indexed as dates,
    the window cannot leave records out, and they are all read.
    """

    config_class: ClassVar = UbiConfig

    def __init__(self, config: UbiConfig, settings: OpenSearchSettings) -> None:
        self._config = config
        self._cluster = Cluster(settings)

    @classmethod
    def open(cls, config: UbiConfig, settings: OpenSearchSettings | None) -> Self:
        """Build from the configuration. Raises EngineUnavailableError without a cluster."""
        if settings is None:
            raise EngineUnavailableError(
                'logs of kind "ubi" are read from a cluster, but no cluster is named',
                next_step='set cluster.url, or use logs of kind "files"',
            )
        return cls(config, settings)

    def pull(self, since: Cursor | None = None) -> Iterator[LogBatch]:
        """Yield what the log holds after `since` (from the start of its window if None).

        Queries come before events, so that an event's query is nearly always there first.

        Raises:
            LogFormatError: the cursor is not ours.
            IndexMissingError: one of the two indexes does not exist.
            PartialReadError: a shard did not answer.

        """
        log = ShardLog(self._cluster, since)
        # The events' fence is taken first: every query before them is then in the queries' one.
        event_shards = readable_shards(self._cluster, self._config.events_index)
        query_shards = readable_shards(self._cluster, self._config.queries_index)
        query_filter = self._filter(self._config.queries_index)
        event_filter = self._filter(self._config.events_index)
        zero_based = self._zero_based()
        for records in log.read(query_shards, query_filter):
            yield LogBatch(cursor=log.cursor, **_queries(self._wanted(records)))
        for records in log.read(event_shards, event_filter):
            yield LogBatch(cursor=log.cursor, **self._events(self._wanted(records), zero_based))
        yield LogBatch(cursor=log.cursor)

    def close(self) -> None:
        """Release connections."""
        self._cluster.close()

    def _wanted(self, records: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
        """Leave out other applications whose names an analysed field could not tell apart."""
        wanted = self._config.application
        if not wanted:
            return records
        return [record for record in records if application(record) == wanted]

    def _events(
        self, records: Iterable[Mapping[str, Any]], zero_based: Callable[[str], bool]
    ) -> dict[str, Any]:
        defects: Counter[str] = Counter()
        found = [
            parse_event(
                record,
                defects,
                zero_based=zero_based(application(record)),
                actions=self._config.actions,
                object_id_field=self._config.object_id_field,
            )
            for record in records
        ]
        return {
            "impressions": tuple(event for event in found if isinstance(event, Impression)),
            "actions": tuple(event for event in found if isinstance(event, Action)),
            "defects": dict(+defects),
        }

    def _filter(self, index: str) -> list[Mapping[str, Any]]:
        """Return the clauses of the window and the application.

        A timestamp that is mapped as something else, as the numbers that UBI's page shows are,
        cannot be searched by: all records are then read.
        """
        clauses: list[Mapping[str, Any]] = []
        types = field_types(self._cluster, index, "timestamp").values()
        if set(types) <= DATES:
            clauses.append(within("timestamp", self._config.window))
        if self._config.application:
            clauses.append(is_exactly("application", self._config.application))
        return clauses

    def _exact(self, index: str) -> str:
        """Return the field to count applications by: dynamic mappings make it ``.keyword``."""
        types = field_types(self._cluster, index, "application")
        return "application.keyword" if "text" in types.values() else "application"

    def _zero_based(self) -> Callable[[str], bool]:
        """Return which applications count positions from 0."""
        told = self._config.zero_based
        if told is not None:
            return lambda _: told
        index = self._config.events_index
        refresh(self._cluster, index)
        tops = [{"term": {field: 0}} for field in _ORDINALS]
        named = {"terms": {"field": self._exact(index), "size": _MOST_APPLICATIONS, "missing": ""}}
        body = {"size": 0, "query": {"bool": {"should": tops}}, "aggs": {"names": named}}
        answer = self._cluster.call("POST", path(index, "_search"), body=body)
        require_every_shard(answer, index)
        zero_based = {bucket["key"] for bucket in answer["aggregations"]["names"]["buckets"]}
        return zero_based.__contains__


def _queries(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    defects: Counter[str] = Counter()
    found = [parse_query(record, defects) for record in records]
    queries = tuple(query for query in found if query is not None)
    return {"queries": queries, "defects": dict(+defects)}
