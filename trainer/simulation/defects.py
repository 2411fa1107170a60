"""What is wrong with real logs, put into a simulated one and written down.

Each defect draws from dice of its own: turned on, it leaves all else as it was.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, Field

from desireline.connectors.events import Action, Impression, Query
from desireline.connectors.log_source import LogBatch
from desireline.trainer.simulation.personal import draw_personal
from desireline.trainer.simulation.users import SimulatedLog

_SKEW, _PERSONAL, _SHOWN, _POSITION, _QUERY_ID, _CLIENT, _TWICE, _LATE = range(11, 19)
#: A late event comes at most this many batches after its search.
_LATEST = 3

_AnEvent = TypeVar("_AnEvent", Query, Action, Impression)
_OfADocument = TypeVar("_OfADocument", Action, Impression)


class DefectsConfig(BaseModel, frozen=True, extra="forbid"):
    """What goes wrong on the way from a user to the log; nothing by default."""

    #: Share of events (not searches) that are written some batches after their search.
    late: float = Field(default=0.0, ge=0, le=1)
    #: Share of searches and of events that are written twice.
    duplicates: float = Field(default=0.0, ge=0, le=1)
    #: Share of searches whose shown documents, and of events whose position or query_id, is lost.
    missing_shown: float = Field(default=0.0, ge=0, le=1)
    missing_positions: float = Field(default=0.0, ge=0, le=1)
    missing_query_ids: float = Field(default=0.0, ge=0, le=1)
    #: Share of clients that the log does not name.
    missing_clients: float = Field(default=0.0, ge=0, le=1)
    #: Share of clients whose clock is wrong, by at most so many seconds either way. Searches are
    #: timed by the server, events by the client.
    clock_skew: float = Field(default=0.0, ge=0, le=1)
    clock_skew_s: float = Field(default=3_600.0, gt=0)
    #: Searches whose text holds personal data; at most all of them.
    personal: int = Field(default=0, ge=0)
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Personal:
    """One piece of personal data in the text of one search."""

    query_id: str
    kind: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """What was put into a log."""

    #: How many events have each defect, by its name in `DefectsConfig`.
    counts: Mapping[str, int]
    personal: tuple[Personal, ...]
    #: Clients whose clock is wrong, and by how many seconds.
    skewed: Mapping[str, float]


def plant(log: SimulatedLog, config: DefectsConfig) -> tuple[SimulatedLog, Planted]:
    """Return the log with the defects put in, and what they are."""
    if config == DefectsConfig(seed=config.seed):
        return log, Planted(counts={}, personal=(), skewed={})
    planting = _Planting(log, config)
    batches = _some_late([planting.batch(batch) for batch in log.batches], planting)
    planted = Planted(
        counts=dict(+planting.counts),
        personal=tuple(planting.personal.values()),
        skewed=planting.skewed,
    )
    return replace(log, batches=tuple(batches)), planted


class _Planting:
    """Dice and counts of one planting."""

    def __init__(self, log: SimulatedLog, config: DefectsConfig) -> None:
        self.config = config
        self.counts: Counter[str] = Counter()
        clients = sorted({query.client for query in log.queries()})
        self.skewed = self._draw_skews(clients)
        self.personal = self._draw_personal(log)
        nobody = self.dice(_CLIENT).random(len(clients)) < config.missing_clients
        self._nameless = {name for name, lost in zip(clients, nobody, strict=True) if lost}
        self._shown, self._position = self.dice(_SHOWN), self.dice(_POSITION)
        self._query_id, self._twice = self.dice(_QUERY_ID), self.dice(_TWICE)

    def dice(self, number: int) -> np.random.Generator:
        """Return the dice of one defect."""
        return np.random.default_rng([self.config.seed, number])

    def batch(self, batch: LogBatch) -> LogBatch:
        """Put in every defect but lateness."""
        return replace(
            batch,
            queries=tuple(self._some_twice(map(self._search, batch.queries))),
            impressions=tuple(self._some_twice(map(self._event, batch.impressions))),
            actions=tuple(self._some_twice(self._event(self._with_text(a)) for a in batch.actions)),
        )

    def _search(self, query: Query) -> Query:
        if query.query_id in self.personal:
            self.counts["personal"] += 1
            query = replace(query, text=self._text(query.query_id, query.text))
        if query.shown and self._lost(self._shown, self.config.missing_shown, "missing_shown"):
            query = replace(query, shown=())
        return self._without_client(query)

    def _with_text(self, action: Action) -> Action:
        if action.query_id not in self.personal:
            return action
        return replace(action, text=self._text(action.query_id, action.text))

    def _text(self, query_id: str, text: str) -> str:
        return f"{text} {self.personal[query_id].value}"

    def _event(self, event: _OfADocument) -> _OfADocument:
        if event.client in self.skewed:
            self.counts["clock_skew"] += 1
            event = replace(event, at=event.at + timedelta(seconds=self.skewed[event.client]))
        share = self.config.missing_positions
        if self._lost(self._position, share, "missing_positions"):
            event = replace(event, position=None)
        if self._lost(self._query_id, self.config.missing_query_ids, "missing_query_ids"):
            event = replace(event, query_id="")
        return self._without_client(event)

    def _without_client(self, event: _AnEvent) -> _AnEvent:
        if event.client not in self._nameless:
            return event
        self.counts["missing_clients"] += 1
        return replace(event, client="")

    def _some_twice(self, events: Iterable[_AnEvent]) -> Iterable[_AnEvent]:
        for event in events:
            yield event
            if self._lost(self._twice, self.config.duplicates, "duplicates"):
                yield event

    def _lost(self, dice: np.random.Generator, share: float, name: str) -> bool:
        lost = share > 0 and dice.random() < share
        self.counts[name] += lost
        return lost

    def _draw_skews(self, clients: Sequence[str]) -> dict[str, float]:
        dice, most = self.dice(_SKEW), self.config.clock_skew_s
        wrong = dice.random(len(clients)) < self.config.clock_skew
        by = np.round(dice.uniform(-most, most, len(clients)), 3).tolist()
        return {name: s for name, s, is_wrong in zip(clients, by, wrong, strict=True) if is_wrong}

    def _draw_personal(self, log: SimulatedLog) -> dict[str, Personal]:
        if not self.config.personal:
            return {}
        dice = self.dice(_PERSONAL)
        names = [query.query_id for query in log.queries()]
        count = min(self.config.personal, len(names))
        chosen = sorted(dice.choice(len(names), count, replace=False).tolist())
        drawn = ((names[at], *draw_personal(dice, number)) for number, at in enumerate(chosen))
        return {
            query_id: Personal(query_id=query_id, kind=kind, value=value)
            for query_id, kind, value in drawn
        }


def _some_late(batches: Sequence[LogBatch], planting: _Planting) -> list[LogBatch]:
    """Move events some batches on; those of the last batch cannot be late."""
    share, dice = planting.config.late, planting.dice(_LATE)
    if not share:
        return list(batches)
    impressions = _moved([batch.impressions for batch in batches], share, dice, planting.counts)
    actions = _moved([batch.actions for batch in batches], share, dice, planting.counts)
    return [
        replace(batch, impressions=tuple(seen), actions=tuple(done))
        for batch, seen, done in zip(batches, impressions, actions, strict=True)
    ]


def _moved(
    parts: Sequence[Sequence[_OfADocument]],
    share: float,
    dice: np.random.Generator,
    counts: Counter[str],
) -> list[list[_OfADocument]]:
    moved: list[list[_OfADocument]] = [[] for _ in parts]
    for number, events in enumerate(parts):
        by = np.where(dice.random(len(events)) < share, dice.integers(1, _LATEST + 1), 0)
        for event, later in zip(events, by.tolist(), strict=True):
            at = min(number + later, len(parts) - 1)
            counts["late"] += at > number
            moved[at].append(event)
    return moved
