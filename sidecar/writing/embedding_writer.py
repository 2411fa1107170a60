"""Documents into one slot, each write guarded by the version that was read.

The three orders of a copy and an edit, and what becomes of each:

- edit, read, write: the vector is of the new text; stamped with its digest.
- read, write, edit: the vector is of the old text; the edit lies behind the fence, so
  catch-up reads the document again and the stamp's digest shows that it is stale.
- read, edit, write: the guarded write loses; the edit lies behind the fence, as above.

A write may also lose to itself: the cluster carried it out, its answer was lost, and it was
sent again. The stamp that is found tells the one from the other.

A former owner that was paused between its look at the lease and its write cannot do harm with it
either: whatever the new owner has read or written since has another version, so the old write
loses; and what it still hits carries the old generation's stamp, which the new owner's proof
finds before that slot may go live.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from desireline.connectors.documents import (
    Document,
    EmbeddingWrite,
    Outcome,
    Stamp,
    TextTemplate,
    Vector,
    Version,
    WriteResult,
    digest,
)
from desireline.connectors.errors import StateConflictError
from desireline.connectors.search_engine import Read, SearchEngine
from desireline.connectors.state_store import StateStore
from desireline.connectors.vector_check import checks
from desireline.sidecar.generations import Generation
from desireline.sidecar.lease import Lease
from desireline.sidecar.steering.steps import Reached, Step, go_on
from desireline.sidecar.writing.delivery import deliver
from desireline.sidecar.writing.embedding_cache import CachedEncoder, EncodingCosts
from desireline.sidecar.writing.patience import Patience

FAILED_DOCUMENT = "failed_document"

#: The longest that one batch waits for a busy engine before the run stops, to be resumed.
_BUSY_LIMIT_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A document and its input."""

    document: Document
    text: str
    digest: str


