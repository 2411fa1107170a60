"""Whether a cluster would take the writes of a run, found out by a write that must lose."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from desireline.connectors.documents import Document, Version
from desireline.connectors.engines.opensearch_bulk import clearing_line
from desireline.connectors.engines.opensearch_mapping import fields
from desireline.connectors.errors import (
    ConnectorError,
    EngineBusyError,
    EngineUnavailableError,
    PartialReadError,
    PermissionDeniedError,
)
from desireline.connectors.opensearch_client import Cluster, path
from desireline.connectors.opensearch_errors import cause
from desireline.connectors.search_engine import Slot

#: No shard has been promoted so often: a write guarded by this term always loses.
_NO_TERM = 1_000_000_000
_CONFLICT = 409
_GONE = 404
_BUSY = (429, 503)
_TRIES = 5
_PASSING = (EngineUnavailableError, PartialReadError)
#: The vector, the stamp, and what a stamp's object holds.
_NEW_FIELDS = 5
_FIELD_LIMIT = "index.mapping.total_fields.limit"
_USUAL_LIMIT = 1_000
_PIPELINES = ("index.default_pipeline", "index.final_pipeline")


class OpenSearchTrial:
    """Asks one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def obstacles(
        self, index: str, settings: Mapping[str, Any], mapping: Mapping[str, Any], slot: Slot
    ) -> Iterator[str]:
        """Yield, one sentence each, why the slot could not be written. `settings` are flat."""
        yield from _field_limit(index, settings, mapping, slot)
        yield from self._rewriting_pipelines(index, settings, slot)
        yield from self._refused_write(index, slot)

    def _rewriting_pipelines(
        self, index: str, settings: Mapping[str, Any], slot: Slot
    ) -> Iterator[str]:
        for setting in _PIPELINES:
            name = str(settings.get(setting, "_none"))
            if name == "_none":
                continue
            try:
                found = self._cluster.call("GET", path("_ingest", "pipeline", name), absent_ok=True)
            except PermissionDeniedError:
                yield (
                    f"{index} runs the ingest pipeline {name!r}, which this user may not read, so"
                    f" it cannot be known whether it writes {slot.name!r}"
                )
                continue
            if f'"{slot.name}"'.encode() in orjson.dumps(found):
                yield (
                    f"the ingest pipeline {name!r} of {index} writes {slot.name!r} itself, so our"
                    " vectors would not stay"
                )

    def _refused_write(self, index: str, slot: Slot) -> Iterator[str]:
        """Send the write until it meets a document that is still there.

        What goes by itself (no answer, too busy) is no obstacle and is raised.
        """
        for _ in range(_TRIES):
            try:
                line = self._losing_line(index, slot)
                answer = line and self._cluster.call("POST", path(index, "_bulk"), body=line)
            except _PASSING:
                raise
            except ConnectorError as error:
                yield f"a trial write to {index} was refused: {error}"
                return
            if not answer:
                return
            item = answer["items"][0]["update"]
            if item["status"] in _BUSY:
                raise EngineBusyError(
                    f"{index} is too busy for a trial write: {cause(item)[1]}; nothing was changed",
                    next_step="try again later",
                )
            if item["status"] == _CONFLICT:
                return
            if item["status"] != _GONE:
                yield f"a trial write to {index} was refused: {cause(item)[1]}"
                return

    def _losing_line(self, index: str, slot: Slot) -> bytes | None:
        body = {"size": 1, "_source": False, "seq_no_primary_term": True}
        hits = self._cluster.call("POST", path(index, "_search"), body=body)["hits"]["hits"]
        if not hits:
            return None
        document = Document(
            document_id=hits[0]["_id"],
            fields={},
            routing=hits[0].get("_routing"),
            version=Version(seq_no=hits[0]["_seq_no"], primary_term=_NO_TERM),
        )
        return clearing_line(slot.name, document).body


def _field_limit(
    index: str, settings: Mapping[str, Any], mapping: Mapping[str, Any], slot: Slot
) -> Iterator[str]:
    named = dict(fields(mapping))
    limit = int(settings.get(_FIELD_LIMIT, _USUAL_LIMIT))
    if slot.name not in named and len(named) + _NEW_FIELDS > limit:
        yield (
            f"{index} has {len(named)} fields and may have {limit}; a slot needs {_NEW_FIELDS}"
            f" more: raise {_FIELD_LIMIT}"
        )
