"""Poisoning: how far an attacker's clicks lift a document, with and without the defences.

    python tests/benchmarks/poisoning.py [--quick] [--json FILE] [--picture FILE] [--cells FILE]

Documents, queries and answers are real (the demo's occupations); users and attackers are
SIMULATED. Each attacker searches for what a campaign's queries are and clicks the campaign's
document, which stands below the tenth place and answers none of them. Sessions, trust, split,
judgments, pairs and batches are the product's own; the encoder is a table of word vectors that
tunes in seconds.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import polars as pl
from goals.held import conclude, goal
from mining.static_encoder import Recipe, StaticEncoder, train
from poisoned.attacks import KINDS, PATIENT, Campaign, Force, attack, draw_campaigns
from poisoned.picture import Line, draw
from resuming.cells import Cells

from desireline.connectors.documents import TextTemplate
from desireline.connectors.log_source import LogBatch
from desireline.sidecar.demo.occupations import TEXT_FIELDS, load_occupations
from desireline.trainer.clickmodels.latent_relevance import LatentRelevance
from desireline.trainer.documents.pair_features import describe_pairs
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.judgments import judge
from desireline.trainer.miners.base import Material, mine_all
from desireline.trainer.miners.clicked import Clicked
from desireline.trainer.sessions import Sessions, to_sessions
from desireline.trainer.simulation.users import SimulatedLog, SimulationConfig, simulate
from desireline.trainer.splits import split_forward
from desireline.trainer.trust.belief import TrustConfig, trust

SHARES = (0.001, 0.01, 0.05, 0.1)
QUICK_SHARES = (0.01, 0.1)
SHOWN = 20
#: Most that the defences may cost of mRR on clean data.
MOST_PRICE = 0.005
#: Most of an attack's lift that may be left, from this share of the clients on.
MOST_LEFT, FROM_SHARE = 0.5, 0.05
#: Of an attack that lifts fewer targets than this, nothing is said of what is left.
LEAST_LIFT = 0.05
#: Their clicks are those of people; the defences do not claim to stop them.
UNSTOPPED = {PATIENT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one encoder learned."""

    seed: int
    kind: str
    share: float
    defended: bool
    #: Over campaigns' documents under their queries, after tuning.
    mean_rank: float
    in_top_10: float
    #: On test queries that nobody typed.
    mrr: float
    #: Clicks of attackers among those that teach, and among those that judge.
    teaching: int
    judging: float
    left_out: Mapping[str, int]
    #: Of the processor.
    seconds: float


class World:
    """Documents, honest users of one seed, and campaigns against them."""

    def __init__(self, base: StaticEncoder, seed: int, *, searches: int, clients: int) -> None:
        occupations = load_occupations()
        template = TextTemplate(fields=TEXT_FIELDS)
        self.base, self.seed = base, seed
        self.documents = {
            each.document_id: DocumentText.of(each.fields, template)
            for each in occupations.documents
        }
        self.truth = {**occupations.lay, **occupations.reported["train"]}
        self.test = occupations.reported["test"]
        self.users = SimulationConfig(
            searches=searches, clients=clients, subnets=clients // 4, shown=SHOWN, seed=seed
        )

    @cached_property
    def honest(self) -> SimulatedLog:
        """What people did."""
        queries = {query: set(grades) for query, grades in self.truth.items()}
        return simulate(sorted(queries), queries, self._rank, self.users)

    @cached_property
    def pages(self) -> dict[str, tuple[str, ...]]:
        """What each query that people typed showed."""
        return {query.text: query.shown for query in self.honest.queries()}

    @cached_property
    def campaigns(self) -> list[Campaign]:
        """Ten documents under three queries each."""
        return draw_campaigns(
            self.pages, self.truth, Random(self.seed), documents=10, queries_each=3
        )

    def attacked(self, force: Force | None) -> list[LogBatch]:
        """Return the log with the attackers in it."""
        if force is None:
            return list(self.honest.batches)
        random = Random(self.seed + 1)
        return [
            *self.honest.batches,
            attack(force, self.campaigns, self.pages, self.users, random),
        ]

    def _rank(self, queries: Sequence[str]) -> dict[str, list[str]]:
        scores = scores_of(self.base, queries, self.documents)
        names = list(self.documents)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :SHOWN]
        return {
            query: [names[column] for column in top]
            for query, top in zip(queries, best.tolist(), strict=True)
        }


def scores_of(
    encoder: StaticEncoder, queries: Sequence[str], documents: Mapping[str, DocumentText]
) -> np.ndarray:
    """Return cosines, shape (queries, documents)."""
    texts = [document.text for document in documents.values()]
    found = encoder.encode_queries(queries) @ encoder.encode_documents(texts).T
    return np.asarray(found)


