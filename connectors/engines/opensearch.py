"""A cluster as search engine."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from desireline.connectors.documents import Document, EmbeddingWrite, Outcome, Vector, WriteResult
from desireline.connectors.engine_load import EngineLoad
from desireline.connectors.engines import opensearch_mapping as mapped
from desireline.connectors.engines.opensearch_bulk import clearing_line, embedding_line, send
from desireline.connectors.engines.opensearch_documents import (
    is_found,
    read_document,
    reference,
    source_fields,
)
from desireline.connectors.engines.opensearch_enumeration import every_hit
from desireline.connectors.engines.opensearch_generations import OpenSearchGenerations
from desireline.connectors.engines.opensearch_likeness import versions_kept
from desireline.connectors.engines.opensearch_load import OpenSearchLoad
from desireline.connectors.engines.opensearch_owner import OpenSearchOwner
from desireline.connectors.engines.opensearch_trial import OpenSearchTrial
from desireline.connectors.errors import (
    FieldMissingError,
    MappingConflictError,
    PartialReadError,
    PermissionDeniedError,
    PluginMissingError,
)
from desireline.connectors.opensearch_client import Cluster, OpenSearchSettings, path
from desireline.connectors.opensearch_shards import (
    Shard,
    all_shards,
    read_shard,
    readable_shards,
    refresh,
    require_every_shard,
)
from desireline.connectors.search_engine import (
    Coverage,
    Fence,
    Hit,
    IndexDescription,
    Read,
    Similarity,
    Slot,
    Within,
)

_WHOLE = {"allow_partial_search_results": "false"}
#: Candidates looked at per shard where fewer answers are wanted: a graph of few is inexact.
_FEWEST_CANDIDATES = 100
_CLEARING_ROUNDS = 20


class OpenSearchEngine(OpenSearchGenerations, OpenSearchOwner):
    """A SearchEngine with GenerationIndexes, and the Application of the demo and the tests.

    Threads may share one.

    Every read names its fields: a plain search would return vectors, or hide them, as the
    version pleases. Every read covers all shards or is an error.
    """

    def __init__(self, settings: OpenSearchSettings, *, visible_at_once: bool = True) -> None:
        super().__init__(Cluster(settings), visible_at_once=visible_at_once)
        self._settings = settings
        self._knn_engine = settings.knn_engine
        self._load = OpenSearchLoad(self._cluster)
        self._trial = OpenSearchTrial(self._cluster)
        #: Slots by index as last seen, for searches, which cannot ask each time.
        self._slots: dict[str, dict[str, Slot]] = {}

    def describe(self, index: str) -> IndexDescription:
        """Say what the index is.

        Raises:
            IndexMissingError: no such index.
            MappingConflictError: the name stands for several indexes.
            PluginMissingError: the cluster has no k-NN plugin.

        """
        name, settings, mapping = self._index(index)
        if not mapped.vectors_enabled(settings):
            self._require_plugin()
        stats = self._cluster.call("GET", path(name, "_stats", "store"))
        count = self._cluster.call("GET", path(name, "_count"))
        types = {field: mapped.field_type(how) for field, how in mapped.fields(mapping)}
        return IndexDescription(
            index=name,
            fields=types,
            slots=mapped.slots(mapping),
            documents=count["count"],
            size_bytes=stats["_all"]["primaries"].get("store", {}).get("size_in_bytes", 0),
            shards=int(settings["index.number_of_shards"]),
            vectors_enabled=mapped.vectors_enabled(settings),
            knn_engine=self._knn_engine,
            obstacles=tuple(mapped.obstacles(name, settings, mapping)),
            words=frozenset(field for field, kind in types.items() if kind == "text"),
        )

    def prepare_slot(self, index: str, slot: Slot) -> None:
        """Make sure the slot and its stamp field exist; safe to repeat.

        Raises:
            MappingConflictError: the field exists with another type or dimension, or the
                index cannot hold vectors.
            PluginMissingError: the cluster has no k-NN plugin.

        """
        name, settings, mapping = self._index(index)
        if not mapped.vectors_enabled(settings):
            self._require_plugin()
            raise MappingConflictError(
                mapped.no_vectors(name), next_step="create the index with index.knn: true"
            )
        missing = mapped.missing_fields(slot, mapping, name)
        if missing:
            properties = mapped.slot_properties(slot, self._knn_engine)
            wanted = {field: how for field, how in properties.items() if field in missing}
            self._cluster.call(
                "PUT",
                path(name, "_mapping"),
                body={"properties": wanted},
                refused=MappingConflictError,
            )
        self._slots.pop(index, None)

    def scan(self, index: str, read: Read) -> Iterator[list[Document]]:
        """Read every document once, shard after shard, each as of the moment it is begun."""
        for shard in readable_shards(self._cluster, index):
            yield from self._read(shard, {"match_all": {}}, read)

    def enumerate(self, index: str, read: Read) -> Iterator[list[Document]]:
        """Read every document once, in order of id, from one snapshot of all shards."""
        for hits in every_hit(self._cluster, index, source_fields(read), read.batch_size):
            yield [read_document(hit, read) for hit in hits]

    def fence(self, index: str, *, beyond: Fence | None = None) -> Fence:
        """Return the position up to which every write is now visible to `changes`.

        A fence is given out after a refresh, so one that nothing has passed needs no other.
        """
        shards = all_shards(self._cluster, index)
        reached = Fence(positions={shard.key: shard.checkpoint for shard in shards})
        if reached != beyond:
            refresh(self._cluster, index)
        return reached

    def changes(
        self, index: str, since: Fence, until: Fence, read: Read
    ) -> Iterator[list[Document]]:
        """Read documents written after `since` up to `until`, in their present form.

        Raises:
            PartialReadError: the index was made again since `until` was taken.

        """
        # No refresh here: the fence `until` was given out after one.
        shards = {shard.key: shard for shard in all_shards(self._cluster, index)}
        for key, last in until.positions.items():
            after = since.positions.get(key, -1)
            if key not in shards:
                raise PartialReadError(
                    f"{index} was made again while its changes were read; they prove nothing",
                    next_step="run again",
                )
            if after < last:
                yield from self._read(
                    shards[key], {"range": {"_seq_no": {"gt": after, "lte": last}}}, read
                )

    def fetch(self, index: str, documents: Sequence[Document], read: Read) -> list[Document]:
        """Read these documents as they are now; deleted ones are left out."""
        found: list[Document] = []
        for start in range(0, len(documents), read.batch_size):
            wanted = [reference(held) for held in documents[start : start + read.batch_size]]
            answer = self._cluster.call(
                "POST",
                path(index, "_mget"),
                # With segment replication a replica answers from its last segments.
                params={
                    "_source_includes": ",".join(source_fields(read)) or "_",
                    "preference": "_primary",
                },
                body={"docs": wanted},
            )
            found += [read_document(got, read) for got in answer["docs"] if is_found(got, index)]
        return found

    def write_embeddings(
        self, index: str, slot: str, writes: Sequence[EmbeddingWrite]
    ) -> list[WriteResult]:
        """Write vectors and stamps, each guarded by the version read; one result a write.

        Raises:
            WriteBlockedError: the index takes no writes; nothing of the rest was written.
            FieldMissingError: the slot is not prepared; written now, it would be mapped by guess.

        """
        if not writes:
            return []
        mapping = self._require_slot(index, slot)
        broken = [_is_broken(write.vector) for write in writes]
        sound = [write for write, bad in zip(writes, broken, strict=True) if not bad]
        if versions_kept(mapping) == "external":
            results = iter(self.rewrite_in_place(index, slot, sound))
        else:
            lines = (embedding_line(slot, write) for write in sound)
            results = send(self._cluster, index, lines)
        return [
            _not_finite(write) if bad else next(results)
            for write, bad in zip(writes, broken, strict=True)
        ]

    def coverage(self, index: str, slot: str, generation: int) -> Coverage:
        """Count every document, and those stamped with the generation, after a refresh."""
        self._require_slot(index, slot)
        refresh(self._cluster, index)
        body = {
            "size": 0,
            "track_total_hits": True,
            "aggs": {"stamped": {"filter": mapped.of_generation(slot, generation)}},
        }
        params = {"preference": "_primary", **_WHOLE}
        answer = self._search(index, body, params)
        return Coverage(
            documents=answer["hits"]["total"]["value"],
            stamped=answer["aggregations"]["stamped"]["doc_count"],
        )

    def search_vectors(
        self,
        index: str,
        slot: str,
        vector: Vector,
        k: int,
        *,
        generation: int,
        within: Within | None = None,
    ) -> list[Hit]:
        """Return the k nearest documents; the score is the cosine or the dot product.

        The filter also makes the answer whole: without one, a graph of mostly deleted documents
        is walked and what no edge leads to is not found. With one, Lucene compares with every
        document of a segment where that is cheaper than its graph.
        """
        similarity = self._slot(index, slot).similarity
        query = {
            "vector": np.asarray(vector, dtype=np.float32).tolist(),
            "k": k,
            "method_parameters": {"ef_search": max(k, _FEWEST_CANDIDATES)},
            "filter": mapped.within(mapped.of_generation(slot, generation), within),
        }
        body = {"size": k, "query": {"knn": {slot: query}}, "_source": self._without_slots(index)}
        hits = self._search(index, body, _WHOLE)["hits"]["hits"]
        return [_hit(hit, _raw_score(hit["_score"], similarity)) for hit in hits]

    def search_text(
        self, index: str, fields: Sequence[tuple[str, float]], text: str, k: int
    ) -> list[Hit]:
        """Return the k best documents by BM25, each scored by its best boosted field."""
        boosted = [f"{name}^{boost:g}" for name, boost in fields]
        query = {"multi_match": {"query": text, "fields": boosted, "type": "best_fields"}}
        body = {"size": k, "query": query, "_source": self._without_slots(index)}
        hits = self._search(index, body, _WHOLE)["hits"]["hits"]
        return [_hit(hit, hit["_score"]) for hit in hits]

    def clear_slot(self, index: str, slot: str) -> int:
        """Remove vectors and stamps of a slot; return how many documents were cleared.

        Guarded like every write of ours: a document that changes meanwhile is read again.
        """
        self._require_slot(index, slot)
        parts = (slot, f"{slot}_stamp.generation")
        filled = {"bool": {"should": [{"exists": {"field": part}} for part in parts]}}
        cleared = 0
        for _ in range(_CLEARING_ROUNDS):
            results = list(self._clear_round(index, slot, filled))
            cleared += sum(result.outcome is Outcome.WRITTEN for result in results)
            if all(result.outcome in {Outcome.WRITTEN, Outcome.GONE} for result in results):
                return cleared
        raise PartialReadError(
            f"{index}: the slot {slot!r} could not be cleared wholly, its documents change too "
            f"often; {cleared} were cleared",
            next_step="run again at a quieter time",
        )

    def write_obstacles(self, index: str, slot: Slot) -> tuple[str, ...]:
        """Say why the slot could not be written or would not stay so; changes nothing."""
        return tuple(self._trial.obstacles(*self._index(index), slot))

    def load(self, index: str) -> EngineLoad:
        """Measure the nodes that hold the index. Raises EngineUnavailableError."""
        return self._load.of(index)

    def close(self) -> None:
        """Release connections."""
        self._cluster.close()

    def _clear_round(
        self, index: str, slot: str, filled: Mapping[str, Any]
    ) -> Iterator[WriteResult]:
        for shard in readable_shards(self._cluster, index):
            for documents in self._read(shard, filled, Read()):
                lines: Iterable[Any] = (clearing_line(slot, document) for document in documents)
                yield from send(self._cluster, index, lines)

    def _read(self, shard: Shard, query: Mapping[str, Any], read: Read) -> Iterator[list[Document]]:
        for hits in read_shard(self._cluster, shard, query, source_fields(read), read.batch_size):
            yield [read_document(hit, read) for hit in hits]

    def _search(
        self, index: str, body: Mapping[str, Any], params: Mapping[str, str]
    ) -> dict[str, Any]:
        answer: dict[str, Any] = self._cluster.call(
            "POST", path(index, "_search"), params=params, body=body
        )
        require_every_shard(answer, index)
        return answer

    def _index(self, index: str) -> tuple[str, Mapping[str, Any], Mapping[str, Any]]:
        """Return the concrete index, its flat settings and its mapping."""
        found = self._cluster.call("GET", path(index), params={"flat_settings": "true"})
        if len(found) != 1:
            raise MappingConflictError(
                f"{index!r} stands for {len(found)} indexes ({', '.join(sorted(found))}), "
                "but a target is one index; nothing was changed",
                next_step="name one of them as the target",
            )
        ((name, held),) = found.items()
        return name, held["settings"], held["mappings"]

    def _require_plugin(self) -> None:
        try:
            plugins = self._cluster.call("GET", "/_cat/plugins", params={"format": "json"})
        except PermissionDeniedError:
            return
        if not any(plugin["component"] == "opensearch-knn" for plugin in plugins):
            raise PluginMissingError(
                f"the cluster at {self._cluster.url} has no k-NN plugin, so it holds no vectors",
                next_step="install the opensearch-knn plugin on every node",
            )

    def _require_slot(self, index: str, slot: str) -> Mapping[str, Any]:
        """Return the mapping as it is now: what others did since must be seen before a write."""
        mapping = self._look_at_slots(index)
        self._slot(index, slot)
        return mapping

    def _slot(self, index: str, slot: str) -> Slot:
        if slot not in self._slots.get(index, {}):
            self._look_at_slots(index)
        known = self._slots[index]
        if slot not in known:
            raise FieldMissingError(
                f"{index} has no slot {slot!r}; its slots: {', '.join(known) or 'none'}",
                next_step="prepare the slot first",
            )
        return known[slot]

    def _look_at_slots(self, index: str) -> Mapping[str, Any]:
        _, _, mapping = self._index(index)
        self._slots[index] = mapped.stamped(mapping)
        return mapping

    def _without_slots(self, index: str) -> dict[str, list[str]]:
        if index not in self._slots:
            self._look_at_slots(index)
        slots = self._slots[index].values()
        return {"excludes": [part for slot in slots for part in (slot.name, slot.stamp_field)]}


def _is_broken(vector: Vector | None) -> bool:
    return vector is not None and not bool(np.isfinite(vector).all())


def _not_finite(write: EmbeddingWrite) -> WriteResult:
    return WriteResult(
        document_id=write.document_id,
        outcome=Outcome.REJECTED,
        reason="the vector holds a number that is not finite",
    )


def _hit(hit: Mapping[str, Any], score: float) -> Hit:
    return Hit(document_id=hit["_id"], score=score, fields=hit.get("_source") or {})


def _raw_score(score: float, similarity: Similarity) -> float:
    """Undo the engine's way to make scores positive."""
    if similarity == "cosine":
        return 2 * score - 1
    return score - 1 if score >= 1 else 1 - 1 / score
