"""What pseudo-labels teach: `synthesize`, then `fit`, beside in-batch softmax on the same rows.

    python tests/benchmarks/synthesis.py [--quick] [--json FILE] [--cells FILE]

Documents, queries and answers of O*NET are real (`../shared/data/onet`), and no answer of a train
query is looked at: queries are words of titles, or the train queries without their answers. The
pupil is a table of word vectors (wordllama), the teacher MiniLM by its similarities (no package
carries a cross-encoder; `--teacher FOLDER` takes one). Every way is stopped by the dev queries and
measured once on the test queries, over all 1,016 documents; intervals are of the gain in mRR@20
over the pupil as it comes, bootstrapped over queries with the mean of the seeds. Rows are of seed
0; the seeds are of the training. One thread.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from goals.held import conclude, goal
from mining.words import Words
from mining.worlds import DATA, World, at_hand, load
from own_data import measured, static_folder
from resuming.cells import Cells

from desireline.trainer import SynthesisModels, fit, synthesize
from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder
from desireline.trainer.evaluation import Evaluation, compare, rank_exact
from desireline.trainer.forms.import_model import packaged_minilm
from desireline.trainer.measures.base import Run, parse

MEASURES = [parse(name) for name in ("mrr@20", "recall@20", "ndcg@10")]
#: What the rows mean to the pupil, by name.
WAYS: dict[str, dict[str, Any]] = {
    "in-batch softmax": {},
    "MarginMSE": {"loss": "MarginMSELoss", "loss_options": {"similarity": "cosine"}},
}
FROM = ("titles", "queries")
#: Chosen on the dev queries, with the learning rate that `fit` finds.
EPOCHS, BATCH = 15, 128


def main() -> int:
    """Measure every cell that is not there yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer queries")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--cells", type=Path, help="file of what is measured already")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--teacher", default="minilm", help="folder of a cross-encoder")
    parser.add_argument("--relations", type=int, nargs="+", default=[3, 10])
    options = parser.parse_args()
    if not at_hand(DATA):
        return 0
    torch.set_num_threads(1)
    world = load("onet", DATA)
    cells = Cells(options.cells)
    most = 1_500 if options.quick else 6_000
    with tempfile.TemporaryDirectory() as scratch:
        rows = options.cells.with_suffix(".rows") if options.cells else Path(scratch, "rows")
        rows.mkdir(exist_ok=True)
        found = table(world, cells, Path(scratch), most, options, rows)
    for name, row in found.items():
        tell(line(name, row))
    over = {source: over_softmax(found, source) for source in FROM}
    goals = [each for source in FROM for each in goals_of(found, source, over[source])]
    for row in found.values():
        row.pop("values", None)
    return conclude(
        "synthesis", goals, quick=options.quick, file=options.json, ways=found, over_softmax=over
    )


def table(
    world: World, cells: Cells, scratch: Path, most: int, options: argparse.Namespace, rows: Path
) -> dict[str, Any]:
    """Return a row for each way, the seeds' mean."""
    pupil = static_folder(scratch / "pupil")
    base = cells.get({"of": "pupil"}, lambda: values(ranked(pupil, world), world))
    teacher = cells.get({"of": "teacher"}, lambda: values(ranked(packaged_minilm(), world), world))
    found: dict[str, Any] = {
        "BM25": base_row(values(Words(world.documents).rank(list(world.test), 20), world)),
        "pupil as it comes": base_row(base),
        "MiniLM as it comes": base_row(teacher),
    }
    tell(
        f"{len(world.documents):,} documents, {len(world.test):,} test queries, seeds"
        f" {options.seeds}, at most {most:,} queries"
    )
    for source in FROM:
        for relations in options.relations:
            for way, recipe in WAYS.items():
                if way == "in-batch softmax" and relations != options.relations[0]:
                    continue
                name = f"{source}, {way}" + (f", {relations}" if recipe else "")
                runs = []
                for seed in options.seeds:
                    of = {
                        "from": source,
                        "relations": relations,
                        "way": way,
                        "seed": seed,
                        "most": most,
                    }
                    if options.teacher != "minilm":
                        of["teacher"] = options.teacher
                    runs.append(cells.get(of, lambda of=of: cell(world, pupil, scratch, of, rows)))
                    tell(
                        f"  {name}, seed {seed}: dev {runs[-1]['dev']:.4f},"
                        f" {runs[-1]['rows']:,} rows, {runs[-1]['cpu_s']:.0f} processor seconds"
                    )
                found[name] = mean_row(runs, base)
    return found


