"""Proof, before a generation may go live, that every document carries it.

The scan here is its own enumeration, apart from the backfill's: it counts and compares the
stamp of every document with the digest of its present text. What differs because the
application wrote it a moment ago is caught up and looked at again; what still differs,
unchanged, is a stable difference and blocks the cut-over.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from desireline.connectors.documents import Document
from desireline.connectors.search_engine import Fence, SearchEngine
from desireline.connectors.state_store import StateStore
from desireline.sidecar.catchup import catch_up
from desireline.sidecar.embedding_writer import EmbeddingWriter, failed_documents

_ROUNDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What the proof found."""

    generation: int
    documents: int
    stamped: int
    #: Documents that differ and were not edited meanwhile, with the reason, at most ten.
    differences: tuple[str, ...]
    #: Documents on the failed list, still without this generation's vector.
    failed: int
    fence: Fence

    def passes(self, *, max_failed: int) -> bool:
        """Whether the generation may go live."""
        return not self.differences and self.failed <= max_failed

    @property
    def sentence(self) -> str:
        """One line for people."""
        text = f"{self.stamped:,} of {self.documents:,} carry generation {self.generation}"
        if self.failed:
            text += f"; {self.failed:,} are on the failed list"
        if self.differences:
            text += f"; stable difference: {self.differences[0]}"
        return text


def verify(
    engine: SearchEngine, store: StateStore, writer: EmbeddingWriter, since: Fence
) -> Verification:
    """Catch up from `since`, then compare every document. Reads everything once more."""
    generation = writer.generation
    fence = since
    suspects: dict[str, Document] = {}
    for _ in range(_ROUNDS):
        fence = catch_up(engine, generation.index, fence, [writer]).fence
        suspects = {d.document_id: d for d in _differing(engine, writer)}
        if not suspects:
            break
        fence = catch_up(engine, generation.index, fence, [writer]).fence
        suspects = _still_differing(engine, writer, suspects.values())
        if not suspects:
            break
    failed = failed_documents(store, generation).keys() & suspects.keys()
    counted = engine.coverage(generation.index, generation.slot, generation.number)
    return Verification(
        generation=generation.number,
        documents=counted.documents,
        stamped=counted.stamped,
        differences=tuple(
            _difference(writer, document)
            for document in suspects.values()
            if document.document_id not in failed
        )[:10],
        failed=len(failed),
        fence=fence,
    )


def _differing(engine: SearchEngine, writer: EmbeddingWriter) -> Iterator[Document]:
    for documents in engine.scan(writer.generation.index, writer.read):
        yield from (stale.document for stale in writer.stale(documents))


def _still_differing(
    engine: SearchEngine, writer: EmbeddingWriter, suspects: Collection[Document]
) -> dict[str, Document]:
    """Return those that differ still and were not edited since they were first seen."""
    before = {document.document_id: document.version for document in suspects}
    now = engine.fetch(writer.generation.index, list(suspects), writer.read)
    return {
        stale.document.document_id: stale.document
        for stale in writer.stale(now)
        if stale.document.version == before[stale.document.document_id]
    }


def _difference(writer: EmbeddingWriter, document: Document) -> str:
    stamp = document.stamps.get(writer.generation.slot)
    if stamp is None:
        return f"document {document.document_id!r} carries no stamp"
    if stamp.generation != writer.generation.number:
        return f"document {document.document_id!r} carries generation {stamp.generation}"
    return f"document {document.document_id!r} carries the vector of another text"
