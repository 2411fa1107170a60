"""What the child process is asked to do; plain values, so that no torch is needed to ask."""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, JsonValue, TypeAdapter, ValidationError, model_validator

from desireline.connectors.search_engine import Similarity
from desireline.trainer.errors import JobError
from desireline.trainer.manifest import Provenance


class AdapterConfig(BaseModel, frozen=True, extra="forbid"):
    """How a map on query vectors learns."""

    rank: int | None = Field(
        default=None, ge=1, examples=[32], description="Rank of the map's change; full if left out."
    )
    epochs: float = Field(default=4.0, gt=0, description="Times every pair is seen.")
    learning_rate: float = Field(default=3e-3, gt=0, description="Learning rate at its peak.")
    weight_decay: float = Field(
        default=0.0, ge=0, description="Pull of the map towards changing nothing."
    )


class QueryTowerConfig(BaseModel, frozen=True, extra="forbid"):
    """How a query tower learns against the vectors of the index."""

    epochs: float = Field(default=3.0, gt=0, description="Times every pair is seen.")
    learning_rate: float = Field(default=2e-4, gt=0, description="Learning rate at its peak.")
    weight_decay: float = Field(default=0.01, ge=0, description="Pull of all weights towards zero.")


class LoraConfig(BaseModel, frozen=True, extra="forbid"):
    """How low-rank changes of the whole encoder learn."""

    rank: int = Field(default=16, ge=1, description="Rank of the change of each weight matrix.")
    learning_rate: float = Field(default=2e-3, gt=0, description="Learning rate at its peak.")


TrainedMode = Literal["adapter", "query", "lora", "full"]
"""What may be trained, cheapest first."""

LEAVE_DOCUMENTS: frozenset[TrainedMode] = frozenset({"adapter", "query"})
"""Modes that train the query side alone: the documents' vectors stay as they are."""


class FitConfig(BaseModel, frozen=True, extra="forbid"):
    """How an encoder is tuned."""

    mode: TrainedMode = Field(default="full", description="What of it is trained.")
    loss: str = Field(default="infonce", description="What the pairs mean to the encoder.")
    loss_settings: dict[str, object] = Field(
        default={}, description="Settings of the loss, read by its own configuration."
    )
    batch_documents: int = Field(
        default=64,
        ge=2,
        description="Distinct documents in a batch; each is a negative of the others' queries.",
    )
    pairs_a_document: int = Field(
        default=4, ge=1, description="Most pairs of one document in one batch."
    )
    alike: int = Field(
        default=4,
        ge=1,
        description="Documents that share a batch because they are alike; 1 draws each alone.",
    )
    hard_negatives: int = Field(
        default=0, ge=0, description="Mined negatives that each pair brings into its batch."
    )
    max_steps: int = Field(
        default=60, ge=1, description="Training ends here, or at epochs or budget_s before."
    )
    epochs: float = Field(default=10.0, gt=0, description="Most times every pair is seen.")
    budget_s: float | None = Field(
        default=None, gt=0, examples=[3600], description="Most seconds training may take."
    )
    learning_rate: float = Field(default=2e-4, gt=0, description="Learning rate at its peak.")
    warmup_share: float = Field(
        default=0.1, ge=0, le=1, description="Share of the steps in which it rises to the peak."
    )
    weight_decay: float = Field(default=0.01, ge=0, description="Pull of all weights towards zero.")
    optimizer: str = Field(default="AdamW", description="One of `torch.optim`.")
    optimizer_options: dict[str, object] = Field(default={}, description="Its further settings.")
    layer_wise_lr_decay: float = Field(
        default=1.0, gt=0, le=1, description="Learning rate of a layer, relative to the one above."
    )
    scheduler: str = Field(
        default="cosine", description="How the learning rate falls: one of transformers' names."
    )
    scheduler_options: dict[str, object] = Field(default={}, description="Its further settings.")
    loss_learning_rate: float | None = Field(
        default=None, gt=0, description="Of weights that the loss itself has; the same if left out."
    )
    frozen_layers: int = Field(
        default=0, ge=0, description="Lowest layers left as they are; the top one always trains."
    )
    output_dim: int | None = Field(
        default=None, gt=0, examples=[128], description="Put a projection to this length on top."
    )
    dropout: bool = Field(
        default=False, description="Whether the encoder's own dropout is on while it trains."
    )
    query_tokens: int = Field(
        default=16, ge=4, description="Tokens of a query that training reads."
    )
    document_tokens: int = Field(
        default=48,
        ge=4,
        description="Tokens of a document that training reads; the encoder keeps its own limit.",
    )
    freeze_token_embeddings: bool = Field(
        default=True,
        description="Leave the word vectors as they are: faster, rare words keep their meaning.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="Of the forward pass; auto takes bfloat16 where the processor is built for it.",
    )
    threads: int | None = Field(
        default=None, ge=1, examples=[2], description="Processor threads; all if left out."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Where it trains; auto takes a GPU where there is one."
    )
    processes: int | None = Field(
        default=None,
        ge=1,
        examples=[2],
        description="Processes that share each batch of the modes lora and full, a GPU each; one"
        " for each GPU if left out.",
    )
    tuned_share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Share of the trained weights in the result; the rest is the base's (WiSE-FT).",
    )
    tuned_shares: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        default=(),
        examples=[[1.0, 0.8, 0.6, 0.4]],
        description="Shares to try after training, on anchors kept out of it and on the general"
        " suite; none: tuned_share as it is. Of the modes lora and full.",
    )
    adapter: AdapterConfig = Field(
        default=AdapterConfig(), description="What the mode adapter does otherwise."
    )
    query: QueryTowerConfig = Field(
        default=QueryTowerConfig(), description="What the mode query does otherwise."
    )
    lora: LoraConfig = Field(default=LoraConfig(), description="What the mode lora does otherwise.")
    batch_queries: int = Field(
        default=256,
        ge=2,
        description="Pairs in a batch of the modes adapter and query; their loss is infonce.",
    )
    batch_cached: int = Field(
        default=2_048,
        ge=2,
        description="Document vectors that a batch of these modes learns against.",
    )
    seed: int = Field(default=0, description="Same pairs and seed, same order of batches.")

    @property
    def leaves_documents(self) -> bool:
        """Whether the documents' vectors stay as they are."""
        return self.mode in LEAVE_DOCUMENTS


