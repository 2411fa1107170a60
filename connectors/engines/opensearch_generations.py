"""Generation indexes on a cluster: built beside the live one, swapped in by one alias request."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from desireline.connectors.documents import EmbeddingWrite, Outcome, WriteResult
from desireline.connectors.engines import opensearch_likeness as likeness
from desireline.connectors.engines import opensearch_mapping as mapped
from desireline.connectors.engines.opensearch_bulk import Line, send
from desireline.connectors.engines.opensearch_copies import (
    copy_delete_line,
    copy_line,
    read_whole_document,
    rewriting_line,
    whole_source,
)
from desireline.connectors.engines.opensearch_documents import is_found
from desireline.connectors.errors import (
    EngineUnavailableError,
    IndexMissingError,
    MappingConflictError,
    PartialReadError,
    StateConflictError,
)
from desireline.connectors.generation_indexes import (
    AliasState,
    CopyDelete,
    CopyWrite,
    DocumentKey,
    IndexLabel,
    IndexOverrides,
    Versions,
    WholeDocument,
)
from desireline.connectors.opensearch_client import Cluster, OpenSearchSettings, path
from desireline.connectors.opensearch_shards import (
    all_shards,
    read_shard,
    readable_shards,
    refresh,
    require_every_shard,
)
from desireline.connectors.search_engine import Fence, Slot

_TICKET = re.compile(r".+-ticket-\d+-\d+")
#: An alias may have capitals, an index may not: what is sent to an owner's name that is void makes
#: no index of that name, not even a delete, which `require_alias` does not hold back.
_OWNER = re.compile(r".+-Owner-\d+")
_KEYS_A_REQUEST = 1_000
#: No pipeline of the index runs on a copy: it ran when the application wrote the document.
_AS_IT_IS = {"pipeline": "_none"}
#: How long a request for a block or an alias may wait for its turn.
_AGREED = {"cluster_manager_timeout": "10s"}


class OpenSearchGenerations:
    """GenerationIndexes on a cluster; part of OpenSearchEngine."""

    _cluster: Cluster
    _settings: OpenSearchSettings
    _knn_engine: Literal["lucene", "faiss"]

    def alias_state(self, name: str) -> AliasState:
        """Say what the name stands for. Raises IndexMissingError, MappingConflictError."""
        # Asked for by name: who may only see these indexes may not list every alias.
        held = self._cluster.call("GET", path(name, "_alias"), absent_ok=True)
        if not held:
            index, _, _ = self._look(name)
            return AliasState(index=index, is_alias=index != name)
        if len(held) > 1:
            raise MappingConflictError(
                f"the alias {name!r} stands for {len(held)} indexes "
                f"({', '.join(sorted(held))}), but a target is one index; nothing was changed",
                next_step="let the alias name one index",
            )
        index = next(iter(held))
        return AliasState(index=index, is_alias=index != name)

    def copy_obstacles(self, index: str, overrides: IndexOverrides) -> tuple[str, ...]:
        """Say, one sentence each, why a copy would not be the same; empty when it would."""
        name, settings, mapping = self._look(index)
        if name.startswith(".ds-"):
            return (f"{index} is a data stream, which no alias can be swapped under",)
        body = {"query": {"exists": {"field": "_routing"}}}
        first = {"terminate_after": "1"}
        routed = self._cluster.call("POST", path(name, "_count"), params=first, body=body)
        return tuple(
            likeness.obstacles(name, settings, mapping, overrides, routed=routed["count"] > 0)
        )

    def versions_of(self, index: str) -> Versions:
        """Say who numbers the documents, from the label or else from every document."""
        held = self.label(index)
        if held is not None:
            return held.versions
        counted = self._writes_counted(index)
        for shard in readable_shards(self._cluster, index):
            pages = read_shard(
                self._cluster, shard, {"match_all": {}}, (), _KEYS_A_REQUEST, versions=True
            )
            for hits in pages:
                if any(hit["_version"] > counted[shard.key] for hit in hits):
                    return "external"
        return "sequence"

    def _writes_counted(self, index: str) -> dict[str, int]:
        """Return how many writes each shard has counted; no document can have had more.

        A version that the engine counts is at most that of the delete before it plus one, and
        both were writes of this shard.
        """
        stats = self._cluster.call(
            "GET",
            path(index, "_stats", "docs"),
            params={
                "level": "shards",
                "filter_path": "indices.*.uuid,indices.*.shards.*.seq_no.max_seq_no",
            },
        )
        return {
            f"{held['uuid']}/{number}": max(copy["seq_no"]["max_seq_no"] for copy in copies) + 1
            for held in stats.get("indices", {}).values()
            for number, copies in held.get("shards", {}).items()
        }

    def label(self, index: str) -> IndexLabel | None:
        """Return what the index says about itself; None where it is not labelled."""
        _, _, mapping = self._look(index)
        return likeness.label_in(mapping)

    def put_label(self, index: str, label: IndexLabel) -> None:
        """Label an index that holds copies; what else it says about itself stays."""
        name, _, mapping = self._look(index)
        body = {"_meta": likeness.meta_with(mapping, label)}
        self._cluster.call("PUT", path(name, "_mapping"), body=body)

    def create_generation_index(
        self, source: str, name: str, slot: Slot, label: IndexLabel, overrides: IndexOverrides
    ) -> None:
        """Create an empty index like the source, with the slot; safe to repeat."""
        held = self._cluster.call(
            "GET", path(name), params={"flat_settings": "true"}, absent_ok=True
        )
        if held:
            self._require_same(held, name, slot, label)
            return
        _, settings, mapping = self._look(source)
        body = likeness.creation_body(
            settings,
            mapping,
            slot=slot,
            label=label,
            overrides=overrides,
            engine=self._knn_engine,
        )
        self._cluster.call("PUT", path(name), body=body, refused=MappingConflictError)

    def _require_same(
        self, held: Mapping[str, Any], name: str, slot: Slot, label: IndexLabel
    ) -> None:
        mapping = held[name]["mappings"] if name in held else {}
        same = likeness.label_in(mapping) == label
        if not same or mapped.slots(mapping).get(slot.name) != slot:
            raise MappingConflictError(
                f"an index {name!r} exists already and is not the one of generation "
                f"{label.generation} of target {label.target!r}; it was left as it is",
                next_step="look whose it is; delete it if nobody's, then run again",
            )

    def read_whole(
        self, index: str, since: Fence, until: Fence, batch_size: int
    ) -> Iterator[list[WholeDocument]]:
        """Read documents written after `since` up to `until`, in order of writes per shard."""
        _, _, mapping = self._look(index)
        slots = mapped.stamped(mapping)
        shards = {shard.key: shard for shard in all_shards(self._cluster, index)}
        for key, last in until.positions.items():
            first = since.positions.get(key, -1)
            if key not in shards:
                raise PartialReadError(
                    f"{index} was made again while it was copied; the copy proves nothing",
                    next_step="cancel this generation and start another",
                )
            if first >= last:
                continue
            query = {"range": {"_seq_no": {"gt": first, "lte": last}}}
            source = whole_source(slots)
            pages = read_shard(self._cluster, shards[key], query, source, batch_size, versions=True)
            for hits in pages:
                yield [read_whole_document(hit, slots, key) for hit in hits]

    def fetch_whole(self, index: str, keys: Sequence[DocumentKey]) -> list[WholeDocument]:
        """Read these documents as they are now; those that are gone are left out."""
        _, _, mapping = self._look(index)
        slots = mapped.stamped(mapping)
        params = {"_source_excludes": ",".join(slots)} if slots else {}
        return [read_whole_document(got, slots, "") for _, got in self._got(index, keys, params)]

    def document_keys(self, index: str, batch_size: int) -> Iterator[list[DocumentKey]]:
        """List every document, in whatever order the index keeps them."""
        for shard in readable_shards(self._cluster, index):
            pages = read_shard(
                self._cluster, shard, {"match_all": {}}, (), batch_size, versions=True
            )
            for hits in pages:
                yield [
                    DocumentKey(
                        document_id=hit["_id"],
                        routing=hit.get("_routing"),
                        number=hit["_version"],
                    )
                    for hit in hits
                ]

    def absent(self, index: str, keys: Sequence[DocumentKey]) -> list[DocumentKey]:
        """Return those that the index does not hold at this moment."""
        found = self._got(index, keys, {"_source": "false"})
        held = {(key.document_id, key.routing) for key, _ in found}
        return [key for key in keys if (key.document_id, key.routing) not in held]

    def _got(
        self, index: str, keys: Sequence[DocumentKey], params: Mapping[str, str]
    ) -> Iterator[tuple[DocumentKey, Mapping[str, Any]]]:
        """Yield those that are there, each known by its place: its routing may be left out."""
        for start in range(0, len(keys), _KEYS_A_REQUEST):
            wanted = keys[start : start + _KEYS_A_REQUEST]
            body = {"docs": [_reference(key) for key in wanted]}
            answer = self._cluster.call(
                "POST", path(index, "_mget"), params=dict(params), body=body
            )
            for key, got in zip(wanted, answer["docs"], strict=True):
                if is_found(got, index):
                    yield key, {**got, "_routing": key.routing}

    def own_copies(self, index: str, owner: int) -> str:
        """Return the name by which this owner writes copies; a name given out before is void."""
        name = f"{index}-Owner-{owner}"
        held = self._owners(index)
        if held != [name]:
            former = [{"remove": {"index": index, "alias": each}} for each in held if each != name]
            mine = {"add": {"index": index, "alias": name, "is_hidden": True}}
            self._alias_actions([*former, mine])
        return name

    def _owners(self, index: str) -> list[str]:
        held = self._cluster.call("GET", path(index, "_alias"), absent_ok=True) or {}
        return [name for name in held.get(index, {}).get("aliases", {}) if _OWNER.fullmatch(name)]

    def write_copies(self, index: str, slot: str, writes: Sequence[CopyWrite]) -> list[WriteResult]:
        """Write whole documents; CHANGED where a higher version was met. No pipeline runs."""
        return self._as_owner(index, (copy_line(slot, write) for write in writes), _AS_IT_IS)

    def delete_copies(self, index: str, deletes: Sequence[CopyDelete]) -> list[WriteResult]:
        """Delete copies; CHANGED where a higher version was met."""
        return self._as_owner(index, map(copy_delete_line, deletes), {})

    def _as_owner(
        self, name: str, lines: Iterable[Line], params: Mapping[str, str]
    ) -> list[WriteResult]:
        """Write by an owner's name; no index is made where that stands for nothing any more."""
        if not _OWNER.fullmatch(name):
            return list(send(self._cluster, name, lines, params))
        try:
            return list(send(self._cluster, name, lines, {**params, "require_alias": "true"}))
        except IndexMissingError as error:
            raise StateConflictError(
                f"{name!r} may write no more copies: another owner goes on with them, or they serve"
                " by now; nothing more was written",
                next_step="run the command again: it resumes what is left",
            ) from error

    def rewrite_in_place(
        self, index: str, slot: str, writes: Sequence[EmbeddingWrite]
    ) -> list[WriteResult]:
        """Write vectors and leave the application's version numbers as they are.

        A partial update would count the version up, and the application's next write would lose
        to it. So the whole document is written again under the number it has: a newer one of the
        application's wins over it in either order.
        """
        keys = [DocumentKey(document_id=w.document_id, routing=w.routing, number=0) for w in writes]
        only = {slot: mapped.stamped(self._look(index)[2])[slot]}
        whole = (read_whole_document(got, only, "") for _, got in self._got(index, keys, {}))
        found = {(document.document_id, document.routing): document for document in whole}
        outcomes: dict[int, WriteResult] = {}
        lines: dict[int, Line] = {}
        for row, write in enumerate(writes):
            document = found.get((write.document_id, write.routing))
            if document is None or document.seq_no != write.version.seq_no:
                outcome = Outcome.GONE if document is None else Outcome.CHANGED
                outcomes[row] = WriteResult(document_id=write.document_id, outcome=outcome)
            else:
                lines[row] = rewriting_line(slot, write, document)
        results = send(self._cluster, index, lines.values(), _AS_IT_IS)
        outcomes |= dict(zip(lines, results, strict=True))
        return [outcomes[row] for row in range(len(writes))]

    def count(self, index: str) -> int:
        """Count the documents, all writes so far included."""
        refresh(self._cluster, index)
        answer = self._cluster.call("GET", path(index, "_count"), params={"preference": "_primary"})
        require_every_shard(answer, index)
        return int(answer["count"])

    def is_blocked(self, index: str) -> bool:
        """Whether the index takes no writes."""
        _, settings, _ = self._look(index)
        return str(settings.get("index.blocks.write", "false")).lower() == "true"

    def block_writes(self, index: str, ticket: str | None = None) -> None:
        """Take no more writes; all that were under way have ended on return."""
        if ticket is not None:
            hidden = {"index": index, "alias": ticket, "is_hidden": True}
            self._alias_actions([{"add": hidden}])
        answer = self._cluster.call("PUT", path(index, "_block", "write"), params=_AGREED)
        if not answer.get("indices"):
            # It was blocked already, so nothing was waited for; a block that is put anew waits.
            self._let_in(index)
            answer = self._cluster.call("PUT", path(index, "_block", "write"), params=_AGREED)
        if not (answer.get("acknowledged") and answer.get("shards_acknowledged")):
            raise EngineUnavailableError(
                f"{index}: not every shard said that its writes had ended; the block is taken away",
                next_step="run again when the cluster is quieter",
            )

    def void_tickets(self, index: str) -> None:
        """Take tickets and owners' names away: a swap that is about to happen cannot any more."""
        held = self._cluster.call("GET", path(index, "_alias"), absent_ok=True) or {}
        for name, has in held.items():
            tickets = [alias for alias in has["aliases"] if _is_ours(alias)]
            if tickets:
                self._alias_actions([{"remove": {"index": name, "aliases": tickets}}])

    def unblock_writes(self, index: str) -> None:
        """Take its tickets away, then let writes in again; safe to repeat."""
        self.void_tickets(index)
        self._let_in(index)

    def _let_in(self, index: str) -> None:
        self._cluster.call(
            "PUT", path(index, "_settings"), params=_AGREED, body={"index.blocks.write": None}
        )

    def swap_alias(self, alias: str, expected: str, new: str, ticket: str) -> None:
        """Move the alias, and every other one of the expected index, in one step."""
        held = self._cluster.call("GET", path(expected, "_alias"), absent_ok=True) or {}
        aliases = held.get(expected, {}).get("aliases", {})
        moved = {name: how for name, how in aliases.items() if not _is_ours(name)}
        if alias not in moved:
            raise _elsewhere(alias, expected)
        removed = [
            {"remove": {"index": expected, "alias": name, "must_exist": True}}
            for name in (*moved, ticket)
        ]
        removed += [{"remove": {"index": new, "alias": name}} for name in self._owners(new)]
        added = [{"add": {"index": new, "alias": name, **how}} for name, how in moved.items()]
        if self._alias_actions([*removed, *added]) is None:
            raise _elsewhere(alias, expected)

    def _alias_actions(self, actions: list[dict[str, Any]]) -> Any:
        return self._cluster.call(
            "POST", "/_aliases", params=_AGREED, body={"actions": actions}, absent_ok=True
        )

    def end_of_build(self, index: str) -> None:
        """Let tombstones go as quickly as they do everywhere else."""
        body = dict.fromkeys(likeness.TOMBSTONES)
        self._cluster.call("PUT", path(index, "_settings"), body=body)

    def drop_generation_index(self, index: str) -> None:
        """Delete an index that desireline made and no alias names; no error if it is missing."""
        held = self._cluster.call("GET", path(index), absent_ok=True)
        if not held:
            return
        label = likeness.label_in(held.get(index, {}).get("mappings", {}))
        named = [name for name in held.get(index, {}).get("aliases", {}) if not _is_ours(name)]
        if label is None or not label.ours or named:
            why = "an alias names it" if label and label.ours else "desireline did not make it"
            raise MappingConflictError(
                f"the index {index!r} was not deleted: {why}",
                next_step="delete it by hand if nothing needs it",
            )
        self._cluster.call("DELETE", path(index), absent_ok=True)

    def reconnection(self) -> Mapping[str, Any] | None:
        """How another process reaches this cluster, secrets included."""
        told = self._settings.model_dump(mode="json", exclude={"password", "api_key"})
        return {
            "engine": "opensearch",
            "settings": {
                **told,
                "password": self._settings.password.get_secret_value(),
                "api_key": self._settings.api_key.get_secret_value(),
            },
        }

    def _look(self, index: str) -> tuple[str, Mapping[str, Any], Mapping[str, Any]]:
        """Return the concrete index, its flat settings and its mapping."""
        found = self._cluster.call("GET", path(index), params={"flat_settings": "true"})
        if len(found) != 1:
            if not found:
                raise IndexMissingError(f"{index!r} stands for no index; nothing was changed")
            raise MappingConflictError(
                f"{index!r} stands for {len(found)} indexes ({', '.join(sorted(found))}), "
                "but a target is one index; nothing was changed",
                next_step="name one of them as the target",
            )
        ((name, held),) = found.items()
        return name, held["settings"], held["mappings"]


def _is_ours(alias: str) -> bool:
    """Say whether an alias is a ticket or the name of an owner of copies."""
    return bool(_TICKET.fullmatch(alias) or _OWNER.fullmatch(alias))


def _reference(key: DocumentKey) -> dict[str, str]:
    routing = {} if key.routing is None else {"routing": key.routing}
    return {"_id": key.document_id, **routing}


def _elsewhere(alias: str, expected: str) -> StateConflictError:
    return StateConflictError(
        f"the alias {alias!r} no longer points to {expected!r}, or writes to it were let in again;"
        " nothing was swapped",
        next_step="look at `desireline generations`, then run the command again",
    )
