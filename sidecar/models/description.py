"""What is told of a registered model, once for its card, its page, the terminal and programs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from desireline.sidecar.errors import EncoderUnknownError
from desireline.sidecar.generations import Generation, State
from desireline.sidecar.models.facts import (
    SHORT,
    Fact,
    LoadingStep,
    base_name,
    day,
    facts,
    licence_of,
    loading_steps,
)
from desireline.sidecar.models.records import ModelRecord
from desireline.sidecar.reports.cycle_report import CycleReport, Interval, Outcome
from desireline.trainer.models.manifest import Manifest

#: Fewer digits of a fingerprint than this name a generation, if anything.
_FEWEST_DIGITS = 8
REFUSED, WOULD_PASS, NOT_JUDGED = "refused", "would pass", "not judged"
#: How the gate's sentence on a refused model begins.
_KEEP = "keep the incumbent"
#: A model is told by the first of these that a generation of it is in.
_STATES = (
    State.LIVE,
    State.RETAINED,
    State.READY,
    State.BUILDING,
    State.RETIRED,
    State.CANCELLED,
    State.FAILED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor:
    """One model of a line."""

    fingerprint: str
    #: How it was made; nothing else is known of one that is no longer registered.
    mode: str = ""
    made_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """A model in words; it holds no query, no document and no client.

    What a manifest says may be a stranger's, where a registry is shared: it is plain text, to be
    escaped by whoever shows it.
    """

    record: ModelRecord
    #: Whose generations say what state it is in; None for those of all targets.
    target: str | None = None

    @property
    def fingerprint(self) -> str:
        """Its name."""
        return self.record.manifest.fingerprint

    @property
    def title(self) -> str:
        """The encoder it all began with, and whether it was tuned."""
        tuned = ", tuned by desireline" if self.record.manifest.provenance.parent else ""
        return f"{base_name(self.record.manifest)}{tuned}"

    @property
    def made(self) -> str:
        """Its mode, and int8 where that is its precision."""
        made = self.record.manifest.provenance
        if made.parent is None:
            return "base"
        return made.precision if made.precision == "int8" else made.mode

    @property
    def bytes(self) -> int:
        """Of all its files together."""
        return sum(file.bytes for file in self.record.manifest.files.values())

    @property
    def size(self) -> str:
        """The same as people read it, in powers of 1000."""
        mega = self.bytes / 1e6
        return f"{mega:,.0f} MB" if mega >= 10 else f"{mega:.1f} MB"  # noqa: PLR2004 - two digits

    @property
    def origin(self) -> str:
        """Its mode and what it was made from, or the name of what was imported."""
        parent = self.record.manifest.provenance.parent
        return f"{self.made} from {parent[:SHORT]}" if parent else base_name(self.record.manifest)

    @property
    def generations(self) -> list[Generation]:
        """Where it serves or has served, oldest first."""
        asked = self.target
        return [g for g in self.record.generations if asked is None or g.target == asked]

    @property
    def state(self) -> str:
        """Where it stands: a generation's state, or what the gate said."""
        found = {generation.state for generation in self.generations}
        state = next((state for state in _STATES if state in found), None)
        if state is not None:
            return state.value
        if self.record.tried is not None:
            return WOULD_PASS if self.record.tried[1].promote else REFUSED
        if self.record.judged is None:
            return NOT_JUDGED
        refused = self.record.judged.outcome is Outcome.KEPT_INCUMBENT
        return REFUSED if refused or self.verdict.startswith(_KEEP) else WOULD_PASS

    @property
    def line(self) -> tuple[Ancestor, ...]:
        """The models it was made from, the first one first, and itself."""
        known = (self.record.manifest, *self.record.lineage)
        line = [
            Ancestor(
                fingerprint=each.fingerprint,
                mode=ModelDescription(record=_alone(each)).made,
                made_at=each.created_at,
            )
            for each in known
        ]
        missing = known[-1].provenance.parent
        if missing is not None and missing not in {each.fingerprint for each in known}:
            line.append(Ancestor(fingerprint=missing))
        return tuple(reversed(line))

    @property
    def licence(self) -> str | None:
        """That of the nearest model of its line that has one: what is tuned keeps it."""
        return licence_of(self.record)

    @property
    def facts(self) -> list[Fact]:
        """What it is and what it was made from."""
        return list(facts(self.record))

    @property
    def verdict(self) -> str:
        """What the gate said of it, in one sentence without a full stop."""
        report = self.record.judged
        if report is not None:
            return _verdict(self.record, report)
        made_in = self.record.manifest.provenance.cycle_id
        if self.record.tried is not None:
            _, rung = self.record.tried
            return f"tried as {rung.mode} beside other modes: {rung.reason}"
        if made_in is None:
            return "No gate has judged it"
        return f"How the cycle {made_in} judged it is not known here"

    @property
    def judged_in(self) -> str:
        """Which cycle judged it; empty where none is known."""
        tried = self.record.tried
        report = self.record.judged or (tried[0] if tried else None)
        if report is None:
            return ""
        return f"{day(report.started_at)}, target {report.target}, cycle {report.cycle}"

    @property
    def judgement(self) -> str:
        """The verdict and where it was given."""
        link = ": " if self.record.judged is not None else ", "
        return link.join(filter(None, (self.judged_in, self.verdict)))

    @property
    def measures(self) -> Mapping[str, Mapping[str, Interval]]:
        """By ranker, then by measure; of the model that its night kept, or of none."""
        return self.record.judged.measures if self.record.judged else {}

    @property
    def gain(self) -> Mapping[str, Interval]:
        """Of candidate minus incumbent, by measure."""
        return self.record.judged.gain if self.record.judged else {}

    def figures(self) -> dict[str, Any]:
        """Return what the gate measured as plain values, with the keys of a cycle's report."""
        return {
            "measures": {ranker: _plain(row) for ranker, row in self.measures.items()},
            "gain": _plain(self.gain),
        }

    @property
    def served(self) -> list[str]:
        """Where it serves or has served, of any target, oldest first."""
        return [
            f"{g.target}: generation {g.number}, {g.state}, since {day(g.created_at)}"
            for g in self.record.generations
        ]

    def loading(self, folder: str) -> list[LoadingStep]:
        """Return how its files are loaded once they lie in this folder."""
        return list(loading_steps(self.record.manifest, folder))

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "fingerprint": self.fingerprint,
            "title": self.title,
            "state": self.state,
            "mode": self.made,
            "made_at": self.record.manifest.created_at.isoformat(),
            "bytes": self.bytes,
            "licence": self.licence,
            "verdict": self.verdict,
            "judged_in": self.judged_in,
            "lineage": [each.fingerprint for each in self.record.lineage],
            "generations": [
                {"target": g.target, "number": g.number, "state": g.state.value}
                for g in self.record.generations
            ],
            "facts": {fact.name: fact.text for fact in self.facts},
            **self.figures(),
            "loading": [
                " ".join(filter(None, (step.sentence, step.code)))
                for step in self.loading("./encoder")
            ],
            "files": {name: file.model_dump() for name, file in self.record.manifest.files.items()},
        }


