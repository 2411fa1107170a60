"""Writes the serving form of a model and proves that it gives the same vectors."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding

from desireline.trainer.encoders.onnx import OnnxEncoder
from desireline.trainer.encoders.sentence_transformers import (
    SentenceTransformerEncoder,
    similarity_of,
)
from desireline.trainer.encoders.settings import EncoderSettings, Prompts
from desireline.trainer.errors import ParityError
from desireline.trainer.forms.parity import cosines_of, overlap
from desireline.trainer.model_files import GRAPH, SETTINGS
from desireline.trainer.model_settings import TOKENIZER

#: Least cosine between the two forms' vectors of one text.
LOWEST_COSINE = 0.9999
#: Largest distance between them, relative to the vector's length.
LARGEST_DISTANCE = 0.01
#: Least share of the first ten answers that both give.
LOWEST_OVERLAP = 0.99
_OPSET = 17
_WORDS = (
    "garden nurse Software ENGINEER blue running shoe 42 cm wireless head-phones café naïve "
    "Straße 東京 почта مرحبا हिन्दी 🙂 don't re-use C++ 3.14 http://example.org a I"
)
_BATCH = {0: "batch"}
_BATCH_SEQUENCE = {0: "batch", 1: "sequence"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """How near the exported encoder is to the trained one."""

    texts: int
    lowest_cosine: float
    #: Largest distance between two vectors of one text, relative to the vector's length.
    largest_distance: float
    #: Share of the first ten answers that both give, half of the texts asked of the other half.
    overlap: float

    @property
    def is_near(self) -> bool:
        """Whether the one may stand in for the other."""
        return (
            self.lowest_cosine >= LOWEST_COSINE
            and self.largest_distance <= LARGEST_DISTANCE
            and self.overlap >= LOWEST_OVERLAP
        )


def export_onnx(folder: Path) -> ParityReport:
    """Write `encoder.onnx` and its settings into a sentence-transformers folder.

    Raises:
        UnsafeModelError: the folder cannot be loaded safely.
        ParityError: the graph could not be made or gives other vectors; it was removed.

    """
    trained = SentenceTransformerEncoder(folder, batch_size=8)
    try:
        _write(trained.model, trained.dimension, folder)
        report = _compare(trained, OnnxEncoder(folder))
    except BaseException:
        _remove(folder)
        raise
    if not report.is_near:
        _remove(folder)
        raise ParityError(
            f"the exported encoder of {folder} gives other vectors than the trained one: lowest "
            f"cosine {report.lowest_cosine:.6f} (at least {LOWEST_COSINE}), largest relative "
            f"distance {report.largest_distance:.6f} (at most {LARGEST_DISTANCE}), same answers "
            f"{report.overlap:.4f} (at least {LOWEST_OVERLAP})",
            next_step="choose another encoder: this one does something between text and tokens, "
            "or in a module, that the export does not carry",
        )
    return report


class _Graph(torch.nn.Module):
    """The model's own modules in a row, from token ids to the embedding."""

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        self.stages = torch.nn.ModuleList(model)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        features: dict[str, Any] = {"input_ids": input_ids, "attention_mask": attention_mask}
        for stage in self.stages:
            if isinstance(stage, StaticEmbedding):
                features["sentence_embedding"] = _mean_of_tokens(stage, input_ids, attention_mask)
            else:
                features = stage(features)
        embedding: torch.Tensor = features["sentence_embedding"]
        return embedding


