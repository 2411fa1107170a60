"""Whole documents into an index of their own, each with its vector, and deletes after them.

The orders of a copy and what the application does, and what becomes of each:

- write, read, copy: the copy is of the new document.
- read, write, copy: the copy is of the old one; the write lies behind the fence, so the next
  reading copies it again, under a higher version.
- read, delete, copy: the copy outlives its document; the comparison of ids finds and deletes it,
  and its tombstone keeps a copy that is still under way from bringing it back.
- delete, re-create: the new document has a later position than the old one ever had, so its copy
  wins over the tombstone.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np

from desireline.connectors.documents import (
    Outcome,
    Stamp,
    TextTemplate,
    Vector,
    WriteResult,
    digest,
)
from desireline.connectors.engines.source import pick
from desireline.connectors.generation_indexes import (
    CopyDelete,
    CopyWrite,
    DocumentKey,
    GenerationIndexes,
    Versions,
    WholeDocument,
    after,
    sequence_version,
)
from desireline.connectors.search_engine import Fence, SearchEngine
from desireline.connectors.vector_check import checks
from desireline.sidecar.errors import BackfillError
from desireline.sidecar.generations import Generation
from desireline.sidecar.lease import Lease
from desireline.sidecar.steering.steps import Reached, Step
from desireline.sidecar.writing.delivery import deliver
from desireline.sidecar.writing.embedding_cache import CachedEncoder
from desireline.sidecar.writing.patience import Patience

_KEYS_A_PAGE = 1_000


class CopyingEngine(SearchEngine, GenerationIndexes, Protocol):
    """A search engine with generation indexes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyParts:
    """What a copier works with."""

    engine: CopyingEngine
    encoder: CachedEncoder
    template: TextTemplate
    lease: Lease
    #: Returns when so many documents may be written, or raises.
    may_write: Callable[[int], None]
    #: Makes what one batch waits with while the engine is busy.
    patience: Callable[[], Patience]
    #: Puts down how far the copy has come.
    keep: Callable[[Fence], None]
    #: Puts a document on the durable list of failed ones, with the reason.
    remember_failure: Callable[[str, str], None]
    reached: Reached
    batch_size: int
    #: The name by which this owner, and nobody else, writes to the copy.
    written_as: str


