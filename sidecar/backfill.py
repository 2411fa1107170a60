"""Old documents into the new slot.

Resuming needs no checkpoint of its own: the stamp of each document says what was done, the
embedding cache keeps what was encoded, and the fence taken before the first read is kept in
the generation's record. A killed backfill repeats at most one batch.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from desireline.connectors.documents import Outcome
from desireline.connectors.search_engine import SearchEngine
from desireline.sidecar.embedding_writer import EmbeddingWriter
from desireline.sidecar.reporting import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillReport:
    """What a backfill did."""

    documents: int
    #: Documents that carried the right stamp already.
    unchanged: int
    written: int
    #: Inputs that went through the encoder; the others were equal texts or in the cache.
    encoded: int
    rejected: int
    seconds: float
    encoding_s: float

    @property
    def sentence(self) -> str:
        """One line for people."""
        rate = self.documents / self.seconds if self.seconds else 0.0
        return (
            f"{self.documents:,} documents, {rate:,.0f}/s"
            f" ({self.encoded:,} encoded, {self.documents - self.encoded:,} unchanged or equal)"
        )


def backfill(
    engine: SearchEngine,
    writer: EmbeddingWriter,
    *,
    batch_size: int,
    reporter: Reporter,
    before_batch: Callable[[int], None] = lambda _documents: None,
) -> BackfillReport:
    """Give every document the writer's generation, as of the moment this begins.

    Edits made meanwhile are left to catch-up from the generation's fence. `before_batch` is told
    how many documents come next, before they are encoded; it may wait or raise.
    """
    generation = writer.generation
    began = time.monotonic()
    total = engine.describe(generation.index).documents
    done = unchanged = written = 0
    read = writer.read
    for documents in engine.scan(generation.index, read):
        stale = writer.stale(documents)
        unchanged += len(documents) - len(stale)
        for start in range(0, len(stale), batch_size):
            batch = stale[start : start + batch_size]
            before_batch(len(batch))
            written += writer.write(batch)
        done += len(documents)
        reporter.progress("backfill", done, max(total, done), slot=generation.slot)
    return BackfillReport(
        documents=done,
        unchanged=unchanged,
        written=written,
        encoded=writer.encoded,
        rejected=writer.outcomes[Outcome.REJECTED],
        seconds=time.monotonic() - began,
        encoding_s=writer.encoding_s,
    )
