"""The watchdog's child process, simulated: production code on both sides of two pipes.

What stands below `subprocess.Popen` and `select.select` is ours: the child is a process of its own
on the schedule, its pipes end when the process at their other end is gone.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from simulated_client import Network, engine_over
from simulated_schedule import Process, Strand, current

from desireline.connectors.errors import DesirelineError
from desireline.sidecar.ways import watchdog

_LOOK_S = 0.1
NAME = "watchdog"


class _Pipe:
    """Lines from one process to another."""

    def __init__(self, writer: Process) -> None:
        self._writer = writer
        self._lines: list[str] = []
        self._closed = False

    def write(self, text: str) -> None:
        self._lines += text.splitlines()

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self._closed = True

    @property
    def readable(self) -> bool:
        """Whether there is a line, or the end."""
        return bool(self._lines) or self._closed or self._writer.dead

    def readline(self) -> str:
        while not self.readable:
            _here().want(_LOOK_S)
        return f"{self._lines.pop(0)}\n" if self._lines else ""


class _Child:
    """What `subprocess.Popen` gives."""

    def __init__(self, _command: Sequence[str], **_: Any) -> None:
        parent = _here().process
        self.process = Process(f"{NAME} of {parent.name}", parent.schedule)
        self.stdin, self.stdout = _Pipe(parent), _Pipe(self.process)
        self._strand = self.process.strand(self._live)
        parent.schedule.spawn(self._strand.task())
        parent.children.append(self.process)

    def _live(self) -> None:
        with suppress(DesirelineError):  # a child that fails ends, and its pipes with it
            watchdog.main(self.stdin, self.stdout)  # type: ignore[arg-type]
        self.stdout.close()

    def wait(self, timeout: float) -> None:
        for _ in range(int(timeout / _LOOK_S)):
            if self._strand.ended.done:
                return
            _here().want(_LOOK_S)
        raise _Subprocess.TimeoutExpired


class _Subprocess:
    PIPE = -1
    Popen = _Child

    class TimeoutExpired(Exception):  # noqa: N818 - as it is called there
        """The child goes on alone."""


class _Select:
    @staticmethod
    def select(
        pipes: Sequence[_Pipe], _out: Any, _odd: Any, limit_s: float
    ) -> tuple[list[_Pipe], list[Any], list[Any]]:
        strand = _here()
        until = strand.process.schedule.now + limit_s
        while strand.process.schedule.now < until and not pipes[0].readable:
            strand.want(_LOOK_S)
        return [pipe for pipe in pipes if pipe.readable], [], []


def _here() -> Strand:
    strand = current()
    assert strand is not None, "a watchdog is only simulated inside a strand"
    return strand


@contextmanager
def simulated_watchdogs(network: Network) -> Iterator[None]:
    """Let every watchdog be a process on the schedule, with a connection of its own."""

    def connect(_connection: Any) -> Any:
        return engine_over(network, _here().process.name)

    ours: dict[str, Any] = {"subprocess": _Subprocess, "select": _Select, "_connect": connect}
    held: dict[str, Callable[..., Any]] = {name: getattr(watchdog, name) for name in ours}
    for name, value in ours.items():
        setattr(watchdog, name, value)
    try:
        yield
    finally:
        for name, value in held.items():
            setattr(watchdog, name, value)
