"""What an application knows of its keys, and the judgement of what is found there.

The shape is Jepsen's: generators, a nemesis, and a checker over every acknowledged operation.
Each key has one writer and its operations come one after the other, so what may be found is
exactly known: one state after an acknowledgement, a few after an operation without an answer.
Such a key is left alone from then on, for the operation may still be carried out.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What an application does to a key."""

    INDEX = "index"
    UPDATE = "update"
    DELETE = "delete"


class Violation(StrEnum):
    """What must never be found."""

    #: An acknowledged document is not there.
    LOST = "lost"
    #: A document is there whose delete was acknowledged.
    RESURRECTED = "resurrected"
    #: A document holds an older value than the one acknowledged, or nobody's.
    OVERWRITTEN = "overwritten"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Values of a document: of its last whole write, and of its last write of any kind."""

    born: int
    changed: int


#: A key whose document does not exist.
ABSENT = None


@dataclass(slots=True, kw_only=True)
class Key:
    """One key and the states in which it may be found."""

    possible: frozenset[State | None] = frozenset({ABSENT})
    #: Whether an operation on it got no answer; nothing more is done to it.
    unsure: bool = False

    def after(self, kind: Kind, value: int) -> frozenset[State | None]:
        match kind:
            case Kind.INDEX:
                return frozenset({State(born=value, changed=value)})
            case Kind.DELETE:
                return frozenset({ABSENT})
            case Kind.UPDATE:
                return frozenset(
                    State(born=state.born, changed=value)
                    for state in self.possible
                    if state is not ABSENT
                )


@dataclass(slots=True, kw_only=True)
class History:
    """Every key of one writer."""

    keys: dict[str, Key] = field(default_factory=dict)
    acknowledged: Counter[Kind] = field(default_factory=Counter)
    refused: int = 0
    unanswered: int = 0

    def key(self, name: str) -> Key:
        return self.keys.setdefault(name, Key())

    def acknowledge(self, name: str, kind: Kind, value: int) -> None:
        key = self.key(name)
        key.possible = key.after(kind, value)
        self.acknowledged[kind] += 1

    def refuse(self, _name: str) -> None:
        """Note that the cluster said it did not carry an operation out."""
        self.refused += 1

    def leave_unsure(self, name: str, kind: Kind, value: int) -> None:
        """Note that an operation got no answer."""
        key = self.key(name)
        key.possible |= key.after(kind, value)
        key.unsure = True
        self.unanswered += 1

    def judge(self, found: Mapping[str, State | None]) -> dict[str, Violation]:
        """Return what is wrong with the states found, by key."""
        verdicts = {name: _judge(self.key(name), state) for name, state in found.items()}
        return {name: verdict for name, verdict in verdicts.items() if verdict is not None}


def _judge(key: Key, state: State | None) -> Violation | None:
    if state in key.possible:
        return None
    if state is ABSENT:
        return Violation.LOST
    if key.possible == {ABSENT}:
        return Violation.RESURRECTED
    return Violation.OVERWRITTEN
