"""What is known of each registered model: its line, how it was judged, where it served."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from desireline.connectors.state_store import StateStore
from desireline.sidecar.generations import GENERATION, Generation
from desireline.sidecar.reports.cycle_report import CYCLE, CycleReport, Rung
from desireline.trainer.models.manifest import Manifest
from desireline.trainer.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """One model and its history."""

    manifest: Manifest
    #: The models it was made from, nearest first, as far as they are still registered.
    lineage: tuple[Manifest, ...]
    #: The newest cycle that judged it; None for one that no gate has seen.
    judged: CycleReport | None
    #: The newest cycle that tried it on the ladder, and how; kept or not.
    tried: tuple[CycleReport, Rung] | None = None
    #: Where it serves or has served, oldest first, of any target.
    generations: tuple[Generation, ...]


def model_records(store: StateStore, registry: Registry) -> list[ModelRecord]:
    """Return every registered model, newest first."""
    manifests = {manifest.fingerprint: manifest for manifest in registry.list()}
    reports = _cycles(store, set(manifests))
    judged = {report.candidate: report for report in reports}
    tried = {
        rung.candidate: (report, rung)
        for report in reports
        for rung in (report.ladder.rungs if report.ladder else ())
    }
    generations = [
        Generation.model_validate(dict(record.body)) for record in store.list(GENERATION)
    ]
    return [
        ModelRecord(
            manifest=manifest,
            lineage=tuple(_lineage(manifest, manifests)),
            judged=judged.get(manifest.fingerprint),
            tried=tried.get(manifest.fingerprint),
            generations=tuple(g for g in generations if g.fingerprint == manifest.fingerprint),
        )
        for manifest in reversed(manifests.values())
    ]


def model_record(store: StateStore, registry: Registry, name: str) -> ModelRecord:
    """Return one model by its fingerprint or the first 8 or more digits of it.

    Raises:
        ModelMissingError: none or several begin so.
        ModelChangedError: its files are not as they were registered.

    """
    fingerprint = registry.resolve(name)
    registry.verify(fingerprint)
    return next(
        record
        for record in model_records(store, registry)
        if record.manifest.fingerprint == fingerprint
    )


def _cycles(store: StateStore, models: AbstractSet[str]) -> list[CycleReport]:
    """Return the cycles of all targets that judged one of these models, oldest first."""
    bodies = [record.body for record in store.list(CYCLE)]
    found = [
        CycleReport.model_validate(dict(body))
        for body in bodies
        if not models.isdisjoint(_candidates(body))
    ]
    return sorted(found, key=lambda report: report.started_at)


def _candidates(report: Mapping[str, Any]) -> list[str | None]:
    """Name the models that a cycle judged, before the whole of its report is read."""
    rungs = (report.get("ladder") or {}).get("rungs", ())
    return [report.get("candidate"), *(rung.get("candidate") for rung in rungs)]


def _lineage(manifest: Manifest, manifests: dict[str, Manifest]) -> Iterator[Manifest]:
    seen = {manifest.fingerprint}
    parent = manifest.provenance.parent
    while parent in manifests and parent not in seen:
        seen.add(parent)
        yield manifests[parent]
        parent = manifests[parent].provenance.parent
