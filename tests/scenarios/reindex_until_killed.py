"""Run a re-embedding in this process and kill it with SIGKILL at a named point.

Arguments: configuration file, model, point (JSON). Exit status 7: the point was never met.
"""

import functools
import importlib
import json
import os
import signal
import sys
from pathlib import Path

from desireline.sidecar.config import load_config
from desireline.sidecar.reporting import SilentReporter
from desireline.sidecar.wiring import open_sidecar


def plant(point: dict) -> None:
    module_name, _, path = point["where"].partition(":")
    owner = importlib.import_module(f"desireline.sidecar.{module_name}")
    *outer, name = path.split(".")
    for each in outer:
        owner = getattr(owner, each)
    original = getattr(owner, name)
    calls = 0

    @functools.wraps(original)
    def planted(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == point["call"] and point["when"] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if calls == point["call"]:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, planted)


if __name__ == "__main__":
    config, model, point = sys.argv[1:]
    sidecar = open_sidecar(load_config(Path(config)))
    plant(json.loads(point))
    sidecar.reindex("jobs", model, SilentReporter())
    sys.exit(7)
