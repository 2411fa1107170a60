"""Encoders of a target and its intent head, as the pages get them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from desireline.sidecar.generations import Generation
from desireline.sidecar.models.records import ModelRecord
from desireline.sidecar.reports.cycle_report import CycleReport, Outcome, Rung
from desireline.trainer.encoders.settings import EncoderSettings, Prompts
from desireline.trainer.models.manifest import FileRecord, Manifest, Provenance, Template

NOW = datetime(2026, 5, 7, 2, 0, tzinfo=UTC)
BASE, TUNED, LOST = "ba5e" * 16, "7ded" * 16, "105e" * 16


def manifest(name: str, *, query: str = "", **made: object) -> Manifest:
    return Manifest(
        fingerprint=name,
        files={"modules.json": FileRecord(sha256="a" * 64, bytes=69_000_000)},
        settings=EncoderSettings(pooling="mean", dimension=16, prompts=Prompts(query=query)),
        template=Template(fields=("title",), separator=". "),
        provenance=Provenance(**{"base_model": "tiny", **made}),
        created_at=NOW,
    )


def generation(name: str, number: int, state: str) -> Generation:
    return Generation(
        target="products",
        number=number,
        state=state,
        index="shop",
        slot="embedding__a",
        dimension=16,
        similarity="cosine",
        fingerprint=name,
        created_at=NOW + timedelta(days=number),
    )


def sample_models(cycle: dict[str, Any]) -> list[ModelRecord]:
    """What serves, one that the same night refused, and the base that is retained."""
    base = manifest(BASE, licence="apache-2.0")
    fields = {name: cycle[name] for name in CycleReport.model_fields if name in cycle}
    judged = CycleReport.model_validate(fields | {"candidate": TUNED, "ladder": None})
    refused = CycleReport(target="products", cycle="x", outcome=Outcome.RUNNING, started_at=NOW)
    return [
        ModelRecord(
            manifest=manifest(TUNED, parent=BASE, pairs=1234, seed=7, data_window=(NOW, NOW)),
            lineage=(base,),
            judged=judged,
            generations=(generation(TUNED, 7, "live"),),
        ),
        ModelRecord(
            manifest=manifest(LOST, parent=BASE),
            lineage=(base,),
            judged=None,
            tried=(refused, Rung(mode="lora", reason="the head segment fell")),
            generations=(),
        ),
        ModelRecord(
            manifest=base,
            lineage=(),
            judged=None,
            generations=(generation(BASE, 6, "retained"),),
        ),
    ]


def figure(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.05, "high": value + 0.05}


INTENT = {
    "field": "category",
    "use": "filter",
    "boost": 0.1,
    "min_confidence": 0.9,
    "max_categories": 3,
    "min_hits": 5,
    "head": {
        "head": "1f0a" * 16,
        "encoder": "85ce" * 16,
        "learned_at": "2026-05-07T02:20:00+00:00",
        "cycle": "20260507T02Z",
        "queries": 1572,
        "titles": 1016,
        "categories": 23,
        "figures": {
            part: {
                name: figure(value)
                for name, value in (
                    ("accuracy", accuracy),
                    ("top-3", 0.774),
                    ("macro-f1", 0.41),
                    ("calibration error", 0.158),
                    ("log-loss", 1.76),
                )
            }
            for part, accuracy in (("all", 0.532), ("typed least", 0.549))
        },
    },
    "missing": "",
    "verdict": {"cycle": "20260507T02Z", "at": "", "sentence": "a new head serves: better"},
    "last": {"cycle": "20260507T02Z", "at": "", "sentence": "a new head serves: better"},
}
