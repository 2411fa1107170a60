"""Batches of events as three flat tables, before anything is joined."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from desireline.connectors.events import Action, Impression, Query
from desireline.connectors.log_source import LogBatch
from desireline.trainer.logs.subnets import subnet_of
from desireline.trainer.query_text import normalise

TIME = pl.Datetime("us", "UTC")
_Schema = dict[str, pl.DataType | type[pl.DataType]]
_QUERIES: _Schema = {
    "query_id": pl.String,
    "query": pl.String,
    "client": pl.String,
    "at": TIME,
    "shown": pl.List(pl.String),
    "first_position": pl.Int32,
    "subnet": pl.String,
}
_IMPRESSIONS: _Schema = {
    "query_id": pl.String,
    "document_id": pl.String,
    "position": pl.Int32,
    "at": TIME,
    "client": pl.String,
}
_ACTIONS: _Schema = {
    **_IMPRESSIONS,
    "kind": pl.String,
    "query": pl.String,
}
#: The columns of each table, by its name.
SCHEMAS: Mapping[str, _Schema] = {
    "queries": _QUERIES,
    "impressions": _IMPRESSIONS,
    "actions": _ACTIONS,
}
#: Positions beyond this are not positions; they are pixel offsets or identifiers.
_MAX_POSITION = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFrames:
    """What a log held: one table a kind of event, times in UTC, query text normalised."""

    queries: pl.DataFrame
    impressions: pl.DataFrame
    actions: pl.DataFrame
    #: How many events had each defect; events without a query_id are kept out.
    defects: dict[str, int]


def gather(batches: Iterable[LogBatch]) -> LogFrames:
    """Read every batch into tables; only one batch of event objects is held at a time."""
    parts: dict[str, list[pl.DataFrame]] = {name: [] for name in SCHEMAS}
    defects: Counter[str] = Counter()
    for batch in batches:
        defects.update(batch.defects)
        for name, table in tables_of(batch).items():
            parts[name].append(table)
    return cleaned({name: pl.concat(frames) for name, frames in parts.items() if frames}, defects)


def tables_of(batch: LogBatch) -> dict[str, pl.DataFrame]:
    """Return one batch's events as tables by the names and columns of `SCHEMAS`."""
    return {
        "queries": _queries(batch.queries),
        "impressions": _impressions(batch.impressions),
        "actions": _actions(batch.actions),
    }


def cleaned(tables: Mapping[str, pl.DataFrame], defects: Mapping[str, int]) -> LogFrames:
    """Name and remove what no join can use: no query_id, no text, seen twice.

    Args:
        tables: by the names of `SCHEMAS`; one that is missing is empty.
        defects: met before, by name.

    """
    queries, impressions, actions = (
        tables.get(name, pl.DataFrame(schema=schema)) for name, schema in SCHEMAS.items()
    )
    return _cleaned(queries, impressions, actions, Counter(defects))


def _queries(events: tuple[Query, ...]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "query_id": [event.query_id for event in events],
            "query": [normalise(event.text) for event in events],
            "client": [event.client for event in events],
            "at": _times(event.at for event in events),
            "shown": _lists([event.shown for event in events]),
            "first_position": [event.first_position for event in events],
            "subnet": [subnet_of(event.attributes) for event in events],
        },
        schema=_QUERIES,
    )


def _impressions(events: tuple[Impression, ...]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "query_id": [event.query_id for event in events],
            "document_id": [event.document_id for event in events],
            "position": [_position(event.position) for event in events],
            "at": _times(event.at for event in events),
            "client": [event.client for event in events],
        },
        schema=_IMPRESSIONS,
    )


def _actions(events: tuple[Action, ...]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "query_id": [event.query_id for event in events],
            "document_id": [event.document_id for event in events],
            "position": [_position(event.position) for event in events],
            "at": _times(event.at for event in events),
            "client": [event.client for event in events],
            "kind": [event.kind for event in events],
            "query": [normalise(event.text) for event in events],
        },
        schema=_ACTIONS,
    )


def _lists(lists: Sequence[tuple[str, ...]]) -> pl.Series:
    """Turn lists into a column by way of a flat one, which takes a seventh of the time."""
    row = np.repeat(np.arange(len(lists)), [len(each) for each in lists])
    flat = pl.DataFrame(
        {"row": row, "id": [each for held in lists for each in held]},
        schema={"row": pl.Int64, "id": pl.String},
    )
    rows = pl.DataFrame({"row": np.arange(len(lists))}, schema={"row": pl.Int64})
    grouped = flat.group_by("row", maintain_order=True).agg("id")
    joined = rows.join(grouped, on="row", how="left", maintain_order="left")
    return joined.get_column("id").fill_null([])


def _position(position: int | None) -> int | None:
    return position if position is not None and 0 <= position <= _MAX_POSITION else None


def _times(ats: Iterable[datetime]) -> pl.Series:
    """Turn times into a column; building one from epochs is much faster than from objects."""
    epochs = pl.Series([_microseconds(at) for at in ats], dtype=pl.Int64)
    return pl.from_epoch(epochs, "us").dt.replace_time_zone("UTC")


def _microseconds(at: datetime) -> int:
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1_000_000)


def _cleaned(
    queries: pl.DataFrame,
    impressions: pl.DataFrame,
    actions: pl.DataFrame,
    defects: Counter[str],
) -> LogFrames:
    impressions, actions = _from_one(impressions, actions, defects)
    kept_queries = queries.filter((pl.col("query_id") != "") & (pl.col("query") != ""))
    defects["queries without text"] = queries.filter(pl.col("query") == "").height
    once = {
        "queries": _once(kept_queries, "query_id", "first_position", "shown"),
        "impressions": impressions.filter(pl.col("query_id") != ""),
        "actions": _once(actions, "query_id", "document_id", "kind", "at"),
    }
    defects["duplicate events"] = (kept_queries.height - once["queries"].height) + (
        actions.height - once["actions"].height
    )
    defects["events without query_id"] = sum(
        frame.filter(pl.col("query_id") == "").height for frame in (queries, impressions, actions)
    )
    return LogFrames(**once, defects={name: count for name, count in defects.items() if count})


def _once(events: pl.DataFrame, *key: str) -> pl.DataFrame:
    """Keep the first of equal events; most have none, as the numbers of their keys tell soonest."""
    numbered = events.with_row_index("_number")
    alike = numbered.filter(pl.struct(key).hash().is_duplicated())
    if alike.is_empty():
        return events
    kept = alike.unique(key, keep="first").get_column("_number")
    gone = alike.filter(~pl.col("_number").is_in(kept.implode())).get_column("_number")
    return numbered.filter(~pl.col("_number").is_in(gone.implode())).drop("_number")


def _from_one(
    impressions: pl.DataFrame, actions: pl.DataFrame, defects: Counter[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Count positions from 1: a log that holds a position 0 counts from 0 throughout."""
    zeros = sum(frame.filter(pl.col("position") == 0).height for frame in (impressions, actions))
    if not zeros:
        return impressions, actions
    defects["positions counted from zero"] = zeros
    shifted = pl.col("position") + 1
    return impressions.with_columns(shifted), actions.with_columns(shifted)
