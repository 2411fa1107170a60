"""A run's throttle, with everything that measures for it while the run goes on."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from desireline.connectors.engine_load import MeasuresLoad
from desireline.connectors.errors import ConnectorError
from desireline.connectors.search_engine import SearchEngine
from desireline.sidecar.configuration.hooks import host_of
from desireline.sidecar.configuration.throttle import ThrottleConfig
from desireline.sidecar.generations import Generation
from desireline.sidecar.hooks.webhook import WebhookCaller
from desireline.sidecar.lease import Lease
from desireline.sidecar.steering.controls import Control
from desireline.sidecar.throttling.headroom import Need
from desireline.sidecar.throttling.load_checks import load_checks
from desireline.sidecar.throttling.load_watch import LoadWatch
from desireline.sidecar.throttling.pace import GentlePace
from desireline.sidecar.throttling.search_probe import SearchProbe, live_search
from desireline.sidecar.throttling.throttle import Throttle

_ANSWER_S = 2.0


@contextmanager
def watched_throttle(
    config: ThrottleConfig,
    engine: SearchEngine,
    *,
    index: str,
    live: Generation | None,
    lease: Lease,
    told: Callable[[str], None],
    control: Callable[[], Control] = Control,
    need: Need | None = None,
    note: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Iterator[Throttle]:
    """Give a throttle; while the block runs, its figures are measured in the background.

    Args:
        config: the limits.
        engine: of the index; one that lives in this process is not probed, for nobody else
            searches it, and one that cannot be measured is not.
        index: that is written.
        live: what serves now, so that its searches can be probed; None before the first.
        lease: our own; its heartbeat is a measurement.
        told: why nothing is written, once whenever that changes; empty when writing goes on.
        control: reads what the operator wants.
        need: what is to be written; the disk must have room for what is left of it.
        note: told once of each thing that cannot be measured.
        sleep: of the wait.
        monotonic: a clock that never goes back.

    """
    watch = LoadWatch(
        measure=(
            partial(engine.load, index)
            if config.watches_load and isinstance(engine, MeasuresLoad)
            else None
        ),
        ask=_question(config),
        every_s=config.check_every,
        monotonic=monotonic,
    )
    # The first look says whether others search this engine at all.
    watch.look()
    watch.probe = _probe(config, engine, live, watch, monotonic)
    if config.watches_load:
        for sentence in _unmeasured(watch):
            note(sentence)
    with watch.watching():
        throttle = Throttle(
            load_checks(
                config,
                watch,
                lease=lease,
                left_bytes=lambda: need.left_bytes(throttle.documents) if need is not None else 0,
                monotonic=monotonic,
            ),
            told=told,
            control=control,
            documents_a_second=config.documents_a_second,
            gentle=_gentle(config, watch.probe, monotonic),
            sleep=sleep,
            monotonic=monotonic,
        )
        yield throttle


def _question(config: ThrottleConfig) -> Callable[[], None] | None:
    if config.probe_url is None:
        return None
    hosts = frozenset({host_of(config.probe_url)})
    caller = (
        WebhookCaller(private_hosts=hosts)
        if config.probe_private
        else WebhookCaller(allowed_hosts=hosts)
    )
    return partial(caller.get, config.probe_url, timeout_s=_ANSWER_S)


def _probe(
    config: ThrottleConfig,
    engine: SearchEngine,
    live: Generation | None,
    watch: LoadWatch,
    monotonic: Callable[[], float],
) -> SearchProbe | None:
    if live is None or not config.watches_searches:
        return None
    if watch.load is None or watch.load.embedded:
        watch.unprobed = "nobody else searches this engine, so no searches are probed"
        return None
    try:
        search = live_search(engine, live)
        if search is None:
            return None
        probe = SearchProbe(search, floor_s=config.search_floor, monotonic=monotonic)
        probe.measure_baseline()
    except ConnectorError as error:
        watch.unprobed = f"no searches are probed: {error}"
        return None
    return probe


def _unmeasured(watch: LoadWatch) -> Iterator[str]:
    if watch.load is not None:
        yield from watch.load.missing
    elif not watch.failure:
        yield "this engine cannot say how loaded it is"
    if watch.unprobed:
        yield watch.unprobed


def _gentle(
    config: ThrottleConfig, probe: SearchProbe | None, monotonic: Callable[[], float]
) -> GentlePace | None:
    if probe is None or config.gentle is None:
        return None
    return GentlePace(probe, config.gentle, monotonic=monotonic)
