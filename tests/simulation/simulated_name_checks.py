"""What must hold whenever an alias moves or writes are held up (opensearch.md, §4).

At the moment the alias moves, the index it goes to holds every document of the one it leaves, as it
is, each with the vector of its text, and no other.
"""

import re

from simulated_index import Index
from simulated_node import SimulatedNode
from simulated_rows import SLOTS, digest_of, documents_of, own, stands_for

#: For noticing and for the requests that let writes in, while others use the cluster, too.
_SLACK_S = 4.0
_TICKET = re.compile(r".+-ticket-\d+-\d+")


class NameChecks:
    """Watches what the application's name stands for, and whether writes to it are taken."""

    def __init__(self, node: SimulatedNode) -> None:
        self._node = node
        self._at: Index | None = None
        self._numbers = False
        self._blocked_since: float | None = None
        #: The longest that writes may be held up, in seconds.
        self.pause_s = 0.0
        self._excused_s = 0.0
        self.swaps = 0
        #: Seconds for which writes were held up, each time.
        self.pauses: list[float] = []

    def begin(self, *, numbers: bool) -> None:
        """Watch from here on."""
        self._numbers = numbers
        self._node.renamed = self.look
        self.look()

    def excuse(self, seconds: float) -> None:
        """Allow this much more: a request was struck, or nobody is left to let writes in."""
        self._excused_s += seconds

    def look(self) -> None:
        """9, 10: one index stands behind the name, and it never changes to another one."""
        held = [index for index in self._node.indexes.values() if stands_for(index)]
        names = [index.name for index in held]
        assert len(held) == 1, f"9: the alias names {names}"
        (now,) = held
        if self._at is not None and self._at is not now:
            self._moved(self._at, now)
        self._at = now
        self._look_at_block(now)

    def _moved(self, left: Index, new: Index) -> None:
        self.swaps += 1
        place = f"when the alias moved from {left.name} to {new.name}"
        assert left.blocked(), f"1: {place}, writes to it were let in"
        before, after = documents_of(left), documents_of(new)
        assert not before.keys() - after.keys(), (
            f"1: {place}, these were lost: {sorted(before.keys() - after.keys())}"
        )
        assert not after.keys() - before.keys(), (
            f"2: {place}, these were too many: {sorted(after.keys() - before.keys())}"
        )
        for name, row in before.items():
            copy = after[name]
            assert own(copy) == own(row), f"1: {place}, {name} had become {own(copy)}"
            assert not self._numbers or copy.version == row.version, f"3: {place}, {name}"
            stamps = [(copy.source or {}).get(f"{slot}_stamp") for slot in SLOTS]
            assert any(s and s["digest"] == digest_of(copy) for s in stamps), (
                f"4: {place}, {name} had no vector of its text"
            )

    def _look_at_block(self, now: Index) -> None:
        if now.blocked() and self._blocked_since is None:
            self._blocked_since = self._node.now()
        elif not now.blocked() and self._blocked_since is not None:
            self.look_at_clock()
            self.pauses.append(self._node.now() - self._blocked_since)
            self._blocked_since, self._excused_s = None, 0.0

    def look_at_clock(self) -> None:
        """11: writes are let in again in time, whatever becomes of who held them up."""
        if self._blocked_since is None:
            return
        held_up_s = self._node.now() - self._blocked_since
        assert held_up_s <= self.pause_s + _SLACK_S + self._excused_s, (
            f"11: writes were held up for {held_up_s:.1f} s, the limit is {self.pause_s} s"
        )

    def end(self) -> Index:
        """Return the index that serves; it takes writes and nothing is left of any swap."""
        self.look()
        assert self._at is not None
        assert not self._at.blocked(), f"11: {self._at.name} takes no writes at the end"
        tickets = [alias for alias in self._at.aliases if _TICKET.fullmatch(alias)]
        assert not tickets, f"11: tickets are left: {tickets}"
        return self._at
