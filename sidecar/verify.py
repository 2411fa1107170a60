"""Proof that every document carries its generation: before each cut-over, and whenever asked.

The enumeration here is its own, apart from the backfill's. Of every document the stamp is compared
with the digest of its present text and the vector with the check of what was written; a sample is
encoded again. What differs is looked at once more, after what the application wrote meanwhile
was caught up: only what still differs, unchanged, is a difference. One blocks the cut-over.

Memory is bounded: a page of documents, the differing ones up to a limit, a batch of the sample.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from desireline.connectors.documents import Document, TextTemplate, Version
from desireline.connectors.search_engine import Coverage, Fence, Read, SearchEngine
from desireline.connectors.state_store import StateStore
from desireline.sidecar.catchup import catch_up
from desireline.sidecar.generations import Generation
from desireline.sidecar.lease import highest_fencing
from desireline.sidecar.proof.document_checks import Expected, PageChecks
from desireline.sidecar.proof.reencoding import Draw, Reencoder, Sample
from desireline.sidecar.proof.verification import Difference, Kind, Reencoded, Verification, counted
from desireline.sidecar.reports.reporting import Reporter, SilentReporter
from desireline.sidecar.writing.embedding_writer import EmbeddingWriter, failed_documents

_ROUNDS = 5
#: Between looks at what differs: longer than a write is stuck between its copies.
_PAUSES_S = (0.5, 1.0, 2.0, 4.0)
#: Differing documents kept for the second look; were there more, the rest is only counted.
_MOST_SUSPECTS = 10_000
#: What an edit of the application leaves behind until the document is embedded again.
_BY_AN_EDIT = frozenset({Kind.NO_STAMP, Kind.OTHER_TEXT})

Key = tuple[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A document that differed at the first look."""

    difference: Difference
    version: Version | None

    @property
    def key(self) -> Key:
        """An id may stand twice, under two routings."""
        return self.difference.document_id, self.difference.routing


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstLook:
    """One pass over every document."""

    documents: int
    coverage: Coverage
    suspects: tuple[Suspect, ...]
    #: Those that differed beyond the ones kept.
    more: int
    #: The engine's own count, where it is not the count of what came and nothing was written.
    miscounted: Difference | None
    without_check: int


def verify(
    engine: SearchEngine,
    store: StateStore,
    writer: EmbeddingWriter,
    since: Fence,
    *,
    sample: Sample | None = None,
    reporter: Reporter | None = None,
    sleep: Callable[[float], None] | None = None,
) -> Verification:
    """Catch up from `since`, then prove every document. Reads everything once more.

    With `sleep`, what differs is looked at again after pauses: a write that is stuck between
    primary and replica is seen by searches before any fence passes it, and is no difference.

    Raises:
        PartialReadError: a shard did not answer; nothing was proved.
        LeaseLostError, WriteBlockedError, EngineUnavailableError: as the catch-up.

    """
    generation = writer.generation
    proof = Proof(
        engine, store, generation, template=writer.template, sample=sample, reporter=reporter
    )
    fence = since
    stable: list[Difference] = []
    for _ in range(_ROUNDS):
        fence = catch_up(engine, generation.index, fence, [writer]).fence
        look = proof.first_look()
        if not look.suspects:
            if look.miscounted is None or sleep is None:
                break
            sleep(_PAUSES_S[0])
            continue
        for pause_s in _PAUSES_S if sleep else (0.0,):
            fence = catch_up(engine, generation.index, fence, [writer]).fence
            stable = proof.second_look(look.suspects)
            if sleep is None or len(stable) == len(proof.failed(stable)):
                break
            sleep(pause_s)
        failed = proof.failed(stable)
        if len(stable) > len(failed) or len(stable) == len(look.suspects):
            break
    return proof.report(look, stable, fence)


def inspect(
    engine: SearchEngine,
    store: StateStore,
    generation: Generation,
    template: TextTemplate,
    *,
    sample: Sample | None = None,
    reporter: Reporter | None = None,
) -> Verification:
    """Prove a generation as it stands and write nothing.

    A document that the application wrote after the generation's fence waits for the follower and
    is no difference as long as an edit explains what was found.

    Raises:
        PartialReadError: a shard did not answer; nothing was proved.

    """
    proof = Proof(engine, store, generation, template=template, sample=sample, reporter=reporter)
    look = proof.first_look()
    stable = proof.second_look(look.suspects)
    edited = proof.written_since(generation.fence, stable)
    kept = [each for each in stable if _key(each) not in edited]
    return proof.report(look, kept, generation.fence, waiting=len(stable) - len(kept))


