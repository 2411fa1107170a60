"""Which miners earn their place: the same base encoder tuned on the pairs of each.

    python tests/benchmarks/miners.py [--quick] [--json FILE] [--cells FILE] [--only onet tldr]

Documents, queries and answers are real; the clicks are SIMULATED (a document is looked at with
probability 1/position^0.6, clicked with .85 if right and .04 if not; most queries are typed
once). Sessions, judgments, miners, label model, batches and loss are the product's own; the
encoder is a table of word vectors that tunes in seconds. Every number is mRR@20 on held-out
queries over all documents; intervals are bootstrapped over queries, whose values are the mean
over the seeds. Share closed = how much of the way from the base to an encoder tuned on the true
pairs of the clicked queries.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mining.retries import with_retries
from mining.static_encoder import Recipe, StaticEncoder, train
from mining.words import Words
from mining.worlds import World, load
from resuming.cells import Cells

from desireline.connectors.search_engine import Hit
from desireline.trainer.clickmodels.latent_relevance import LatentRelevance
from desireline.trainer.evaluation import rank_exact
from desireline.trainer.judgments import judge
from desireline.trainer.measures.base import Run
from desireline.trainer.measures.reciprocal_rank import ReciprocalRank
from desireline.trainer.miners.base import Material, Miner, Search, mine, mine_all
from desireline.trainer.miners.categories import Categories
from desireline.trainer.miners.clicked import Clicked
from desireline.trainer.miners.co_clicked import CoClicked
from desireline.trainer.miners.crops import Crops
from desireline.trainer.miners.engine_negatives import EngineNegatives
from desireline.trainer.miners.likeness import Likeness
from desireline.trainer.miners.pseudo_queries import PseudoQueries
from desireline.trainer.miners.reformulated import Reformulated
from desireline.trainer.miners.self_supervised import SelfSupervised
from desireline.trainer.miners.skipped_above import SkippedAbove
from desireline.trainer.miners.unanswered import Unanswered
from desireline.trainer.pair_features import describe_pairs
from desireline.trainer.pairs import Pair, PairSet, Passage, merge
from desireline.trainer.sessions import Sessions, to_sessions
from desireline.trainer.simulation import SimulationConfig, simulate

DATA = Path(__file__).parents[3] / "shared" / "data"
WORLDS = ("onet", "tldr")
#: Share of the distance between base and true pairs that everything together must close.
GOALS = {"onet": 0.75, "tldr": 0.60}
SHOWN = 20
DEPTH = 30
MEASURE = ReciprocalRank(20)

EACH: dict[str, Callable[[], Miner]] = {
    "clicked": Clicked,
    "skipped_above": SkippedAbove,
    "engine_negatives": EngineNegatives,
    "self_supervised": SelfSupervised,
    "pseudo_queries": PseudoQueries,
    "crops": Crops,
    "categories": Categories,
    "co_clicked": CoClicked,
}
#: These need users who try again, so they are measured on a log of such users.
RETRYING: dict[str, Callable[[], Miner]] = {"reformulated": Reformulated, "unanswered": Unanswered}
#: What stands in `tune.miners` for a target with clicks, as docs/results.md recommends.
CHOSEN = ("clicked", "skipped_above", "engine_negatives", "self_supervised")
Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is measured."""

    seeds: tuple[int, ...]
    #: Only these ways to make pairs; all without a name.
    arms: tuple[str, ...] = ()
    recipe: Recipe = field(default_factory=lambda: Recipe(hard_negatives=4))


@dataclass
class Town:
    """One world with its base, its search, and the truth of its held-out queries."""

    world: World
    base: StaticEncoder

    @cached_property
    def texts(self) -> dict[str, str]:
        return {name: document.text for name, document in self.world.documents.items()}

    @cached_property
    def words(self) -> Words:
        return Words(self.world.documents)

    @cached_property
    def shown(self) -> Run:
        """What the base finds for every query that may be typed."""
        return rank_exact(self.base, list(self.world.train), self.texts, k=DEPTH)

    def values(self, run: Run) -> Values:
        """Reciprocal rank of each held-out query."""
        truth = self.world.test
        return np.array(
            [MEASURE.value(run[query], dict.fromkeys(truth[query], 1.0)) for query in sorted(truth)]
        )

    def of_encoder(self, encoder: StaticEncoder) -> Values:
        return self.values(rank_exact(encoder, sorted(self.world.test), self.texts, k=20))