class EmbeddingWriter:
    """Writes one generation's vectors and stamps."""

    def __init__(
        self,
        *,
        engine: SearchEngine,
        store: StateStore,
        generation: Generation,
        encoder: CachedEncoder,
        template: TextTemplate,
        lease: Lease,
        patience: Callable[[], Patience] | None = None,
        reached: Reached = go_on,
    ) -> None:
        self._engine = engine
        self._store = store
        self.generation = generation
        self._encoder = encoder
        self._template = template
        self._lease = lease
        #: Makes what one batch waits with.
        self._patience = patience or partial(Patience, _BUSY_LIMIT_S, check=lease.check)
        self._reached = reached
        self.outcomes: Counter[Outcome] = Counter()
        #: Seconds spent waiting for a busy engine.
        self.waiting_s = 0.0

    @property
    def read(self) -> Read:
        """What must be read of a document to know whether its slot is fresh."""
        return Read(fields=self._template.fields, slots=(self.generation.slot,))

    @property
    def template(self) -> TextTemplate:
        """How the generation's text is rendered."""
        return self._template

    @property
    def costs(self) -> EncodingCosts:
        """What the vectors took so far."""
        return self._encoder.costs

    @property
    def encoded(self) -> int:
        """Inputs that went through the encoder."""
        return self._encoder.encoded

    @property
    def encoding_s(self) -> float:
        """Seconds in the encoder."""
        return self._encoder.encoding_s

    def stale(self, documents: Sequence[Document]) -> list[Rendered]:
        """Return the documents whose slot does not hold this generation of their present text."""
        rendered = [self._render(document) for document in documents]
        return [r for r in rendered if not self._is_fresh(r)]

    def write(self, stale: Sequence[Rendered]) -> int:
        """Encode and write; return how many documents now carry this generation.

        Writes that lose to an edit are left to catch-up, refused ones go on the durable
        list of failed documents.

        Raises:
            LeaseLostError: another process owns the target; nothing more was written.
            WriteBlockedError, EngineUnavailableError: as they say; safe to run again.

        """
        if not stale:
            return 0
        vectors = self._encoder.embed([r.text for r in stale if r.text])
        check_of = _checks(vectors)
        self._reached(Step.BATCH_ENCODED)
        self._lease.check()
        writes = [
            EmbeddingWrite(
                document_id=r.document.document_id,
                version=_version(r.document),
                routing=r.document.routing,
                vector=vectors.get(r.digest),
                stamp=Stamp(
                    generation=self.generation.stamp_number,
                    digest=r.digest,
                    fencing=self._lease.fencing,
                    check=check_of.get(r.digest, ""),
                ),
            )
            for r in stale
        ]
        written = self._settle(self._deliver(writes))
        self._reached(Step.BATCH_WRITTEN)
        return written

    def _deliver(self, writes: Sequence[EmbeddingWrite]) -> list[WriteResult]:
        send = partial(self._engine.write_embeddings, self.generation.index, self.generation.slot)
        patience = self._patience()
        try:
            results = deliver(send, writes, patience)
            again = self._unacknowledged(writes, results)
            acknowledged = iter(deliver(send, list(again.values()), patience))
        finally:
            self.waiting_s += patience.waited_s
        return [
            next(acknowledged) if row in again else result for row, result in enumerate(results)
        ]

    def _unacknowledged(
        self, writes: Sequence[EmbeddingWrite], results: Sequence[WriteResult]
    ) -> dict[int, EmbeddingWrite]:
        """Read again what lost its guard: a stamp of ours there means that it had arrived.

        It must be written once more all the same, over itself: nobody acknowledged it, so a
        primary that fails now may take it back, and no fence would read the document again.
        """
        lost = {
            (write.document_id, write.routing): row
            for row, (write, result) in enumerate(zip(writes, results, strict=True))
            if result.outcome is Outcome.CHANGED
        }
        if not lost:
            return {}
        slot = self.generation.slot
        wanted = [Document(document_id=key, routing=routing, fields={}) for key, routing in lost]
        found = self._engine.fetch(self.generation.index, wanted, Read(slots=(slot,)))
        rows = {lost[document.document_id, document.routing]: document for document in found}
        return {
            row: replace(writes[row], version=_version(document))
            for row, document in rows.items()
            if document.stamps.get(slot) == writes[row].stamp
        }

    def _settle(self, results: Sequence[WriteResult]) -> int:
        for result in results:
            self.outcomes[result.outcome] += 1
            if result.outcome is Outcome.REJECTED:
                self._remember_failure(result)
        return sum(result.outcome is Outcome.WRITTEN for result in results)

    def _remember_failure(self, result: WriteResult) -> None:
        generation = self.generation
        key = f"{generation.target}:{generation.stamp_number:08d}:{result.document_id}"
        body = {"document_id": result.document_id, "reason": result.reason}
        expected = self._store.get(FAILED_DOCUMENT, key)
        with suppress(StateConflictError):  # somebody wrote the same failure just now
            self._store.put(FAILED_DOCUMENT, key, body, expected=expected)

    def _render(self, document: Document) -> Rendered:
        text = self._template.render(document.fields)
        return Rendered(document=document, text=text, digest=digest(text))

    def _is_fresh(self, rendered: Rendered) -> bool:
        stamp = rendered.document.stamps.get(self.generation.slot)
        return (
            stamp is not None
            and stamp.generation == self.generation.stamp_number
            and stamp.digest == rendered.digest
        )


def failed_documents(store: StateStore, generation: Generation) -> dict[str, str]:
    """Return the reason for each document that could not get this generation's vector."""
    prefix = f"{generation.target}:{generation.stamp_number:08d}:"
    return {
        str(record.body["document_id"]): str(record.body["reason"])
        for record in store.list(FAILED_DOCUMENT)
        if record.key.startswith(prefix)
    }


def _checks(vectors: Mapping[str, Vector]) -> dict[str, str]:
    if not vectors:
        return {}
    return dict(zip(vectors, checks(np.stack(list(vectors.values()))), strict=True))


def _version(document: Document) -> Version:
    assert document.version is not None, "engines return the version with every document read"
    return document.version