class Proof:
    """One generation under proof."""

    def __init__(
        self,
        engine: SearchEngine,
        store: StateStore,
        generation: Generation,
        *,
        template: TextTemplate,
        sample: Sample | None,
        reporter: Reporter | None,
    ) -> None:
        self._engine = engine
        self._store = store
        self._generation = generation
        self._sample = sample
        self._reporter = reporter or SilentReporter()
        self._expected = Expected(
            slot=generation.vector_slot,
            generation=generation.stamp_number,
            template=template,
            last_fencing=highest_fencing(store, generation.target),
        )
        self._reencoder = (
            None if sample is None else Reencoder(sample.encoder, template, generation.slot)
        )

    def first_look(self) -> FirstLook:
        """Enumerate every document and keep those that differ."""
        index = self._generation.index
        fence = self._engine.fence(index)
        total = self._engine.describe(index).documents
        checks = PageChecks(self._expected)
        draw = self._draw(total)
        kept: list[Suspect] = []
        done = more = 0
        for documents in self._engine.enumerate(index, self._expected.read):
            found = self._differences(checks, documents, draw)
            room = _MOST_SUSPECTS - len(kept)
            kept += found[:room]
            more += len(found[room:])
            done += len(documents)
            self._reporter.progress("verify", done, max(total, done), slot=self._generation.slot)
        coverage = self._engine.coverage(
            index, self._generation.slot, self._generation.stamp_number
        )
        quiet = self._engine.fence(index, beyond=fence) == fence
        return FirstLook(
            documents=done,
            coverage=coverage,
            suspects=tuple(kept),
            more=more,
            miscounted=_miscounted(done, coverage) if quiet else None,
            without_check=checks.without_check,
        )

    def _draw(self, total: int) -> Draw | None:
        if self._sample is None:
            return None
        return Draw(size=self._sample.size, seed=self._sample.seed, total=total)

    def _differences(
        self, checks: PageChecks, documents: list[Document], draw: Draw | None
    ) -> list[Suspect]:
        found = list(checks.differences(documents))
        if draw is not None:
            wrong = {_key(difference) for difference in found}
            drawn = [d for d in draw.of(documents) if (d.document_id, d.routing) not in wrong]
            found += self._encoded_again(drawn)
        versions = {(d.document_id, d.routing): d.version for d in documents}
        return [Suspect(difference=each, version=versions[_key(each)]) for each in found]

    def _encoded_again(self, documents: list[Document]) -> list[Difference]:
        return self._reencoder.differences(documents) if self._reencoder else []

    def second_look(self, suspects: Collection[Suspect]) -> list[Difference]:
        """Return those that differ still and were not written since the first look."""
        # An owner may have begun since the first look: its stamps are no forgeries.
        last = highest_fencing(self._store, self._generation.target)
        self._expected = replace(self._expected, last_fencing=last)
        before = {suspect.key: suspect.version for suspect in suspects}
        sampled = {s.key for s in suspects if s.difference.kind is Kind.OTHER_ENCODER}
        wanted = [
            Document(document_id=document_id, routing=routing, fields={})
            for document_id, routing in before
        ]
        stable: list[Difference] = []
        size = self._expected.read.batch_size
        for start in range(0, len(wanted), size):
            page = self._engine.fetch(
                self._generation.index, wanted[start : start + size], self._expected.read
            )
            same = [d for d in page if d.version == before.get((d.document_id, d.routing))]
            stable += PageChecks(self._expected).differences(same)
            stable += self._encoded_again(
                [d for d in same if (d.document_id, d.routing) in sampled]
            )
        return list({_key(difference): difference for difference in stable}.values())

    def failed(self, differences: Iterable[Difference]) -> set[str]:
        """Return the documents among these that stand on the list of failed documents."""
        ids = {difference.document_id for difference in differences}
        return failed_documents(self._store, self._generation).keys() & ids if ids else set()

    def written_since(self, fence: Fence, differences: Collection[Difference]) -> set[Key]:
        """Return the documents among these that an edit after the fence explains."""
        explained = {_key(each) for each in differences if each.kind in _BY_AN_EDIT}
        if not explained:
            return set()
        index = self._generation.index
        pages = self._engine.changes(index, fence, self._engine.fence(index), Read())
        written = ((d.document_id, d.routing) for documents in pages for d in documents)
        return {key for key in written if key in explained}

    def report(
        self,
        look: FirstLook,
        stable: Collection[Difference],
        fence: Fence,
        *,
        waiting: int = 0,
    ) -> Verification:
        """Say what was found."""
        generation, failed = self._generation, self.failed(stable)
        found = [each for each in stable if each.document_id not in failed]
        if look.miscounted is not None:
            found.append(look.miscounted)
        kinds, examples = counted(found)
        return Verification(
            generation=generation.number,
            index=generation.index,
            slot=generation.slot,
            documents=look.coverage.documents,
            stamped=look.coverage.stamped,
            kinds=kinds,
            examples=examples,
            not_looked_at_again=look.more,
            waiting=waiting,
            without_check=look.without_check,
            reencoded=self._reencoder.report if self._reencoder else Reencoded(),
            failed=len(failed),
            fence=fence,
        )


def _miscounted(came: int, coverage: Coverage) -> Difference | None:
    if came == coverage.documents:
        return None
    kind = Kind.MISSING if came < coverage.documents else Kind.UNWANTED
    told = f"{came:,} were enumerated, the index counts {coverage.documents:,}"
    return Difference(document_id="", kind=kind, detail=told)


def _key(difference: Difference) -> Key:
    return difference.document_id, difference.routing
