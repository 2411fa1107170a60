"""A child process that does not outlive its parent."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def start_child(
    command: list[str],
    *,
    environment: Mapping[str, str] | None,
    output: Path,
    user: int | None = None,
    group: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own, its output in a file.

    On Linux the kernel ends it when the thread that started it ends, so even a killed
    parent leaves nothing running; elsewhere only `stop_child` ends it.
    """
    with output.open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - our own command
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=group,
            extra_groups=None if group is None else [],
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one system call, safe after fork
        )


# Loaded at import: after the fork nothing may take a lock.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def stop_child(child: subprocess.Popen[bytes], patience_s: float = 20) -> None:
    """End the whole process group: politely, then by force."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is not None:
            return
        try:
            os.killpg(child.pid, how)
            child.wait(patience_s)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
