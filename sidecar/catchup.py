"""Documents written since a fence, into the slots that must be fresh."""

from collections.abc import Sequence
from dataclasses import dataclass

from desireline.connectors.search_engine import Fence, Read, SearchEngine
from desireline.sidecar.embedding_writer import EmbeddingWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """How far a catch-up came and what it found."""

    fence: Fence
    #: Documents read, those of our own writes among them.
    seen: int
    #: Slots of documents that were stale and are now fresh.
    refreshed: int


def catch_up(
    engine: SearchEngine, index: str, since: Fence, writers: Sequence[EmbeddingWriter]
) -> CaughtUp:
    """Bring every writer's slot up to the engine's present fence.

    The new fence is taken first and reached only when all before it has been read, so a
    write that loses to an edit lies behind it and is read again the next time. Our own
    writes come by too and are known by their stamp.
    """
    until = engine.fence(index)
    if until == since:
        return CaughtUp(fence=until, seen=0, refreshed=0)
    seen = refreshed = 0
    for documents in engine.changes(index, since, until, _read_for(writers)):
        seen += len(documents)
        for writer in writers:
            refreshed += writer.write(writer.stale(documents))
    return CaughtUp(fence=until, seen=seen, refreshed=refreshed)


def _read_for(writers: Sequence[EmbeddingWriter]) -> Read:
    fields = dict.fromkeys(name for writer in writers for name in writer.read.fields)
    slots = dict.fromkeys(writer.generation.slot for writer in writers)
    return Read(fields=tuple(fields), slots=tuple(slots))
