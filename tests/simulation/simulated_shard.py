"""One shard with a primary and a replica, each numbered write of it, and what a failover keeps.

A write is numbered, applied at the primary, applied at the replica and then acknowledged;
other requests may run between any two of these. Reads by id see what the primary applied,
searches only what the last refresh showed them. The global checkpoint is the number up to
which both copies have every write, so a later write may be visible while an earlier one,
still below it in number, is not.
"""

import random
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Source = Mapping[str, Any]
#: What runs at the node: it yields wherever another request may run meanwhile.
Work = Generator[None, None, Any]

_NEVER = -1


@dataclass(frozen=True, slots=True)
class Row:
    """A document, or the tombstone of one, as a copy of the shard holds it."""

    document_id: str
    #: None: deleted.
    source: Source | None
    seq_no: int
    term: int
    version: int
    routing: str | None
    written_at: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What one item of a request is answered."""

    status: int
    row: Row | None = None
    result: str = ""
    kind: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What an operation makes of a document."""

    source: Source | None
    version: int
    routing: str | None
    status: int
    result: str


Decide = Callable[[Row | None], Change | Answer]
"""Looks at the document as it is and answers what is to be written, or refuses."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One item for a shard."""

    document_id: str
    decide: Decide
    #: Who wrote it, for the journal.
    origin: str = ""


class PrimaryGoneError(Exception):
    """The primary failed while it worked on the request."""


class Copy:
    """One copy of the shard."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        #: What searches see; replaced, never changed, so a snapshot is a reference to it.
        self.visible: Mapping[str, Row] = {}
        self.local_checkpoint = _NEVER
        self.max_seq_no = _NEVER
        self._above: set[int] = set()

    def apply(self, row: Row) -> None:
        held = self.rows.get(row.document_id)
        if held is None or held.seq_no < row.seq_no:
            self.rows[row.document_id] = row
        self.mark(row.seq_no)

    def get(self, document_id: str) -> Row | None:
        """Read by id, in real time."""
        row = self.rows.get(document_id)
        return None if row is None or row.source is None else row

    def mark(self, seq_no: int) -> None:
        """Count a number as processed."""
        self.max_seq_no = max(self.max_seq_no, seq_no)
        self._above.add(seq_no)
        while self.local_checkpoint + 1 in self._above:
            self.local_checkpoint += 1
            self._above.discard(self.local_checkpoint)

    def fill_gaps(self) -> None:
        """Put a no-op in the place of every number this copy never got."""
        self.local_checkpoint = self.max_seq_no
        self._above.clear()

    def refresh(self) -> None:
        self.visible = {key: row for key, row in self.rows.items() if row.source is not None}

    def clone(self) -> "Copy":
        other = Copy()
        other.rows = dict(self.rows)
        other.visible = self.visible
        other.local_checkpoint = self.local_checkpoint
        other.max_seq_no = self.max_seq_no
        other._above = set(self._above)
        return other


@dataclass(slots=True)
class Shard:
    """A primary, a replica and the requests between them."""

    now: Callable[[], float]
    gc_deletes_s: float = 60.0
    term: int = 1
    primary: Copy = field(default_factory=Copy)
    replica: Copy = field(default_factory=Copy)
    global_checkpoint: int = _NEVER
    #: Told of every row as the primary applies it, with who wrote it and what stood there.
    journal: Callable[[Row, str, Row | None], None] = lambda *_: None
    #: How many other things happen before the next stage of a write: mostly one, at times many.
    lag: Callable[[], int] = lambda: 1
    _next: int = 0
    _locked: set[str] = field(default_factory=set)
    _unreplicated: dict[int, Row] = field(default_factory=dict)
    #: Requests that have numbered writes and are not answered yet.
    busy: int = 0

    def current(self, document_id: str) -> Row | None:
        """Return the row that a write meets; a tombstone only as long as it is kept."""
        row = self.primary.rows.get(document_id)
        if row is not None and row.source is None:
            expired = self.now() - row.written_at > self.gc_deletes_s
            return None if expired else row
        return row

    def write(self, operations: Sequence[Operation]) -> Work:
        """Carry out the items in order and answer them once both copies have them.

        Raises:
            PrimaryGoneError: some may be carried out and kept, some not.

        """
        term = self.term
        self.busy += 1
        try:
            answers = []
            rows = []
            for operation in operations:
                answer = yield from self._write_one(operation, term)
                answers.append(answer)
                if answer.row is not None and answer.row.seq_no in self._unreplicated:
                    rows.append(answer.row)
            if rows:
                for _ in range(self.lag()):
                    yield
                self._require(term)
                self._replicate(rows)
                yield
            return answers
        finally:
            self.busy -= 1

    def _write_one(self, operation: Operation, term: int) -> Work:
        key = operation.document_id
        while key in self._locked:
            yield
            self._require(term)
        self._require(term)
        before = self.current(key)
        change = operation.decide(before)
        if isinstance(change, Answer):
            return change
        row = Row(key, change.source, self._next, term, change.version, change.routing, self.now())
        self._next += 1
        self._locked.add(key)
        for _ in range(self.lag()):
            yield
        self._require(term)
        self._locked.discard(key)
        self.primary.apply(row)
        self._unreplicated[row.seq_no] = row
        self.journal(row, operation.origin, before)
        return Answer(change.status, row, change.result)

    def _replicate(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self.replica.apply(row)
            self._unreplicated.pop(row.seq_no, None)
        self._advance()

    def _advance(self) -> None:
        both = min(self.primary.local_checkpoint, self.replica.local_checkpoint)
        self.global_checkpoint = max(self.global_checkpoint, both)

    def _require(self, term: int) -> None:
        if self.term != term:
            raise PrimaryGoneError

    def refresh(self) -> None:
        """Show every applied write to searches, on both copies."""
        self.primary.refresh()
        self.replica.refresh()

    def fail_over(self, rng: random.Random) -> None:
        """Lose the primary: the replica goes on, with some of what was not acknowledged."""
        for row in list(self._unreplicated.values()):
            if rng.random() < 0.5:
                self.replica.apply(row)
        self._unreplicated.clear()
        self._locked.clear()
        self.term += 1
        self.primary = self.replica
        self.primary.fill_gaps()
        self._next = self.primary.max_seq_no + 1
        self.replica = self.primary.clone()
        self._advance()
