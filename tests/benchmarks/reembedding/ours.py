"""desireline's own pipeline in a process of its own, guards, stamps and lease included."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import child
from corpus import FIELDS

from desireline.sidecar.backfill import BackfillReport, backfill
from desireline.sidecar.config import parse_config
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.wiring import open_sidecar


def main(settings: dict[str, Any]) -> None:
    folder = Path(settings["folder"])
    fields = settings.get("fields", list(FIELDS))
    config = parse_config(
        {
            "cluster": {"url": settings["url"], "state": settings["state"]},
            "data_dir": str(folder),
            "encoder_threads": settings.get("encoder_threads"),
            "targets": {
                "bench": {
                    "index": settings["index"],
                    "text": fields,
                    "model": settings["fingerprint"],
                    "swap": {"hold": 0, **settings.get("swap", {})},
                    "throttle": settings.get("throttle", {}),
                }
            },
        },
        source="benchmark",
        folder=folder,
    )
    sidecar = open_sidecar(config)
    target = sidecar.parts("bench")
    encoder = target.encoders.get(settings["fingerprint"])
    last: list[Any] = []

    def run() -> dict[str, Any]:
        target.cache.forget(encoder.fingerprint)
        generation = target.generations.create(
            index=settings["index"],
            slot=settings["slot"],
            dimension=encoder.dimension,
            similarity=encoder.similarity,
            fingerprint=encoder.fingerprint,
            created_at=target.clock(),
        )
        target.engine.prepare_slot(settings["index"], generation.vector_slot)
        last[:] = [generation]
        return again()

    def again() -> dict[str, Any]:
        with target.owned() as lease:
            before = encoder.stats
            report = backfill(
                target.engine,
                target.writer_for(last[0], lease),
                batch_size=target.config.swap.batch_size,
                reporter=SilentReporter(),
            )
        return told(report) | padding_since(before)

    def told(report: BackfillReport) -> dict[str, Any]:
        return asdict(report) | {"encoding_share": report.encoding_share}

    def padding_since(before: Any) -> dict[str, Any]:
        now = encoder.stats
        tokens = now.tokens - before.tokens
        computed = now.computed_tokens - before.computed_tokens
        return {"tokens": tokens, "padding": computed / tokens if tokens else 1.0}

    def whole() -> dict[str, Any]:
        """The command of the operator: throttled, proved, swapped in."""
        target.cache.forget(encoder.fingerprint)
        report = sidecar.reindex("bench", None, SilentReporter(), end_hold=True)
        return {"outcome": report.outcome.value}

    def encode(texts: list[str], give: bool = True) -> dict[str, Any]:
        vectors = encoder.encode_documents(texts)
        return {"vectors": vectors.tolist()} if give else {}

    encoder.encode_documents(["warm", "and warmer"])
    child.serve({"run": run, "again": again, "whole": whole, "encode": encode})
    sidecar.close()


main(child.settings())
