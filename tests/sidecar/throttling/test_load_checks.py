"""Every reason stops writing by itself, says its figure and its limit, and does not flap."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desireline.connectors.engine_load import DiskSpace, EngineLoad, NodeLoad
from desireline.connectors.errors import EngineUnavailableError
from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.configuration.throttle import ThrottleConfig
from desireline.sidecar.errors import SidecarError
from desireline.sidecar.lease import Lease
from desireline.sidecar.throttling.load_checks import load_checks
from desireline.sidecar.throttling.load_limits import Ceiling, RefusalCheck
from desireline.sidecar.throttling.load_watch import LoadWatch
from desireline.sidecar.throttling.search_probe import SearchProbe
from desireline.sidecar.throttling.throttle import Throttle

GB = 10**9
CALM = EngineLoad(
    nodes=tuple(
        NodeLoad(
            name=name,
            cpu=0.2,
            heap=0.3,
            heap_bytes=4 * GB,
            breakers={"parent": 0.2, "request": 0.0},
            disk=DiskSpace(total_bytes=100 * GB, available_bytes=60 * GB, floor_bytes=15 * GB),
            graph_bytes=GB,
            graph_limit_bytes=10 * GB,
        )
        for name in ("n1", "n2")
    ),
    refused={"searches rejected by n1": 3, "writes rejected by n2": 0},
)


@dataclass
class Cluster:
    """A run on a cluster whose figures, clock and searches the test turns."""

    folder: Path
    now: float = 0.0
    load: EngineLoad | Exception = CALM
    search_s: float = 0.01
    address: str = ""
    left_bytes: int = 0
    slept: int = 0
    #: How much longer ago the lease seems to have been renewed.
    silence_s: float = 0.0
    then: list[Callable[[], None]] = field(default_factory=list)

    def start(self, **config: object) -> Throttle:
        said = {"flag_file": self.folder / "flag", "probe_url": "https://h.example.org", **config}
        self.config = ThrottleConfig.model_validate(said)
        self.probe = SearchProbe(self._search, floor_s=0.001, monotonic=self.monotonic)
        self.probe.measure_baseline()
        self.watch = LoadWatch(
            measure=self._measure, probe=self.probe, ask=self._ask, monotonic=self.monotonic
        )
        self.watch.look()
        store = MemoryStore()
        record = store.put("lease", "jobs", {"owner": {}, "fencing": 1, "beat": 0}, expected=None)
        self.lease = Lease(store, record, 60, monotonic=lambda: self.now + self.silence_s)
        self.told: list[str] = []
        self.throttle = Throttle(
            load_checks(
                self.config,
                self.watch,
                lease=self.lease,
                left_bytes=lambda: self.left_bytes,
                monotonic=self.monotonic,
            ),
            told=self.told.append,
            sleep=self._sleep,
            monotonic=self.monotonic,
        )
        return self.throttle

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.watch.look()

    def node(self, **figures: object) -> None:
        """Change the second node."""
        first, second = CALM.nodes
        self.load = replace(CALM, nodes=(first, replace(second, **figures)))

    def monotonic(self) -> float:
        return self.now

    def _search(self) -> None:
        self.now += self.search_s

    def _measure(self) -> EngineLoad:
        if isinstance(self.load, Exception):
            raise self.load
        return self.load

    def _ask(self) -> None:
        if self.address:
            raise SidecarError(self.address)

    def _sleep(self, seconds: float) -> None:
        """The wait goes on while somebody measures; the cause ends after a minute."""
        self.now += seconds
        self.slept += 1
        if self.slept == 20:
            for happen in self.then:
                happen()
        self.lease.beat()
        self.watch.look()
        assert self.slept < 500, "it waits for ever"


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(folder=tmp_path)


def _calm(cluster: Cluster) -> None:
    cluster.load, cluster.search_s, cluster.address = CALM, 0.01, ""
    cluster.left_bytes = 0
    (cluster.folder / "flag").unlink(missing_ok=True)


def _slow_searches(cluster: Cluster) -> None:
    cluster.search_s = 0.02
    cluster.look(7)


def _rejections(cluster: Cluster) -> None:
    cluster.load = replace(CALM, refused={**(CALM.refused or {}), "writes rejected by n2": 2})


CAUSES: dict[str, tuple[Callable[[Cluster], object], tuple[str, ...]]] = {
    "cpu": (lambda c: c.node(cpu=0.91), ("n2", "91%", "85%", "cluster")),
    "heap": (lambda c: c.node(heap=0.93), ("n2", "93%", "85%", "cluster")),
    "breaker": (
        lambda c: c.node(breakers={"parent": 0.7}),
        ("n2", "70%", "parent", "60%", "cluster"),
    ),
    "graphs": (lambda c: c.node(graph_bytes=8 * GB), ("n2", "80%", "k-NN", "60%", "cluster")),
    "tripped": (
        lambda c: setattr(c, "load", replace(CALM, graph_breaker_tripped=True)),
        ("k-NN circuit breaker", "cluster"),
    ),
    "rejections": (_rejections, ("2 writes rejected by n2", "5 s", "cluster")),
    "disk": (
        lambda c: c.node(
            disk=DiskSpace(total_bytes=100 * GB, available_bytes=10 * GB, floor_bytes=15 * GB)
        ),
        ("n2", "90.0 GB", "85.0 GB", "engine"),
    ),
    "what is still to come": (
        lambda c: setattr(c, "left_bytes", 46 * GB),
        ("n1", "40.0 GB used", "46.0 GB to come", "85.0 GB"),
    ),
    "searches": (_slow_searches, ("20 ms (p99)", "15 ms", "1.5 times", "probes")),
    "flag file": (lambda c: (c.folder / "flag").touch(), ("flag", "throttle.flag_file")),
    "address": (lambda c: setattr(c, "address", "it answered 503"), ("probe_url", "503")),
    "heartbeat": (lambda c: setattr(c, "silence_s", 35), ("58%", "50%", "our own heartbeat")),
    "no answer": (
        lambda c: setattr(c, "load", EngineUnavailableError("no answer from n1")),
        ("no answer from n1",),
    ),
    "a silent node": (
        lambda c: setattr(c, "load", replace(CALM, silent_nodes=1)),
        ("do not say how loaded they are: 1",),
    ),
}

#: Looks away until a cause ends by itself; all others end when the cluster is calm again.
ENDS_AFTER = {"heartbeat": 1, "rejections": 10}


@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_alone_stops_the_next_batch_and_its_end_lets_it_go(
    cluster: Cluster, cause: str
) -> None:
    """Invariant 21."""
    throttle = cluster.start()
    throttle.wait(cluster.lease, 10)
    assert cluster.slept == 0
    bring_about, words = CAUSES[cause]
    bring_about(cluster)
    cluster.look()
    (reason,) = throttle.reasons()
    for word in words:
        assert word in reason
    cluster.then.append(lambda: _calm(cluster))
    throttle.wait(cluster.lease, 10)
    assert cluster.slept >= ENDS_AFTER.get(cause, 20)
    assert cluster.told[0].startswith(reason.split(",")[0][:12])
    assert cluster.told[-1] == ""


def test_a_watch_that_is_stuck_is_a_reason(cluster: Cluster) -> None:
    throttle = cluster.start()
    cluster.now += 11
    assert "the newest measurement is 11 s old" in throttle.reasons()[0]
    cluster.look()
    assert throttle.reasons() == ()


OFF = {
    "cpu": "cpu",
    "heap": "heap",
    "breaker": "breaker",
    "graphs": "breaker",
    "tripped": "breaker",
    "rejections": "rejections",
    "disk": "disk",
    "what is still to come": "disk",
    "searches": "search_ratio",
    "heartbeat": "heartbeat",
}


@pytest.mark.parametrize("cause", OFF)
def test_a_reason_that_is_off_never_holds(cluster: Cluster, cause: str) -> None:
    throttle = cluster.start(**{OFF[cause]: "off"})
    CAUSES[cause][0](cluster)
    cluster.look()
    assert throttle.reasons() == ()


def test_a_search_that_fails_is_a_reason_until_one_is_answered(cluster: Cluster) -> None:
    throttle = cluster.start()
    cluster.probe._search = _failing
    cluster.look()
    assert throttle.reasons() == ("a live search is not answered: too busy (seen by our probes)",)
    cluster.probe._search = cluster._search
    cluster.look()
    assert throttle.reasons() == ()


def _failing() -> object:
    raise EngineUnavailableError("too busy")


def test_one_slow_search_of_a_hundred_stops_nothing(cluster: Cluster) -> None:
    throttle = cluster.start()
    cluster.look(33)
    cluster.search_s = 5.0
    cluster.probe.ask()
    cluster.search_s = 0.01
    assert throttle.reasons() == ()


def test_after_slow_searches_only_what_comes_then_counts(cluster: Cluster) -> None:
    throttle = cluster.start()
    cluster.look(30)
    _slow_searches(cluster)
    assert throttle.reasons()
    cluster.search_s = 0.01
    cluster.look(2)
    assert throttle.reasons() == (), "six quick searches after the wait began"


def test_an_absolute_limit_of_searches_needs_no_baseline(cluster: Cluster) -> None:
    throttle = cluster.start(search_ratio="off", search_p99="15ms")
    _slow_searches(cluster)
    assert "the limit is 15 ms by the configuration" in throttle.reasons()[0]


@pytest.mark.parametrize(
    ("field_name", "value", "unknown"),
    [
        ("cpu", 0.85, {"cpu": None}),
        ("heap", 0.85, {"heap": None}),
        ("breaker", 0.6, {"breakers": {}, "graph_bytes": None}),
        ("disk", 1.0, {"disk": None}),
    ],
)
def test_what_cannot_be_measured_is_a_reason_only_where_the_user_named_it(
    cluster: Cluster, field_name: str, value: float, unknown: dict[str, object]
) -> None:
    nodes = tuple(replace(node, **unknown) for node in CALM.nodes)  # type: ignore[arg-type]
    cluster.load = replace(CALM, nodes=nodes, missing=("nodes/stats is not allowed",))
    assert cluster.start().reasons() == ()
    assert "nobody can measure" in cluster.start(**{field_name: value}).reasons()[0]


def test_counters_nobody_shows_are_a_reason_only_where_the_user_named_them(
    cluster: Cluster,
) -> None:
    cluster.load = replace(CALM, refused=None)
    assert cluster.start().reasons() == ()
    assert "nobody can count them" in cluster.start(rejections="5s").reasons()[0]


def test_a_node_that_joins_or_restarts_has_refused_nothing_new(cluster: Cluster) -> None:
    throttle = cluster.start()
    cluster.load = replace(CALM, refused={"writes rejected by n3": 70, "writes rejected by n2": 0})
    cluster.look()
    assert throttle.reasons() == ()
    cluster.load = replace(CALM, refused={"writes rejected by n3": 0})
    cluster.look()
    assert throttle.reasons() == ()
    cluster.load = replace(CALM, refused={"writes rejected by n3": 1})
    cluster.look()
    assert "1 writes rejected by n3" in throttle.reasons()[0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=200), st.floats(0.1, 1))
def test_a_ceiling_never_changes_its_mind_between_ninety_percent_and_the_limit(
    figures: list[float], limit: float
) -> None:
    ceiling, held = Ceiling(limit), False
    for figure in figures:
        holds = ceiling.holds(figure)
        if figure > limit:
            assert holds
        elif figure < 0.9 * limit:
            assert not holds
        else:
            assert holds is held
        held = holds


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.01, 4)), max_size=60))
def test_refusals_hold_a_run_for_just_their_quiet_time_after_the_last(
    rises: list[tuple[int, float]],
) -> None:
    now, count, last = 0.0, 0, float("-inf")
    watch = LoadWatch(measure=lambda: replace(CALM, refused={"writes rejected by n1": count}))
    watch.look()
    check = RefusalCheck(watch, 5.0, required=False, monotonic=lambda: now)
    for rise, passes in rises:
        now, count = now + passes, count + rise
        watch.look()
        last = now if rise else last
        assert (check() is not None) is (now < last + 5.0)
