"""What a candidate answers differently, told for people and kept until the next cycle.

Queries are personal data, so they are not in the report of a cycle, which is kept: they have a
record of their own, one a target, that the next cycle replaces and an erasure removes. Only what
enough people typed and clicked is ever in it (`trainer.presentable`).
"""

from collections.abc import Mapping
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict

from desireline.connectors.errors import DesirelineError
from desireline.connectors.state_store import StateStore
from desireline.trainer.judging.changes import DEPTH, Change, Changes
from desireline.trainer.measures.base import Measure, Qrels, Run

ANSWER_CHANGES = "answer changes"
EXAMPLES = 5
"""Of each kind; people look at a few."""
#: Raised whenever a reader of old records would trip over them.
_FORM = 1
_TITLE = 120

log = structlog.get_logger(__name__)


class Answer(BaseModel):
    """One document and where both rankings have it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    document_id: str
    #: Shortened; the id where the document has no text.
    title: str
    #: Positions from 1; None beyond what was asked for.
    before: int | None
    after: int | None
    #: Whether it is what people wanted.
    wanted: bool

    @property
    def entered(self) -> bool:
        """Whether it is new among the first ten."""
        return _among_first(self.after) and not _among_first(self.before)

    @property
    def left(self) -> bool:
        """Whether it was among the first ten and is not now."""
        return _among_first(self.before) and not _among_first(self.after)


class ChangedQuery(BaseModel):
    """One query whose answers are better or worse."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query: str
    #: Of the measure, on this query alone.
    gain: float
    #: Those among the first ten of either ranking, and what people wanted wherever it is; in the
    #: new order, then the old one.
    answers: tuple[Answer, ...]

    @property
    def before(self) -> list[Answer]:
        """The old first ten, best first."""
        found = [each for each in self.answers if _among_first(each.before)]
        return sorted(found, key=lambda each: each.before or 0)

    @property
    def after(self) -> list[Answer]:
        """The new first ten, best first."""
        found = [each for each in self.answers if _among_first(each.after)]
        return sorted(found, key=lambda each: each.after or 0)

    @property
    def wanted(self) -> list[Answer]:
        """What people wanted."""
        return [each for each in self.answers if each.wanted]


class AnswerChanges(BaseModel):
    """Examples of both kinds, and how many there are of each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measure: str
    #: Answers that each ranking was asked for: a document without a position lies beyond.
    depth: int
    #: How many queries were judged, may be shown, and of those changed, for better and worse.
    judged: int
    shown: int
    changed: int
    better: int
    worse: int
    wins: tuple[ChangedQuery, ...] = ()
    losses: tuple[ChangedQuery, ...] = ()
    #: Why there is no example, or fewer than there might be; empty where nothing was held back.
    withheld: str = ""

    @property
    def sentence(self) -> str:
        """How many changed, without a query."""
        if self.shown and not self.changed:
            counted = (
                f"none of {self.shown:,} queries that may be shown has other first {DEPTH} answers"
                " or another order"
            )
            return f"{counted}; {self.withheld}" if self.withheld else counted
        counted = (
            f"{self.changed:,} of {self.shown:,} queries that may be shown have other first"
            f" {DEPTH} answers or another order: {self.better:,} better, {self.worse:,} worse"
        )
        return f"{counted}; {self.withheld}" if self.withheld else counted


def tell_changes(
    changes: Changes,
    *,
    judged: int,
    runs: tuple[Run, Run],
    qrels: Qrels,
    titles: Mapping[str, str],
    measure: Measure,
) -> AnswerChanges:
    """Give documents their titles and positions.

    Args:
        changes: of the queries that may be shown.
        judged: queries that the verdict rests on, shown or not.
        runs: answers before and after, as deep as they were asked for.
        qrels: what may be shown of the truth.
        titles: by document_id.
        measure: that the gains are of.

    """
    hidden = judged - changes.queries

    def told(change: Change) -> ChangedQuery:
        before, after = (_positions(run.get(change.query, ())) for run in runs)
        wanted = sorted(document for document, grade in qrels[change.query].items() if grade > 0)
        names = dict.fromkeys((*change.after, *change.before, *wanted))
        return ChangedQuery(
            query=change.query,
            gain=round(change.gain, 4),
            answers=tuple(
                Answer(
                    document_id=name,
                    title=_shortened(titles.get(name, "")) or name,
                    before=before.get(name),
                    after=after.get(name),
                    wanted=name in wanted,
                )
                for name in names
            ),
        )

    return AnswerChanges(
        measure=measure.label,
        depth=max((len(answers) for run in runs for answers in run.values()), default=0),
        judged=judged,
        shown=changes.queries,
        changed=changes.changed,
        better=changes.better,
        worse=changes.worse,
        wins=tuple(map(told, changes.wins)),
        losses=tuple(map(told, changes.losses)),
        withheld=(
            f"{hidden:,} of {judged:,} are not shown, for too few people typed them or clicked"
            " the same answer"
            if hidden
            else ""
        ),
    )


def keep_changes(store: StateStore, target: str, cycle: str, changes: AnswerChanges | None) -> None:
    """Keep the examples of a cycle in place of those before; None keeps none."""
    if changes is None:
        forget_changes(store, target)
        return
    body = {"form": _FORM, "cycle": cycle, "changes": changes.model_dump(mode="json")}
    try:
        store.put(ANSWER_CHANGES, target, body, expected=store.get(ANSWER_CHANGES, target))
    except DesirelineError as error:
        log.warning("examples of changed answers were not kept", target=target, reason=str(error))


def kept_changes(store: StateStore, target: str, cycle: str | None = None) -> dict[str, Any] | None:
    """Return the examples kept last, as plain values; None where they are of another cycle."""
    found = store.get(ANSWER_CHANGES, target)
    if found is None or found.body.get("form") != _FORM:
        return None
    if cycle is not None and found.body["cycle"] != cycle:
        return None
    return dict(found.body["changes"])


def forget_changes(store: StateStore, target: str) -> bool:
    """Delete the examples; return whether there were any."""
    found = store.get(ANSWER_CHANGES, target)
    if found is not None:
        store.delete(found)
    return found is not None


def _among_first(position: int | None) -> bool:
    return position is not None and position <= DEPTH


def _positions(ranked: Any) -> dict[str, int]:
    return {name: place for place, name in enumerate(ranked, 1)}


def _shortened(title: str) -> str:
    return title if len(title) <= _TITLE else f"{title[: _TITLE - 1].rstrip()}…"
