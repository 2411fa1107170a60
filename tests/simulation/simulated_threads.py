"""Clocks, threads, events and locks of production code, made virtual.

Production code knows nothing of it: where it sleeps, looks at a clock, starts a thread or
waits, the strand it runs in gives its turn away.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any

from simulated_schedule import Killed, Strand, current


class VirtualThread:
    """A thread of production code: another strand of the process that starts it."""

    def __init__(
        self, target: Callable[..., None], args: tuple[Any, ...] = (), name: str = "", **_: Any
    ) -> None:
        self._body = lambda: target(*args)
        self._name = name
        self._strand: Strand | None = None

    def start(self) -> None:
        process = _surely_current().process
        self._strand = process.strand(self._body, self._name)
        process.schedule.spawn(self._strand.task())

    def join(self, timeout: float | None = None) -> None:
        assert self._strand is not None
        _surely_current().want(self._strand.ended)

    def is_alive(self) -> bool:
        return self._strand is not None and not self._strand.ended.done


class VirtualEvent:
    """An event of production code. A wait with a limit always lasts until the limit."""

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        if not self._set:
            assert timeout is not None, "a wait without a limit is not simulated"
            _surely_current().want(timeout)
        return self._set


class VirtualLock:
    """A lock of production code that another strand may hold across a request."""

    def __init__(self) -> None:
        self._held = False

    def __enter__(self) -> None:
        while self._held:
            _surely_current().want(None)
        self._held = True

    def __exit__(self, *_: object) -> None:
        self._held = False


class VirtualRLock(VirtualLock):
    """The same, which its holder may take again."""

    def __init__(self) -> None:
        super().__init__()
        self._holder: Strand | None = None
        self._times = 0

    def __enter__(self) -> None:
        if not self._times or self._holder is not current():
            super().__enter__()
            self._holder = current()
        self._times += 1

    def __exit__(self, *_: object) -> None:
        self._times -= 1
        if not self._times:
            self._holder = None
            super().__exit__()


class _VirtualThreading:
    Thread = VirtualThread
    Event = VirtualEvent
    Lock = VirtualLock
    RLock = VirtualRLock


def _surely_current() -> Strand:
    strand = current()
    assert strand is not None, "threads of production code are only simulated inside a strand"
    return strand


_REAL = {"sleep": time.sleep, "monotonic": time.monotonic}


def _sleep(seconds: float) -> None:
    strand = current()
    if strand is None:
        _REAL["sleep"](seconds)
    else:
        strand.want(seconds)


def _monotonic() -> float:
    strand = current()
    if strand is None:
        return _REAL["monotonic"]()
    return strand.process.schedule.now + strand.process.skew_s


@contextmanager
def virtual_time() -> Iterator[None]:
    """Give strands the virtual clock, also where a default argument holds the real one.

    Threads, events and locks of the sidecar become strands and what strands can wait for.
    """
    swap = {_REAL["sleep"]: _sleep, _REAL["monotonic"]: _monotonic}
    time.sleep, time.monotonic = _sleep, _monotonic
    _replace_defaults(swap)
    threaded = [m for m in _our_modules() if getattr(m, "threading", None) is threading]
    for module in threaded:
        module.threading = _VirtualThreading  # type: ignore[attr-defined]
    told = sys.unraisablehook
    sys.unraisablehook = lambda what: None if what.exc_type is Killed else told(what)
    try:
        yield
    finally:
        sys.unraisablehook = told
        for module in threaded:
            module.threading = threading  # type: ignore[attr-defined]
        time.sleep, time.monotonic = _REAL["sleep"], _REAL["monotonic"]
        _replace_defaults({_sleep: _REAL["sleep"], _monotonic: _REAL["monotonic"]})


def _our_modules() -> list[ModuleType]:
    ours = ("desireline.sidecar", "desireline.connectors")
    return [module for name, module in list(sys.modules.items()) if name.startswith(ours)]


def _replace_defaults(swap: dict[Any, Any]) -> None:
    for module in _our_modules():
        for function in _functions(vars(module), module.__name__):
            if function.__defaults__:
                function.__defaults__ = tuple(_swapped(v, swap) for v in function.__defaults__)
            if function.__kwdefaults__:
                function.__kwdefaults__ = {
                    key: _swapped(value, swap) for key, value in function.__kwdefaults__.items()
                }


def _swapped(value: Any, swap: dict[Any, Any]) -> Any:
    try:
        return swap.get(value, value)
    except TypeError:  # a default that cannot be hashed is no clock
        return value


def _functions(names: dict[str, Any], module: str) -> Iterator[FunctionType]:
    for value in list(names.values()):
        if isinstance(value, FunctionType) and value.__module__ == module:
            yield value
            if hasattr(value, "__wrapped__"):
                yield value.__wrapped__
        elif isinstance(value, type) and value.__module__ == module:
            yield from _functions(dict(vars(value)), module)
