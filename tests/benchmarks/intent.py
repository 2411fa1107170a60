"""How well a query's category is read from its vector, and what searches gain by it.

    python tests/benchmarks/intent.py [--quick] [--json FILE] [--cells FILE]

banking77: real customers' questions, each labelled with one of 77 intents. onet: job titles as
people wrote them; the category is the occupation's major group, the first two digits of its id.
tldr: what people want to do; the category is the platform of the page. "true" learns from the
right answers of other queries, "clicks" from pairs mined from clicks that are SIMULATED on the
base encoder's answers. Every figure is of test queries that nothing was trained on or chosen by;
what peers have to choose (neighbours, sharpness, boost) is chosen on the dev queries.

Contenders: the head (`desireline.trainer.intent`) over MiniLM as it comes, and over its query
tower tuned on the same pairs; the most frequent category; the vote of the nearest documents, and
of the nearest taught queries and titles; logistic regression over TF-IDF. Intervals are bootstrap
intervals over queries, paired where two are compared. Rare categories are those beyond the ones
that hold 80 % of what the lessons ask for.
"""

import argparse
import sys
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from goals.held import conclude
from meaning.categories import CATEGORY, categories_in
from meaning.peers import NEIGHBOURS, SHARPNESS, by_words, shares_of, vote
from meaning.told import goals, show
from meaning.trunks import Remembered, Trunk, base_trunk, tuned_trunk
from mining.worlds import DATA, World, at_hand, load
from resuming.cells import Cells
from training.lessons_of import drawn, pairs_of_clicks, true_pairs

from desireline.connectors.documents import Vectors
from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder
from desireline.trainer.forms.import_model import packaged_minilm
from desireline.trainer.intent.head import IntentHead
from desireline.trainer.intent.learning import Lesson, learn_head
from desireline.trainer.intent.lessons import IntentLessons, intent_lessons
from desireline.trainer.intent.scoring import (
    HeldOutIntents,
    IntentScore,
    difference,
    held_out_intents,
    score,
    score_majority,
)
from desireline.trainer.pairs import PairSet

HERE = Path(__file__).parent
CELLS = HERE.parents[1] / ".cache" / "bench" / "intent.jsonl"
#: Pairs that teach, drawn by the seed, and those of them that tune the trunk.
PAIRS, TUNED_PAIRS = 6_000, 3_000
MOST_TITLES = 2_000
#: Queries of the training part that are looked at at all.
TAUGHT = 5_000
BOOSTS = (0.02, 0.05, 0.1, 0.2, 0.4)
SURE, MOST, LEAST_HITS, DEPTH = 0.9, 3, 5, 20
QUERIES = 1_500


@dataclass(frozen=True)
class Bench:
    """One world with its vectors by MiniLM as it comes."""

    world: World
    seed: int

    @cached_property
    def categories(self) -> dict[str, tuple[str, ...]]:
        return categories_in(self.world)

    @cached_property
    def titles(self) -> dict[str, str]:
        return {name: document.title for name, document in self.world.documents.items()}

    def some(self, part: str) -> list[str]:
        """Return the queries of a part, a draw where there are many; the same for every seed."""
        found = sorted(getattr(self.world, part))
        rows = np.random.default_rng(0).permutation(len(found))[:QUERIES]
        return [found[row] for row in sorted(rows)]

    @cached_property
    def encoder(self) -> Remembered:
        return Remembered(SentenceTransformerEncoder(packaged_minilm()))

    def pairs(self, kind: str) -> PairSet:
        if kind == "true":
            return drawn(true_pairs(self.world), PAIRS, seed=self.seed)
        return pairs_of_clicks(self.world, self.encoder, seed=self.seed)

    def lessons(self, pairs: PairSet) -> IntentLessons:
        return intent_lessons(
            pairs.pairs, self.categories, self.titles, most_titles=MOST_TITLES, seed=self.seed
        )

    def held_out(self, part: str, lessons: IntentLessons) -> HeldOutIntents:
        truth: dict[str, frozenset[str]] = getattr(self.world, part)
        qrels = {query: dict.fromkeys(truth[query], 1.0) for query in self.some(part)}
        return held_out_intents(qrels, self.categories, segments={}, lessons=lessons)


