"""Attackers who want a document higher up than it deserves, and what they send."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Literal, get_args

from desireline.connectors.events import Action, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.trainer.logs.subnets import SUBNET_ATTRIBUTE
from desireline.trainer.simulation.users import SimulationConfig

Kind = Literal[
    "few clients, many clicks",
    "sybils of one subnet",
    "slow drip",
    "burst",
    "sybils of many subnets",
    "patient people for hire",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: They look at a position as often as people do; all others click in every search.
PATIENT: Kind = "patient people for hire"


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """One document, and queries that show it far down and that it does not answer."""

    document_id: str
    queries: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Force:
    """Who attacks; the same number of searches whatever the kind, so that kinds compare."""

    kind: Kind
    #: Of the honest clients.
    share: float

    def searches(self, users: SimulationConfig) -> int:
        """As many as that share of people makes."""
        return max(1, round(self.share * users.searches))

    def clients(self, users: SimulationConfig) -> int:
        """Most kinds pay a client for every three searches, as people make."""
        paid = max(1, round(self.share * users.clients))
        return {"few clients, many clicks": -(-paid // 20), "slow drip": -(-paid // 8)}.get(
            self.kind, paid
        )


def draw_campaigns(
    pages: Mapping[str, Sequence[str]],
    truth: Mapping[str, Mapping[str, float]],
    random: Random,
    *,
    documents: int,
    queries_each: int,
) -> list[Campaign]:
    """Draw documents that stand below the tenth place of queries that they do not answer."""
    below: dict[str, list[str]] = {}
    for query in sorted(pages):
        for document_id in pages[query][10:]:
            if document_id not in truth[query]:
                below.setdefault(document_id, []).append(query)
    known = sorted(name for name, queries in below.items() if len(queries) >= queries_each)
    return [
        Campaign(document_id=name, queries=tuple(random.sample(below[name], queries_each)))
        for name in random.sample(known, documents)
    ]


def attack(
    force: Force,
    campaigns: Sequence[Campaign],
    pages: Mapping[str, Sequence[str]],
    users: SimulationConfig,
    random: Random,
) -> LogBatch:
    """Write what the attackers send: each searches, and clicks the document and nothing else."""
    told = list(_searches(force, campaigns, pages, users, random))
    return LogBatch(
        cursor=Cursor("attack"),
        queries=tuple(query for query, _ in told),
        actions=tuple(action for _, action in told if action is not None),
    )


def _searches(
    force: Force,
    campaigns: Sequence[Campaign],
    pages: Mapping[str, Sequence[str]],
    users: SimulationConfig,
    random: Random,
) -> Iterator[tuple[Query, Action | None]]:
    wanted = [(query, each.document_id) for each in campaigns for query in each.queries]
    clients = force.clients(users)
    burst_day = random.randrange(users.days // 2, users.days - 8)
    for number in range(force.searches(users)):
        client = number % clients
        text, document_id = wanted[(number // clients + client * 7) % len(wanted)]
        day = burst_day if force.kind == "burst" else random.randrange(users.days)
        at = users.first_day + timedelta(days=day, seconds=random.uniform(0, 86_400))
        query = Query(
            query_id=f"attack-{number}",
            text=text,
            at=at,
            client=f"attacker-{client}",
            shown=tuple(pages[text]),
            attributes={SUBNET_ATTRIBUTE: _subnet(force.kind, client)},
        )
        position = pages[text].index(document_id) + 1
        looks = position**-users.examination_power if force.kind == PATIENT else 1.0
        yield (
            query,
            _click(query, document_id, position, random) if random.random() < looks else None,
        )


def _click(query: Query, document_id: str, position: int, random: Random) -> Action:
    return Action(
        query_id=query.query_id,
        document_id=document_id,
        kind="click",
        at=query.at + timedelta(seconds=random.uniform(3, 40)),
        position=position,
        client=query.client,
        text=query.text,
    )


def _subnet(kind: Kind, client: int) -> str:
    """Name the attacker's own network; only one kind has to make do with one."""
    return "farm" if kind == "sybils of one subnet" else f"rented-{client}"
