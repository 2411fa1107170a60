"""What one trunk for retrieval and intent together is worth in a compact encoder.

    python tests/benchmarks/joint.py [--quick] [--json FILE] [--cells FILE] [--only WORLD ...]

Two encoders of one kind and seed, alike but for `fit.small.intent_weight`: one is tuned for the
documents that answer queries, the other for their categories, too. Both learn from the same true
pairs of other queries. Retrieval is nDCG@10 over all documents; intent is the head that a cycle
would learn for each of them (`desireline.trainer.intent`), so nothing of the training's own map to
categories is measured. Figures are of test queries (`--split dev` for choices); intervals are
paired bootstrap intervals over queries, of the mean over seeds. Worlds and categories are those of
intent.py, encoders are made and kept as in small.py.
"""

import argparse
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from goals.held import conclude, goal
from intent import Bench as Meaning
from intent import head_of
from meaning.categories import CATEGORY
from meaning.trunks import Trunk
from mining.worlds import DATA, at_hand, load
from resuming.cells import Cells
from small import JOINT
from small import Bench as Encoders

from desireline.trainer.encoders.onnx import OnnxEncoder
from desireline.trainer.intent.scoring import RARE, difference, score

CELLS = Path(__file__).parents[2] / ".cache" / "bench" / "joint.jsonl"
FIGURES = ("nDCG@10", "accuracy", "log-loss")


def meant(data: Path, world: str, folder: str, seed: int, split: str) -> dict[str, Any]:
    """Learn the head of an encoder and ask it."""
    bench = Meaning(load(world, data), seed)
    lessons = bench.lessons(bench.pairs("true"))
    held = bench.held_out(split, lessons)
    texts = sorted({*lessons.texts, *held.queries})
    vectors = OnnxEncoder(Path(folder), threads=1).encode_queries(texts)
    trunk = Trunk(
        name=folder,
        queries=dict(zip(texts, vectors, strict=True)),
        document_ids=(),
        documents=np.empty((0, vectors.shape[1]), dtype=np.float32),
    )
    head = head_of(trunk, lessons, seed)
    found = score(held.columns(head.confidences(trunk.of(held.queries)), head.categories), held)
    told = {name: figure.value for name, figure in found.overall.items()}
    rare = found.parts[RARE]["accuracy"].value if RARE in found.parts else None
    return {
        "accuracy": [float(each) for each in found.right],
        "log-loss": [float(each) for each in found.losses],
        "told": told | {"accuracy, rare categories": rare},
    }


def measured(
    encoders: Encoders, cells: Cells, world: str, ways: tuple[str, str], seeds: list[int]
) -> dict[str, Any]:
    """Measure both encoders; return their figures and what joint training changes."""
    values: dict[str, dict[str, list[list[float]]]] = {}
    told: dict[str, Any] = {}
    for way in ways:
        for seed in seeds:
            found = encoders.get(world, way, seed)
            of = {"world": world, "way": way, "seed": seed, "split": encoders.split}
            ask = partial(meant, encoders.data, world, found["folder"], seed, encoders.split)
            intent = cells.get(of, ask)
            row = {"nDCG@10": found["values"], **{name: intent[name] for name in FIGURES[1:]}}
            for name, each in row.items():
                values.setdefault(way, {}).setdefault(name, []).append(each)
            figures = {"nDCG@10": float(np.mean(found["values"])), **intent["told"]}
            told[f"{way}, seed {seed}"] = figures
            shown = ", ".join(f"{name} {value:.3f}" for name, value in figures.items() if value)
            print(f"{world} {way}, seed {seed}: {shown}", flush=True)
    alone, joint = (
        {name: np.mean(np.array(some), axis=0) for name, some in values[way].items()}
        for way in ways
    )
    changed = {name: asdict(difference(joint[name], alone[name])) for name in FIGURES}
    for name, each in changed.items():
        interval = f"[{each['low']:+.4f}, {each['high']:+.4f}]"
        print(f"| {world} | {ways[1]} | {name} | {each['value']:+.4f} {interval} |", flush=True)
    return {"figures": told, "changed": changed}


def goals_of(world: str, way: str, changed: dict[str, Any]) -> list[dict[str, Any]]:
    """Say whether retrieval is not proved worse, and intent proved better."""
    kept, gained = changed["nDCG@10"]["high"], changed["accuracy"]["low"]
    name = f"{world}, {way}"
    return [
        goal(f"{name}: change of nDCG@10, upper bound", "not below 0", kept, holds=kept >= 0),
        goal(f"{name}: gain of accuracy, lower bound", "above 0", gained, holds=gained > 0),
    ]


def main() -> int:
    """Make, ask, tell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="banking77, one seed, one pair")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--cells", type=Path, default=CELLS, help="finished cells are kept here")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    parser.add_argument("--only", nargs="+", choices=list(CATEGORY), default=list(CATEGORY))
    parser.add_argument("--ways", nargs="+", choices=list(JOINT), default=list(JOINT)[:1])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--split", choices=("dev", "test"), default="test", help="dev for choices")
    asked = parser.parse_args()
    if not at_hand(asked.data):
        return 0
    encoders = Encoders(
        data=asked.data,
        cells=Cells(asked.cells.with_name(f"{asked.cells.stem}-encoders.jsonl")),
        folder=asked.cells.with_suffix(""),
        split=asked.split,
    )
    found, goals = {}, []
    for world in ["banking77"] if asked.quick else asked.only:
        for way in asked.ways:
            pair = JOINT[way], way
            seeds = [0] if asked.quick else asked.seeds
            each = measured(encoders, Cells(asked.cells), world, pair, seeds)
            found[f"{world}, {way}"] = each
            goals += goals_of(world, way, each["changed"])
    return conclude("joint", goals, quick=asked.quick, file=asked.json, found=found)


if __name__ == "__main__":
    sys.exit(main())
