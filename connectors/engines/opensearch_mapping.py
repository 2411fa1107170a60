"""What an index says about itself, read into our words; how a slot is mapped."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from desireline.connectors.errors import MappingConflictError
from desireline.connectors.search_engine import Similarity, Slot, Within

_SPACES: Mapping[Similarity, str] = {"cosine": "cosinesimil", "dot": "innerproduct"}
_SIMILARITIES: Mapping[str, Similarity] = {space: name for name, space in _SPACES.items()}
#: Types of the stamp's fields; the digest is read back, never searched. The check is not
#: mapped at all: the stamp is not dynamic, so it lives in the source, also of older indexes.
_STAMP: Mapping[str, Mapping[str, Any]] = {
    "generation": {"type": "long"},
    "digest": {"type": "keyword", "index": False, "doc_values": False},
    "fencing": {"type": "long"},
}
_BLOCKS = ("write", "read_only", "read_only_allow_delete", "metadata")


def slot_properties(slot: Slot, engine: Literal["lucene", "faiss"]) -> dict[str, Any]:
    """Return the mapping of a slot and its stamp, safe where `dynamic` is false or strict."""
    method = {"name": "hnsw", "engine": engine, "space_type": _SPACES[slot.similarity]}
    return {
        slot.name: {"type": "knn_vector", "dimension": slot.dimension, "method": method},
        slot.stamp_field: {"type": "object", "dynamic": False, "properties": dict(_STAMP)},
    }


def of_generation(slot: str, generation: int) -> dict[str, Any]:
    """Return the filter that keeps the documents whose vector in the slot is of this generation."""
    return {"term": {f"{slot}_stamp.generation": generation}}


def within(stamped: dict[str, Any], asked: Within | None) -> dict[str, Any]:
    """Return a filter that keeps, of what another one keeps, the documents within some values."""
    if asked is None:
        return stamped
    return {"bool": {"filter": [stamped, {"terms": {asked.field: list(asked.values)}}]}}


def fields(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the dotted path and the definition of every field, multi-fields too."""
    for name, definition in mapping.get("properties", {}).items():
        yield f"{prefix}{name}", definition
        yield from fields(definition, f"{prefix}{name}.")
        yield from fields({"properties": definition.get("fields", {})}, f"{prefix}{name}.")


def field_type(definition: Mapping[str, Any]) -> str:
    """Return the type of a field; one that only has fields of its own is an object."""
    return str(definition.get("type", "object"))


def slots(mapping: Mapping[str, Any]) -> dict[str, Slot]:
    """Return the vector fields that are compared by cosine or dot product."""
    found = {}
    for name, definition in fields(mapping):
        slot = _slot(name, definition)
        if slot is not None:
            found[name] = slot
    return found


def stamped(mapping: Mapping[str, Any]) -> dict[str, Slot]:
    """Return the slots that have their stamp beside them: desireline's own."""
    named = dict(fields(mapping))
    return {name: slot for name, slot in slots(mapping).items() if slot.stamp_field in named}


def _slot(name: str, definition: Mapping[str, Any]) -> Slot | None:
    if field_type(definition) != "knn_vector" or "dimension" not in definition:
        return None
    method = definition.get("method", {})
    space = method.get("space_type") or definition.get("space_type") or "l2"
    similarity = _SIMILARITIES.get(space)
    if similarity is None:
        return None
    return Slot(name=name, dimension=int(definition["dimension"]), similarity=similarity)


def missing_fields(slot: Slot, mapping: Mapping[str, Any], index: str) -> set[str]:
    """Return which of the slot and its stamp still have to be mapped.

    Raises:
        MappingConflictError: one of them exists and is something else.

    """
    named = dict(fields(mapping))
    missing = {slot.name, slot.stamp_field} - named.keys()
    if slot.name not in missing and slots(mapping).get(slot.name) != slot:
        raise MappingConflictError(
            f"{index}: the field {slot.name!r} is {_words(named[slot.name])}, but the slot needs "
            f"a knn_vector of {slot.dimension} dimensions compared by {_SPACES[slot.similarity]}; "
            "nothing was changed",
            next_step="choose another vector field, or an encoder of the same dimension",
        )
    if slot.stamp_field not in missing and not _is_stamp(named, slot.stamp_field):
        raise MappingConflictError(
            f"{index}: the field {slot.stamp_field!r} is in use for something else; "
            "nothing was changed",
            next_step="choose another vector field",
        )
    return missing


def _words(definition: Mapping[str, Any]) -> str:
    kind = field_type(definition)
    if kind != "knn_vector":
        return f"of type {kind}"
    method = definition.get("method", {})
    space = method.get("space_type") or definition.get("space_type") or "l2"
    return (
        f"a knn_vector of {definition.get('dimension', 'unknown')} dimensions compared by {space}"
    )


def _is_stamp(named: Mapping[str, Mapping[str, Any]], stamp_field: str) -> bool:
    return all(
        field_type(named.get(f"{stamp_field}.{part}", {})) == wanted["type"]
        for part, wanted in _STAMP.items()
    )


def vectors_enabled(settings: Mapping[str, Any]) -> bool:
    """Say whether the index can hold and search vectors. `settings` are flat."""
    return str(settings.get("index.knn")).lower() == "true"


def no_vectors(index: str) -> str:
    """Say why an index made without ``index.knn`` takes no slot."""
    return (
        f"{index} was created without index.knn, which cannot be switched on later: "
        "vectors need a new index"
    )


def obstacles(index: str, settings: Mapping[str, Any], mapping: Mapping[str, Any]) -> Iterator[str]:
    """Say, one sentence each, why slots cannot be written in place. `settings` are flat."""
    if not vectors_enabled(settings):
        yield no_vectors(index)
    if _on(settings, "index.append_only.enabled"):
        yield f"{index} is append-only: its documents cannot be changed"
    source = mapping.get("_source", {})
    if source.get("enabled") is False:
        yield f"{index} keeps no _source, so a partial update would lose every field"
    filtered = [*source.get("includes", ()), *source.get("excludes", ())]
    if filtered:
        yield (
            f"{index} filters its _source ({', '.join(filtered)}), so a partial update would "
            "lose the fields that are left out"
        )
    for block in _BLOCKS:
        if _on(settings, f"index.blocks.{block}"):
            yield f"{index} is blocked by index.blocks.{block}"


def _on(settings: Mapping[str, Any], name: str) -> bool:
    return str(settings.get(name, "false")).lower() == "true"
