"""What an int8 form keeps of MiniLM: vectors, answers, and right answers.

    python tests/benchmarks/int8.py [--quick] [--json FILE]

For each set: the 1st percentile of the cosines and the share of the first ten answers that stay,
by the very function that a cycle asks (`desireline.trainer.forms.parity`) and by the defaults that
it is held against; and nDCG@10 of both forms with a paired bootstrap interval of the difference.
MiniLM is not trained and nothing is chosen by the test queries; the sample of them is drawn by seed
0.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from goals.held import conclude, goal
from mining.worlds import DATA, World, at_hand, load

from desireline.connectors.documents import TextTemplate
from desireline.trainer.evaluation import compare as difference
from desireline.trainer.evaluation import evaluate, rank_exact
from desireline.trainer.forms.import_model import MINILM, import_model
from desireline.trainer.forms.parity import compare
from desireline.trainer.forms.quantise import quantise
from desireline.trainer.gate import GateConfig
from desireline.trainer.measures.ndcg import Ndcg
from desireline.trainer.registry import Registry

WORLDS = ("onet", "tldr", "banking77")


def measured(world: World, registry: Registry, *, most_queries: int) -> dict[str, Any]:
    """Compare both forms on one set."""
    base = import_model(MINILM, registry, TextTemplate(fields=("title",)))
    exact = registry.load(base.fingerprint, 1)
    rough = registry.load(quantise(registry, base.fingerprint).fingerprint, 1)
    documents = {name: document.text for name, document in world.documents.items()}
    queries = sorted(world.test)
    if len(queries) > most_queries:
        rows = np.random.default_rng(0).permutation(len(queries))[:most_queries]
        queries = [queries[row] for row in np.sort(rows)]
    parity = compare(exact, rough, documents, queries)
    qrels = {query: dict.fromkeys(world.test[query], 1.0) for query in queries}
    runs = [rank_exact(each, queries, documents, k=10) for each in (rough, exact)]
    found = [evaluate(run, qrels, (Ndcg(10),)) for run in runs]
    gain = difference(*found).of(Ndcg(10)).gain
    means = [float(np.mean(each.values[Ndcg(10)])) for each in found]
    told = {
        "set": world.name,
        "documents": parity.documents,
        "queries": parity.queries,
        "cosine_p1": round(parity.cosine, 4),
        "overlap@10": round(parity.overlap, 4),
        "ndcg@10_int8": round(means[0], 4),
        "ndcg@10_float32": round(means[1], 4),
        "difference": [round(value, 4) for value in (gain.mean, gain.low, gain.high)],
    }
    print(json.dumps(told), flush=True)
    return told


def goals(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Hold each figure against the default that a cycle holds it against."""
    gate = GateConfig()
    asked = (("cosine_p1", gate.int8_cosine), ("overlap@10", gate.int8_overlap))
    return [
        goal(
            f"int8 of MiniLM on {each['set']}: {name}",
            f">= {least}",
            each[name],
            holds=each[name] >= least,
        )
        for each in found
        for name, least in asked
    ]


def main() -> int:
    """Measure every set and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer queries, one set")
    parser.add_argument("--json", type=Path, help="where the numbers go")
    options = parser.parse_args()
    if not at_hand(DATA):
        return 0
    with tempfile.TemporaryDirectory(prefix="desireline-bench-") as scratch:
        registry = Registry(Path(scratch, "models"))
        found = [
            measured(load(name, DATA), registry, most_queries=300 if options.quick else 1_000)
            for name in (WORLDS[:1] if options.quick else WORLDS)
        ]
    return conclude("int8", goals(found), quick=options.quick, file=options.json, sets=found)


if __name__ == "__main__":
    sys.exit(main())