def cell(
    world: World, pupil: Path, scratch: Path, of: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Synthesise, unless another way did so already, and tune."""
    began = time.process_time()
    made, card = synthesised(world, pupil, folder, of)
    spent = time.process_time() - began
    each = of["relations"] - 1
    rows = [json.loads(line) for line in made.read_text().splitlines()]
    recipe = WAYS[of["way"]]
    if not recipe:
        rows = [{k: row[k] for k in ("query", "document", "document_id")} for row in rows[::each]]
    dev = [
        {"query": query, "document": world.documents[one].text, "document_id": one}
        for query, right in sorted(world.dev.items())
        for one in sorted(right)
    ]
    out = scratch / f"{made.parent.name}-{of['way'].replace(' ', '-')}-{of['seed']}"
    told = {"seed": of["seed"], "threads": 1, "epochs": EPOCHS, "batch_size": BATCH, **recipe}
    run = fit(pupil, rows, dev, out=out, **told)
    return {
        "dev": run.after["mrr@20"],
        "rows": len(rows),
        "doubted": card["doubted"],
        "margins": card["margins"],
        "synthesis_s": spent,
        "cpu_s": time.process_time() - began,
        "values": values(ranked(run.folder, world), world),
    }


def synthesised(
    world: World, pupil: Path, folder: Path, of: dict[str, Any]
) -> tuple[Path, dict[str, Any]]:
    """Return the file of the rows and their card."""
    teacher = Path(of.get("teacher", "minilm"))
    out = folder / f"{of['from']}-{of['relations']}-{of['most']}-{teacher.name}"
    if out.exists():
        return out / "pairs.ndjson", json.loads((out / "card.json").read_text())
    documents = [
        {"document_id": each, "title": document.title, "text": document.rest}
        for each, document in world.documents.items()
    ]
    queries = None
    if of["from"] == "queries":
        known = sorted(world.train)
        drawn = np.random.default_rng(0).permutation(len(known))[: of["most"]]
        queries = [known[at] for at in drawn]
    made = synthesize(
        queries,
        documents,
        SynthesisModels(relation_miner=[str(pupil), "bm25"], cross_encoder=str(teacher)),
        num_relations=of["relations"],
        out=out,
        max_pairs=of["most"] * (of["relations"] - 1),
        threads=1,
    )
    return made.file, made.card


def ranked(folder: Path, world: World) -> Run:
    documents = {name: document.text for name, document in world.documents.items()}
    return rank_exact(SentenceTransformerEncoder(folder), list(world.test), documents, k=20)


def values(run: Run, world: World) -> dict[str, list[float]]:
    """Return each measure of each test query."""
    found = measured(run, world)
    return {str(measure): found.values[measure].tolist() for measure in MEASURES}


def base_row(found: dict[str, list[float]]) -> dict[str, Any]:
    return {name: float(np.mean(each)) for name, each in found.items()}


def mean_row(runs: list[dict[str, Any]], base: dict[str, list[float]]) -> dict[str, Any]:
    """Return the mean over seeds, query by query, and the gain over the base with its interval."""
    mean = {name: np.mean([run["values"][name] for run in runs], axis=0).tolist() for name in base}
    gain = compare(as_evaluation(mean), as_evaluation(base)).of(MEASURES[0]).gain
    row = base_row(mean) | {"values": mean}
    row["gain"] = [gain.mean, gain.low, gain.high]
    row["seeds"] = [float(np.mean(run["values"][str(MEASURES[0])])) for run in runs]
    row["rows"] = runs[0]["rows"]
    row["cpu_s"] = float(np.mean([run["cpu_s"] for run in runs]))
    return row


def as_evaluation(found: dict[str, list[float]]) -> Evaluation:
    count = len(found[str(MEASURES[0])])
    return Evaluation(
        queries=tuple(map(str, range(count))),
        values={measure: np.array(found[str(measure)]) for measure in MEASURES},
        weights=np.ones(count),
    )


def over_softmax(found: dict[str, Any], source: str) -> list[float]:
    """Return what the best margins gain over the same rows without them: mean, low, high."""
    softmax = found[f"{source}, in-batch softmax"]["values"]
    best = max(_by_margins(found, source), key=lambda row: row["mrr@20"])
    told = compare(as_evaluation(best["values"]), as_evaluation(softmax))
    gain = told.of(MEASURES[0]).gain
    return [gain.mean, gain.low, gain.high]


def goals_of(found: dict[str, Any], source: str, over: list[float]) -> list[dict[str, Any]]:
    """Say whether margins teach more than the same rows without them, and teach at all."""
    asked = "lower bound above 0 in mRR@20"
    low = min(row["gain"][1] for row in _by_margins(found, source))
    return [
        goal(
            f"margins over softmax on the same rows, from {source}",
            asked,
            over[1],
            holds=over[1] > 0,
        ),
        goal(f"margins over the pupil as it comes, from {source}", asked, low, holds=low > 0),
    ]


def _by_margins(found: dict[str, Any], source: str) -> list[dict[str, Any]]:
    return [row for name, row in found.items() if name.startswith(f"{source}, MarginMSE")]


def line(name: str, row: dict[str, Any]) -> str:
    means = "  ".join(f"{measure} {row[str(measure)]:.4f}" for measure in MEASURES)
    if "gain" not in row:
        return f"{name:<28}{means}"
    mean, low, high = row["gain"]
    seeds = " ".join(f"{each:.4f}" for each in row["seeds"])
    return (
        f"{name:<28}{means}  {mean:+.4f} [{low:+.4f}, {high:+.4f}]  seeds {seeds}"
        f"  {row['cpu_s']:.0f} cpu-s"
    )


def tell(sentence: str) -> None:
    sys.stdout.write(sentence + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
