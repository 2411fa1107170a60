"""What a new index must share with the one it is copied from, and what would make them differ.

Settings here are flat: `{"index.number_of_shards": "2"}`, as OpenSearch tells them.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from desireline.connectors.engines import opensearch_mapping as mapped
from desireline.connectors.generation_indexes import IndexLabel, IndexOverrides, Versions
from desireline.connectors.search_engine import Slot

#: Where an index writes down whose it is, within the `_meta` of its mapping.
_LABEL = "desireline"
#: Settings that belong to one life of one index, or that OpenSearch sets by itself.
_NOT_TO_COPY = (
    "index.blocks.",
    "index.creation_date",
    "index.gc_deletes",
    "index.history.",
    "index.provided_name",
    "index.resize.",
    "index.routing.allocation.initial_recovery.",
    "index.uuid",
    "index.verified_before_close",
    "index.version.",
)
#: Deletes are remembered for longer than any write of a former owner can be under way.
TOMBSTONES = {"index.gc_deletes": "1d"}


def creation_body(
    settings: Mapping[str, Any],
    mapping: Mapping[str, Any],
    *,
    slot: Slot,
    label: IndexLabel,
    overrides: IndexOverrides,
    engine: Literal["lucene", "faiss"],
) -> dict[str, Any]:
    """Return the body that creates an index like the one with these settings and mapping."""
    kept = {name: value for name, value in settings.items() if not name.startswith(_NOT_TO_COPY)}
    wanted = {_flat(name): value for name, value in overrides.settings.items()}
    mappings = deep_merge(_without_slots(mapping), overrides.mappings)
    properties = {**mappings.get("properties", {}), **mapped.slot_properties(slot, engine)}
    return {
        "settings": {**kept, **wanted, "index.knn": True, **TOMBSTONES},
        "mappings": {
            **mappings,
            "properties": properties,
            "_meta": meta_with(mapping, label),
        },
    }


def _flat(name: str) -> str:
    return name if name.startswith("index.") else f"index.{name}"


def _without_slots(mapping: Mapping[str, Any]) -> dict[str, Any]:
    ours = mapped.stamped(mapping).values()
    dropped = {name for slot in ours for name in (slot.name, slot.stamp_field)}
    properties = {
        name: how for name, how in mapping.get("properties", {}).items() if name not in dropped
    }
    return {**mapping, "properties": properties}


def deep_merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return one mapping with another laid over it; objects are merged, all else replaced."""
    merged = dict(under)
    for name, value in over.items():
        old = merged.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[name] = deep_merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def meta_with(mapping: Mapping[str, Any], label: IndexLabel) -> dict[str, Any]:
    """Return the `_meta` of a mapping with the label in it."""
    told = {
        "target": label.target,
        "generation": label.generation,
        "copied_from": label.copied_from,
        "versions": label.versions,
    }
    return {**mapping.get("_meta", {}), _LABEL: told}


def versions_kept(mapping: Mapping[str, Any]) -> Versions:
    """Say who numbers the documents, from the label alone."""
    held = label_in(mapping)
    return "sequence" if held is None else held.versions


def label_in(mapping: Mapping[str, Any]) -> IndexLabel | None:
    """Read the label; None where there is none."""
    told = mapping.get("_meta", {}).get(_LABEL)
    if not isinstance(told, Mapping) or "versions" not in told:
        return None
    versions: Versions = "external" if told["versions"] == "external" else "sequence"
    generation = told.get("generation")
    return IndexLabel(
        target=str(told.get("target", "")),
        generation=None if generation is None else int(generation),
        copied_from=str(told.get("copied_from", "")),
        versions=versions,
    )


def obstacles(
    index: str,
    settings: Mapping[str, Any],
    mapping: Mapping[str, Any],
    overrides: IndexOverrides,
    *,
    routed: bool,
) -> Iterator[str]:
    """Say, one sentence each, why a copy of the index would not be the same.

    Args:
        index: its name.
        settings: of the source.
        mapping: of the source.
        overrides: in what the new index shall differ.
        routed: whether any document has a routing of its own.

    """
    if str(settings.get("index.append_only.enabled", "false")).lower() == "true":
        yield f"{index} is append-only: its documents cannot be brought up to date in a copy"
    pipeline = settings.get("index.final_pipeline", "_none")
    if pipeline != "_none":
        yield f"{index} has the final_pipeline {pipeline!r}, which would change every copy"
    for block in ("write", "read_only", "read_only_allow_delete"):
        if str(settings.get(f"index.blocks.{block}", "false")).lower() == "true":
            yield f"{index} is blocked by index.blocks.{block}, which is not ours to take away"
    yield from _source_obstacles(index, mapping)
    shards = settings.get("index.number_of_shards", "1")
    wanted = {_flat(k): v for k, v in overrides.settings.items()}.get("index.number_of_shards")
    if routed and wanted is not None and str(wanted) != str(shards):
        yield (
            f"{index} has documents with a routing of their own, of which two with one id may meet "
            f"in the same shard when {shards} shards become {wanted}"
        )


def _source_obstacles(index: str, mapping: Mapping[str, Any]) -> Iterator[str]:
    source = mapping.get("_source", {})
    if source.get("enabled") is False:
        yield f"{index} keeps no _source, so there is nothing to copy"
    if source.get("includes"):
        yield f"{index} keeps only {', '.join(source['includes'])} in its _source"
    types = {name: mapped.field_type(how) for name, how in mapped.fields(mapping)}
    lost = [name for name in source.get("excludes", ()) if types.get(name) != "knn_vector"]
    if lost:
        yield f"{index} leaves {', '.join(lost)} out of its _source, so a copy would lack it"
