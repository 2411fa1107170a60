"""The reasons why a run must wait, built from what the configuration leaves on.

Each is a check that reads figures others keep fresh; that none of them flaps is told where the
limits are.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from desireline.connectors.engine_load import EngineLoad, NodeLoad
from desireline.sidecar.configuration.throttle import ThrottleConfig
from desireline.sidecar.lease import Lease
from desireline.sidecar.throttling.load_limits import (
    Ceiling,
    DiskCheck,
    NodeCheck,
    RefusalCheck,
    SearchCheck,
)
from desireline.sidecar.throttling.load_watch import LoadWatch
from desireline.sidecar.throttling.throttle import Check

_PARENT = "its parent circuit breaker"
_NATIVE_MEMORY = "its k-NN circuit breaker"


def load_checks(
    config: ThrottleConfig,
    watch: LoadWatch,
    *,
    lease: Lease,
    left_bytes: Callable[[], int] = lambda: 0,
    monotonic: Callable[[], float] = time.monotonic,
) -> tuple[Check, ...]:
    """Return a check for every reason that the configuration leaves on.

    Args:
        config: the limits.
        watch: whose figures are read; it has looked at least once.
        lease: our own, whose heartbeat is a measurement too.
        left_bytes: how much is still to be written, for one copy of the index.
        monotonic: a clock that never goes back.

    """
    return (
        *_own_checks(config, watch, lease),
        *_search_checks(config, watch),
        *_node_checks(config, watch),
        *_engine_checks(config, watch, left_bytes, monotonic),
    )


def _own_checks(config: ThrottleConfig, watch: LoadWatch, lease: Lease) -> Iterator[Check]:
    if config.flag_file is not None:
        yield partial(_flag, config.flag_file)
    if config.probe_url is not None:
        yield lambda: _address(watch)
    if config.heartbeat is not None:
        yield _heartbeat(lease, config.heartbeat)
    yield lambda: _silence(watch)


def _search_checks(config: ThrottleConfig, watch: LoadWatch) -> Iterator[Check]:
    probe = watch.probe
    if probe is None:
        if watch.unprobed and (config.is_named("search_ratio") or config.is_named("search_p99")):
            yield lambda: f"the configuration limits live searches, but {watch.unprobed}"
        return
    if config.search_ratio is not None:
        base_s = probe.baseline_s(0.99)
        told = f", {config.search_ratio:g} times that before the run"
        yield SearchCheck(probe, limit_s=base_s * config.search_ratio, told=told)
    if config.search_p99 is not None:
        yield SearchCheck(probe, limit_s=config.search_p99, told=" by the configuration")


def _node_checks(config: ThrottleConfig, watch: LoadWatch) -> Iterator[Check]:
    figures: tuple[tuple[str, float | None, Callable[[NodeLoad], float | None], str], ...] = (
        ("cpu", config.cpu, lambda node: node.cpu, "its processors"),
        ("heap", config.heap, lambda node: node.heap, "its heap"),
        ("breaker", config.breaker, lambda node: node.breakers.get("parent"), _PARENT),
    )
    for name, limit, figure, of_what in figures:
        if limit is not None:
            required = config.is_named(name)
            yield NodeCheck(watch, limit, figure=figure, of_what=of_what, required=required)
    if config.breaker is not None:
        # Nothing but a faiss graph has native memory, so its absence says nothing.
        yield NodeCheck(
            watch, config.breaker, figure=_graphs, of_what=_NATIVE_MEMORY, required=False
        )


def _engine_checks(
    config: ThrottleConfig,
    watch: LoadWatch,
    left_bytes: Callable[[], int],
    monotonic: Callable[[], float],
) -> Iterator[Check]:
    if config.breaker is not None:
        yield lambda: _tripped(watch.load)
    if config.rejections is not None:
        yield RefusalCheck(
            watch,
            config.rejections,
            required=config.is_named("rejections"),
            monotonic=monotonic,
        )
    if config.disk is not None:
        yield DiskCheck(watch, config.disk, left_bytes=left_bytes, required=config.is_named("disk"))


def _graphs(node: NodeLoad) -> float | None:
    if node.graph_bytes is None or not node.graph_limit_bytes:
        return None
    return node.graph_bytes / node.graph_limit_bytes


def _tripped(load: EngineLoad | None) -> str | None:
    if load is None or not load.graph_breaker_tripped:
        return None
    return (
        "the k-NN circuit breaker has tripped, so every write of a vector would fail, the"
        " application's too (said by the cluster itself)"
    )


def _flag(flag: Path) -> str | None:
    try:
        return f"the flag file {flag} exists (throttle.flag_file)" if flag.exists() else None
    except OSError as error:
        return f"whether the flag file {flag} exists cannot be seen: {error.strerror}"


def _address(watch: LoadWatch) -> str | None:
    return f"throttle.probe_url does not let us write: {watch.refusal}" if watch.refusal else None


def _heartbeat(lease: Lease, limit: float) -> Check:
    ceiling = Ceiling(limit)

    def check() -> str | None:
        silence = lease.silence
        if not ceiling.holds(silence):
            return None
        return (
            f"our lease was last renewed {silence:.0%} of its time to live ago, the limit is"
            f" {limit:.0%} (our own heartbeat): the state store is slow"
        )

    return check


def _silence(watch: LoadWatch) -> str | None:
    if watch.failure:
        return f"the cluster does not say how loaded it is: {watch.failure}"
    if silent_s := watch.silent_s():
        return f"the newest measurement is {silent_s:.0f} s old: the cluster or our watch is stuck"
    if watch.load is not None and watch.load.silent_nodes:
        return f"nodes that do not say how loaded they are: {watch.load.silent_nodes}"
    return None
