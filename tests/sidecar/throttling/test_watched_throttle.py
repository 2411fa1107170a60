"""A run's throttle on real parts: an engine measured, a live slot probed, a lease, an address."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from desireline.connectors.engine_load import DiskSpace, EngineLoad, NodeLoad
from desireline.connectors.engines.lancedb import LanceDbEngine
from desireline.connectors.engines.memory import MemoryEngine
from desireline.connectors.engines.opensearch import OpenSearchEngine
from desireline.connectors.errors import EngineUnavailableError
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.connectors.search_engine import Read
from desireline.sidecar.backfill import backfill
from desireline.sidecar.configuration.throttle import ThrottleConfig
from desireline.sidecar.errors import RunCancelledError
from desireline.sidecar.generations import Generation
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.steering.controls import Control, Controls
from desireline.sidecar.throttling.throttle import Throttle
from desireline.sidecar.throttling.watched_throttle import watched_throttle

INDEX = "occupations"
GB = 10**9
CALM = EngineLoad(
    nodes=(
        NodeLoad(
            name="n1",
            cpu=0.2,
            heap=0.3,
            breakers={"parent": 0.2},
            disk=DiskSpace(total_bytes=100 * GB, available_bytes=60 * GB, floor_bytes=15 * GB),
        ),
    ),
    refused={"writes rejected by n1": 0},
)


class MeasuredEngine(MemoryEngine):
    """A memory engine whose load the test tells."""

    def __init__(self) -> None:
        super().__init__()
        self.told: EngineLoad | Exception = CALM
        self.looks = 0

    def load(self, index: str) -> EngineLoad:
        self.looks += 1
        if isinstance(self.told, Exception):
            raise self.told
        return self.told


def busy(**figures: object) -> EngineLoad:
    return replace(CALM, nodes=(replace(CALM.nodes[0], **figures),))  # type: ignore[arg-type]


class Backfill:
    """A real backfill of the world's index in batches of three, under a watched throttle."""

    def __init__(self, world: Any, engine: MemoryEngine, config: ThrottleConfig) -> None:
        world.engine = engine
        world.fill(30)
        self.world = world
        self.engine = engine
        self.lease = world.lease()
        self.controls = Controls(world.store, "jobs")
        self.config = config
        self.told: list[str] = []
        self.notes: list[str] = []
        self.before: dict[int, Callable[[], object]] = {}
        self.after_waits: dict[int, Callable[[], object]] = {}
        self.waits = 0
        self.let_through = 0

    def run(self, *, live: Generation | None = None) -> None:
        generation = self.world.begin(0, "embedding__a")
        self.generation = generation
        with watched_throttle(
            self.config,
            self.engine,
            index=INDEX,
            live=live,
            lease=self.lease,
            told=self.told.append,
            control=self.controls.read,
            note=self.notes.append,
            sleep=self._sleep,
        ) as throttle:
            backfill(
                self.engine,
                self.world.writer(generation, self.lease),
                batch_size=3,
                reporter=SilentReporter(),
                before_batch=lambda documents: self._before(throttle, documents),
            )

    def stamped(self) -> int:
        return self.engine.coverage(INDEX, "embedding__a", self.generation.number).stamped

    def _before(self, throttle: Throttle, documents: int) -> None:
        happen = self.before.pop(throttle.documents, None)
        if happen is not None:
            happen()
            self.stamped_then = self.stamped()
        throttle.wait(self.lease, documents)

    def _sleep(self, seconds: float) -> None:
        """Look at what was written meanwhile: nothing. The cause ends after three waits."""
        self.waits += 1
        assert self.stamped() == self.stamped_then, "a batch was written while it had to wait"
        if self.waits == 3:
            self.end()
        threading.Event().wait(0.05)
        assert self.waits < 2_000

    def end(self) -> None:
        """End every cause there is."""
        if isinstance(self.engine, MeasuredEngine):
            self.engine.told = CALM
        self.controls.resume(by="test")
        if self.config.flag_file is not None:
            self.config.flag_file.unlink(missing_ok=True)


def load(told: EngineLoad | Exception) -> Callable[[Backfill], object]:
    return lambda run: setattr(run.engine, "told", told)


