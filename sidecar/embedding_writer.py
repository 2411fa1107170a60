"""Documents into one slot, each write guarded by the version that was read.

The three orders of a copy and an edit, and what becomes of each:

- edit, read, write: the vector is of the new text; stamped with its digest.
- read, write, edit: the vector is of the old text; the edit lies behind the fence, so
  catch-up reads the document again and the stamp's digest shows that it is stale.
- read, edit, write: the guarded write loses; the edit lies behind the fence, as above.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from desireline.connectors.documents import (
    Document,
    EmbeddingWrite,
    Outcome,
    Stamp,
    TextTemplate,
    Version,
    WriteResult,
    digest,
)
from desireline.connectors.errors import EngineUnavailableError, StateConflictError
from desireline.connectors.search_engine import Read, SearchEngine
from desireline.connectors.state_store import StateStore
from desireline.sidecar.embedding_cache import CachedEncoder
from desireline.sidecar.generations import Generation
from desireline.sidecar.lease import Lease

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
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._engine = engine
        self._store = store
        self.generation = generation
        self._encoder = encoder
        self._template = template
        self._lease = lease
        self._sleep = sleep
        self.outcomes: Counter[Outcome] = Counter()
        #: Seconds spent waiting for a busy engine.
        self.waiting_s = 0.0

    @property
    def read(self) -> Read:
        """What must be read of a document to know whether its slot is fresh."""
        return Read(fields=self._template.fields, slots=(self.generation.slot,))

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
        self._lease.check()
        writes = [
            EmbeddingWrite(
                document_id=r.document.document_id,
                version=_version(r.document),
                routing=r.document.routing,
                vector=vectors.get(r.digest),
                stamp=Stamp(
                    generation=self.generation.number,
                    digest=r.digest,
                    fencing=self._lease.fencing,
                ),
            )
            for r in stale
        ]
        return self._deliver(writes)

    def _deliver(self, writes: list[EmbeddingWrite]) -> int:
        written = 0
        delay_s, waited_s, size = 0.5, 0.0, len(writes)
        while writes:
            batch, writes = writes[:size], writes[size:]
            results = self._engine.write_embeddings(
                self.generation.index, self.generation.slot, batch
            )
            throttled = self._settle(batch, results)
            written += sum(r.outcome is Outcome.WRITTEN for r in results)
            if throttled:
                writes = throttled + writes
                size = max(1, size // 2)
                waited_s += self._back_off(delay_s, waited_s)
                delay_s = min(delay_s * 2, 30.0)
        return written

    def _settle(
        self, batch: Sequence[EmbeddingWrite], results: Sequence[WriteResult]
    ) -> list[EmbeddingWrite]:
        by_id = {write.document_id: write for write in batch}
        throttled = []
        for result in results:
            if result.outcome is Outcome.THROTTLED:
                throttled.append(by_id[result.document_id])
                continue
            self.outcomes[result.outcome] += 1
            if result.outcome is Outcome.REJECTED:
                self._remember_failure(result)
        return throttled

    def _back_off(self, delay_s: float, waited_s: float) -> float:
        if waited_s > _BUSY_LIMIT_S:
            raise EngineUnavailableError(
                f"the search engine has been too busy to write for {waited_s:.0f} s;"
                " every document so far keeps what was written",
                next_step="run the command again later: it resumes",
            )
        pause_s = delay_s * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
        self._sleep(pause_s)
        self._lease.check()
        self.waiting_s += pause_s
        return pause_s

    def _remember_failure(self, result: WriteResult) -> None:
        generation = self.generation
        key = f"{generation.target}:{generation.number:08d}:{result.document_id}"
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
            and stamp.generation == self.generation.number
            and stamp.digest == rendered.digest
        )


def failed_documents(store: StateStore, generation: Generation) -> dict[str, str]:
    """Return the reason for each document that could not get this generation's vector."""
    prefix = f"{generation.target}:{generation.number:08d}:"
    return {
        str(record.body["document_id"]): str(record.body["reason"])
        for record in store.list(FAILED_DOCUMENT)
        if record.key.startswith(prefix)
    }


def _version(document: Document) -> Version:
    assert document.version is not None, "engines return the version with every document read"
    return document.version
