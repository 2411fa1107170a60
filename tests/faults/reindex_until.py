"""Run a re-embedding in this process and stop it, by a signal, at a named point.

One argument, JSON: the configuration's file, the model, and where to stop: the `pass`-th time
that a `step` is reached, or `before` or `after` the `pass`-th call of a function (`where`).
`signal` is SIGKILL unless another is named. What was encoded and written is told line by line
in `tally`. Exit status 7: the point was never met; 3: a DesirelineError ended the run.
"""

import functools
import importlib
import json
import os
import signal
import sys
import threading
from pathlib import Path

from desireline.connectors.documents import Outcome
from desireline.connectors.errors import DesirelineError
from desireline.sidecar.config import load_config
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.wiring import open_sidecar


def stop_at_function(given: dict) -> None:
    module_name, _, path = given["where"].partition(":")
    owner = importlib.import_module(f"desireline.{module_name}")
    *outer, name = path.split(".")
    for each in outer:
        owner = getattr(owner, each)
    original = getattr(owner, name)
    calls = 0

    @functools.wraps(original)
    def planted(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == given["pass"] and given["when"] == "before":
            stop(given)
        result = original(*args, **kwargs)
        if calls == given["pass"] and given["when"] == "after":
            stop(given)
        return result

    setattr(owner, name, planted)


def stop_at_step(given: dict):
    passes = 0

    def reached(step) -> None:
        nonlocal passes
        if step == given.get("step"):
            passes += 1
            if passes == given.get("pass", 1):
                stop(given)

    return reached


def stop(given: dict) -> None:
    # To this thread, which stops before it goes on; the others do a moment later.
    signal.pthread_kill(threading.get_ident(), signal.Signals[given.get("signal", "SIGKILL")])


def count_work(sidecar, tally: Path) -> None:
    """Tell each encode and each bulk write, so that a killed process has told its own."""
    parts = sidecar.parts("jobs")
    descriptor = os.open(tally, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(**counts) -> None:
        os.write(descriptor, json.dumps(counts).encode() + b"\n")

    get, send = parts.encoders.get, parts.engine.write_embeddings

    def counted_get(fingerprint):
        encoder = get(fingerprint)
        if "encode_documents" not in vars(encoder):
            encode = encoder.encode_documents

            def counted(texts):
                # The proof encodes a sample again, on purpose and every time: no repeated work.
                caller = sys._getframe(1).f_globals["__name__"]
                if caller.endswith("embedding_cache"):
                    tell(encoded=len(texts))
                return encode(texts)

            encoder.encode_documents = counted
        return encoder

    def counted_send(index, slot, writes):
        results = send(index, slot, writes)
        done = sum(result.outcome is Outcome.WRITTEN for result in results)
        tell(sent=len(writes), written=done)
        return results

    parts.encoders.get = counted_get
    parts.engine.write_embeddings = counted_send


def main() -> int:
    given = json.loads(sys.argv[1])
    sidecar = open_sidecar(load_config(Path(given["config"])), reached=stop_at_step(given))
    count_work(sidecar, Path(given["config"]).parent / "tally.ndjson")
    if "where" in given:
        stop_at_function(given)
    try:
        sidecar.reindex(
            "jobs",
            given["model"],
            SilentReporter(),
            way=given.get("way", "auto"),
            end_hold=given.get("end_hold", False),
        )
    except DesirelineError as error:
        print(f"{type(error).__name__}: {error}")
        return 3
    return 7


if __name__ == "__main__":
    sys.exit(main())