def taught(world: World) -> World:
    """Leave a draw of the training queries; the same for every seed."""
    names = sorted(world.train)
    rows = np.sort(np.random.default_rng(0).permutation(len(names))[:TAUGHT])
    return replace(world, train={names[row]: world.train[names[row]] for row in rows})


def head_of(trunk: Trunk, lessons: IntentLessons, seed: int) -> IntentHead:
    """Learn as a cycle does."""
    queries = Lesson(
        vectors=trunk.of(lessons.queries),
        shares=lessons.of_queries,
        weights=lessons.weights,
        trust=lessons.trust,
    )
    certain = np.ones(len(lessons.titles), dtype=np.float32)
    titles = Lesson(
        vectors=trunk.of(lessons.titles),
        shares=lessons.of_titles,
        weights=certain,
        trust=certain,
    )
    return learn_head(
        queries, titles, encoder=trunk.name, categories=lessons.categories, seed=seed
    ).head


def by_votes(
    trunk: Trunk, known: Vectors, shares: Vectors, lessons: IntentLessons, bench: Bench
) -> IntentScore:
    """Choose neighbours and sharpness by log-loss on dev queries, then ask the test queries."""

    def asked(part: str, neighbours: int, sharpness: float) -> IntentScore:
        held = bench.held_out(part, lessons)
        found = vote(
            trunk.of(held.queries), known, shares, neighbours=neighbours, sharpness=sharpness
        )
        return score(held.columns(found, lessons.categories), held)

    best = min(
        ((k, s) for k in NEIGHBOURS for s in SHARPNESS),
        key=lambda each: asked("dev", *each).overall["log-loss"].value,
    )
    return asked("test", *best)


def searched(
    trunk: Trunk, head: IntentHead, bench: Bench, lessons: IntentLessons
) -> dict[str, Any]:
    """Compare mRR@20 of plain, filtered and boosted exact searches."""
    columns = {category: place for place, category in enumerate(head.categories)}
    of_document = np.array([columns[bench.categories[name][0]] for name in trunk.document_ids])
    values = {part: _by_use(trunk, head, bench, part, of_document) for part in ("dev", "test")}
    best = max(BOOSTS, key=lambda boost: values["dev"][f"boost {boost}"].mean())
    test = values["test"]
    told: dict[str, Any] = {"plain": round(float(test["plain"].mean()), 4), "boost": best}
    for use, name in (("filter", "filter"), ("boosted", f"boost {best}"), ("0.1", "boost 0.1")):
        gain = difference(test[name], test["plain"])
        told[use] = {key: round(value, 4) for key, value in asdict(gain).items()}
    told["filtered"] = round(float(test["filtered"].mean()), 4)
    told["right when filtered"] = round(float(test["covered"].mean()), 4)
    return told


def _by_use(
    trunk: Trunk, head: IntentHead, bench: Bench, part: str, of_document: Any
) -> dict[str, Any]:
    truth: dict[str, frozenset[str]] = getattr(bench.world, part)
    queries = bench.some(part)
    vectors = trunk.of(queries)
    intents = head.read(vectors, min_confidence=SURE, most=MOST)
    chances = head.confidences(vectors)
    found: dict[str, list[float]] = {}

    def keep(use: str, scores: Any, right: frozenset[str]) -> None:
        best = np.argsort(-scores, kind="stable")[:DEPTH]
        at = (
            n
            for n, row in enumerate(best, 1)
            if np.isfinite(scores[row]) and trunk.document_ids[row] in right
        )
        found.setdefault(use, []).append(1 / next(at, np.inf))

    for row, query in enumerate(queries):
        right = truth[query]
        plain = trunk.documents @ vectors[row]
        keep("plain", plain, right)
        named = [head.categories.index(each) for each in intents[row].categories]
        inside = np.isin(of_document, named)
        sure = bool(named) and int(inside.sum()) >= LEAST_HITS
        keep("filter", np.where(inside, plain, -np.inf) if sure else plain, right)
        found.setdefault("filtered", []).append(float(sure))
        if named:
            wanted = {bench.categories[name][0] for name in right}
            found.setdefault("covered", []).append(
                float(bool(wanted & set(intents[row].categories)))
            )
        likely = np.zeros(len(head.categories))
        top = np.argsort(-chances[row])[:MOST]
        likely[top] = chances[row][top]
        for boost in BOOSTS:
            keep(f"boost {boost}", plain + boost * likely[of_document], right)
    return {use: np.array(values) for use, values in found.items()}