class Copier:
    """Brings the index of one generation up to date from the index it is copied from."""

    def __init__(self, parts: CopyParts, generation: Generation, versions: Versions) -> None:
        assert generation.copied_from is not None, "only a generation of its own index is copied"
        self._parts = parts
        self.generation = generation
        self.versions = versions
        self.source: str = generation.copied_from
        self.position = Fence(positions=generation.copied)
        self.documents = 0

    @property
    def engine(self) -> CopyingEngine:
        """Holds both indexes."""
        return self._parts.engine

    @contextmanager
    def hurrying(self, limit_s: float) -> Iterator[None]:
        """Ask no throttle and wait for nobody: the application's writes are held up."""
        parts = self._parts
        self._parts = replace(
            parts,
            may_write=lambda _: None,
            patience=lambda: Patience(limit_s, check=parts.lease.check),
        )
        try:
            yield
        finally:
            self._parts = parts

    @property
    def encoded(self) -> int:
        """Inputs that went through the encoder."""
        return self._parts.encoder.encoded

    def catch_up(self, told: Callable[[int], None] = lambda _: None) -> int:
        """Copy what was written since the last time; return how many documents.

        Interrupted, it goes on after the last batch of each shard.
        """
        until = self.engine.fence(self.source)
        if until == self.position:
            return 0
        positions = {key: self.position.positions.get(key, -1) for key in until.positions}
        size = self._parts.batch_size
        copied = 0
        for documents in self.engine.read_whole(self.source, self.position, until, size):
            self._copy(documents)
            positions[documents[-1].shard] = documents[-1].seq_no
            self._keep(Fence(positions=dict(positions)))
            self._parts.reached(Step.BATCH_WRITTEN)
            copied += len(documents)
            told(copied)
        self._keep(until)
        self.documents += copied
        return copied

    def _keep(self, position: Fence) -> None:
        self.position = position
        self._parts.keep(position)

    def remove_deleted(self) -> int:
        """Delete the copies whose document is gone; return how many. Looks at every id."""
        return sum(self.remove(gone) for gone in self.orphans())

    def orphans(self) -> Iterator[list[DocumentKey]]:
        """Yield the copies whose document is gone at this moment, page by page."""
        for keys in self.engine.document_keys(self.generation.index, _KEYS_A_PAGE):
            gone = self.engine.absent(self.source, keys)
            if gone:
                yield gone

    def remove(self, keys: Sequence[DocumentKey]) -> int:
        """Delete copies; a document written again since then is copied again."""
        fencing = self._parts.lease.fencing
        deletes = [
            CopyDelete(
                document_id=key.document_id,
                routing=key.routing,
                version=key.number if self.versions == "external" else after(key.number, fencing),
            )
            for key in keys
        ]
        self._parts.may_write(len(deletes))
        self._parts.lease.check()
        send = partial(self.engine.delete_copies, self._parts.written_as)
        results = deliver(send, deletes, self._parts.patience())
        return sum(result.outcome is Outcome.WRITTEN for result in results)

    def digest_of(self, document: WholeDocument) -> str:
        """Digest of the input that a document renders to."""
        return digest(self._render(document))

    def _render(self, document: WholeDocument) -> str:
        template = self._parts.template
        return template.render(pick(document.source, template.fields))

    def _copy(self, documents: Sequence[WholeDocument]) -> None:
        self._parts.may_write(len(documents))
        texts = [self._render(document) for document in documents]
        vectors = self._parts.encoder.embed([text for text in texts if text])
        written = checks(np.stack(list(vectors.values()))) if vectors else []
        check_of = dict(zip(vectors, written, strict=True))
        self._parts.reached(Step.BATCH_ENCODED)
        self._parts.lease.check()
        writes = [
            self._write(document, vectors.get(digest(text)), check_of.get(digest(text), ""), text)
            for document, text in zip(documents, texts, strict=True)
        ]
        self._settle(writes, self._deliver(writes))

    def _write(
        self, document: WholeDocument, vector: Vector | None, check: str, text: str
    ) -> CopyWrite:
        fencing = self._parts.lease.fencing
        return CopyWrite(
            document_id=document.document_id,
            routing=document.routing,
            source=document.source,
            version=self._version(document),
            vector=vector,
            stamp=Stamp(
                generation=self.generation.stamp_number,
                digest=digest(text),
                fencing=fencing,
                check=check,
            ),
        )

    def _version(self, document: WholeDocument) -> int:
        if self.versions == "external":
            return document.number
        return sequence_version(self._parts.lease.fencing, document.seq_no)

    def _deliver(self, writes: Sequence[CopyWrite]) -> list[WriteResult]:
        send = partial(self.engine.write_copies, self._parts.written_as, self.generation.slot)
        return deliver(send, writes, self._parts.patience())

    def _settle(self, writes: Sequence[CopyWrite], results: Sequence[WriteResult]) -> None:
        """Copy again, without its vector, what was refused: the document must not be lost."""
        refused = [
            (write, result.reason)
            for write, result in zip(writes, results, strict=True)
            if result.outcome is Outcome.REJECTED
        ]
        if not refused:
            return
        for write, reason in refused:
            self._parts.remember_failure(write.document_id, reason)
        for result in self._deliver([_without_vector(write) for write, _ in refused]):
            if result.outcome is Outcome.REJECTED:
                raise BackfillError(
                    f"document {result.document_id!r} does not fit into the new index"
                    f" {self.generation.index!r}: {result.reason}; what serves is unchanged",
                    next_step="mend the document, or swap.new_index_mappings, and run again",
                )


def _without_vector(write: CopyWrite) -> CopyWrite:
    return CopyWrite(
        document_id=write.document_id,
        routing=write.routing,
        source=write.source,
        version=write.version,
        vector=None,
        stamp=None,
    )
