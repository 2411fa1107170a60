"""A client, or a query, leaves everything we hold; what is gone is proven and said.

Safe to repeat, and to break off anywhere: a second run goes on where the first one stopped. What
is erased is barred first, so that no pull brings it back while, or after, it is removed. The
click log itself is the application's and is not touched.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import structlog

from desireline.sidecar.erasing import retraining
from desireline.sidecar.erasing.exports import still_handed
from desireline.sidecar.erasing.places import (
    ArchivePlace,
    ChangesPlace,
    IntentHeadsPlace,
    JudgmentsPlace,
    LogReportPlace,
    PairsPlace,
    Place,
    SentencesPlace,
    Subject,
)
from desireline.sidecar.errors import NotErasedError, NothingNamedError
from desireline.sidecar.models.intent_sharing import heads_still_shared
from desireline.sidecar.models.sharing import still_shared
from desireline.sidecar.privacy.erased_list import CLIENT, QUERY
from desireline.sidecar.target import Target
from desireline.trainer.query_text import normalise

log = structlog.get_logger(__name__)

What = Literal["client", "query"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """One place: how often the subject was there before, and is there now."""

    place: str
    found: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReport:
    """What was erased, and what must still happen."""

    target: str
    what: What
    places: tuple[Searched, ...]
    #: Fingerprints of the registered models that learned from it.
    models: tuple[str, ...]
    #: When a model without it will be trained; empty where none is needed.
    retrain: str
    #: A sentence for each export that only its owner can deal with.
    exports: tuple[str, ...] = ()

    @property
    def found(self) -> int:
        """How often it was found in all."""
        return sum(place.found for place in self.places)

    @property
    def sentence(self) -> str:
        """The whole in one line."""
        learned = f"{len(self.models)} models learned from it" if self.models else "no model did"
        return (
            f"{self.target}: the {self.what} was found {self.found:,} times, and 0 times after"
            f" that; {learned}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "found": self.found, "sentence": self.sentence}


def erase(target: Target, what: What, named: str, *, by: str) -> ErasureReport:
    """Remove a client or a query from all that is kept for a target, and prove it.

    Args:
        target: of which.
        what: a client or a query.
        named: the client's id as the application logs it, or the query's text.
        by: who asks, for the log.

    Raises:
        NothingNamedError: `named` is empty, or nothing is kept for this target.
        NotErasedError: some of it is still there; run it again.

    """
    if not named.strip() or target.privacy is None:
        raise NothingNamedError(
            f"no {what} was named, or nothing is kept of people; nothing was erased",
            next_step="give --client-id or --query",
        )
    text = normalise(named) if what == QUERY else ""
    names = target.privacy.names.all_names(named) if what == CLIENT else frozenset()
    target.privacy.erased.add(what, named, target.clock())
    digests = target.privacy.trained_on.digests(queries=[text] if text else [], clients=names)
    models = target.privacy.trained_on.models(target.registry.list(), digests)
    if models or retraining.cycle_under_way(target):
        retraining.ask(target, digests)
    subject = Subject(names=names | ({named} if what == CLIENT else frozenset()), text=text)
    places = tuple(map(_cleared, _places(target, subject, digests)))
    report = ErasureReport(
        target=target.name,
        what=what,
        places=places,
        models=tuple(models),
        retrain=_when(target),
        exports=(
            *still_handed(target.store, target.name, text),
            *still_shared(target.registry, models),
            *heads_still_shared(target),
        ),
    )
    log.info("erased", target=target.name, what=what, found=report.found, models=len(models), by=by)
    return report


def _places(target: Target, subject: Subject, digests: set[bytes]) -> list[Place]:
    places: list[Place] = [
        IntentHeadsPlace(target, digests),
        PairsPlace(target.registry.root, subject),
        LogReportPlace(target.store, target.name, subject),
        ChangesPlace(target.store, target.name, subject),
        SentencesPlace(target.store, target.name, subject),
    ]
    if target.judgment_lists is not None:
        places.append(JudgmentsPlace(target.judgment_lists, target.store, target.name, subject))
    return places if target.archive is None else [ArchivePlace(target.archive, subject), *places]


def _cleared(place: Place) -> Searched:
    found = place.count()
    if found:
        place.remove()
    left = place.count() if found else 0
    if left:
        raise NotErasedError(
            f"{place.name}: {left} of {found} are still there; the rest was erased",
            next_step="run the same command again: it goes on where this one stopped",
        )
    return Searched(place=place.name, found=found, left=left)


def _when(target: Target) -> str:
    if retraining.due(target) is None:
        return ""
    if target.config.tune.schedule is not None:
        return f'the next cycle of the schedule "{target.config.tune.schedule}" trains without it'
    return (
        f"`desireline serve` begins a cycle that trains without it within ten minutes;"
        f" `desireline tune {target.name}` does so now"
    )