def learn(world: World, force: Force | None, *, defended: bool) -> Outcome:
    """Turn the wheel once, from events to a tuned encoder, and look what became of the targets."""
    began = time.process_time()
    sessions = to_sessions(world.attacked(force))
    trusted = trust(sessions) if defended else None
    split = split_forward(
        trusted.sessions if trusted else sessions,
        later_share=0.1,
        seed=7,
        judges=TrustConfig().judges if defended else None,
    )
    tuned = tune(world, split.train)
    ranks = target_ranks(world, tuned)
    return Outcome(
        seed=world.seed,
        kind=force.kind if force else "clean",
        share=force.share if force else 0.0,
        defended=defended,
        mean_rank=float(ranks.mean()),
        in_top_10=float((ranks <= 10).mean()),
        mrr=mean_reciprocal_rank(world, tuned),
        teaching=of_attackers(split.train).height,
        judging=of_attackers(split.held_out).height
        / max(1, split.held_out.frame.filter("clicked").height),
        left_out=dict(trusted.left_out) if trusted else {},
        seconds=time.process_time() - began,
    )


def tune(world: World, sessions: Sessions) -> StaticEncoder:
    """Judge, mine and fit as a cycle does by default."""
    features = describe_pairs(sessions.frame, world.documents, world.base)
    judgments = judge(sessions, LatentRelevance(), features)
    material = Material(sessions=sessions, judgments=judgments, documents=world.documents)
    pairs = mine_all(material, [Clicked()])
    return train(world.base, pairs, Recipe(), seed=world.seed)


def of_attackers(sessions: Sessions) -> pl.DataFrame:
    return sessions.frame.filter("clicked", pl.col("client").str.starts_with("attacker"))


def target_ranks(world: World, encoder: StaticEncoder) -> np.ndarray:
    """Rank of every campaign's document under each of its queries; 1 is the top."""
    wanted = [(query, each.document_id) for each in world.campaigns for query in each.queries]
    scores = scores_of(encoder, [query for query, _ in wanted], world.documents)
    column = {name: number for number, name in enumerate(world.documents)}
    own = scores[np.arange(len(wanted)), [column[name] for _, name in wanted]]
    return np.asarray((scores > own[:, None]).sum(axis=1) + 1)


def mean_reciprocal_rank(world: World, encoder: StaticEncoder) -> float:
    """mRR@20 over the test queries."""
    scores = scores_of(encoder, list(world.test), world.documents)
    names = list(world.documents)
    relevant = np.array([[name in grades for name in names] for grades in world.test.values()])
    best = np.take_along_axis(relevant, np.argsort(-scores, axis=1)[:, :SHOWN], axis=1)
    first = best.argmax(axis=1) + 1
    return float(np.where(best.any(axis=1), 1 / first, 0.0).mean())


def run(
    base: StaticEncoder,
    seeds: Sequence[int],
    shares: Sequence[float],
    users: Mapping[str, int],
    cells: Cells,
) -> list[Outcome]:
    """Let every attack meet both worlds, seed by seed."""
    outcomes = []
    for seed in seeds:
        world = World(base, seed, searches=users["searches"], clients=users["clients"])
        forces = [None, *(Force(kind=kind, share=share) for kind in KINDS for share in shares)]
        for force in forces:
            for defended in (False, True):
                cell = {**users, "seed": seed, "defended": defended}
                cell |= asdict(force) if force else {"kind": "clean"}
                kept = cells.get(cell, partial(_plain, world, force, defended=defended))
                outcomes.append(Outcome(**kept))
                print(_line(outcomes[-1]), flush=True)
    return outcomes


def _plain(world: World, force: Force | None, *, defended: bool) -> dict[str, Any]:
    return asdict(learn(world, force, defended=defended))


