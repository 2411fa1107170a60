"""Where a backfill's time goes on the embedded engine: encoding, or everything else.

    python tests/benchmarks/backfill.py [--quick] [--json FILE]

The demo's occupations, some of them twice, are embedded by MiniLM into a slot of LanceDB; then
again into the other slot, and again into the first. Figures are of this machine and this run.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from goals.held import conclude, goal

from desireline.connectors.documents import Document
from desireline.sidecar.backfill import BackfillReport, backfill
from desireline.sidecar.config import parse_config
from desireline.sidecar.demo.occupations import TEXT_FIELDS, load_occupations
from desireline.sidecar.generations import Generation
from desireline.sidecar.reports.reporting import SilentReporter
from desireline.sidecar.target import Target
from desireline.sidecar.wiring import open_sidecar
from desireline.trainer.forms.import_model import import_model

INDEX = "occupations"
COPIES = 100


@contextmanager
def filled(folder: Path, documents: list[Document]) -> Iterator[tuple[Target, str]]:
    """Give a target whose index holds the documents, and the encoder's fingerprint."""
    config = parse_config(
        {
            "cluster": {"engine": "lancedb"},
            "data_dir": str(folder),
            "targets": {"jobs": {"index": INDEX, "text": list(TEXT_FIELDS), "model": "minilm"}},
        },
        source="benchmark",
        folder=folder,
    )
    with closing(open_sidecar(config)) as sidecar:
        target = sidecar.parts("jobs")
        engine: Any = target.engine
        engine.create_index(INDEX, list(TEXT_FIELDS))
        engine.index_documents(INDEX, documents)
        manifest = import_model("minilm", target.registry, target.config.template)
        target.encoders.get(manifest.fingerprint)
        yield target, manifest.fingerprint


def embed(target: Target, fingerprint: str, slot: str) -> BackfillReport:
    """Backfill a new generation into a slot."""
    encoder = target.encoders.get(fingerprint)
    generation = target.generations.create(
        index=INDEX,
        slot=slot,
        dimension=encoder.dimension,
        similarity=encoder.similarity,
        fingerprint=fingerprint,
        created_at=target.clock(),
    )
    target.engine.prepare_slot(INDEX, generation.vector_slot)
    return run(target, generation)


def run(target: Target, generation: Generation) -> BackfillReport:
    """Backfill the generation as a cycle would."""
    with target.owned() as lease:
        return backfill(
            target.engine,
            target.writer_for(generation, lease),
            batch_size=target.config.swap.batch_size,
            reporter=SilentReporter(),
        )


def measure(documents: list[Document]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run all and return figures and goals."""
    with tempfile.TemporaryDirectory() as folder, filled(Path(folder), documents) as made:
        target, fingerprint = made
        first = embed(target, fingerprint, "embedding__a")
        other_slot = embed(target, fingerprint, "embedding__b")
        again = run(target, target.generations.all()[-1])
    distinct = len({target.config.template.render(d.fields) for d in documents})
    share = first.encoding_s / first.seconds
    found = {
        "documents": len(documents),
        "distinct_texts": distinct,
        "seconds": round(first.seconds, 3),
        "encoding_s": round(first.encoding_s, 3),
        "documents_a_second": round(first.documents / first.seconds, 1),
        "from_cache_s": round(other_slot.seconds, 3),
    }
    counted = (
        ("texts encoded beyond the distinct ones", first.encoded - distinct),
        ("texts encoded by a second slot of the same encoder", other_slot.encoded),
        ("documents encoded or written by a second run", again.encoded + again.written),
    )
    return found, [
        goal("share of the backfill spent encoding", ">= 0.85", share, holds=share >= 0.85),
        *(goal(name, "0", count, holds=count == 0) for name, count in counted),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a third of the documents")
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args()
    occupations = list(load_occupations().documents)
    occupations = occupations[:: 3 if options.quick else 1]
    copies = [
        Document(document_id=f"copy-{d.document_id}", fields=d.fields) for d in occupations[:COPIES]
    ]
    began = time.monotonic()
    found, goals = measure([*occupations, *copies])
    print(json.dumps(found, indent=2))
    print(f"{time.monotonic() - began:.0f} s")
    return conclude("backfill", goals, quick=options.quick, file=options.json, **found)


if __name__ == "__main__":
    sys.exit(main())