def _mean_of_tokens(
    stage: StaticEmbedding, input_ids: torch.Tensor, attention_mask: torch.Tensor
) -> torch.Tensor:
    """Average as torch's embedding bag does, in operators that ONNX has; zero for no tokens."""
    weights = attention_mask.unsqueeze(-1).to(stage.embedding.weight.dtype)
    rows = torch.nn.functional.embedding(input_ids, stage.embedding.weight)
    return (rows * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def _write(model: SentenceTransformer, dimension: int, folder: Path) -> None:
    _settings_of(model, dimension, folder).write(folder)
    if not (folder / TOKENIZER).exists():
        getattr(model.tokenizer, "backend_tokenizer", model.tokenizer).save(str(folder / TOKENIZER))
    # A module of another mode would be set back to it after the export.
    graph = _Graph(model).eval()
    ids = torch.tensor([[1, 2, 3, 4], [1, 2, 3, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    try:
        with torch.inference_mode(), _quiet():
            torch.onnx.export(
                graph,
                (ids, mask),
                str(folder / GRAPH),
                input_names=["input_ids", "attention_mask"],
                output_names=["embedding"],
                dynamic_axes={
                    "input_ids": _BATCH_SEQUENCE,
                    "attention_mask": _BATCH_SEQUENCE,
                    "embedding": _BATCH,
                },
                opset_version=_OPSET,
                dynamo=False,
            )
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as error:
        raise ParityError(
            f"{folder} could not be exported to ONNX: {error}",
            next_step="choose another encoder, or report its architecture to desireline",
        ) from error


def _settings_of(model: SentenceTransformer, dimension: int, folder: Path) -> EncoderSettings:
    static = isinstance(model[0], StaticEmbedding)
    return EncoderSettings(
        pooling="static" if static else _pooling_of(model),
        prompts=_prompts_of(model),
        dimension=dimension,
        similarity=similarity_of(model, folder),
        max_seq_length=_limit_of(model, static=static),
        special_tokens=not static,
        pad_token_id=0 if static else int(model.tokenizer.pad_token_id or 0),
    )


def _pooling_of(model: SentenceTransformer) -> str:
    for stage in model:
        mode = getattr(stage, "pooling_mode", None)
        if mode is not None:
            return mode if isinstance(mode, str) else "+".join(mode)
    return "none"


def _prompts_of(model: SentenceTransformer) -> Prompts:
    """Resolve the prompt of each role as `encode_query` and `encode_document` do."""
    default = model.prompts.get(model.default_prompt_name or "", "")
    query = model.prompts.get("query", default)
    names = [name for name in ("document", "passage", "corpus") if name in model.prompts]
    document = model.prompts[names[0]] if names else default
    return Prompts(query=query or "", document=document or "")


def _limit_of(model: SentenceTransformer, *, static: bool) -> int | None:
    if static:
        truncation = model.tokenizer.truncation
        return int(truncation["max_length"]) if truncation else None
    config: Any = getattr(model[0].model, "config", None)
    positions = getattr(config, "max_position_embeddings", None)
    limits = [int(limit) for limit in (model.max_seq_length, positions) if limit]
    return min(limits) if limits else None


def _compare(trained: SentenceTransformerEncoder, exported: OnnxEncoder) -> ParityReport:
    texts = parity_texts()
    half = len(texts) // 2
    expected = np.vstack(
        [trained.encode_queries(texts[:half]), trained.encode_documents(texts[half:])]
    )
    actual = np.vstack(
        [exported.encode_queries(texts[:half]), exported.encode_documents(texts[half:])]
    )
    lengths = np.linalg.norm(expected, axis=1)
    distances = np.linalg.norm(expected - actual, axis=1) / np.where(lengths == 0, 1, lengths)
    return ParityReport(
        texts=len(texts),
        lowest_cosine=float(cosines_of(expected, actual).min()),
        largest_distance=float(distances.max()),
        overlap=overlap(expected[:half] @ expected[half:].T, actual[:half] @ actual[half:].T),
    )


def parity_texts() -> list[str]:
    """256 texts that differ in length, script, case and dirt; the same ones each time."""
    words = _WORDS.split()
    special = [
        "",
        " ",
        "\n\t",
        "?!…",
        "[MASK]",
        "a" * 300,
        "é" * 40,
        "\u200b",
        "\x00x",
        "\uff21\uff22",
    ]
    lengths = [1, 2, 3, 5, 8, 13] * 38 + [34, 55, 144, 400] * 2
    drawn = np.random.default_rng(20240601)
    texts = [" ".join(drawn.choice(words, size=length)) for length in lengths]
    # Queries are taken from the front and documents from the back: each sees all kinds.
    return [*special, *texts[::2], *texts[1::2], *special]


def _remove(folder: Path) -> None:
    (folder / GRAPH).unlink(missing_ok=True)
    (folder / SETTINGS).unlink(missing_ok=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter: it warns about shapes that the parity check proves right."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
