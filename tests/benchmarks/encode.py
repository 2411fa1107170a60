"""Encoding: the ONNX encoder against `SentenceTransformer.encode` with its best CPU backend.

    python tests/benchmarks/encode.py [--quick] [--json FILE]

Real titles and descriptions of the demo in three mixtures of length. Candidates take turns in
every round, so a busy machine is busy for all of them: read the ratios, not the numbers.
"""

import argparse
import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from goals.held import conclude, goal
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from desireline.trainer import model_files
from desireline.trainer.encoders.onnx import OnnxEncoder
from desireline.trainer.forms.export import export_onnx
from desireline.trainer.forms.import_model import packaged_minilm

ONET = Path(__file__).parents[2] / "sidecar" / "demo" / "onet"
OURS = "desireline onnx"
Encode = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass
class Timing:
    """What one candidate did with one mixture, round by round."""

    candidate: str
    mixture: str
    docs_per_s: list[float] = field(default_factory=list)
    cpu_docs_per_s: list[float] = field(default_factory=list)
    max_cosine_difference: float = 0.0

    @property
    def best(self) -> float:
        return max(self.docs_per_s)

    @property
    def median(self) -> float:
        return statistics.median(self.docs_per_s)


def mixtures(count: int) -> dict[str, list[str]]:
    """Whole documents, short titles, and lengths drawn as in a product catalogue."""
    with (ONET / "occupations.jsonl").open(encoding="utf-8") as lines:
        documents = [json.loads(line) for line in lines]
    with (ONET / "reported_titles.tsv").open(encoding="utf-8") as lines:
        titles = [line.split("\t")[1] for line in lines][1:]
    drawn = np.random.default_rng(7)
    rendered = [f"{document['title']}. {document['description']}" for document in documents]
    chosen = drawn.permutation(len(rendered))
    # Log-normal: median 16 words, a tail to 100 and more, as the RetroTech catalogue has.
    words = np.maximum(2, drawn.lognormal(2.8, 0.7, size=count)).astype(int)
    catalogue = [
        " ".join(
            " ".join(rendered[(number + step) % len(rendered)] for step in range(4)).split()[:size]
        )
        for number, size in zip(np.resize(chosen, count), words, strict=True)
    ]
    return {
        "documents": [rendered[number] for number in np.resize(chosen, count)],
        "titles": [titles[number] for number in drawn.integers(len(titles), size=count)],
        "catalogue": catalogue,
    }


def candidates(folder: Path) -> tuple[dict[str, Encode], dict[str, str]]:
    """What can run here by name, and why the rest cannot."""
    found: dict[str, Encode] = {OURS: OnnxEncoder(folder).encode_documents}
    missing: dict[str, str] = {}
    for backend, package in (
        ("torch", "torch"),
        ("onnx", "optimum.onnxruntime"),
        ("openvino", "optimum.intel"),
    ):
        name = f"sentence-transformers {backend}"
        if importlib.util.find_spec(package.split(".")[0]) is None:
            missing[name] = f"{package} is not installed (it does not allow transformers 5)"
            continue
        try:
            model = SentenceTransformer(
                str(packaged_minilm()), device="cpu", backend=backend, local_files_only=True
            )
        except Exception as error:  # noqa: BLE001  whatever a backend says is the reason to print
            missing[name] = str(error).splitlines()[0]
            continue
        found[name] = _encode_with(model, threads=os.cpu_count() or 1)
        if backend == "torch":  # with several threads it suffers most from a busy machine
            found[f"{name}, 1 thread"] = _encode_with(model, threads=1)
    return found, missing


def _encode_with(model: SentenceTransformer, *, threads: int) -> Encode:
    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        torch.set_num_threads(threads)
        return np.asarray(model.encode(list(texts), show_progress_bar=False))

    return encode


def measure(encoders: dict[str, Encode], texts: dict[str, list[str]], rounds: int) -> list[Timing]:
    """Warm every candidate, then let them take turns; the order turns with the round."""
    timings = []
    for mixture, chosen in texts.items():
        rows = {name: Timing(candidate=name, mixture=mixture) for name in encoders}
        expected = {name: encode(chosen) for name, encode in encoders.items()}
        for name, row in rows.items():
            cosines = (expected[name] * expected[OURS]).sum(axis=1)
            row.max_cosine_difference = float(np.abs(1 - cosines).max())
        names = list(encoders)
        for number in range(rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                wall, cpu = time.perf_counter(), time.process_time()
                encoders[name](chosen)
                rows[name].docs_per_s.append(len(chosen) / (time.perf_counter() - wall))
                rows[name].cpu_docs_per_s.append(len(chosen) / (time.process_time() - cpu))
        timings += rows.values()
    return timings


def goals(timings: list[Timing]) -> list[dict[str, Any]]:
    """At least as fast as the best other backend, mixture by mixture; and the same vectors."""
    judged = []
    for mixture in dict.fromkeys(timing.mixture for timing in timings):
        rows = [timing for timing in timings if timing.mixture == mixture]
        ours = next(timing for timing in rows if timing.candidate == OURS)
        best = max((timing for timing in rows if timing is not ours), key=lambda row: row.best)
        ratio = ours.best / best.best
        judged.append(
            goal(
                f"encode {mixture}: times {best.candidate}",
                ">= 1.0",
                ratio,
                holds=ratio >= 1,
                digits=9,
            )
        )
    difference = max(timing.max_cosine_difference for timing in timings)
    judged.append(
        goal(
            "largest cosine difference", "<= 0.0001", difference, holds=difference <= 1e-4, digits=9
        )
    )
    return judged


def report(timings: list[Timing], missing: dict[str, str]) -> None:
    print(f"{'mixture':12}{'candidate':38}{'best':>8}{'median':>8}{'per cpu-s':>10}   docs/s")
    for row in timings:
        cpu = statistics.median(row.cpu_docs_per_s)
        print(f"{row.mixture:12}{row.candidate:38}{row.best:8.0f}{row.median:8.0f}{cpu:10.0f}")
    for name, reason in missing.items():
        print(f"not run: {name}: {reason}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="fewer texts and rounds")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    asked = parser.parse_args()
    texts = mixtures(96 if asked.quick else 400)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model_files.copy(packaged_minilm(), folder)
        export_onnx(folder)
        encoders, missing = candidates(folder)
        timings = measure(encoders, texts, rounds=3 if asked.quick else 5)
    judged = goals(timings)
    report(timings, missing)
    rows = [asdict(row) | {"best": row.best, "median": row.median} for row in timings]
    return conclude(
        "encode", judged, quick=asked.quick, file=asked.json, timings=rows, not_run=missing
    )


if __name__ == "__main__":
    sys.exit(main())