@dataclass
class Log:
    """Users of one seed, and what the miners may look at."""

    town: Town
    seed: int
    retrying: bool = False

    @cached_property
    def sessions(self) -> Sessions:
        world, shown = self.town.world, self.town.shown
        log = simulate(
            list(world.train),
            world.train,
            lambda queries: {query: shown[query] for query in queries},
            SimulationConfig(
                searches=len(world.train), zipf=0.5, shown=SHOWN, bots=0, seed=self.seed
            ),
        )
        if self.retrying:
            return to_sessions(with_retries(log, world.train, shown, seed=self.seed))
        return to_sessions(log.batches)

    @cached_property
    def material(self) -> Material:
        documents = self.town.world.documents
        features = describe_pairs(self.sessions.frame, documents, self.town.base)
        return Material(
            sessions=self.sessions,
            judgments=judge(self.sessions, LatentRelevance(), features),
            documents=documents,
            search=_search(lambda query, k: self.town.shown[query][:k]),
            lexical=_search(lambda query, k: self.town.words.rank([query], k)[query]),
            likeness=Likeness(self.town.base, documents),
        )

    @property
    def wrong_share(self) -> float:
        clicked = self.sessions.frame.filter("clicked").select("query", "document_id")
        right = [name in self.town.world.train[query] for query, name in clicked.iter_rows()]
        return 1 - float(np.mean(right))

    def raw(self) -> PairSet:
        """Every clicked pair, as it is."""
        clicked = self.sessions.frame.filter("clicked").select("query", "document_id").unique()
        return self._pairs(sorted(clicked.iter_rows()))

    def true(self) -> PairSet:
        """All right documents of the queries that have a click."""
        clicked = sorted(set(self.sessions.frame.filter("clicked").get_column("query")))
        truth = self.town.world.train
        return self._pairs([(query, name) for query in clicked for name in sorted(truth[query])])

    def _pairs(self, keys: Sequence[tuple[str, str]]) -> PairSet:
        texts = self.town.texts
        related: dict[str, set[str]] = {}
        for query, name in keys:
            related.setdefault(query, set()).add(name)
        return merge(
            [
                Pair(anchor=query, positive=Passage(name, texts[name]), source="given")
                for query, name in keys
            ],
            {query: frozenset(names) for query, names in related.items()},
        )


def _search(answer: Callable[[str, int], Sequence[str]]) -> Search:
    def search(query: str, k: int) -> list[Hit]:
        return [Hit(document_id=name, score=1.0, fields={}) for name in answer(query, k)]

    return search


def arms(log: Log) -> dict[str, Callable[[], PairSet]]:
    """Every way to make pairs of a log, by name."""
    if log.retrying:
        return {
            "clicked (users who retry)": lambda: mine_all(log.material, [Clicked()]),
            **{
                f"clicked + {name}": _mining(log, ("clicked", name), {**EACH, **RETRYING})
                for name in RETRYING
            },
        }
    alone = {name: _mining(log, (name,), EACH) for name in EACH}
    beside = {
        f"clicked + {name}": _mining(log, ("clicked", name), EACH)
        for name in EACH
        if name != "clicked"
    }
    return {
        "raw clicks": log.raw,
        "true pairs": log.true,
        **alone,
        **beside,
        "chosen": _mining(log, CHOSEN, EACH),
        "all": _mining(log, tuple(EACH), EACH),
    }


def _mining(
    log: Log, names: Sequence[str], kinds: Mapping[str, Callable[[], Miner]]
) -> Callable[[], PairSet]:
    return lambda: mine(log.material, [kinds[name]() for name in names]).pairs


def measure(town: Town, plan: Plan, cells: Cells) -> dict[str, Any]:
    """Tune on every arm and seed; return what each reached."""
    found: dict[str, list[Values]] = {}
    pairs: dict[str, list[int]] = {}
    wrong = []
    for seed in plan.seeds:
        logs = [Log(town, seed), Log(town, seed, retrying=True)]
        wrong.append(logs[0].wrong_share)
        for name, make in ((n, m) for log in logs for n, m in arms(log).items()):
            if plan.arms and name not in plan.arms:
                continue
            arm = {"world": town.world.name, "seed": seed, "arm": name}
            reached = cells.get(arm, partial(_tuned, town, make, plan.recipe, seed))
            if not reached["values"]:
                continue
            found.setdefault(name, []).append(np.array(reached["values"]))
            pairs.setdefault(name, []).append(reached["pairs"])
            print(
                f"{town.world.name} seed {seed} {name:32} {found[name][-1].mean():.4f}"
                f" {reached['pairs']:7,} pairs {reached['seconds']:5.0f} s",
                flush=True,
            )
    return _table(town, found, pairs, wrong)


