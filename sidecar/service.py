"""The running sidecar: it serves, follows the application's writes, and tunes by the clock."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import structlog

from desireline.connectors.errors import DesirelineError
from desireline.sidecar.errors import LeaseHeldError, LeaseLostError
from desireline.sidecar.lease import hold_lease
from desireline.sidecar.operations import Sidecar
from desireline.sidecar.reports.reporting import LogReporter
from desireline.sidecar.schedule import Schedule
from desireline.sidecar.serving.replicas import announce, depart

log = structlog.get_logger(__name__)

_REFRESH_S = 0.5
#: Every so many looks at the pointer, encoders are loaded ahead and this replica shows life.
_LOOKS_A_BEAT = 2
_TAKE_OVER_S = 5.0
_TIDY_S = 30.0
#: How often salts and events whose time is over are looked for.
_PROMISES_S = 600.0
#: How often what could not be shared is tried again.
_SHARING_S = 600.0
#: How often it is looked whether another machine made an intent head.
_HEADS_S = 30.0


@contextmanager
def running(sidecar: Sidecar) -> Iterator[None]:
    """Keep what serves up to date and the slots fresh for the duration of the block."""
    stop = threading.Event()
    sidecar.preload()
    sidecar.refresh()
    schedule = Schedule(
        {name: sidecar.parts(name).config.tune for name in sidecar.targets()},
        lambda name: sidecar.tune(name, LogReporter()),
    )
    with ExitStack() as stack:
        _thread(stack, stop, "refresh", lambda: _keep_refreshing(sidecar, stop))
        _thread(stack, stop, "tidying", lambda: _keep_tidy(sidecar, stop))
        _thread(stack, stop, "promises", lambda: _keep_promises(sidecar, stop))
        _thread(stack, stop, "sharing", lambda: _keep_sharing(sidecar, stop))
        _thread(stack, stop, "heads", lambda: _keep_heads(sidecar, stop))
        for name in sidecar.targets():
            _thread(stack, stop, f"follower {name}", _follow(sidecar, name, stop))
        schedule.start()
        stack.callback(schedule.stop)
        stack.callback(stop.set)
        try:
            yield
        finally:
            stop.set()
            for name in sidecar.targets():
                depart(sidecar.parts(name).store, name)


def _thread(stack: ExitStack, stop: threading.Event, name: str, work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join()

    stack.callback(end)


def _keep_refreshing(sidecar: Sidecar, stop: threading.Event) -> None:
    looks = 0
    while not stop.is_set():
        try:
            sidecar.refresh()
            if looks % _LOOKS_A_BEAT == 0:
                _show_life(sidecar)
            looks += 1
        except DesirelineError as error:
            log.warning("the pointer could not be read; serving goes on", reason=str(error))
        stop.wait(_REFRESH_S)


def _keep_tidy(sidecar: Sidecar, stop: threading.Event) -> None:
    while not stop.is_set():
        for name in sidecar.targets():
            try:
                sidecar.tidy(name)
            except DesirelineError as error:
                log.warning("it will be tidied up later", target=name, reason=str(error))
        stop.wait(_TIDY_S)


def _keep_promises(sidecar: Sidecar, stop: threading.Event) -> None:
    while not stop.wait(_PROMISES_S):
        for name in sidecar.targets():
            try:
                sidecar.keep_promises(name)
            except DesirelineError as error:
                log.warning("what is over will be deleted later", target=name, reason=str(error))


def _keep_sharing(sidecar: Sidecar, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            sidecar.exchange.share()
        except DesirelineError as error:
            log.warning("models will be shared later", reason=str(error))
        stop.wait(_SHARING_S)


def _keep_heads(sidecar: Sidecar, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            sidecar.heads.exchange()
        except DesirelineError as error:
            log.warning("intent heads will be shared later", reason=str(error))
        stop.wait(_HEADS_S)


def _show_life(sidecar: Sidecar) -> None:
    sidecar.preload()
    for name in sidecar.targets():
        parts = sidecar.parts(name)
        announce(parts.store, name, parts.encoders.loaded())


def _follow(sidecar: Sidecar, name: str, stop: threading.Event) -> Callable[[], None]:
    """Follow as long as this process holds the lease; else wait to take over."""

    def work() -> None:
        parts = sidecar.parts(name)
        while not stop.is_set():
            try:
                ttl_s = parts.config.swap.lease_ttl
                with hold_lease(parts.store, f"{name} follower", ttl_s=ttl_s) as lease:
                    sidecar.follower(name).run(lease, stop, every_s=parts.config.swap.follow_every)
            except (LeaseHeldError, LeaseLostError):
                stop.wait(_TAKE_OVER_S)
            except DesirelineError as error:
                log.warning("the follower stopped; it starts again", reason=str(error))
                stop.wait(_TAKE_OVER_S)

    return work