def measured(bench: Bench, kind: str, *, tuned: bool) -> dict[str, Any]:
    """Let every contender answer; return its figures, and what searches gain."""
    pairs = bench.pairs(kind)
    lessons = bench.lessons(pairs)
    held = bench.held_out("test", lessons)
    texts = sorted({*lessons.texts, *bench.some("dev"), *bench.some("test")})
    base = base_trunk(bench.world, bench.encoder, texts)
    trunks = [base]
    if tuned:
        trunks.append(tuned_trunk(base, pairs, most=TUNED_PAIRS, seed=bench.seed))
    scores = {"majority": score_majority(lessons, held)}
    searches = {}
    for trunk in trunks:
        head = head_of(trunk, lessons, bench.seed)
        found = head.confidences(trunk.of(held.queries))
        scores[f"head, {trunk.name}"] = score(held.columns(found, head.categories), held)
        searches[trunk.name] = searched(trunk, head, bench, lessons)
    columns = lessons.categories
    documents = shares_of(base.document_ids, bench.categories, columns)
    scores["vote of documents"] = by_votes(base, base.documents, documents, lessons, bench)
    taught = np.concatenate([lessons.of_queries, lessons.of_titles])
    scores["vote of taught queries"] = by_votes(
        base, base.of(lessons.texts), taught, lessons, bench
    )
    words = by_words(lessons, held.queries)
    scores["words"] = score(held.columns(words, columns), held)
    first = scores["head, base"]
    return {
        "queries": len(held.queries),
        "taught": len(lessons.queries),
        "categories": len(columns),
        "figures": {name: _plain(each) for name, each in scores.items()},
        "accuracy over": {
            name: asdict(difference(first.right, each.right)) for name, each in scores.items()
        },
        "searches": searches,
    }


def _plain(found: IntentScore) -> dict[str, Any]:
    return {
        part: {name: asdict(figure) for name, figure in figures.items()}
        for part, figures in found.parts.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="banking77, true labels, base trunk")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--cells", type=Path, default=CELLS, help="finished cells are kept here")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    parser.add_argument("--only", nargs="+", choices=list(CATEGORY), default=list(CATEGORY))
    parser.add_argument("--kinds", nargs="+", choices=("true", "clicks"), default=["true"])
    parser.add_argument("--tuned", action="store_true", help="tune the trunk, too (minutes)")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if not at_hand(asked.data):
        return 0
    torch.set_num_threads(1)
    cells, found = Cells(asked.cells), {}
    for world in ["banking77"] if asked.quick else asked.only:
        bench = Bench(taught(load(world, asked.data)), asked.seed)
        for kind in ["true"] if asked.quick else asked.kinds:
            tuned = asked.tuned and not asked.quick
            of = {"world": world, "kind": kind, "seed": asked.seed, "tuned": tuned}
            cell = cells.get(
                of, lambda bench=bench, kind=kind, tuned=tuned: measured(bench, kind, tuned=tuned)
            )
            found[f"{world}, {kind}"] = cell
            show(f"{world}, {kind}, seed {asked.seed}", cell)
    return conclude("intent", goals(found), quick=asked.quick, file=asked.json, cells=found)


if __name__ == "__main__":
    sys.exit(main())
