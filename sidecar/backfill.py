"""Old documents into the new slot: read, render, sort by length, encode, write.

Every stage is a function over batches and the only state is the store's. Resuming needs no
checkpoint of its own: the stamp of each document says what was done, the embedding cache keeps
what was encoded, and the fence taken before the first read is kept in the generation's record. A
killed backfill repeats at most one batch.
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from desireline.connectors.documents import Document, Outcome
from desireline.connectors.search_engine import SearchEngine
from desireline.sidecar.reports.reporting import Reporter
from desireline.sidecar.writing.embedding_cache import EncodingCosts
from desireline.sidecar.writing.embedding_writer import EmbeddingWriter, Rendered
from desireline.sidecar.writing.windows import batches, by_length, windows

#: The rate told is that of this last stretch, so that a resumed run's estimate soon is right.
_PACE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Where a backfill's time went, in seconds; what is left over is the loop itself."""

    #: Waiting for the engine's pages.
    read_s: float
    #: Rendering, digesting and looking at stamps.
    render_s: float
    tokenise_s: float
    #: In the encoder, without its tokeniser.
    encode_s: float
    cache_s: float
    #: Guarded writes: the lease, JSON, the network and the engine.
    write_s: float
    #: Held up before a batch: the throttle, the operator.
    held_up_s: float


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
    #: Seconds in the encoder, its tokeniser included.
    encoding_s: float
    split: Split

    @property
    def documents_a_second(self) -> float:
        """Of all documents, unchanged ones too; time held up counts."""
        return self.documents / self.seconds if self.seconds else 0.0

    @property
    def encoding_share(self) -> float:
        """Of the time that nothing held it up, 0 to 1."""
        worked_s = self.seconds - self.split.held_up_s
        return self.encoding_s / worked_s if worked_s > 0 else 0.0

    @property
    def sentence(self) -> str:
        """One line for people."""
        return (
            f"{self.documents:,} documents, {self.documents_a_second:,.0f}/s"
            f" ({self.encoded:,} encoded, {self.documents - self.encoded:,} unchanged or equal),"
            f" {self.encoding_share:.0%} of the time encoding"
        )


def backfill(
    engine: SearchEngine,
    writer: EmbeddingWriter,
    *,
    batch_size: int,
    reporter: Reporter,
    before_batch: Callable[[int], None] = lambda _documents: None,
    monotonic: Callable[[], float] = time.monotonic,
) -> BackfillReport:
    """Give every document the writer's generation, as of the moment this begins.

    Edits made meanwhile are left to catch-up from the generation's fence.

    Args:
        engine: whose index is read; the writer's own.
        writer: of the generation.
        batch_size: most documents in one write.
        reporter: told of every batch, with the rate and the seconds that are left.
        before_batch: told how many documents come next, before they are encoded; it may wait,
            and ends the run by raising.
        monotonic: the clock, in seconds.

    """
    began, costs = monotonic(), writer.costs
    index = writer.generation.index
    rejected = writer.outcomes[Outcome.REJECTED]
    total = engine.describe(index).documents
    tally = _Tally(monotonic, reporter, slot=writer.generation.slot, total=total)
    pages = tally.pages(engine.scan(index, writer.read))
    for window in windows(tally.stale(page, writer) for page in pages):
        for batch in batches(by_length(window), documents=batch_size):
            with tally.watch("held up"):
                before_batch(len(batch))
            with tally.watch("write"):
                written = writer.write(batch)
            tally.wrote(len(batch), written)
    return tally.report(
        seconds=monotonic() - began,
        costs=writer.costs - costs,
        rejected=writer.outcomes[Outcome.REJECTED] - rejected,
    )


class _Tally:
    """What was done so far, and in which seconds."""

    def __init__(
        self, monotonic: Callable[[], float], reporter: Reporter, *, slot: str, total: int
    ) -> None:
        self._now = monotonic
        self._reporter = reporter
        self._slot = slot
        self._total = total
        self._documents = self._unchanged = self._written = self._handled = 0
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._stretch = deque([(monotonic(), 0)])

    @contextmanager
    def watch(self, stage: str) -> Iterator[None]:
        """Time a stage, also when it fails."""
        began = self._now()
        try:
            yield
        finally:
            self._seconds[stage] += self._now() - began

    def pages(self, pages: Iterable[list[Document]]) -> Iterator[list[Document]]:
        """Time what reading them takes, and count them."""
        waiting = iter(pages)
        while True:
            with self.watch("read"):
                page = next(waiting, None)
            if page is None:
                return
            self._documents += len(page)
            yield page

    def stale(self, page: Sequence[Document], writer: EmbeddingWriter) -> list[Rendered]:
        """Render a page and keep what must be written."""
        with self.watch("render"):
            stale = writer.stale(page)
        self._unchanged += len(page) - len(stale)
        self._handled += len(page) - len(stale)
        return stale

    def wrote(self, documents: int, written: int) -> None:
        """Count a batch and tell how far it is."""
        self._written += written
        self._handled += documents
        total = max(self._total, self._documents)
        rate = self._rate()
        self._reporter.progress(
            "backfill",
            self._handled,
            total,
            slot=self._slot,
            rate=rate and round(rate, 1),
            eta_s=rate and round((total - self._handled) / rate, 1),
        )

    def report(self, *, seconds: float, costs: EncodingCosts, rejected: int) -> BackfillReport:
        """Tell that it is done, and say what it took."""
        self._reporter.progress("backfill", self._handled, self._handled, slot=self._slot, eta_s=0)
        spent = self._seconds
        return BackfillReport(
            documents=self._documents,
            unchanged=self._unchanged,
            written=self._written,
            encoded=costs.encoded,
            rejected=rejected,
            seconds=seconds,
            encoding_s=costs.encoding_s,
            split=Split(
                read_s=spent["read"],
                render_s=spent["render"],
                tokenise_s=costs.tokenise_s,
                encode_s=costs.encoding_s - costs.tokenise_s,
                cache_s=costs.cache_s,
                write_s=spent["write"] - costs.encoding_s - costs.cache_s,
                held_up_s=spent["held up"],
            ),
        )

    def _rate(self) -> float | None:
        """Documents a second of the last stretch; None while nothing can be said."""
        now = self._now()
        self._stretch.append((now, self._handled))
        while len(self._stretch) > 2 and now - self._stretch[1][0] > _PACE_S:  # noqa: PLR2004 - two make a stretch
            self._stretch.popleft()
        began, before = self._stretch[0]
        return (self._handled - before) / (now - began) if now > began else None
