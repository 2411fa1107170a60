"""Keeps the live slot and, during the hold, the retained one fresh.

Application writes become vectors within one round. Generations that share their vectors are
followed once, by the live one of them, and their fences move together: whichever a revert brings
back, it has missed nothing. Restarting costs nothing: the fence of
each generation is in its record. Slots of one index are served by one read of its changes, and a
round in which nothing was written does not refresh the index.

Every change is looked at again some minutes later. A primary that dies takes along what no other
copy had: such a write can hide an older, acknowledged one from the round that should have read
it, and when it is gone no fence stands before the older one any more.

How old a write is when its vector is written cannot be read from the document. It is bounded: what
a round finds was written after the fence of the round before it was taken. That bound is told, so
the staleness that is shown is never too good. The first round after a start has no such bound.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from desireline.connectors.errors import ConnectorError, DesirelineError
from desireline.connectors.search_engine import Fence, SearchEngine
from desireline.sidecar.catchup import catch_up
from desireline.sidecar.errors import GivenAwayError, LeaseLostError
from desireline.sidecar.generations import Generation, Generations, State
from desireline.sidecar.lease import Lease
from desireline.sidecar.writing.embedding_writer import EmbeddingWriter

log = structlog.get_logger(__name__)

WriterFor = Callable[[Generation, Lease], EmbeddingWriter]

#: Between two looks at which index the target's name stands for.
_NAME_LOOK_S = 10.0
#: Between two looks back, each at what was written since the look before the last. A write that no
#: other copy has is given up by its primary, or the primary by the cluster, long before.
_LOOK_BACK_S = 300.0


def _tell_nobody(_target: str, _documents: int, _seconds: float) -> None:
    """Keep the age of embedded writes to oneself."""


class Follower:
    """Follows the application's writes on one target."""

    def __init__(
        self,
        *,
        engine: SearchEngine,
        generations: Generations,
        writer_for: WriterFor,
        clock: Callable[[], datetime],
        caught_up: Callable[[str, int, float], None],
        embedded: Callable[[str, int, float], None] = _tell_nobody,
        index: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._generations = generations
        self._writer_for = writer_for
        self._clock = clock
        #: Told target, refreshed slots and how old a write may be that is not embedded yet.
        self._caught_up = caught_up
        #: Told target, documents embedded for the live slot, and how old their writes were at most.
        self._embedded = embedded
        #: The index or alias that the application uses.
        self._name = index
        self._monotonic = monotonic
        self._fresh_as_of = monotonic()
        #: When the fence of each index was last taken.
        self._fenced_at: dict[str, float] = {}
        #: When each index was last looked back over, and how far everything was fresh then.
        self._looks_back: dict[str, deque[tuple[float, Fence]]] = {}
        self._named_at = -_NAME_LOOK_S
        self._said: dict[str, str] = {}

    @property
    def notices(self) -> tuple[str, ...]:
        """What the operator should know, one sentence each; empty when all is well."""
        return tuple(self._said.values())

    def follow_once(self, lease: Lease) -> int:
        """Bring live and retained slots up to now; return how many were refreshed.

        Raises:
            LeaseLostError: another process follows this target.
            ConnectorError: the live slot was not brought up to now.

        """
        began = self._monotonic()
        generations = self._generations.reconcile(self._clock())
        live = [g for g in generations if g.state is State.LIVE]
        retained = [g for g in generations if g.state is State.RETAINED]
        refreshed = 0
        for index in dict.fromkeys(g.index for g in [*live, *retained]):
            together = [g for g in [*live, *retained] if g.index == index]
            if any(g.state is State.LIVE for g in together):
                refreshed += self._follow(index, together, lease)
                self._fresh_as_of = began
            else:
                refreshed += self._follow_retained(index, together, lease)
        self._tell(refreshed)
        for generation in live:
            self._look_at_name(generation, began)
        return refreshed

    def run(self, lease: Lease, stop: threading.Event, *, every_s: float) -> None:
        """Follow until told to stop; a failing round is logged and tried again.

        A round that only a swap overtook is no failure: the next one follows at once.
        """
        delay_s = every_s
        while not stop.wait(delay_s):
            lease.check()
            try:
                self.follow_once(lease)
                delay_s = every_s
            except GivenAwayError:
                delay_s = 0.0
            except DesirelineError as error:
                delay_s = min(max(delay_s, every_s) * 2, 60.0)
                self._tell(0)
                log.warning(
                    "follower round failed; it will be tried again",
                    target=self._generations.target,
                    reason=str(error),
                    in_s=delay_s,
                )

    def _tell(self, refreshed: int) -> None:
        age_s = self._monotonic() - self._fresh_as_of
        self._caught_up(self._generations.target, refreshed, age_s)

    def _follow(self, index: str, generations: Sequence[Generation], lease: Lease) -> int:
        since = self._look_from(index, _common([g.fence for g in generations]))
        fenced_at = self._monotonic()
        until = self._engine.fence(index, beyond=since)
        self._make_ready(index, generations, until)
        followed = _one_of_each(generations)
        writers = [self._writer_for(generation, lease) for generation in followed]
        round_ = catch_up(
            self._engine,
            index,
            since,
            writers,
            until=until,
            before_write=lambda: self._require_followed(followed),
        )
        for generation in generations:
            if round_.fence.to_json() != generation.caught_up:
                self._generations.change(generation, caught_up=round_.fence.to_json())
        before = self._fenced_at.get(index)
        self._fenced_at[index] = fenced_at
        for generation, documents in zip(followed, round_.refreshed_by, strict=True):
            if generation.state is State.LIVE and documents and before is not None:
                age_s = self._monotonic() - before
                self._embedded(self._generations.target, documents, age_s)
        return round_.refreshed

    def _look_from(self, index: str, since: Fence) -> Fence:
        """Return where this round begins: where the last one ended, or now and then before it."""
        now = self._monotonic()
        looks = self._looks_back.setdefault(index, deque([(now, since)], maxlen=2))
        if now - looks[-1][0] < _LOOK_BACK_S:
            return since
        _, before = looks[0]
        looks.append((now, since))
        return _common([before, since])

    def _require_followed(self, generations: Sequence[Generation]) -> None:
        """See that no slot was given away while this round waited for the engine.

        Asked after a read: what was read while the slot was still followed, whoever builds on it
        next writes too, and then the guard of a late write of ours loses.
        """
        found = self._generations.pointer()
        followed = set() if found is None else {found[0].generation, found[0].previous}
        gone = [
            generation.number for generation in generations if generation.number not in followed
        ]
        if gone:
            raise GivenAwayError(
                f"generation {gone[0]} is neither live nor retained any more; nothing was written"
                " for it, and the next round follows what is"
            )

    def _follow_retained(self, index: str, generations: Sequence[Generation], lease: Lease) -> int:
        """Follow an index that is only kept for a revert: its failure is told, and no more."""
        try:
            refreshed = self._follow(index, generations, lease)
        except LeaseLostError:
            raise
        except DesirelineError as error:
            self._say(index, f"the retained generation in {index} is not kept fresh: {error}")
            return 0
        self._say(index, "")
        return refreshed

    def _make_ready(self, index: str, generations: Sequence[Generation], until: Fence) -> None:
        """Prepare the slots of an index that was deleted and made again under its old name."""
        for generation in generations:
            known = generation.fence.positions
            if known and not known.keys() & until.positions.keys():
                self._engine.prepare_slot(index, generation.vector_slot)
                log.warning(
                    "the index was made again; all its documents are embedded anew",
                    target=self._generations.target,
                    index=index,
                    generation=generation.number,
                )

    def _look_at_name(self, live: Generation, now: float) -> None:
        """See now and then whether the name still stands for the index that is followed."""
        if self._name is None or now - self._named_at < _NAME_LOOK_S:
            return
        self._named_at = now
        try:
            found = self._engine.describe(self._name).index
        except ConnectorError as error:
            self._say("name", f"{self._name!r} cannot be looked at: {error}")
            return
        if found == live.index:
            self._say("name", "")
            return
        self._say(
            "name",
            f"{self._name!r} stands for {found} now, but generation {live.number} is in "
            f"{live.index}: what is written to {found} is not embedded and not searched by "
            f"meaning; `desireline reindex {self._generations.target}` embeds it",
        )

    def _say(self, about: str, sentence: str) -> None:
        """Tell a sentence once, until it is over."""
        if sentence and self._said.get(about) != sentence:
            log.warning(
                "something needs the operator", target=self._generations.target, reason=sentence
            )
        if sentence:
            self._said[about] = sentence
        else:
            self._said.pop(about, None)


def _one_of_each(generations: Sequence[Generation]) -> list[Generation]:
    """Return the first of those that share their vectors; the live one comes first."""
    found: dict[tuple[str, str, int], Generation] = {}
    for generation in generations:
        found.setdefault(generation.vectors, generation)
    return list(found.values())


def _common(fences: Sequence[Fence]) -> Fence:
    """Return the position that all have passed; a shard that one has not seen is not in it."""
    shards = set[str].intersection(*(set(fence.positions) for fence in fences))
    return Fence(
        positions={shard: min(fence.positions[shard] for fence in fences) for shard in shards}
    )
