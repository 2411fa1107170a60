"""Seconds of each stage of one process, and the most memory it held."""

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Stages:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self.found: dict[str, Any] = {}

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        start, cpu = time.perf_counter(), time.process_time()
        yield
        self.seconds[stage] = time.perf_counter() - start
        self.cpu_seconds[stage] = time.process_time() - cpu

    def report(self) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        found = {
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "peak_mb": peak,
            "found": self.found,
        }
        print(json.dumps(found))
