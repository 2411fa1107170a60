"""Slots in place, a new index behind the alias, or the query encoder alone: which way, and why."""

from dataclasses import dataclass
from typing import Literal

from desireline.connectors.generation_indexes import GenerationIndexes, IndexOverrides
from desireline.connectors.search_engine import IndexDescription, Slot
from desireline.connectors.write_trial import WriteTrial
from desireline.sidecar.generations import Generation
from desireline.sidecar.target import Target
from desireline.sidecar.ways.preflight import slot_refusals, target_refusals

Way = Literal["slot", "index", "query"]
Wanted = Literal["auto", "slot", "index", "query"]

QUERY_ALONE = "no document is embedded again: the query encoder alone changes"


_NOT_SHARED = (
    "the live vectors are another encoder's, or this encoder serves already: its documents would"
    " have to be embedded"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The way that will be gone, and what speaks against it."""

    way: Way
    #: Why this way, in one sentence.
    reason: str
    #: Why even this way cannot be gone, one sentence each; empty when it can.
    refusals: tuple[str, ...]


def choose(
    target: Target,
    described: IndexDescription,
    slot: Slot,
    wanted: Wanted,
    *,
    shared: Generation | None = None,
) -> Choice:
    """Return the way to embed an index again. Changes nothing.

    Args:
        target: whose index it is.
        described: the index as it is now.
        slot: that would be written in place; of dimension 0 where the encoder is not known yet.
        wanted: the operator's wish; `auto` writes nothing where nothing need be written, and else
            takes slots in place wherever they are safe.
        shared: the live generation, where the encoder can search its vectors as they are.

    """
    both = target_refusals(target, described)
    if wanted == "query" or (wanted == "auto" and shared is not None):
        against_query = () if shared is not None else (_NOT_SHARED,)
        return Choice(way="query", reason=QUERY_ALONE, refusals=(*both, *against_query))
    against_slot = _against_slot(target, described, slot)
    if wanted == "slot" or (wanted == "auto" and not against_slot):
        reason = (
            "one copy of each document, so no other field and no delete can be lost"
            if not against_slot
            else "the operator asked for it"
        )
        return Choice(way="slot", reason=reason, refusals=(*both, *against_slot))
    against_index = index_refusals(target)
    if wanted == "auto" and against_index:
        return Choice(
            way="slot",
            reason="neither way is open",
            refusals=(*both, *against_slot, *against_index),
        )
    reason = "the operator asked for it" if wanted == "index" else against_slot[0]
    return Choice(way="index", reason=reason, refusals=(*both, *against_index))


def _against_slot(target: Target, described: IndexDescription, slot: Slot) -> tuple[str, ...]:
    found = [*slot_refusals(described, slot)]
    engine = target.engine
    if isinstance(engine, WriteTrial):
        found += [o for o in engine.write_obstacles(described.index, slot) if o not in found]
    if isinstance(engine, GenerationIndexes) and engine.versions_of(described.index) == "external":
        found.append(
            f"the application numbers the documents of {described.index} itself (external"
            " versions), and would lose its next write to a document that we updated in place"
        )
    return tuple(found)


def index_refusals(target: Target) -> tuple[str, ...]:
    """Say why no new index can be swapped in, one sentence each."""
    engine, name = target.engine, target.config.index
    if not isinstance(engine, GenerationIndexes):
        return ("a new index is swapped in by an alias, which this search engine does not have",)
    state = engine.alias_state(name)
    obstacles = engine.copy_obstacles(state.index, overrides_of(target))
    if state.is_alias:
        return obstacles
    return (
        f"{name!r} is an index, and a new one can only be swapped in behind an alias: give the"
        " application an alias of it and name that as the target's index",
        *obstacles,
    )


def overrides_of(target: Target) -> IndexOverrides:
    """Return in what a new index is to differ from the present one."""
    swap = target.config.swap
    return IndexOverrides(settings=swap.new_index_settings, mappings=swap.new_index_mappings)
