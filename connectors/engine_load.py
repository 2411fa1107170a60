"""Port: an engine that says how loaded it is, node by node.

Every figure is what the engine itself measured. One that may not be read (a missing permission, a
setting that hides it) is None, and `missing` says so in a sentence: no figure is ever guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpace:
    """A disk that holds data."""

    total_bytes: int
    available_bytes: int
    #: With less than this available the engine places no more data here (the low watermark).
    floor_bytes: int

    @property
    def room_bytes(self) -> int:
        """How much may still be written; negative below the watermark."""
        return self.available_bytes - self.floor_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLoad:
    """One node that holds a part of the index."""

    name: str
    #: Share of the machine's processor time that the engine's process uses, 0 to 1.
    cpu: float | None = None
    #: Share of the heap that long-lived objects use, 0 to 1.
    heap: float | None = None
    heap_bytes: int | None = None
    #: Share of its trip level that each circuit breaker holds, 0 to 1.
    breakers: Mapping[str, float] = field(default_factory=dict)
    #: The disk with the least room.
    disk: DiskSpace | None = None
    #: Native memory of the k-NN graphs in the cache, and how much may be used.
    graph_bytes: int | None = None
    graph_limit_bytes: int | None = None
    #: Shard copies of the index here, per primary shard of the index: 1 where one node holds all.
    part: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLoad:
    """How loaded the nodes behind an index are."""

    nodes: tuple[NodeLoad, ...]
    #: Counters that only grow, by what happened and on which node: "searches rejected by n1".
    refused: Mapping[str, int] | None = None
    #: The k-NN circuit breaker has tripped: every write of a vector fails, the application's too.
    graph_breaker_tripped: bool = False
    primaries: int = 1
    #: Nodes that did not answer.
    silent_nodes: int = 0
    #: What could not be measured, and why, one sentence each.
    missing: tuple[str, ...] = ()
    #: Whether the engine lives in this process: only its disk is measured, nobody else searches it.
    embedded: bool = False


@runtime_checkable
class MeasuresLoad(Protocol):
    """An engine that can be asked for its load."""

    def load(self, index: str) -> EngineLoad:
        """Measure the nodes that hold the index.

        Raises:
            EngineUnavailableError: no answer; a node too busy to say so is a loaded node.

        """
        ...
