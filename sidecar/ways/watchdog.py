"""A child process that lets writes in again when the one that holds them up cannot.

It is started before the block is put. It lets writes in when its parent dies (its standard input
ends), when the time is up, or when it is told that the swap failed; not when the alias has moved
by then. It gets the connection, secrets included, by standard input: arguments can be read by
everyone on the machine.
"""

import json
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any

import structlog

from desireline.connectors import plugins
from desireline.connectors.errors import DesirelineError, IndexMissingError
from desireline.connectors.generation_indexes import GenerationIndexes
from desireline.connectors.opensearch_client import OpenSearchSettings
from desireline.sidecar.errors import CutOverRefusedError

log = structlog.get_logger(__name__)

#: How long it tries to reach a cluster that is away; the next start has the record.
_TRIES = 120
_PAUSE_S = 2.0
_LEFT_ALONE_S = 10.0
_READY = "ready"
_ARM = "arm"
_DONE = "done"


class Watchdog:
    """The parent's end of the child."""

    def __init__(self, child: "subprocess.Popen[str] | None") -> None:
        self._child = child

    def arm(self) -> None:
        """Let the time run: the block is put right after this."""
        self._say(_ARM)

    def dismiss(self) -> None:
        """Say that the alias has moved."""
        self._say(_DONE)

    def _say(self, word: str) -> None:
        if self._child is None or self._child.stdin is None:
            return
        with suppress(BrokenPipeError):
            self._child.stdin.write(f"{word}\n")
            self._child.stdin.flush()


@contextmanager
def watchdog(
    engine: GenerationIndexes, *, alias: str, index: str, new_index: str, limit_s: float
) -> Iterator[Watchdog]:
    """Run the child for the duration of the block, ready before it is entered.

    An engine that no other process can reach has none: its blocks end with this process.

    Raises:
        CutOverRefusedError: the child could not be started; nothing is blocked.

    """
    connection = engine.reconnection()
    if connection is None:
        yield Watchdog(None)
        return
    job = {
        "connection": dict(connection),
        "alias": alias,
        "index": index,
        "new_index": new_index,
        "limit_s": limit_s,
    }
    child = subprocess.Popen(
        [sys.executable, "-m", "desireline.sidecar.ways.watchdog"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,  # what interrupts the parent must not end the child
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        with suppress(BrokenPipeError):
            child.stdin.write(f"{json.dumps(job)}\n")
            child.stdin.flush()
        if child.stdout.readline().strip() != _READY:
            raise CutOverRefusedError(
                "the process that would let writes in again after a crash could not be started;"
                " nothing was blocked and nothing swapped",
                next_step="look at free memory and at what the process said, then run again",
            )
        yield Watchdog(child)
    finally:
        child.stdin.close()
        with suppress(subprocess.TimeoutExpired):  # it goes on alone until the cluster is back
            child.wait(timeout=_LEFT_ALONE_S)
        child.stdout.close()


def main(stdin: IO[str], stdout: IO[str]) -> None:
    """Be the child."""
    job = json.loads(stdin.readline())
    engine = _connect(job["connection"])
    engine.alias_state(job["index"])  # the connection stands before anything depends on it
    stdout.write(f"{_READY}\n")
    stdout.flush()
    if stdin.readline().strip() != _ARM:
        return
    readable, _, _ = select.select([stdin], [], [], job["limit_s"])
    if readable and stdin.readline().strip() == _DONE:
        return
    let_in(engine, job["alias"], job["index"], job["new_index"])


def let_in(
    engine: GenerationIndexes,
    alias: str,
    index: str,
    new_index: str,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Let writes to an index in again unless the alias has moved; say whether they were.

    The tickets go first: after that the alias cannot move, so what is seen then is true.
    """
    for _ in range(_TRIES):
        try:
            engine.void_tickets(index)
            if _moved(engine, alias, new_index):
                return False
            engine.unblock_writes(index)
        except IndexMissingError:
            return False
        except DesirelineError as error:
            _tell("writes are still held up; trying again", index=index, reason=str(error))
            sleep(_PAUSE_S)
        else:
            _tell("writes were let in again; nothing was swapped", index=index)
            return True
    return False


def _moved(engine: GenerationIndexes, alias: str, new_index: str) -> bool:
    try:
        return engine.alias_state(alias).index == new_index
    except IndexMissingError:  # an alias that was taken away points nowhere
        return False


def _tell(sentence: str, **keys: str) -> None:
    """Say it, if anybody is left to hear: what it was said to may have died with the parent."""
    with suppress(OSError):
        log.warning(sentence, **keys)


def _connect(connection: Mapping[str, Any]) -> GenerationIndexes:
    plugin: Any = plugins.load("engines", connection["engine"])
    engine: GenerationIndexes = plugin(OpenSearchSettings(**connection["settings"]))
    return engine


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    main(sys.stdin, sys.stdout)
