"""The owner of the index: writes all the time, and remembers what was acknowledged."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from simulated_aliases import RefusedError
from simulated_node import SimulatedNode
from simulated_schedule import Pending, Schedule, Task

_HELD_UP, _CONFLICT = 403, 409

Fields = Mapping[str, Any]
_WORDS = ["nurse", "baker", "pilot", "welder", "tailor", "cook", "miner", "clerk", "actor", "judge"]


@dataclass(slots=True)
class Key:
    """One document id and what it may hold: None is no document."""

    #: What the last acknowledged write left.
    sure: Fields | None = None
    #: The number it has, where the application numbers its documents itself.
    number: int = 0
    #: The number that the write under way gives it.
    next_number: int = 0
    #: What writes without an answer may have left; such a key is written no more.
    perhaps: list[Fields | None] = field(default_factory=list)
    under_way: bool = False

    def allows(self, found: Fields | None) -> bool:
        return found in (self.sure, *self.perhaps)


class Application:
    """Writes, updates, deletes and re-creates documents, each value unlike any other."""

    def __init__(
        self,
        node: SimulatedNode,
        schedule: Schedule,
        rng: random.Random,
        index: str,
        count: int,
        *,
        numbers: bool = False,
    ) -> None:
        self._node = node
        self._schedule = schedule
        self._rng = rng
        self._index = index
        #: Whether it numbers its documents itself, with numbers like milliseconds of the clock.
        self.numbers = numbers
        self._last_number = 1_700_000_000_000
        self._unique = 0
        #: Writes turned away because the index took none.
        self.held_up = 0
        self.quiet = False
        self.acknowledged = 0
        self.unanswered = 0
        #: Share of requests whose answer never comes.
        self.lost = 0.02
        self.fixed = [f"fixed{n}" for n in range(3)]
        self.keys = {f"d{n}": Key() for n in range(count)}
        self.keys |= {key: Key() for key in self.fixed}

    def fill(self) -> None:
        """Write every document once, answered at once."""
        for key in self.keys.values():
            key.sure = self._new()
        lines = [line for name in self.keys for line in self._line("index", name)]
        for key in self.keys.values():
            key.number = key.next_number
        work = self._node.request("POST", f"/{self._index}/_bulk", {}, b"\n".join(lines), "app")
        for _ in work:
            pass

    def writer(self, count: int, pace_s: float) -> Task:
        """Write so many requests, one after the other."""
        for _ in range(count):
            yield self._rng.expovariate(1 / pace_s)
            if self.quiet:
                return
            yield from self._write()

    def _write(self) -> Task:
        free = [n for n, k in self.keys.items() if not (k.under_way or k.perhaps)]
        free = [name for name in free if name not in self.fixed]
        names = self._rng.sample(free, min(len(free), self._rng.choice((1, 1, 1, 2, 4))))
        if not names:
            return
        plan = [(name, *self._change(self.keys[name].sure)) for name in names]
        lines = [line for name, kind, body, _ in plan for line in self._action(kind, name, body)]
        for name in names:
            self.keys[name].under_way = True
        pending = self._schedule.serve(
            self._node.request("POST", f"/{self._index}/_bulk", {}, b"\n".join(lines), "app")
        )
        if self._rng.random() < self.lost:
            for name, _, _, after in plan:
                self.keys[name].perhaps.append(after)
            self.unanswered += len(plan)
            return
        yield pending
        self._settle(plan, pending)

    def _settle(self, plan: list[tuple[str, str, Any, Fields | None]], pending: Pending) -> None:
        if pending.error is not None:
            if not isinstance(pending.error, RefusedError):
                raise pending.error
            for name, _, _, after in plan:
                self.keys[name].perhaps.append(after)
            return
        for (name, _, _, after), item in zip(plan, pending.value["items"], strict=True):
            (answer,) = item.values()
            key = self.keys[name]
            key.under_way = False
            # 404: what was to be deleted or updated is not there.
            gone = answer["status"] == 404 and after is None
            if answer["status"] < 300 or gone or self._is_own_conflict(name, answer):
                key.sure, key.number = after, key.next_number
                self.acknowledged += 1
            elif answer["status"] == _HELD_UP:
                self.held_up += 1

    def _is_own_conflict(self, name: str, answer: Mapping[str, Any]) -> bool:
        """6: who numbers its documents only ever conflicts with its own write, sent again."""
        if answer["status"] != _CONFLICT or not self.numbers:
            return False
        row = self._node.one(self._index).shard_of(name, None).primary.rows.get(name)
        given = self.keys[name].next_number
        assert row is not None
        assert row.version == given, f"6: {name} number {given} was answered {answer}"
        return True

    def _change(self, now: Fields | None) -> tuple[str, Fields, Fields | None]:
        draw = self._rng.random()
        if now is None or draw < 0.3:
            new = self._new()
            return "index", new, new
        if draw < 0.55:
            return "delete", {}, None
        part = self._rng.choice(("title", "description", "level"))
        changed = {part: self._new()[part]}
        if self.numbers:  # a partial update cannot be numbered
            return "index", {**now, **changed}, {**now, **changed}
        return "update", changed, {**now, **changed}

    def _new(self) -> dict[str, Any]:
        self._unique += 1
        text = f"{self._rng.choice(_WORDS)} v{self._unique}"
        empty = self._rng.random() < 0.08
        return {
            "title": "" if empty else text,
            "description": "" if empty else f"work {self._unique}",
            "level": self._unique,
        }

    def _line(self, kind: str, name: str) -> Iterator[bytes]:
        yield from self._action(kind, name, self.keys[name].sure or {})

    def _action(self, kind: str, name: str, body: Fields) -> Iterator[bytes]:
        how: dict[str, Any] = {"_id": name}
        if self.numbers:
            self._last_number += self._rng.choice((1, 1, 7))
            self.keys[name].next_number = self._last_number
            how |= {"version": self._last_number, "version_type": "external"}
        yield orjson.dumps({kind: how})
        if kind != "delete":
            yield orjson.dumps({"doc": body} if kind == "update" else body)