def described(records: Sequence[ModelRecord], target: str) -> list[ModelDescription]:
    """Describe the models of one target: its own, what they were made from, and nobody's."""
    own = {
        named
        for record in records
        if target in _targets(record)
        for named in (record.manifest.fingerprint, *_needed(record))
    }
    return [
        ModelDescription(record=record, target=target)
        for record in records
        if record.manifest.fingerprint in own or not _targets(record)
    ]


def find(models: Sequence[ModelDescription], name: str) -> ModelDescription:
    """Find a model by 8 or more digits of its fingerprint, or by the number of a generation.

    Raises:
        EncoderUnknownError: none or several are called so.

    """
    if name.isascii() and name.isdigit() and len(name) < _FEWEST_DIGITS:
        number = int(name)
        found = [model for model in models if number in {g.number for g in model.generations}]
        what = f"no encoder of generation {number} is registered, or is no longer"
    else:
        long = len(name) >= _FEWEST_DIGITS
        found = [model for model in models if long and model.fingerprint.startswith(name)]
        what = (
            f"{name[:80]!r} begins {len(found)} registered encoders, not one"
            if found
            else f"no registered encoder begins with {name[:80]!r}; idle ones are removed in time"
        )
    if len(found) != 1:
        raise EncoderUnknownError(
            what, next_step=f"give a generation's number, or {_FEWEST_DIGITS} digits of a name"
        )
    return found[0]


def _verdict(record: ModelRecord, report: CycleReport) -> str:
    """Return the gate's sentence on this model: a night that tries several modes has several."""
    if record.tried is not None and record.tried[0].cycle == report.cycle:
        rung = record.tried[1]
        return f"{'promote' if rung.promote else _KEEP}: {rung.reason}"
    gate = [step.sentence for step in report.steps if step.name == "gate"]
    return (gate or [report.reason])[-1]


def _targets(record: ModelRecord) -> set[str]:
    """Name the targets that a model has to do with."""
    reports = [record.judged, record.tried[0] if record.tried else None]
    judging = {report.target for report in reports if report is not None}
    return judging | {generation.target for generation in record.generations}


def _needed(record: ModelRecord) -> Iterator[str]:
    """Name what a model was made from, and what embeds its documents."""
    yield from (each.fingerprint for each in record.lineage)
    manifest = record.manifest
    yield from filter(None, (manifest.documents, manifest.provenance.teacher))


def _alone(manifest: Manifest) -> ModelRecord:
    return ModelRecord(manifest=manifest, lineage=(), judged=None, generations=())


def _plain(row: Mapping[str, Interval]) -> dict[str, Any]:
    return {name: interval.model_dump() for name, interval in row.items()}
