"""Documents written since a fence, into the slots that must be fresh."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from desireline.connectors.documents import Document
from desireline.connectors.search_engine import Fence, Read, SearchEngine
from desireline.sidecar.writing.embedding_writer import EmbeddingWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """How far a catch-up came and what it found."""

    fence: Fence
    #: Documents read, those of our own writes among them.
    seen: int
    #: Documents that were stale and are now fresh, by writer.
    refreshed_by: tuple[int, ...]

    @property
    def refreshed(self) -> int:
        """Slots of documents that were stale and are now fresh."""
        return sum(self.refreshed_by)


def catch_up(
    engine: SearchEngine,
    index: str,
    since: Fence,
    writers: Sequence[EmbeddingWriter],
    *,
    until: Fence | None = None,
    before_write: Callable[[], None] = lambda: None,
) -> CaughtUp:
    """Bring every writer's slot up to `until`, or to the engine's present fence.

    The new fence is taken first and reached only when all before it has been read, so a
    write that loses to an edit lies behind it and is read again the next time. Our own
    writes come by too and are known by their stamp. One read serves all writers.

    `before_write` is asked between a read and the writes that rest on it; it may raise.
    """
    until = until or engine.fence(index, beyond=since)
    refreshed = [0] * len(writers)
    if until == since:
        return CaughtUp(fence=until, seen=0, refreshed_by=tuple(refreshed))
    seen = 0
    for documents in engine.changes(index, since, until, _read_for(writers)):
        seen += len(documents)
        for number, written in enumerate(_refresh(engine, index, documents, writers, before_write)):
            refreshed[number] += written
    return CaughtUp(fence=until, seen=seen, refreshed_by=tuple(refreshed))


def _refresh(
    engine: SearchEngine,
    index: str,
    documents: Sequence[Document],
    writers: Sequence[EmbeddingWriter],
    before_write: Callable[[], None],
) -> list[int]:
    """Let each writer embed what is stale for it; return how many each wrote."""
    written: list[int] = []
    for writer in writers:
        stale = writer.stale(documents)
        if stale and any(written):
            # The writers before have moved the versions that would guard this one's writes.
            now = engine.fetch(index, [each.document for each in stale], _read_for(writers))
            stale = writer.stale(now)
        if stale:
            before_write()
        written.append(writer.write(stale))
    return written


def _read_for(writers: Sequence[EmbeddingWriter]) -> Read:
    fields = dict.fromkeys(name for writer in writers for name in writer.read.fields)
    slots = dict.fromkeys(writer.generation.slot for writer in writers)
    return Read(fields=tuple(fields), slots=tuple(slots))
