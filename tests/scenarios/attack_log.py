"""A log of honest users and an attack on it, both told as data."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from desireline.connectors.events import Action, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.trainer.sessions import SessionConfig, Sessions, to_sessions

START = datetime(2026, 3, 2, tzinfo=UTC)
TARGET = "target"
SHOWN = ("best", "good", "fair", "a", "b", "c", "d", TARGET)
TARGET_QUERY = "query 0"
HONEST = {"clients": 210, "searches_a_client": 2, "queries": 24, "days": 28}


def honest(random: Random) -> Iterator[tuple[Query, Sequence[Action]]]:
    """People of 105 homes who mostly click what stands first, and seldom the target."""
    for number in range(HONEST["clients"] * HONEST["searches_a_client"]):
        client = number % HONEST["clients"]
        yield search(
            f"honest-{number}",
            f"query {random.randrange(HONEST['queries'])}",
            client=f"person-{client}",
            subnet=f"home-{client % 105}",
            at=START + timedelta(days=random.uniform(0, HONEST["days"])),
            clicked=random.choices((*SHOWN, None), (40, 20, 10, 2, 2, 2, 2, 1, 40))[0],
        )


def attacker(wave: Mapping[str, Any], random: Random) -> Iterator[tuple[Query, Sequence[Action]]]:
    """Clients that click nothing but the target, which stands last unless a place is told."""
    shown = list(SHOWN[:-1])
    if wave.get("shown", True):
        shown.insert(wave.get("place", len(SHOWN)) - 1, TARGET)
    for number in range(wave["clients"] * wave["searches_a_client"]):
        client, nth = number % wave["clients"], number // wave["clients"]
        day = wave["from_day"] + (nth + random.random()) * wave["days"] / wave["searches_a_client"]
        yield search(
            f"attack-{number}",
            f"query {number % wave['queries']}",
            client=f"sybil-{client}",
            subnet=f"farm-{client % wave['subnets']}",
            at=START + timedelta(days=day),
            clicked=TARGET if random.random() < wave.get("clicks", 1) else None,
            shown=shown,
        )


def search(
    query_id: str,
    text: str,
    *,
    client: str,
    subnet: str,
    at: datetime,
    clicked: str | None,
    shown: Sequence[str] = SHOWN,
) -> tuple[Query, Sequence[Action]]:
    query = Query(
        query_id=query_id,
        text=text,
        at=at,
        client=client,
        shown=tuple(shown),
        attributes={"subnet": subnet},
    )
    if clicked is None:
        return query, ()
    at += timedelta(seconds=8)
    return query, (
        Action(query_id=query_id, document_id=clicked, kind="click", at=at, client=client),
    )


def sessions_of(
    told: Sequence[tuple[Query, Sequence[Action]]], config: SessionConfig | None = None
) -> Sessions:
    queries = tuple(query for query, _ in told)
    actions = tuple(action for _, done in told for action in done)
    return to_sessions([LogBatch(cursor=Cursor(""), queries=queries, actions=actions)], config)
