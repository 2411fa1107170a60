"""One seeded migration of a live index, with everything that may go wrong, and its checks.

Two operators' sidecars, a follower, writers, searchers and someone who reverts share one
simulated cluster. At every request of a sidecar it may be killed, frozen for longer than its
lease, or meet a fault of the network; primaries fail over at any time. The seed draws the way:
slots in the index, or new indexes behind the alias by which the application writes. In either
the operators may also wish for query encoders over the documents of another encoder.
"""

import hashlib
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from simulated_application import Application
from simulated_checks import Checks
from simulated_client import Network
from simulated_luck import Luck, draw_luck
from simulated_node import SimulatedNode
from simulated_schedule import Process, Schedule, Strand, Task, current
from simulated_shard import Shard
from simulated_target import (
    CONFIG,
    ENCODERS,
    INDEX,
    LEASE_TTL_S,
    NAME,
    QUERY_SIDE,
    config,
    follower,
    open_target,
    reindex,
    serving,
)
from simulated_threads import virtual_time
from simulated_watchdog import NAME as WATCHDOG
from simulated_watchdog import simulated_watchdogs

from desireline.connectors.errors import DesirelineError
from desireline.sidecar import lease as leases
from desireline.sidecar.cutover import revert
from desireline.sidecar.errors import BackfillError, RevertRefusedError
from desireline.sidecar.lease import hold_lease
from desireline.sidecar.on_request.reindexing import swap_back, tidy
from desireline.sidecar.target import Target
from desireline.sidecar.ways.choice import Wanted, Way

_START = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
_LIMIT = 300_000
_MOST_TRIES = 150
_MOST_UNPROVED = 8
_UNPROVED = ("not proved", "stable difference")
_QUERY_ALONE = {encoder.fingerprint for encoder in QUERY_SIDE}
#: Requests of one writer; a swap must happen while writes come in.
_WRITES: Mapping[Way, tuple[int, ...]] = {"slot": (10, 40), "index": (20, 60, 150)}
#: A request that is struck may take this long to be answered or given up.
_STRUCK_S = 35.0
#: Until somebody starts a sidecar again, and it gets the lease.
_UNATTENDED_S = 120.0


class WishNotMetError(DesirelineError):
    """The operator must ask again."""


