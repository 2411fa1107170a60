"""The training side's encoder: sentence-transformers on torch."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer
from transformers.utils.logging import disable_progress_bar

from desireline.connectors.documents import Vectors
from desireline.connectors.search_engine import Similarity
from desireline.trainer import model_files
from desireline.trainer.errors import UnsafeModelError


def load_sentence_transformer(
    folder: Path, *, device: str = "cpu", attentions: Sequence[str] = ("eager",)
) -> SentenceTransformer:
    """Load a checked model folder: safetensors only, no network, no code from the folder.

    Attention is the first of transformers' kinds named that the model has. The plain one is the
    one that the ONNX exporter can trace.

    Raises:
        UnsafeModelError: the folder holds what could run code, or cannot be loaded.

    """
    model_files.check(folder)
    # It would write into the terminal of whoever asked.
    disable_progress_bar()  # type: ignore[no-untyped-call]
    *fast, last = attentions
    for attention in fast:
        try:
            return _loaded(folder, device, attention)
        except (ValueError, ImportError):  # the family has no such attention
            continue
    try:
        return _loaded(folder, device, last)
    except Exception as error:  # loaders of many families, no common class
        raise UnsafeModelError(
            f"{folder} cannot be loaded as a sentence-transformers model: {error}",
            next_step="load and save it once with the installed sentence-transformers",
        ) from error


def _loaded(folder: Path, device: str, attention: str) -> SentenceTransformer:
    return SentenceTransformer(
        str(folder),
        device=device,
        local_files_only=True,
        trust_remote_code=False,
        model_kwargs={"attn_implementation": attention, "use_safetensors": True},
    )


class SentenceTransformerEncoder:
    """Encodes with the model as it was trained; what the ONNX export is compared with."""

    def __init__(
        self,
        folder: Path,
        *,
        similarity: Similarity | None = None,
        device: str = "cpu",
        batch_size: int = 32,
    ) -> None:
        self._folder = folder
        self._batch_size = batch_size
        self.model = load_sentence_transformer(folder, device=device)
        dimension = self.model.get_embedding_dimension()
        if dimension is None:
            raise UnsafeModelError(f"{folder} does not say how long its vectors are")
        self.dimension: int = dimension
        self.similarity: Similarity = similarity or similarity_of(self.model, folder)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the names and bytes of the model's files."""
        total = hashlib.sha256(self.similarity.encode())
        for name in model_files.check(self._folder):
            with (self._folder / name).open("rb") as file:
                total.update(name.encode() + hashlib.file_digest(file, "sha256").digest())
        return total.hexdigest()

    @property
    def space(self) -> str:
        """Its own: it encodes documents, too."""
        return self.fingerprint

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encode what users typed; shape (len(texts), dimension)."""
        return self._encode(texts, role="query")

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encode rendered documents; shape (len(texts), dimension)."""
        return self._encode(texts, role="document")

    def _encode(self, texts: Sequence[str], *, role: str) -> Vectors:
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        encode = self.model.encode_query if role == "query" else self.model.encode_document
        vectors = encode(
            [text.encode("utf-8", "replace").decode("utf-8") for text in texts],
            batch_size=self._batch_size,
            show_progress_bar=False,
            normalize_embeddings=self.similarity == "cosine",
        )
        return np.asarray(vectors, dtype=np.float32)


def similarity_of(model: SentenceTransformer, folder: Path) -> Similarity:
    """How the model says its vectors are compared; cosine where it says nothing.

    Raises:
        UnsafeModelError: a measure that no search engine here offers.

    """
    name = str(model.similarity_fn_name or "cosine")
    if name == "cosine":
        return "cosine"
    if name == "dot":
        return "dot"
    raise UnsafeModelError(
        f"{folder} compares its vectors by {name!r}; desireline knows cosine and dot",
        next_step='set "similarity_fn_name" in config_sentence_transformers.json to one of them',
    )
