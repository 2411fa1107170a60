"""Drawn numbers become events: searches, what they showed, and what was done with it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from desireline.connectors.events import Action, Impression, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.trainer.logs.subnets import SUBNET_ATTRIBUTE
from desireline.trainer.simulation.config import SimulationConfig
from desireline.trainer.simulation.searches import Searches

#: What a user does last; it is no click, it only says when the dwell of the last click ended.
LEAVE = "leave"


_BUYING, _NETWORKS = 4, 5
#: Bots share this many networks.
_BOT_NETWORKS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class EventWriter:
    """Turns rows of numbers into events; row n is the search "s<n>"."""

    texts: Sequence[str]
    answers: Mapping[str, tuple[str, ...]]
    searches: Searches
    clicked: NDArray[np.bool_]
    #: Of what each search shows; NaN where there is nothing.
    grades: NDArray[np.float64]
    #: Seconds between what a user does after a search, shape (searches, 4).
    pauses: NDArray[np.float64]
    config: SimulationConfig

    def batches(self, size: int) -> Iterator[LogBatch]:
        """Write everything, so many searches a batch."""
        buying = np.random.default_rng([self.config.seed, _BUYING])
        networks = self._networks()
        for start in range(0, len(self.clicked), size):
            rows = range(start, min(start + size, len(self.clicked)))
            yield self._batch(rows, networks, buying)

    def _batch(self, rows: range, networks: Sequence[str], buying: np.random.Generator) -> LogBatch:
        searches = [self._search(row, networks) for row in rows]
        listed = self.config.impressions != "events"
        actions = [
            action
            for row, search in zip(rows, searches, strict=True)
            if self.clicked[row].any()
            for action in self._actions(row, search, buying)
        ]
        impressions = () if self.config.impressions == "listed" else _impressions(searches)
        return LogBatch(
            cursor=Cursor(str(rows.stop)),
            queries=tuple(searches if listed else map(_unlisted, searches)),
            impressions=tuple(impressions),
            actions=tuple(actions),
        )

    def _search(self, row: int, networks: Sequence[str]) -> Query:
        text = self.texts[self.searches.query[row]]
        seconds = round(float(self.searches.second[row]), 3)
        client = int(self.searches.client[row])
        return Query(
            query_id=f"s{row}",
            text=text,
            at=self.config.first_day + timedelta(seconds=seconds),
            client=f"client-{client}",
            shown=self.answers.get(text, ()),
            attributes=MappingProxyType({SUBNET_ATTRIBUTE: networks[client]} if networks else {}),
        )

    def _actions(self, row: int, search: Query, buying: np.random.Generator) -> Iterator[Action]:
        """Yield clicks from the top down, then the moment the user leaves."""
        at, stays, place = search.at, 1.0, 0
        for number, place in enumerate(np.flatnonzero(self.clicked[row]).tolist()):
            at += _seconds(self.pauses[row, number % 4] * stays)
            yield _action(search, "click", place, at)
            grade = float(self.grades[row, place])
            stays = 1.0 + (self.config.dwell_ratio - 1.0) * grade
            for kind, after in self._bought(grade, buying):
                yield _action(search, kind, place, at + _seconds(after))
        yield _action(search, LEAVE, place, at + _seconds(self.pauses[row, 3] * stays))

    def _bought(self, grade: float, random: np.random.Generator) -> Iterator[tuple[str, float]]:
        """Yield what follows a click, the likelier the better, and how many seconds later."""
        if self.config.carts * grade > random.random():
            yield "add_to_cart", 1.0
            if random.random() < self.config.purchases:
                yield "purchase", 1.5

    def _networks(self) -> list[str]:
        """Name the network of each client; nothing where the log names none."""
        if not self.config.subnets:
            return []
        random = np.random.default_rng([self.config.seed, _NETWORKS])
        of = random.integers(0, self.config.subnets, self.config.clients).tolist()
        people = [f"10.{number // 256}.{number % 256}.0/24" for number in of]
        return people + [f"198.51.{bot % _BOT_NETWORKS}.0/24" for bot in range(self.config.bots)]


def _action(search: Query, kind: str, place: int, at: datetime) -> Action:
    return Action(
        query_id=search.query_id,
        document_id=search.shown[place],
        kind=kind,
        at=at,
        position=place + 1,
        client=search.client,
        text=search.text,
    )


def _impressions(searches: Sequence[Query]) -> Iterator[Impression]:
    for search in searches:
        for place, document_id in enumerate(search.shown, search.first_position):
            yield Impression(
                query_id=search.query_id,
                document_id=document_id,
                position=place,
                at=search.at,
                client=search.client,
            )


def _unlisted(search: Query) -> Query:
    return Query(
        query_id=search.query_id,
        text=search.text,
        at=search.at,
        client=search.client,
        attributes=search.attributes,
    )


def _seconds(value: float) -> timedelta:
    return timedelta(seconds=round(float(value), 3))