class Migration:
    """One seed from the first write to the last check."""

    def __init__(self, seed: int, tender: str = "", way: Way | None = None) -> None:
        """Draw everything from the seed.

        Args:
            seed: names the migration.
            tender: requests at which freezes are a certainty.
            way: only this one; left out, the seed draws slots or indexes. With `query` it does,
                too, and there are wishes for query encoders.

        """
        self.seed = seed
        drawn: Way = random.Random(f"way {seed}").choice(("slot", "index"))
        self.way: Way = drawn if way in {None, "query"} else way
        #: Whether query encoders are wished for, too.
        self.queries = way == "query"
        self.rng = random.Random(seed)
        random.seed(seed)  # back-off draws its jitter from the module
        self.schedule = Schedule(self.rng)
        self.node = SimulatedNode(lambda: self.schedule.now, self.rng)
        self.network = Network(self.node, self.schedule, self.rng, self._meddle)
        self.checks = Checks(self.node)
        self.luck = draw_luck(self.rng, self.way)
        if tender:
            self.luck = Luck(re.compile(tender), 0, 3, 0, 0, 0.005)
        self._rivals = bool(tender)
        self.calm = True
        self.fulfilled = 0
        self.unproved = 0
        self.events: list[str] = []
        self.settings = CONFIG

    def run(self) -> "Migration":
        """Do all of it. Raises AssertionError at a violation, naming the seed."""
        try:
            with virtual_time(), _owners(), simulated_watchdogs(self.network):
                try:
                    self._begin()
                    self._turmoil()
                    self._end()
                finally:
                    self.schedule.abandon()
        except AssertionError as error:
            told = "; ".join(self.events[-12:])
            raise AssertionError(f"seed {self.seed}: {error} (luck {self.luck}; {told})") from error
        return self

    @property
    def digest(self) -> str:
        """The same for two runs of one seed."""
        story = f"{self.schedule.steps} {self.schedule.now:.6f} {self.events}"
        return hashlib.sha256(story.encode()).hexdigest()[:16]

    # The three acts.

    def _begin(self) -> None:
        rng = self.rng
        self.node.stalls = rng.choice((0.0, 0.1, 0.4) if self.way == "slot" else (0.0, 0.05, 0.2))
        shards = rng.choice((1, 2, 3))
        if self.way == "index":
            self._ask("PUT", f"/{INDEX}-v1", {**_mapping(shards), "aliases": {INDEX: {}}})
            self.settings = config(
                write_pause=rng.choice((1.0, 4.0, 12.0)), cut_over_tries=rng.choice((2, 10))
            )
        else:
            self._ask("PUT", f"/{INDEX}", _mapping(shards))
        self.application = Application(
            self.node,
            self.schedule,
            rng,
            INDEX,
            rng.choice((6, 12, 25)),
            numbers=self.way == "index" and rng.random() < 0.3,
        )
        self.application.fill()
        self._ask("POST", f"/{INDEX}/_refresh", None)
        if rng.random() < 0.7:
            wish, way = ENCODERS[0].fingerprint, self._draw_way()
            self._alone("setup", lambda target: self._reindex(target, wish, way))
        self.checks.names.pause_s = self.settings.swap.write_pause
        self.checks.begin(self.application)

    def _draw_way(self) -> Way:
        """Return the way of one wish: behind an alias slots may be written now and then, too."""
        if self.way == "index" and not self.application.numbers and self.rng.random() < 0.2:
            return "slot"
        return self.way

    def _turmoil(self) -> None:
        rng = self.rng
        spawn = self.schedule.spawn
        self.calm = False
        wishes = self._draw_wishes()
        for number, wish in enumerate(wishes):
            spawn(self._operator(f"sidecar-{number}", wish))
        pace_s = rng.choice((0.02, 0.1, 0.3))
        for _ in range(2):
            spawn(self.application.writer(rng.choice(_WRITES[self.way]), pace_s))
        spawn(self._follow())
        spawn(self._search())
        spawn(self._refresh())
        spawn(self._fail_over())
        if self.way == "index":
            spawn(self._tidy())
        elif rng.random() < 0.4:
            spawn(self._revert())
        self.schedule.run(lambda: self.fulfilled == len(wishes), limit=_LIMIT)
        assert self.fulfilled == len(wishes), "the re-embedding did not come to its end"
        spawn(self.application.writer(40, 0.1))
        if self.way == "index" and rng.random() < 0.6:
            self._back_and_forth(rng.choice((1, 2)))
            spawn(self.application.writer(40, 0.1))
        until = self.schedule.now + rng.uniform(1, 6)
        spawn(_sleep_until(self.schedule, until))
        self.schedule.run(lambda: self.schedule.now >= until, limit=_LIMIT)
        self.calm = self.application.quiet = True
        self.schedule.run(lambda: False, limit=_LIMIT)

    def _draw_wishes(self) -> list[str]:
        """Return an encoder for each operator: one or two of whole ones, or query encoders, too."""
        rng = self.rng
        whole = [ENCODERS[1].fingerprint]
        if rng.random() < 0.5 or self._rivals:
            whole.append(rng.choice(ENCODERS[1:]).fingerprint)
        if not self.queries:
            return whole
        several = rng.sample(QUERY_SIDE, rng.choice((1, 1, 2, 3)))
        return [*rng.choice((whole, whole[:1], [])), *(each.fingerprint for each in several)]

    def _back_and_forth(self, times: int) -> None:
        """Go back to the former index, and perhaps forth again, with writers at work."""
        for _ in range(times):
            done: list[str] = []
            self.schedule.spawn(self._revert_at_last(done))
            self.schedule.run(lambda done=done: bool(done), limit=_LIMIT)  # type: ignore[misc]
            assert done, "the revert did not come to its end"

    def _end(self) -> None:
        self._alone("last start", tidy)
        self._alone("last", self._follow_once)
        self._ask("POST", f"/{INDEX}/_refresh", None)
        self.checks.end(self._target("reader", 0.0), self.application)

    def _alone(self, name: str, work: Callable[[Target], None]) -> None:
        """Do something with nobody else there."""
        done: list[str] = []

        def until_done(target: Target) -> None:
            work(target)
            done.append(name)

        def again() -> Task:
            while not done:
                yield from self._life(name, lambda target: self._try(name, target, until_done))

        self.schedule.spawn(again())
        self.schedule.run(lambda: False, limit=_LIMIT)
        assert done, f"{name} did not come to its end"

    # Who takes part.

    def _target(self, name: str, skew_s: float) -> Target:
        def clock() -> datetime:
            return _START + timedelta(seconds=self.schedule.now + skew_s)

        return open_target(self.network, name, clock, self.settings)

    def _life(self, name: str, work: Callable[[Target], None]) -> Task:
        """One process from its start to its end or its death."""
        skew_s = self.rng.choice((0.0, 3600.0, -3600.0))
        target = self._target(name, skew_s)
        process = Process(name, self.schedule, skew_s)
        yield from process.strand(lambda: work(target)).task()

    def _operator(self, name: str, wish: str) -> Task:
        """Start the command again until the wish is fulfilled, as an operator would."""
        fulfilled: list[str] = []
        way: Wanted = "auto" if wish in _QUERY_ALONE else self._draw_way()

        def command(target: Target) -> None:
            live = target.generations.live()
            # Killed after the pointer was written: the wish is fulfilled already.
            if live is None or live.fingerprint != wish:
                self._reindex(target, wish, way)
            fulfilled.append(wish)

        for _ in range(_MOST_TRIES):
            yield from self._life(name, lambda target: self._try(name, target, command))
            if fulfilled:
                self.fulfilled += 1
                return
            yield self.rng.uniform(0.05, 3 * LEASE_TTL_S)
        raise AssertionError(f"{name} tried {_MOST_TRIES} times in vain")

    def _try(self, name: str, target: Target, work: Callable[[Target], None]) -> None:
        try:
            work(target)
        except DesirelineError as error:
            self._refused(name, error)

    def _refused(self, name: str, error: DesirelineError) -> None:
        """Note it; a proof that cannot be had while a write stalls is tried again."""
        refused = isinstance(error, BackfillError | RevertRefusedError)
        self.unproved += refused and any(words in str(error) for words in _UNPROVED)
        assert self.unproved < _MOST_UNPROVED, f"8: the proof fails again and again: {error}"
        self._tell(name, f"{type(error).__name__}: {error}")

    def _reindex(self, target: Target, fingerprint: str, way: Wanted) -> None:
        """Raises WishNotMetError where only what a dead run had begun was finished."""
        self._tell("the operator:", reindex(target, fingerprint, way))
        live = target.generations.live()
        if self.way == "index" and (live is None or live.fingerprint != fingerprint):
            raise WishNotMetError("another generation is live by now")

    def _follow(self) -> Task:
        while not self.calm:
            yield from self._life(
                "follower", lambda target: self._try("follower", target, self._follow_on)
            )
            yield self.rng.uniform(0.1, LEASE_TTL_S)

    def _follow_on(self, target: Target) -> None:
        with hold_lease(target.store, f"{NAME} follower", ttl_s=LEASE_TTL_S) as lease:
            follows = follower(target)
            while not self.calm:
                lease.check()
                follows.follow_once(lease)
                time.sleep(self.rng.uniform(0.2, 1.0))

    @staticmethod
    def _follow_once(target: Target) -> None:
        with hold_lease(target.store, f"{NAME} last round", ttl_s=LEASE_TTL_S) as lease:
            follower(target).follow_once(lease)

    def _search(self) -> Task:
        yield from self._life("searcher", self._search_on)

    def _search_on(self, target: Target) -> None:
        serves = serving(target)
        while not self.calm:
            time.sleep(self.rng.expovariate(10))
            live = serves.refresh()
            if live is None:
                continue
            self.checks.searching(live)
            try:
                live.search(target.engine, "nurse", 1000)
            except DesirelineError as error:
                if self.checks.is_kept(live):
                    raise AssertionError(f"9: a search failed: {error}") from error

    def _tidy(self) -> Task:
        """Look after what dead runs left, as a server does beside its follower."""
        while not self.calm:
            yield self.rng.uniform(2, 15)
            yield from self._life("tidier", lambda target: self._try("tidier", target, tidy))

    def _revert_at_last(self, done: list[str]) -> Task:
        """Try to go back to the former index until it is done, or there is none."""

        def back(target: Target) -> None:
            try:
                done.append(swap_back(target).sentence)
            except RevertRefusedError as error:
                if "stable difference" in str(error):
                    raise
                done.append(str(error))

        for _ in range(_MOST_TRIES):
            yield self.rng.uniform(0.05, 2 * LEASE_TTL_S)
            yield from self._life("reverter", lambda target: self._try("reverter", target, back))
            if done:
                self._tell("the operator:", done[0])
                return

    def _revert(self) -> Task:
        yield self.rng.uniform(0.5, 20)
        yield from self._life(
            "reverter", lambda target: self._try("reverter", target, self._revert_now)
        )

    def _revert_now(self, target: Target) -> None:
        swapped = revert(target.generations, reason="simulated", clock=target.clock)
        self._tell("reverter", swapped.sentence)

    def _refresh(self) -> Task:
        """Refresh now and then one copy of one shard, as each copy does on its own."""
        while not self.calm:
            yield self.rng.expovariate(4)
            self.checks.names.look_at_clock()
            shard = self._any_shard()
            self.rng.choice((shard.primary, shard.replica)).refresh()

    def _fail_over(self) -> Task:
        while not self.calm and self.luck.failovers:
            yield self.rng.expovariate(0.3)
            self.luck.failovers -= 1
            self._any_shard().fail_over(self.rng)
            self._tell("a primary", "failed over")

    def _any_shard(self) -> Shard:
        return self.rng.choice(self.rng.choice(list(self.node.indexes.values())).shards)

    # What goes wrong.

    def _meddle(self, strand: Strand, method: str, path: str) -> str:
        process = strand.process
        if self.calm or process.name == "searcher":
            return ""
        rng, luck = self.rng, self.luck
        rate = 0.3 if luck.tender.fullmatch(f"{method} {path}") else luck.rate
        draw = rng.random()
        mortal = not process.name.startswith(WATCHDOG)
        if draw < rate / 3 and mortal and luck.kills and rng.random() < 0.5:
            luck.kills -= 1
            self._kill(process, f"before {method} {path}")
        elif draw < rate * 2 / 3 and mortal and luck.freezes and rng.random() < 0.5:
            luck.freezes -= 1
            frozen_s = rng.uniform(0.3, 6) * LEASE_TTL_S
            process.frozen_until = self.schedule.now + frozen_s
            self._tell(process.name, f"frozen {frozen_s:.1f} s before {method} {path}")
        elif draw < rate and luck.faults:
            luck.faults -= 1
            self.checks.names.excuse(_STRUCK_S)
            return rng.choice(("busy", "unavailable", "reset before", "answer lost", "timeout"))
        # Where it is killed or frozen, it is here: nothing was sent yet.
        strand.want(None)
        return ""

    def _kill(self, process: Process, where: str) -> None:
        """Kill one process, or its whole machine with the watchdog on it."""
        process.dead = True
        machine = bool(process.children) and self.rng.random() < 0.3
        self._tell(process.name, f"killed{' with its machine' if machine else ''} {where}")
        if machine:
            self.checks.names.excuse(_UNATTENDED_S)
            for child in process.children:
                child.dead = True

    # Words.

    def _tell(self, who: str, what: str) -> None:
        self.events.append(f"{self.schedule.now:.2f} {who} {what}")

    def _ask(self, method: str, path: str, body: Any) -> None:
        for _ in self.node.request(method, path, {}, body):
            pass


def _sleep_until(schedule: Schedule, until: float) -> Task:
    yield until - schedule.now


def _mapping(shards: int) -> dict[str, Any]:
    kinds = {"title": "text", "description": "text", "level": "long"}
    return {
        "settings": {"index.knn": True, "number_of_shards": shards},
        "mappings": {"properties": {name: {"type": kind} for name, kind in kinds.items()}},
    }


@contextmanager
def _owners() -> Iterator[None]:
    """Let every process stand on a host of its own: none can look whether another lives."""
    real = leases._myself

    def myself() -> dict[str, Any]:
        strand = current()
        if strand is None:
            return real()
        return {"host": strand.process.name, "pid": 1, "started": "", "holder": ""}

    leases._myself = myself
    try:
        yield
    finally:
        leases._myself = real
