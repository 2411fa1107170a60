"""A whole cycle whose training is sabotaged, and what serves after it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gating.saboteurs import Material
from gating.town import INDEX, NAME, Remembering, Town

from desireline.connectors.stores.memory import MemoryStore
from desireline.sidecar.building import put_live
from desireline.sidecar.cycle import run_cycle
from desireline.sidecar.demo.occupations import TEXT_FIELDS
from desireline.sidecar.demo.ubi_bulk import bulk_lines
from desireline.sidecar.reports.reporting import Reporter, SilentReporter
from desireline.sidecar.serving.live import Serving
from desireline.sidecar.target import Target
from desireline.trainer.encoders.base import Encoder

_ASKED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one cycle ended."""

    kind: str
    #: Whether the candidate was ever given a generation, or answers a query now.
    served: bool
    outcome: str
    reason: str


class Saboteur:
    """Sits where training is: whatever is asked for, its candidate comes back."""

    def __init__(self, town: Town, candidate: Encoder) -> None:
        self._town, self._candidate = town, candidate

    def run(self, _job: object, _reporter: Reporter) -> dict[str, Any]:
        return {
            "fingerprint": self._town.shelf.put(self._candidate),
            "sentence": "trained",
            "seconds": 1.0,
        }


def keep_log(town: Town, *, searches: int, seed: int) -> None:
    """Write a night's clicks where the target of the cycles reads them."""
    log = town.simulated(town.base, searches=searches, seed=seed)
    with (town.folder / "clicks.ndjson").open("wb") as file:
        for batch in log.batches:
            file.writelines(bulk_lines(batch))


def cycle_with(material: Material, kind: str, candidate: Encoder) -> Outcome:
    """Put the base encoder live, let one cycle train the candidate, and look at what serves."""
    target = _fresh(material.town, candidate)
    with target.owned() as lease:
        put_live(
            target, material.town.base.fingerprint, lease, SilentReporter(), reason="the first"
        )
    before = _answers(target, material)
    report = run_cycle(target, SilentReporter())
    generations = target.generations.all()
    return Outcome(
        kind=kind,
        served=any(each.fingerprint == candidate.fingerprint for each in generations)
        or _answers(target, material) != before,
        outcome=report.outcome.value,
        reason=report.reason,
    )


def _fresh(town: Town, candidate: Encoder) -> Target:
    engine = Remembering()
    engine.create_index(INDEX, list(TEXT_FIELDS))
    engine.index_documents(INDEX, town.occupations.documents)
    worker: Any = Saboteur(town, candidate)
    return replace(town.target, engine=engine, store=MemoryStore(), worker=worker)


def _answers(target: Target, material: Material) -> Sequence[tuple[int, str]]:
    """What users get now: the generation and the first document of some queries."""
    live = Serving(target.generations, target.encoders).live()
    queries = sorted(material.town.truth)[:: len(material.town.truth) // _ASKED]
    return [(live.number, live.search(target.engine, query, 1)[0].document_id) for query in queries]


__all__ = ["NAME", "Outcome", "cycle_with", "keep_log"]
