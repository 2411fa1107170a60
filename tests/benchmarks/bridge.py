"""What a bridge keeps of a full re-embedding: new queries, old document vectors.

    python tests/benchmarks/bridge.py [--quick] [--json FILE]

On each set MiniLM is tuned on true pairs of other queries. Then held-out queries search all
documents in four ways: base (old queries, old documents), full (new queries, new documents), none
(new queries, old documents as they are) and bridge (new queries, mapped, old documents). The map
is fitted on a thousand documents or two, evenly drawn, which both encoders have embedded.

`recall@10` is of right answers; `of_full` is the bridge's share of the full re-embedding's, with a
paired bootstrap interval over queries; `neighbours` is the share of the full re-embedding's first
ten that each way finds, too. The queries were never trained on or chosen by.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from goals.held import conclude, goal
from mining.worlds import DATA, World, at_hand, load
from numpy.typing import NDArray
from training.lessons_of import drawn, true_pairs

from desireline.connectors.documents import TextTemplate, Vectors
from desireline.trainer.bridge import register_bridge
from desireline.trainer.encoders.base import Encoder
from desireline.trainer.evaluation import evaluate, rank_exact
from desireline.trainer.forms.export import export_onnx
from desireline.trainer.forms.import_model import import_model, packaged_minilm
from desireline.trainer.jobs import FitConfig, FitJob
from desireline.trainer.measures.base import Run
from desireline.trainer.measures.recall import Recall
from desireline.trainer.models.manifest import Provenance
from desireline.trainer.registry import Registry
from desireline.trainer.training.tuning import tune

WORLDS = ("onet", "tldr")
TEMPLATE = TextTemplate(fields=("title",))
_K = 10
#: Share of the full recall that Drift-Adapter (2025) published at least.
LEAST = 0.95
#: Documents that the map is fitted on, at least, where a set has so many.
_FITTED = 1_000
_DRAWS = 2_000
Values = NDArray[np.float64]


class Towers:
    """Queries by one encoder, over vectors that another has given to the documents."""

    def __init__(self, queries: Encoder, documents: Vectors) -> None:
        self.encode_queries = queries.encode_queries
        self._documents = documents

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors that are there, in the order of the set."""
        assert len(texts) == len(self._documents)
        return self._documents


def tuned(registry: Registry, base: str, world: World, *, pairs: int, seed: int) -> str:
    """Tune MiniLM on true pairs of the training queries and register it."""
    with tempfile.TemporaryDirectory(prefix="desireline-bench-") as scratch:
        lessons = Path(scratch, "pairs")
        drawn(true_pairs(world), pairs, seed=seed).write(lessons)
        job = FitJob(
            base=packaged_minilm(),
            pairs=lessons,
            out=Path(scratch, "tuned"),
            registry=registry.root,
            template=TEMPLATE.fields,
            config=FitConfig(epochs=2.0, least_steps=1, threads=1, seed=seed),
            provenance=Provenance(base_model="minilm", parent=base, seed=seed, pairs=pairs),
        )
        trained = tune(job)
        export_onnx(trained.folder)
        return registry.add(
            trained.folder, template=TEMPLATE, similarity="cosine", provenance=job.provenance
        ).fingerprint


def measured(world: World, *, pairs: int, seed: int) -> dict[str, Any]:
    """Compare the four ways on one set with one seed."""
    texts = {name: document.text for name, document in world.documents.items()}
    with tempfile.TemporaryDirectory(prefix="desireline-bench-") as scratch:
        registry = Registry(Path(scratch, "models"))
        base = import_model(str(packaged_minilm()), registry, TEMPLATE).fingerprint
        new = tuned(registry, base, world, pairs=pairs, seed=seed)
        fitted = list(texts.values())[:: max(1, len(texts) // _FITTED)]
        manifest, found = register_bridge(registry, new=new, old=base, texts=fitted, seed=seed)
        encoders = {name: registry.load(name, 1) for name in (base, new, manifest.fingerprint)}
        old, whole = (encoders[name].encode_documents(list(texts.values())) for name in (base, new))
        ways = {
            "base": Towers(encoders[base], old),
            "full": Towers(encoders[new], whole),
            "none": Towers(encoders[new], old),
            "bridge": Towers(encoders[manifest.fingerprint], old),
        }
        queries = sorted(world.test)
        runs = {way: rank_exact(e, queries, texts, k=_K) for way, e in ways.items()}  # type: ignore[arg-type]
    values = {way: _recall(run, world) for way, run in runs.items()}
    told = {
        "set": world.name,
        "seed": seed,
        "pairs": pairs,
        "fitted_on": len(fitted),
        "map": found.kind,
        "likeness": round(found.likeness, 4),
        "queries": len(queries),
        "recall@10": {way: round(float(each.mean()), 4) for way, each in values.items()},
        "of_full": _share(values["bridge"], values["full"], seed=seed),
        "neighbours": {
            way: round(_shared(runs[way], runs["full"], queries), 4)
            for way in ("base", "none", "bridge")
        },
    }
    print(json.dumps(told), flush=True)
    return told


def _recall(run: Run, world: World) -> Values:
    qrels = {query: dict.fromkeys(names, 1.0) for query, names in world.test.items()}
    return np.asarray(evaluate(run, qrels, (Recall(_K),)).values[Recall(_K)], dtype=np.float64)


def _share(ours: Values, whole: Values, *, seed: int) -> dict[str, float]:
    """Return the ratio of the means and its 95 % interval, queries drawn with both values."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(ours), size=(_DRAWS, len(ours)))
    ratios = ours[rows].mean(axis=1) / whole[rows].mean(axis=1)
    low, high = np.quantile(ratios, (0.025, 0.975))
    named = {"value": ours.mean() / whole.mean(), "low": low, "high": high}
    return {name: round(float(number), 4) for name, number in named.items()}


def _shared(run: Run, whole: Run, queries: Sequence[str]) -> float:
    return float(np.mean([len({*run[q][:_K]} & {*whole[q][:_K]}) / _K for q in queries]))


def goals(found: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """As much of the recall as Drift-Adapter published at least, set by set and seed by seed."""
    shares = {name: [told["of_full"]["value"] for told in some] for name, some in found.items()}
    return [
        goal(
            f"{name}: share of the full recall, least of seeds",
            f">= {LEAST}",
            min(some),
            holds=min(some) >= LEAST,
        )
        for name, some in shares.items()
    ]


def main() -> int:
    """Measure every set with every seed and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, fewer pairs")
    parser.add_argument("--set", choices=WORLDS, help="only this one")
    parser.add_argument("--json", type=Path, help="where the numbers go")
    options = parser.parse_args()
    if not at_hand(DATA):
        return 0
    torch.set_num_threads(1)
    pairs, seeds = (1_500, (0,)) if options.quick else (6_000, (0, 1, 2))
    found: Mapping[str, list[dict[str, Any]]] = {
        name: [measured(load(name, DATA), pairs=pairs, seed=seed) for seed in seeds]
        for name in ([options.set] if options.set else WORLDS)
    }
    return conclude("bridge", goals(found), quick=options.quick, file=options.json, sets=found)


if __name__ == "__main__":
    sys.exit(main())
