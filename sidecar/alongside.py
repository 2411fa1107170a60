"""One call at a time beside what its owner goes on with."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")

#: How long an owner that gives up waits for a call that is still under way.
_GIVE_UP_S = 10.0


class Alongside(Generic[T]):
    """Runs a call in a thread of its own while its owner works; the next waits for it.

    Leaving the block waits for the call, so that nothing goes on behind its owner's back; an
    owner that leaves by an error waits for it only so long.
    """

    def __init__(self) -> None:
        self._call: _Call[T] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        call, self._call = self._call, None
        if call is None:
            return
        call.thread.join(_GIVE_UP_S if error else None)
        if error is None:
            call.result()

    def begin(self, work: Callable[[], T]) -> None:
        """Start a call; the one before must have been waited for."""
        assert self._call is None, "one call at a time"
        self._call = _Call(work)
        self._call.thread.start()

    def wait(self) -> T | None:
        """Return what the call under way made, None without one. Raises what it raised."""
        call, self._call = self._call, None
        if call is None:
            return None
        call.thread.join()
        return call.result()


class _Call(Generic[T]):
    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._made: list[T] = []
        self._error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="alongside", daemon=True)

    def _run(self) -> None:
        try:
            self._made.append(self._work())
        except BaseException as error:  # noqa: BLE001 - whoever waits for it raises it
            self._error = error

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._made[0]
