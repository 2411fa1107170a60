"""Click logs in files, on disk or anywhere fsspec reaches."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from desireline.connectors.engines.source import look_up
from desireline.connectors.errors import LogFormatError
from desireline.connectors.events import Action, Event, Impression, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.connectors.logs.field_map import FieldMap, counted_position, event_of
from desireline.connectors.logs.file_formats import Format, Line, format_of, read_lines, translated
from desireline.connectors.logs.file_places import LogFile, find_files
from desireline.connectors.logs.file_positions import FilePositions
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.ubi_records import (
    DOCUMENT_ACTIONS,
    ordinal,
    parse_event,
    parse_query,
)

_BULK_ACTIONS = ({"index"}, {"create"})


class FileLogsConfig(BaseModel):
    """Which files, and how to read them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["files"] = "files"
    path: str | tuple[str, ...] = Field(
        description='A file or a pattern such as "logs/*.ndjson.gz" or "s3://logs/*.parquet", or a'
        " list of them; addresses need fsspec's package for them."
    )
    format: Format | None = Field(
        default=None, description="ndjson, csv, tsv or parquet; not given: by the name's end."
    )
    fields: FieldMap = Field(default=FieldMap(), description="Which field of a record holds what.")
    types: Mapping[str, str] = Field(
        default={},
        description='The log\'s own words for types: { product_view = "impression" }.',
    )
    default_type: str = Field(
        default="", description="Type of a record that names none, where all are of one kind."
    )
    actions: tuple[str, ...] = Field(
        default=(*DOCUMENT_ACTIONS, "leave"),
        description="Actions that count, besides impressions.",
    )
    zero_based: bool | None = Field(
        default=None,
        description="Whether position 0 is the top; not given: it is where a 0 is met.",
    )
    object_id_field: str = Field(
        default="", description="Of UBI records: events about ids of another field are left out."
    )
    batch_size: int = Field(default=10_000, ge=1, description="Most events in one batch.")


class FileLogs:
    """A LogSource over NDJSON, CSV, TSV or Parquet files, packed by gzip or not.

    A record names its `type`: `query`, `impression`, or the kind of an action. As NDJSON::

        {"type": "query", "query_id": "q1", "text": "red shoes", "client": "c1",
         "at": "2026-01-31T09:00:00Z", "shown": ["d7", "d3"]}
        {"type": "click", "query_id": "q1", "document_id": "d3", "position": 2,
         "client": "c1", "at": "2026-01-31T09:00:04Z"}

    Other names are mapped by `fields` and `types`. In CSV, `shown` holds ids with | between
    them. UBI records are recognised as they are, with or without the lines of a bulk file.

    A pull goes on where the last one stopped: appended files are read on, rotated and
    truncated ones from their start, renamed ones on. Records that cannot be read are
    counted; a file in which none can be is an error.
    """

    config_class: ClassVar = FileLogsConfig

    def __init__(self, config: FileLogsConfig) -> None:
        self._config = config

    @classmethod
    def open(cls, config: FileLogsConfig, settings: OpenSearchSettings | None) -> Self:
        """Build from the configuration; no cluster is needed."""
        del settings
        return cls(config)

    def pull(self, since: Cursor | None = None) -> Iterator[LogBatch]:
        """Yield what the files hold after `since`, file by file in the order of their names.

        Raises:
            LogFormatError: no file matches, one cannot be read, or none of its records can.

        """
        paths = self._paths()
        positions = FilePositions(since, paths)
        zero_based = self._zero_based(paths, positions)
        batch = _Batch()
        for path in paths:
            for line in self._lines(path, positions):
                batch.add(self._event(line.record, batch.defects, zero_based=zero_based))
                positions.advance(path, line.end)
                if batch.size >= self._config.batch_size:
                    yield batch.closed(positions.cursor())
                    batch = _Batch()
        if batch.size or batch.defects.total():
            yield batch.closed(positions.cursor())

    def _paths(self) -> list[LogFile]:
        given = self._config.path
        return find_files((given,) if isinstance(given, str) else given)

    def _lines(self, path: LogFile, positions: FilePositions) -> Iterator[Line]:
        """Yield records, without the action lines of a bulk file, and watch for a broken file."""
        start = positions.start(path)
        first_broken, any_whole = 0, False
        with translated(path):
            for line in read_lines(path, self._config.format or format_of(path), start):
                if line.record is not None and _is_bulk_action(line.record):
                    continue
                any_whole = any_whole or line.record is not None
                first_broken = first_broken or (line.number if line.record is None else 0)
                yield line
        if start == 0 and first_broken and not any_whole:
            raise LogFormatError(
                f"no record of {path} can be read, from line {first_broken} on; "
                "nothing was learned from it",
                next_step="see that its format is what its name or `format` says",
            )

    def _zero_based(self, paths: list[LogFile], positions: FilePositions) -> bool:
        """Say how positions are counted: as told, or from 0 once a 0 was met."""
        if self._config.zero_based is not None:
            return self._config.zero_based
        positions.zero_based = positions.zero_based or any(
            line.record is not None and self._counted(line.record) == 0
            for path in paths
            for line in self._lines(path, positions)
        )
        return positions.zero_based

    def _counted(self, record: Mapping[str, Any]) -> int | None:
        if "action_name" in record:
            return ordinal(record)
        return counted_position(look_up(record, self._config.fields.position))

    def _event(
        self, record: Mapping[str, Any] | None, defects: Counter[str], *, zero_based: bool
    ) -> Event | None:
        if record is None:
            defects["broken line"] += 1
            return None
        kind = self._type(record)
        if not kind:
            return self._ubi_event(record, defects, zero_based=zero_based)
        if kind not in {"query", "impression", *self._config.actions}:
            defects["event of another action"] += 1
            return None
        return event_of(record, self._config.fields, kind, defects, zero_based=zero_based)

    def _type(self, record: Mapping[str, Any]) -> str:
        """Return our word for the record's type; empty where it may be of UBI."""
        value = look_up(record, self._config.fields.type)
        word = str(value) if value else ""
        if not word and not record.keys() & {"action_name", "user_query"}:
            word = self._config.default_type
        return self._config.types.get(word, word)

    def _ubi_event(
        self, record: Mapping[str, Any], defects: Counter[str], *, zero_based: bool
    ) -> Event | None:
        if "action_name" in record:
            return parse_event(
                record,
                defects,
                zero_based=zero_based,
                actions=self._config.actions,
                object_id_field=self._config.object_id_field,
            )
        if "user_query" in record:
            return parse_query(record, defects)
        defects["record without a type"] += 1
        return None


class _Batch:
    """Events on their way into a LogBatch."""

    def __init__(self) -> None:
        self.defects: Counter[str] = Counter()
        self._events: list[Event] = []

    @property
    def size(self) -> int:
        return len(self._events)

    def add(self, event: Event | None) -> None:
        if event is not None:
            self._events.append(event)

    def closed(self, cursor: Cursor) -> LogBatch:
        return LogBatch(
            cursor=cursor,
            queries=tuple(event for event in self._events if isinstance(event, Query)),
            impressions=tuple(event for event in self._events if isinstance(event, Impression)),
            actions=tuple(event for event in self._events if isinstance(event, Action)),
            defects={name: count for name, count in self.defects.items() if count},
        )


def _is_bulk_action(record: Mapping[str, Any]) -> bool:
    return record.keys() in _BULK_ACTIONS and isinstance(next(iter(record.values())), Mapping)
