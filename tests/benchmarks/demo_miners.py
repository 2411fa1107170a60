"""Whether the four recommended miners beat `clicked` with MiniLM, in the same processor time.

    python tests/benchmarks/demo_miners.py [--quick] [--json FILE] [--cells FILE] [--seeds 1 2]

The demo's documents, queries and answers (O*NET), which are real, and its users, who are
SIMULATED; trust, split, judgments, miners and training as in a cycle, on one thread. `clicked`
takes the steps that are the default; each other way as many as the same processor seconds allow, by
what some steps of its own cost. mRR@20 on the 1,000 test queries over all documents; intervals are
bootstrapped over queries, whose values are the mean over the seeds.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from goals.held import conclude
from goals.interval import Values, interval
from mining.words import Words
from resuming.cells import Cells

from desireline.connectors import plugins
from desireline.connectors.documents import TextTemplate
from desireline.connectors.search_engine import Hit
from desireline.sidecar.demo.occupations import TEXT_FIELDS, Truth, load_occupations
from desireline.trainer.clickmodels.latent_relevance import LatentRelevance
from desireline.trainer.documents.pair_features import describe_pairs
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder
from desireline.trainer.evaluation import rank_exact
from desireline.trainer.forms.import_model import packaged_minilm
from desireline.trainer.jobs import FitConfig
from desireline.trainer.judgments import judge
from desireline.trainer.measures.base import Run
from desireline.trainer.measures.reciprocal_rank import ReciprocalRank
from desireline.trainer.miners.base import Material, Search, mine
from desireline.trainer.miners.likeness import Likeness
from desireline.trainer.pairs import PairSet
from desireline.trainer.sessions import Sessions, to_sessions
from desireline.trainer.simulation.users import SimulationConfig, simulate
from desireline.trainer.splits import split_forward
from desireline.trainer.training.tuning import tune_pairs
from desireline.trainer.trust.belief import TrustConfig, trust

MEASURE = ReciprocalRank(20)
SHOWN, DEPTH = 20, 30
#: Steps that say what one costs; the first, which warms up, does not count.
TRIAL = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Which pairs are made, and how many documents a batch holds."""

    miners: tuple[str, ...]
    hard_negatives: int = 0
    batch_documents: int = FitConfig().batch_documents

    def config(self, steps: int, seed: int) -> FitConfig:
        """As the demo trains, on one thread."""
        return FitConfig(
            hard_negatives=self.hard_negatives,
            batch_documents=self.batch_documents,
            max_steps=steps,
            threads=1,
            seed=seed,
        )


#: Steps of every way, where none has a time to end in.
STEPS = 60
FOUR = ("clicked", "skipped_above", "engine_negatives", "self_supervised")
PLAIN = "clicked"
WAYS = {
    PLAIN: Way(miners=("clicked",)),
    "the four, 4 negatives": Way(miners=FOUR, hard_negatives=4),
    "the four, 4 negatives, 16 documents a batch": Way(
        miners=FOUR, hard_negatives=4, batch_documents=16
    ),
    "clicked and skipped_above, 1 negative": Way(
        miners=("clicked", "skipped_above"), hard_negatives=1
    ),
}


class Demo:
    """Documents, truth, and what the base encoder shows for every query that may be typed."""

    def __init__(self) -> None:
        occupations = load_occupations()
        template = TextTemplate(fields=TEXT_FIELDS)
        self.documents = {
            each.document_id: DocumentText.of(each.fields, template)
            for each in occupations.documents
        }
        self.texts = {name: document.text for name, document in self.documents.items()}
        self.typed: Truth = {**occupations.lay, **occupations.reported["train"]}
        self.test = occupations.reported["test"]
        self.base = SentenceTransformerEncoder(packaged_minilm())
        self.words = Words(self.documents)

    @cached_property
    def shown(self) -> Run:
        return rank_exact(self.base, sorted(self.typed), self.texts, k=DEPTH)

    def values(self, run: Run) -> list[float]:
        """Reciprocal rank of each test query."""
        return [MEASURE.value(run[query], self.test[query]) for query in sorted(self.test)]

    def of_encoder(self, encoder: SentenceTransformerEncoder) -> list[float]:
        return self.values(rank_exact(encoder, sorted(self.test), self.texts, k=20))


@dataclass
class Log:
    """The demo's users of one seed, and what a cycle lets miners look at."""

    demo: Demo
    seed: int

    @cached_property
    def material(self) -> Material:
        demo, sessions = self.demo, self._taught()
        features = describe_pairs(sessions.frame, demo.documents, demo.base)
        return Material(
            sessions=sessions,
            judgments=judge(sessions, LatentRelevance(), features),
            documents=demo.documents,
            search=_search(lambda query, k: demo.shown[query][:k]),
            lexical=_search(lambda query, k: demo.words.rank([query], k)[query]),
            likeness=Likeness(demo.base, demo.documents),
        )

    def _taught(self) -> Sessions:
        """What of the log teaches."""
        shown = self.demo.shown
        people = simulate(
            sorted(self.demo.typed),
            {query: set(grades) for query, grades in self.demo.typed.items()},
            lambda queries: {query: shown[query][:SHOWN] for query in queries},
            SimulationConfig(seed=self.seed, shown=SHOWN),
        )
        trusted = trust(to_sessions(people.batches)).sessions
        judges = TrustConfig().judges
        return split_forward(trusted, later_share=0.1, seed=self.seed, judges=judges).train

    def pairs(self, miners: Sequence[str]) -> PairSet:
        return mine(self.material, [plugins.load("miners", name)() for name in miners]).pairs


