"""One way of training, in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).parent / "one_way.py"


def run_apart(job: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Do a job on one thread; see `one_way.py`."""
    with tempfile.NamedTemporaryFile(
        "w", dir=scratch, suffix=".json", delete=False, encoding="utf-8"
    ) as file:
        file.write(json.dumps(job))
    done = subprocess.run(
        [sys.executable, str(PROGRAM), file.name],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
