"""One program of the operator: bounded in time and output, and gone with all it started."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from desireline.sidecar.errors import HookFailedError
from desireline.sidecar.hooks.output import last_line

_KEPT_BYTES = 4_096
_READ_BYTES = 65_536
_LOOK_S = 0.05
_LONGEST_VALUE = 4_096


def run_program(
    words: Sequence[str],
    facts: Mapping[str, str],
    *,
    environment: Mapping[str, str],
    timeout_s: float,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Run a program with facts in its environment and as JSON on its stdin.

    Output beyond a few kilobytes is read and thrown away. Whatever of its process group is left
    when it ends, or at the time-out, is killed.

    Raises:
        HookFailedError: it could not be started, took too long, or ended with another status
            than 0; with the last line it wrote.

    """
    process = _start(words, {**environment, **_variables(facts)})
    deadline = monotonic() + timeout_s
    try:
        tail = _converse(process, _told(facts), deadline, monotonic)
    finally:
        _end(process)
    if tail is None:
        raise HookFailedError(f"it was killed after {timeout_s:g} s")
    if process.returncode:
        said = last_line(tail)
        raise HookFailedError(_ending(process.returncode) + (f": {said}" if said else ""))


def _start(words: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(  # noqa: S603 - the operator's own words, without a shell
            list(words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise HookFailedError(f"it could not be started: {reason}") from error


def _variables(facts: Mapping[str, str]) -> dict[str, str]:
    return {
        "DESIRELINE_" + "".join(c if c.isalnum() else "_" for c in name.upper()): _plain(value)
        for name, value in facts.items()
    }


def _plain(value: str) -> str:
    """Return what an environment can hold."""
    text = value.replace("\0", " ")[:_LONGEST_VALUE]
    return text.encode("utf-8", "replace").decode()


def _told(facts: Mapping[str, str]) -> bytes:
    return json.dumps(dict(facts)).encode() + b"\n"


def _converse(
    process: "subprocess.Popen[bytes]",
    payload: bytes,
    deadline: float,
    monotonic: Callable[[], float],
) -> bytes | None:
    """Feed it and keep the end of what it says until it exits; None when it takes too long.

    What decides is the exit of the program itself: a child of its own that holds the pipe open
    is not waited for.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    tail = b""
    with selectors.DefaultSelector() as selector:
        for pipe, event in (
            (process.stdin, selectors.EVENT_WRITE),
            (process.stdout, selectors.EVENT_READ),
        ):
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, event)
        while True:
            exited = process.poll() is not None
            for key, _ in selector.select(0 if exited else _LOOK_S):
                if key.fileobj is process.stdin:
                    payload = _feed(process, payload, selector)
                else:
                    tail = _hear(process, tail, selector)
            if exited:
                return tail
            if monotonic() >= deadline:
                return None
            if not selector.get_map():
                time.sleep(_LOOK_S)


def _feed(
    process: "subprocess.Popen[bytes]", payload: bytes, selector: selectors.BaseSelector
) -> bytes:
    assert process.stdin is not None
    try:
        payload = payload[os.write(process.stdin.fileno(), payload) :]
    except BlockingIOError:
        return payload
    except OSError:
        payload = b""  # it does not listen, and need not
    if not payload:
        selector.unregister(process.stdin)
        with contextlib.suppress(OSError):
            process.stdin.close()
    return payload


def _hear(
    process: "subprocess.Popen[bytes]", tail: bytes, selector: selectors.BaseSelector
) -> bytes:
    assert process.stdout is not None
    try:
        said = os.read(process.stdout.fileno(), _READ_BYTES)
    except BlockingIOError:
        return tail
    if not said:
        selector.unregister(process.stdout)
    return (tail + said)[-_KEPT_BYTES:]


def _end(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _ending(status: int) -> str:
    if status > 0:
        return f"it ended with status {status}"
    with contextlib.suppress(ValueError):
        return f"it was ended by {signal.Signals(-status).name}"
    return f"it was ended by signal {-status}"