def _line(found: Outcome) -> str:
    return (
        f"seed {found.seed}  {found.kind:26}{found.share:7.1%}"
        f"  {'defended' if found.defended else 'open':9}top 10 {found.in_top_10:5.0%}"
        f"  rank {found.mean_rank:6.1f}  mRR {found.mrr:.4f}  attackers' clicks: {found.teaching}"
        f" teach, {found.judging:.1%} of those that judge  {found.seconds:.0f} s"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One attack, the mean over seeds."""

    kind: str
    share: float
    top_10_open: float
    top_10_defended: float
    #: Of each seed.
    seeds_open: tuple[float, ...]
    seeds_defended: tuple[float, ...]
    rank_open: float
    rank_defended: float
    #: Of the lift that the attack has without defences, the share that is left with them.
    left: float
    judging_open: float
    judging_defended: float


def table(outcomes: Sequence[Outcome]) -> list[Row]:
    """Put every attack beside the clean run of the same world."""

    def by_seed(measure: str, kind: str, share: float, *, defended: bool) -> tuple[float, ...]:
        return tuple(
            getattr(each, measure)
            for each in outcomes
            if (each.kind, each.share, each.defended) == (kind, share, defended)
        )

    def mean(measure: str, kind: str, share: float, *, defended: bool) -> float:
        return statistics.mean(by_seed(measure, kind, share, defended=defended))

    def lift(kind: str, share: float, *, defended: bool) -> float:
        attacked = mean("in_top_10", kind, share, defended=defended)
        return attacked - mean("in_top_10", "clean", 0.0, defended=defended)

    attacks = dict.fromkeys((each.kind, each.share) for each in outcomes)
    return [
        Row(
            kind=kind,
            share=share,
            top_10_open=mean("in_top_10", kind, share, defended=False),
            top_10_defended=mean("in_top_10", kind, share, defended=True),
            seeds_open=by_seed("in_top_10", kind, share, defended=False),
            seeds_defended=by_seed("in_top_10", kind, share, defended=True),
            rank_open=mean("mean_rank", kind, share, defended=False),
            rank_defended=mean("mean_rank", kind, share, defended=True),
            left=lift(kind, share, defended=True) / max(lift(kind, share, defended=False), 1e-9),
            judging_open=mean("judging", kind, share, defended=False),
            judging_defended=mean("judging", kind, share, defended=True),
        )
        for kind, share in attacks
    ]


def goals(outcomes: Sequence[Outcome], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The defences cost little where nobody attacks, and take most of what attacks gain."""
    price = (
        statistics.mean(
            each.mrr if not each.defended else -each.mrr
            for each in outcomes
            if each.kind == "clean"
        )
        * 2
    )
    judged = [goal("mRR lost on clean data", f"<= {MOST_PRICE}", price, holds=price <= MOST_PRICE)]
    for kind in KINDS:
        met = [row.left for row in rows if row.kind == kind and row.share >= FROM_SHARE]
        if kind not in UNSTOPPED:
            name = f"lift left to {kind}, from {FROM_SHARE:.0%} of clients on, at worst"
            judged.append(goal(name, f"<= {MOST_LEFT}", max(met), holds=max(met) <= MOST_LEFT))
    return judged


def report(rows: Sequence[Row]) -> None:
    print(
        "\n| attack | share of clients | in top 10, open | defended | rank, open | defended"
        " | lift left | of what judges, open | defended |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    clean = next(row for row in rows if row.kind == "clean")
    for row in rows:
        left = f"{row.left:.0%}" if row.top_10_open - clean.top_10_open >= LEAST_LIFT else ""
        print(
            f"| {row.kind} | {row.share:.1%} | {_spread(row.top_10_open, row.seeds_open)}"
            f" | {_spread(row.top_10_defended, row.seeds_defended)}"
            f" | {row.rank_open:.1f} | {row.rank_defended:.1f} | {left}"
            f" | {row.judging_open:.1%} | {row.judging_defended:.1%} |"
        )


def _spread(mean: float, seeds: Sequence[float]) -> str:
    return f"{mean:.0%} ({min(seeds):.0%} to {max(seeds):.0%})"


def lines_of(rows: Sequence[Row]) -> list[Line]:
    """Return what the picture shows: each attack's share of targets in the top ten."""
    clean = next(row for row in rows if row.kind == "clean")
    return [
        Line(
            name=kind,
            shares=[0.0, *(row.share for row in rows if row.kind == kind)],
            open=[clean.top_10_open, *(row.top_10_open for row in rows if row.kind == kind)],
            defended=[
                clean.top_10_defended,
                *(row.top_10_defended for row in rows if row.kind == kind),
            ],
        )
        for kind in KINDS
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="one seed, two shares, fewer users")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--picture", type=Path, help="draw the table into this SVG")
    parser.add_argument("--cells", type=Path, help="keep finished cells here and go on from them")
    asked = parser.parse_args()
    outcomes = run(
        StaticEncoder.packaged(),
        seeds=(0,) if asked.quick else (0, 1, 2),
        shares=QUICK_SHARES if asked.quick else SHARES,
        users={"searches": 12_000, "clients": 4_000},
        cells=Cells(asked.cells),
    )
    rows = table(outcomes)
    judged = goals(outcomes, rows)
    report(rows)
    if asked.picture:
        asked.picture.write_text(draw(lines_of(rows)), encoding="utf-8")
    return conclude(
        "poisoning",
        judged,
        quick=asked.quick,
        file=asked.json,
        outcomes=[asdict(each) for each in outcomes],
        rows=[asdict(row) for row in rows],
    )


if __name__ == "__main__":
    sys.exit(main())
