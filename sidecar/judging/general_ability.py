"""How encoders answer the general suite, and what of it a tuned one has forgotten."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from desireline.sidecar.judging.examination import Reading
from desireline.sidecar.reports.cycle_report import Interval
from desireline.sidecar.reports.judged_parts import GENERAL
from desireline.sidecar.target import Target
from desireline.trainer.evaluation import Difference, Evaluation, compare
from desireline.trainer.general.suite import (
    GeneralPart,
    builtin_suite,
    foreign,
    measure_part,
    read_suite,
)
from desireline.trainer.measures.base import Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Ability:
    """What each encoder measured on each part of the suite; empty where nothing was asked."""

    #: Candidate against base, by part.
    differences: tuple[Difference, ...] = ()
    #: By who, then by the name that stands in the table.
    table: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)

    def row(self, who: str) -> dict[str, Interval]:
        """Return the numbers of one ranker; none of one that the suite was not put to."""
        return dict(self.table.get(who, {}))

    @property
    def gain(self) -> dict[str, Interval]:
        """Of candidate over base, by the name that stands in the table."""
        return {
            _name(part.measure, part.segment): Interval(
                value=part.gain.mean, low=part.gain.low, high=part.gain.high
            )
            for part in self.differences
        }


def general_ability(
    target: Target, fingerprints: Mapping[str, str], measure: Measure, reading: Reading
) -> Ability:
    """Put the general suite to every encoder.

    The base encoder is the standard, not the incumbent: what is forgotten a little every night
    would never be seen against last night's.

    Args:
        target: whose suite, and whose own documents are no part of it.
        fingerprints: encoders by who they are; `candidate` and `base` among them.
        measure: of the gate.
        reading: the target's documents.

    Raises:
        GeneralSuiteError: the file that `gate.general` names cannot be used.

    """
    parts = _asked(target, fingerprints["base"], reading)
    found: dict[tuple[str, str], Evaluation] = {}
    for fingerprint in dict.fromkeys(fingerprints.values()):
        encoder = target.encoder(fingerprint)
        for part in parts:
            found[fingerprint, part.name] = measure_part(encoder, part, measure)
    of = {
        (who, part.name): found[fingerprint, part.name]
        for who, fingerprint in fingerprints.items()
        for part in parts
    }
    return Ability(
        differences=tuple(
            replace(
                compare(of["candidate", part.name], of["base", part.name]).of(measure),
                segment=part.name,
            )
            for part in parts
        ),
        table={
            who: {
                _name(measure, part.name): _interval(of[who, part.name], measure) for part in parts
            }
            for who in fingerprints
        },
    )


def _asked(target: Target, fingerprint: str, reading: Reading) -> tuple[GeneralPart, ...]:
    named = target.config.gate.general
    if named is False:
        return ()
    parts = builtin_suite() if named == "builtin" else read_suite(named)
    return foreign(parts, (each.text for each in reading.documents(fingerprint).values()))


def _name(measure: Measure, part: str) -> str:
    return f"{measure}{GENERAL}{part}"


def _interval(evaluation: Evaluation, measure: Measure) -> Interval:
    found = evaluation.interval(measure)
    return Interval(value=found.mean, low=found.low, high=found.high)