CAUSES: dict[str, tuple[Callable[[Backfill], object], str]] = {
    "cpu": (load(busy(cpu=0.99)), "99% of its processors"),
    "heap": (load(busy(heap=0.99)), "99% of its heap"),
    "breaker": (load(busy(breakers={"parent": 0.8})), "80% of its parent circuit breaker"),
    "tripped": (load(replace(CALM, graph_breaker_tripped=True)), "k-NN circuit breaker"),
    "rejections": (load(replace(CALM, refused={"writes rejected by n1": 4})), "4 writes rejected"),
    "disk": (
        load(busy(disk=DiskSpace(total_bytes=GB, available_bytes=0, floor_bytes=GB // 10))),
        "the disk of n1",
    ),
    "no answer": (load(EngineUnavailableError("n1 is away")), "n1 is away"),
    "flag file": (lambda run: run.config.flag_file.touch(), "flag file"),  # type: ignore[union-attr]
    "operator": (lambda run: run.controls.pause(by="ann"), "the run was paused by ann"),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_a_backfill_stops_within_one_batch_of_each_cause_and_goes_on_after_it(
    world_with: Callable[..., Backfill], tmp_path: Path, cause: str
) -> None:
    """Invariant 21."""
    engine = MeasuredEngine()
    run = world_with(
        engine,
        check_every=0.2,
        rejections=0.3,
        flag_file=tmp_path / "flag",
    )
    bring_about, words = CAUSES[cause]

    def happen() -> None:
        bring_about(run)
        looks = engine.looks
        wait_until(lambda: cause in {"flag file", "operator"} or engine.looks >= looks + 2)

    run.before[9] = happen
    run.run()
    assert run.stamped_then == 9
    assert words in run.told[0]
    assert run.told[-1] == ""
    assert run.stamped() == 30


def wait_until(done: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if done():
            return
        threading.Event().wait(0.02)
    raise AssertionError("it never came")


@pytest.fixture
def world_with(world: Any) -> Callable[..., Backfill]:
    def make(engine: MemoryEngine, **config: object) -> Backfill:
        return Backfill(world, engine, ThrottleConfig.model_validate(config))

    return make


def test_a_cancelled_run_writes_no_further_batch(world_with: Callable[..., Backfill]) -> None:
    run = world_with(MeasuredEngine())
    run.controls.begin("run 1")
    run.before[12] = lambda: run.controls.cancel(by="ann")
    with pytest.raises(RunCancelledError):
        run.run()
    assert run.stamped() == 12


def test_an_engine_that_cannot_be_measured_is_noted_once_and_stops_nothing(
    world_with: Callable[..., Backfill],
) -> None:
    run = world_with(MemoryEngine())
    run.run()
    assert run.notes == ["this engine cannot say how loaded it is"]
    assert run.told == []
    assert run.stamped() == 30
    assert not any(thread.name == "load watch" for thread in threading.enumerate())


def test_a_run_without_limits_measures_nothing(world_with: Callable[..., Backfill]) -> None:
    limits = ("cpu", "heap", "breaker", "rejections", "disk", "search_ratio", "gentle")
    engine = MeasuredEngine()
    run = world_with(engine, **dict.fromkeys(limits, "off"))
    run.run()
    assert run.notes == []
    assert engine.looks == 0
    assert run.stamped() == 30


def test_a_figure_the_user_named_stops_a_run_that_cannot_have_it(
    world_with: Callable[..., Backfill],
) -> None:
    run = world_with(MemoryEngine(), cpu=0.5)
    run.controls.begin("run 1")
    run.before[0] = lambda: None
    run.end = lambda: run.controls.cancel(by="ann")  # type: ignore[method-assign]
    with pytest.raises(RunCancelledError):
        run.run()
    assert "limits the use of its processors to 50%, but nobody can measure it" in run.told[0]
    assert run.stamped() == 0


def test_live_searches_are_probed_while_a_run_goes_on_and_not_after_it(world: Any) -> None:
    engine = MeasuredEngine()
    world.engine = engine
    world.fill(10)
    owner = world.lease()
    world.put_live(0, "embedding__a", owner)
    asked: list[tuple[str, str]] = []
    engine._before_call = lambda method, index: asked.append((method, index))
    with _watched(world, engine, owner):
        before = len(asked)
        assert asked.count(("search_vectors", INDEX)) >= 40, "the baseline"
        wait_until(lambda: asked[before:].count(("search_vectors", INDEX)) >= 6)
    after = len(asked)
    threading.Event().wait(0.5)
    assert len(asked) == after


def test_searches_that_fail_while_a_run_goes_on_hold_it(world: Any) -> None:
    engine = MeasuredEngine()
    world.engine = engine
    world.fill(10)
    owner = world.lease()
    world.put_live(0, "embedding__a", owner)

    def refuse(method: str, index: str) -> None:
        if method == "search_vectors":
            raise EngineUnavailableError("the search pool is full")

    with _watched(world, engine, owner) as throttle:
        assert throttle.reasons() == ()
        engine._before_call = refuse
        wait_until(lambda: bool(throttle.reasons()))
        assert "a live search is not answered: the search pool is full" in throttle.reasons()[0]
        engine._before_call = None
        wait_until(lambda: not throttle.reasons())


def test_an_embedded_index_is_measured_by_its_disk_and_not_probed(
    world: Any, tmp_path: Path
) -> None:
    pytest.importorskip("lancedb", reason="needs desireline[lancedb]")
    engine = LanceDbEngine(tmp_path / "lance")
    engine.create_index(INDEX, ["title"])
    measured = engine.load(INDEX)
    assert measured.embedded
    (node,) = measured.nodes
    assert node.disk is not None
    assert 0 < node.disk.available_bytes < node.disk.total_bytes
    assert node.cpu is None
    notes: list[str] = []
    with _watched(world, engine, world.lease(), live=False, notes=notes) as throttle:
        assert throttle.reasons() == ()
    assert notes == []


def _watched(
    world: Any,
    engine: Any,
    owner: Any,
    *,
    live: bool = True,
    notes: list[str] | None = None,
    **config: object,
) -> Any:
    return watched_throttle(
        ThrottleConfig.model_validate({"check_every": 0.2, **config}),
        engine,
        index=INDEX,
        live=world.generations.live() if live else None,
        lease=owner,
        told=lambda _: None,
        note=(notes if notes is not None else []).append,
        control=Control,
    )


@pytest.fixture
def health() -> Iterator[SimpleNamespace]:
    """An address that answers as the test says."""
    said = SimpleNamespace(status=200, asked=[])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said.asked.append((self.path, self.headers["host"]))
            self.send_response(said.status)
            if said.status == 302:
                self.send_header("location", f"http://127.0.0.1:{server.server_port}/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    said.url = f"http://127.0.0.1:{server.server_port}/health?of=search"
    yield said
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("status", [302, 404, 503])
def test_an_address_that_does_not_answer_2xx_holds_the_run(
    world: Any, health: SimpleNamespace, status: int
) -> None:
    health.status = status
    config = {"probe_url": health.url, "probe_private": True}
    with _watched(world, world.engine, world.lease(), live=False, **config) as throttle:
        (reason,) = throttle.reasons()
        assert str(status) in reason
        health.status = 204
        wait_until(lambda: not throttle.reasons())
    assert {path for path, _ in health.asked} == {"/health?of=search"}, "no redirect is followed"


def test_an_address_inside_the_network_is_not_asked_unless_that_was_allowed(
    world: Any, health: SimpleNamespace
) -> None:
    config = {"probe_url": health.url}
    with _watched(world, world.engine, world.lease(), live=False, **config) as throttle:
        assert "127.0.0.1, which is inside this network" in throttle.reasons()[0]
    assert health.asked == []


def test_the_address_where_clouds_give_out_credentials_is_never_asked(world: Any) -> None:
    config = {"probe_url": "http://169.254.169.254/latest", "probe_private": True}
    with _watched(world, world.engine, world.lease(), live=False, **config) as throttle:
        assert "credentials" in throttle.reasons()[0]


@pytest.mark.opensearch
def test_live_searches_of_a_real_node_are_probed(
    opensearch_url: str, index_prefix: str, world: Any
) -> None:
    engine = OpenSearchEngine(OpenSearchSettings(url=opensearch_url))
    index = f"{index_prefix}probed"
    owner = world.lease()
    generation = _real_generation(world, engine, index, owner)
    notes: list[str] = []
    limited = ThrottleConfig.model_validate({"check_every": 0.2, "search_p99": "1ms"})
    with watched_throttle(
        limited,
        engine,
        index=index,
        live=generation,
        lease=owner,
        told=lambda _: None,
        note=notes.append,
    ) as throttle:
        wait_until(lambda: any("live searches take" in said for said in throttle.reasons()))
        reason = next(said for said in throttle.reasons() if "live searches" in said)
    assert "the limit is 1 ms by the configuration (seen by our probes)" in reason
    assert notes == []
    engine.close()


def _real_generation(world: Any, engine: OpenSearchEngine, index: str, owner: Any) -> Generation:
    """Build a slot of the world's documents on the real node."""
    (documents,) = world.engine.scan(INDEX, Read(fields=("title", "description")))
    engine.create_index(index, ["title", "description"])
    engine.index_documents(index, documents)
    generation: Generation = world.begin(0, "embedding__a").model_copy(update={"index": index})
    engine.prepare_slot(index, generation.vector_slot)
    world.engine = engine
    world.backfill(world.writer(generation, owner))
    engine.fence(index)
    return generation
