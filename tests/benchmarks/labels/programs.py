"""A way to be measured runs in a process of its own."""

import subprocess
import sys
from pathlib import Path


def output(program: Path, *arguments: str) -> str:
    """Return what a program printed. Raises RuntimeError with the last thing it complained of."""
    done = subprocess.run(
        [sys.executable, str(program), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise RuntimeError(f"{program.name} {' '.join(arguments)} failed: {said[-1]}")
    return done.stdout