def _tuned(town: Town, make: Callable[[], PairSet], recipe: Recipe, seed: int) -> dict[str, Any]:
    """Tune on what one way makes; no values where it makes too little to learn from."""
    began = time.process_time()
    made = make()
    values: list[float] = []
    if len({pair.positive.document_id for pair in made.pairs}) > 1:
        values = town.of_encoder(train(town.base, made, recipe, seed=seed)).tolist()
    seconds = time.process_time() - began
    return {"values": values, "pairs": len(made.pairs), "seconds": seconds}


def _table(
    town: Town,
    found: Mapping[str, list[Values]],
    pairs: Mapping[str, list[int]],
    wrong: Sequence[float],
) -> dict[str, Any]:
    base = town.of_encoder(town.base)
    words = town.values(town.words.rank(sorted(town.world.test), 20))
    means = {name: np.mean(values, axis=0) for name, values in found.items()}
    room = means["true pairs"] - base
    return {
        "wrong_share": round(float(np.mean(wrong)), 3),
        "base": round(float(base.mean()), 4),
        "bm25": round(float(words.mean()), 4),
        "arms": {
            name: {
                "mrr@20": round(float(values.mean()), 4),
                "share_closed": _share(values - base, room),
                "over_base": _interval(values - base),
                "over_clicked": _interval(values - means[_reference(name)]),
                "by_seed": [round(float(each.mean()), 4) for each in found[name]],
                "pairs": int(np.mean(pairs[name])),
            }
            for name, values in means.items()
        },
    }


def _reference(name: str) -> str:
    of_retrying = any(each in name for each in (*RETRYING, "retry"))
    return "clicked (users who retry)" if of_retrying else "clicked"


def _share(gain: Values, room: Values) -> dict[str, float]:
    drawn = _draws(len(gain))
    closed = gain[drawn].mean(axis=1) / np.maximum(room[drawn].mean(axis=1), 1e-9)
    low, high = np.quantile(closed, [0.025, 0.975])
    return {
        "value": round(float(gain.mean() / room.mean()), 3),
        "low": round(float(low), 3),
        "high": round(float(high), 3),
    }


def _interval(gain: Values) -> dict[str, float]:
    low, high = np.quantile(gain[_draws(len(gain))].mean(axis=1), [0.025, 0.975])
    return {
        "value": round(float(gain.mean()), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
    }


def _draws(queries: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.random.default_rng(0).integers(0, queries, (1_000, queries))


def main() -> int:
    """Measure, compare with the goals, write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed instead of three")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--cells", type=Path, help="keep finished cells here and go on from them")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    parser.add_argument("--only", nargs="+", choices=WORLDS, default=WORLDS)
    parser.add_argument("--arms", nargs="+", default=[], help="only these ways to make pairs")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    asked = parser.parse_args()
    if not asked.data.exists():
        print(f"the data sets are not in {asked.data}; nothing was measured")
        return 0
    torch.set_num_threads(1)
    needed = ("true pairs", "clicked", "chosen") if asked.arms else ()
    plan = Plan(seeds=(0,) if asked.quick else tuple(asked.seeds), arms=(*asked.arms, *needed))
    base = StaticEncoder.packaged()
    cells = Cells(asked.cells)
    found = {name: measure(Town(load(name, asked.data), base), plan, cells) for name in asked.only}
    goals = [_goal(name, found[name]["arms"]["chosen"]["share_closed"]) for name in asked.only]
    for goal in goals:
        print(("holds " if goal["holds"] else "MISSED"), goal["name"], goal["value"], goal["goal"])
    if asked.json:
        whole = {"benchmark": "miners", "goals": goals, "clicks": "SIMULATED", **found}
        asked.json.write_text(json.dumps(whole, indent=2) + "\n")
    return 0 if all(goal["holds"] for goal in goals) else 1


def _goal(name: str, share: Mapping[str, float]) -> dict[str, Any]:
    return {
        "name": f"{name}: share of the way from base to true pairs that clicks close",
        "goal": f">= {GOALS[name]}",
        "value": share["value"],
        "holds": share["value"] >= GOALS[name],
    }


if __name__ == "__main__":
    sys.exit(main())
