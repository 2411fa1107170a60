"""What is measured in a process of its own, with memory and threads of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any


def run_apart(program: Path, job: Mapping[str, Any], scratch: Path) -> dict[str, Any]:
    """Have a program do a job on one thread; it is given the file that holds the job as JSON."""
    one_thread = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    with NamedTemporaryFile("w", dir=scratch, suffix=".json", encoding="utf-8") as file:
        file.write(json.dumps(dict(job)))
        file.flush()
        return reply_of(program, file.name, env=one_thread)


def reply_of(
    program: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the JSON on the last line that a program prints; its complaints go to the screen."""
    done = subprocess.run(
        [sys.executable, str(program), *arguments],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        env=env,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
