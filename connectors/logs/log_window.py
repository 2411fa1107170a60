"""Which records of an index are read at all: those of a window, whatever type their time has."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator

from desireline.connectors.opensearch_client import Cluster, path

#: Types of a time that can be searched by.
DATES = frozenset({"date", "date_nanos"})
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _duration(value: object) -> object:
    """Read "60d"; anything else is left to pydantic."""
    written = re.fullmatch(r"(\d+)\s*([mhdw])", value.strip()) if isinstance(value, str) else None
    return timedelta(**{_UNITS[written[2]]: int(written[1])}) if written else value


Window = Annotated[timedelta, BeforeValidator(_duration)]
"""How far back a log is read: "60d", "12h"."""


def field_types(cluster: Cluster, index: str, name: str) -> dict[str, str]:
    """Return the type of a field in each index behind a name; those that lack it are left out."""
    answer = cluster.call("GET", path(index, "_mapping", "field", name))
    return {
        concrete: how.get("type", "object")
        for concrete, held in answer.items()
        for how in held["mappings"].get(name, {}).get("mapping", {}).values()
    }


def within(field: str, window: timedelta) -> Mapping[str, Any]:
    """Return the clause for records of the window, and for those whose time was not indexed."""
    recent = {"range": {field: {"gte": f"now-{int(window.total_seconds())}s"}}}
    # A mapping may ignore malformed times: those records have none to search by.
    untimed = {"bool": {"must_not": {"exists": {"field": field}}}}
    return {"bool": {"should": [recent, untimed]}}


def is_exactly(field: str, value: str) -> Mapping[str, Any]:
    """Return the clause for records whose field is this text, be it a keyword or analysed.

    An analysed field may match more than this; the reader of the record looks again.
    """
    return {
        "bool": {
            "should": [{"term": {f"{field}.keyword": value}}, {"match_phrase": {field: value}}]
        }
    }