class FitJob(BaseModel, frozen=True, extra="forbid"):
    """Tune the encoder in `base` on the pairs in `pairs`, and register the result."""

    kind: Literal["fit"] = "fit"
    #: Folder of the encoder to start from.
    base: Path
    #: Folder written by `PairSet.write`.
    pairs: Path
    #: Folder for the trained encoder; made, must be empty or missing.
    out: Path
    registry: Path
    #: Fields rendered into one input, in order.
    template: tuple[str, ...]
    separator: str = ". "
    similarity: Similarity = "cosine"
    config: FitConfig = FitConfig()
    #: Fingerprint of the encoder whose document vectors stay, for modes that leave them alone.
    documents: str | None = None
    #: Folder written by `DocumentVectors.write`: those vectors.
    vectors: Path | None = None
    #: The general suite by which shares are chosen: builtin, a file, or None for none.
    general: str | None = "builtin"
    #: Most that a share may lose on a part of it.
    general_tolerance: float = 0.02
    provenance: Provenance

    @model_validator(mode="after")
    def _documents_where_they_stay(self) -> "FitJob":
        given = (self.documents is not None, self.vectors is not None)
        if given != (self.config.leaves_documents,) * 2:
            raise ValueError(
                f"mode {self.config.mode} needs "
                + ("" if self.config.leaves_documents else "neither ")
                + "the documents' encoder and their vectors"
            )
        return self


class FitFilesJob(BaseModel, frozen=True, extra="forbid"):
    """Tune an encoder on files of the user's own; see `desireline.trainer.fit`."""

    kind: Literal["fit_files"] = "fit_files"
    #: By the names of `fit`, all of them plain values.
    arguments: dict[str, JsonValue]
    #: When it must have ended; the earlier of this and a budget counts.
    done_by: datetime | None = None
    #: Evaluations without gain after which training ends; None for never.
    patience: int | None = Field(default=2, ge=1)
    #: Share of the tuned weights in the result (WiSE-FT).
    alpha: float = Field(default=1.0, gt=0, le=1)


class ImportJob(BaseModel, frozen=True, extra="forbid"):
    """Bring a model folder or Hugging Face id into the registry."""

    kind: Literal["import"] = "import"
    source: str
    registry: Path
    template: tuple[str, ...]
    separator: str = ". "


class QuantiseJob(BaseModel, frozen=True, extra="forbid"):
    """Register the int8 form of a registered encoder."""

    kind: Literal["quantise"] = "quantise"
    fingerprint: str
    registry: Path


class WriteQueriesJob(BaseModel, frozen=True, extra="forbid"):
    """Have a local sequence-to-sequence model write queries for documents."""

    kind: Literal["write_queries"] = "write_queries"
    #: Folder of the model: config.json, tokenizer, safetensors.
    folder: Path
    texts: tuple[str, ...]
    #: Queries a document.
    most: int = Field(default=2, ge=1)
    #: Put before every text.
    prompt: str = ""
    document_tokens: int = Field(default=256, ge=8)
    query_tokens: int = Field(default=24, ge=1)
    seed: int = 0


class RerankJob(BaseModel, frozen=True, extra="forbid"):
    """Have a cross-encoder read queries and documents together."""

    kind: Literal["rerank"] = "rerank"
    #: Folder of the model: config.json, tokenizer, safetensors.
    folder: Path
    #: Query and document text.
    pairs: tuple[tuple[str, str], ...]
    tokens: int = Field(default=256, ge=8)


AnyJob = FitJob | FitFilesJob | ImportJob | QuantiseJob | WriteQueriesJob | RerankJob
Job = Annotated[AnyJob, Field(discriminator="kind")]
_JOB: TypeAdapter[AnyJob] = TypeAdapter(Job)


def write_job(job: AnyJob, path: Path) -> None:
    """Write what `read_job` reads."""
    path.write_text(job.model_dump_json(indent=2), encoding="utf-8")


def read_job(path: Path) -> AnyJob:
    """Read a job file.

    Raises:
        JobError: no such file, no JSON, or a setting is wrong (all are named at once).

    """
    try:
        return _JOB.validate_python(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise JobError(f"the job file {path} cannot be read: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
        raise JobError(f"the job file {path} is wrong: {wrong}") from error
