"""Vectors of queries, titles and documents by a trunk: MiniLM as it comes, or tuned."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mining.worlds import World
from training.lessons_of import drawn

from desireline.connectors.documents import Vector, Vectors
from desireline.trainer import model_files
from desireline.trainer.documents.vectors import DocumentVectors
from desireline.trainer.encoders.base import Encoder
from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder
from desireline.trainer.encoders.wrapping import WrappingEncoder
from desireline.trainer.forms.export import export_onnx
from desireline.trainer.forms.import_model import packaged_minilm
from desireline.trainer.jobs import FitConfig, FitJob
from desireline.trainer.models.manifest import Provenance
from desireline.trainer.modes import chosen
from desireline.trainer.pairs import PairSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Trunk:
    """One query encoder over one world; documents are always MiniLM's as it comes."""

    name: str
    #: By text; normalised queries and titles.
    queries: dict[str, Vectors]
    document_ids: tuple[str, ...]
    documents: Vectors

    def of(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of some queries."""
        return np.stack([self.queries[text] for text in texts])


class Remembered(WrappingEncoder):
    """An encoder that encodes no text twice."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self._known: dict[tuple[str, str], Vector] = {}

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self._of("query", texts, self._encoder.encode_queries)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        return self._of("document", texts, self._encoder.encode_documents)

    def _of(
        self, kind: str, texts: Sequence[str], encode: Callable[[Sequence[str]], Vectors]
    ) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if (kind, text) not in self._known]
        if new:
            self._known |= {(kind, text): v for text, v in zip(new, encode(new), strict=True)}
        return np.stack([self._known[kind, text] for text in texts])


def base_trunk(world: World, encoder: Encoder, texts: Sequence[str]) -> Trunk:
    """Encode with MiniLM as it comes."""
    names = tuple(name for name, document in world.documents.items() if document.text)
    vectors = encoder.encode_documents([world.documents[name].text for name in names])
    found = encoder.encode_queries(list(texts))
    return Trunk(
        name="base",
        queries=dict(zip(texts, found, strict=True)),
        document_ids=names,
        documents=vectors,
    )


def tuned_trunk(base: Trunk, pairs: PairSet, *, most: int, seed: int) -> Trunk:
    """Tune the query tower on pairs (mode `query`, its own recipe), and encode queries again."""
    with tempfile.TemporaryDirectory(prefix="desireline-bench-") as name:
        scratch = Path(name)
        folder = scratch / "base"
        folder.mkdir()
        model_files.copy(packaged_minilm(), folder)
        export_onnx(folder)
        drawn(pairs, most, seed=seed).write(scratch / "pairs")
        DocumentVectors(document_ids=base.document_ids, vectors=base.documents).write(
            scratch / "vectors"
        )
        job = FitJob(
            base=folder,
            pairs=scratch / "pairs",
            out=scratch / "out",
            registry=scratch / "models",
            template=("title",),
            config=FitConfig(mode="query", max_steps=1_000_000, threads=1, seed=seed),
            documents="0" * 64,
            vectors=scratch / "vectors",
            general=None,
            provenance=Provenance(base_model="minilm"),
        )
        trained = chosen.train(job)
        encoder = SentenceTransformerEncoder(trained.folder)
        texts = list(base.queries)
        found = encoder.encode_queries(texts)
    return Trunk(
        name="tuned",
        queries=dict(zip(texts, found, strict=True)),
        document_ids=base.document_ids,
        documents=base.documents,
    )
