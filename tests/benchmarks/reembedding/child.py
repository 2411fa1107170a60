"""A child process that is told, one JSON line at a time, what to do, and answers with one."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Child:
    """A program of this folder with a process, memory and threads of its own."""

    def __init__(self, program: str, settings: Mapping[str, Any], *, python: str, env: Any) -> None:
        self._process = subprocess.Popen(
            [python, str(HERE / program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )
        self._say(settings)
        self.ready: dict[str, Any] = self._answer()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Have it do something and wait for the answer."""
        self.tell(do, **arguments)
        return self._answer()

    def tell(self, do: str, **arguments: Any) -> None:
        """Have it do something; `answer` waits for it."""
        self._say({"do": do, **arguments})

    def answer(self) -> dict[str, Any]:
        """Wait for what it was told to do."""
        return self._answer()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def _say(self, words: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a child ended with status {self._process.wait()}")
        return json.loads(line)


@contextmanager
def started(
    program: str,
    settings: Mapping[str, Any],
    *,
    python: str = sys.executable,
    env: Mapping[str, str] | None = None,
) -> Iterator[Child]:
    """Give a child for the time of the block."""
    child = Child(program, settings, python=python, env=env)
    try:
        yield child
    finally:
        child.close()


def settings() -> dict[str, Any]:
    """In the child: what it was started with."""
    return json.loads(sys.stdin.readline())


def serve(actions: Mapping[str, Callable[..., Mapping[str, Any]]], **ready: Any) -> None:
    """In the child: say that it is ready, then do what is asked until nobody asks."""
    say = sys.stdout
    sys.stdout = sys.stderr  # libraries print what they like
    print(json.dumps(ready), file=say, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        began, cpu = time.monotonic(), time.process_time()
        found = actions[asked.pop("do")](**asked)
        costs = {
            "wall_s": time.monotonic() - began,
            "cpu_s": time.process_time() - cpu,
            "peak_mb": peak_mb(),
        }
        print(json.dumps(costs | dict(found)), file=say, flush=True)


def peak_mb() -> float:
    """Peak resident memory of this program; getrusage would tell its parent's before the fork."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