def _search(answer: Callable[[str, int], Sequence[str]]) -> Search:
    def search(query: str, k: int) -> list[Hit]:
        return [Hit(document_id=name, score=1.0, fields={}) for name in answer(query, k)]

    return search


def train(
    demo: Demo, pairs: PairSet, config: FitConfig, *, examined: bool
) -> tuple[list[float], list[float]]:
    """Tune MiniLM; return the processor seconds of each step but the first, and the values."""
    moments: list[float] = []
    with tempfile.TemporaryDirectory(prefix="desireline-bench-") as folder:
        out = Path(folder, "tuned")
        told = partial(_moment, moments)
        tune_pairs(pairs, packaged_minilm(), out, config, progress=told)
        values = demo.of_encoder(SentenceTransformerEncoder(out)) if examined else []
    return np.diff(moments).tolist(), values


def _moment(moments: list[float], *_: object) -> None:
    moments.append(time.process_time())


def measure(
    demo: Demo, ways: Sequence[str], seeds: Sequence[int], cells: Cells
) -> list[dict[str, Any]]:
    """One row a seed and way; `clicked` first, for it says how much time the others have."""
    rows = []
    for seed in seeds:
        log, budget = Log(demo, seed), 0.0
        for name in ways:
            cell = {"seed": seed, "way": name}
            found = cells.get(cell, partial(_reached, log, WAYS[name], budget))
            budget = budget or found["seconds"]
            rows.append(cell | found)
            print(
                f"seed {seed}  {name:44}{statistics.mean(found['values']):.4f}"
                f"{found['pairs']:7,} pairs{found['steps']:4} steps{found['seconds']:5.0f} s",
                flush=True,
            )
    return rows


def _reached(log: Log, way: Way, budget: float) -> dict[str, Any]:
    """Train one way within the budget; without one, in as many steps as all."""
    pairs = log.pairs(way.miners)
    steps = STEPS
    if budget:
        trial, _ = train(log.demo, pairs, way.config(TRIAL, log.seed), examined=False)
        steps = max(1, round(budget / statistics.mean(trial)))
    seconds, values = train(log.demo, pairs, way.config(steps, log.seed), examined=True)
    return {
        "pairs": len(pairs.pairs),
        "steps": steps,
        "seconds": statistics.mean(seconds) * steps,
        "values": values,
    }


def table(demo: Demo, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each way beside `clicked`, the mean over the seeds; base and BM25 first."""
    test = sorted(demo.test)
    means = {
        "BM25": np.array(demo.values(demo.words.rank(test, 20))),
        "base": np.array(demo.of_encoder(demo.base)),
    }
    for name in dict.fromkeys(row["way"] for row in rows):
        means[name] = np.mean([row["values"] for row in rows if row["way"] == name], axis=0)
    found = []
    for name, values in means.items():
        of_way = [row for row in rows if row["way"] == name]
        found.append(
            {
                "way": name,
                "mrr@20": round(float(values.mean()), 4),
                "over_clicked": _interval(values - means[PLAIN]),
                "by_seed": [round(statistics.mean(row["values"]), 4) for row in of_way],
                "steps": [row["steps"] for row in of_way],
                "seconds": [round(row["seconds"]) for row in of_way],
            }
        )
    return found


def _interval(gain: Values) -> tuple[float, float, float]:
    mean, low, high = interval(gain)
    return round(mean, 4), round(low, 4), round(high, 4)


def report(found: Sequence[Mapping[str, Any]]) -> None:
    print("\n| pairs of | mRR@20 | over `clicked` [95 %] | by seed | steps | processor seconds |")
    print("|---|---|---|---|---|---|")
    for row in found:
        gain, low, high = row["over_clicked"]
        told = "" if row["way"] == PLAIN else f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]"
        lists = (
            ", ".join(f"{each}" for each in row[key]) for key in ("by_seed", "steps", "seconds")
        )
        print(f"| {row['way']} | {row['mrr@20']:.3f} | {told} | {' | '.join(lists)} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="one seed, two ways")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--cells", type=Path, help="keep finished cells here and go on from them")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    demo = Demo()
    seeds, chosen = (asked.seeds[:1], list(WAYS)[:2]) if asked.quick else (asked.seeds, asked.ways)
    ways = [PLAIN, *(name for name in chosen if name != PLAIN)]
    rows = measure(demo, ways, seeds, Cells(asked.cells))
    found = table(demo, rows)
    report(found)
    return conclude(
        "demo_miners", [], quick=asked.quick, file=asked.json, clicks="SIMULATED", ways=found
    )


if __name__ == "__main__":
    sys.exit(main())
