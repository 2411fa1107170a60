"""What the child process is asked to do; plain values, so that no torch is needed to ask."""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, JsonValue, TypeAdapter, ValidationError, model_validator

from desireline.connectors.search_engine import Similarity
from desireline.trainer.errors import JobError
from desireline.trainer.models.manifest import Provenance
from desireline.trainer.self_supervised_config import SelfSupervisedConfig


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


MOST_PARAMETERS = 11_000_000
"""A compact encoder has fewer: a tenth of BERT-base."""


class SmallConfig(BaseModel, frozen=True, extra="forbid"):
    """How a compact encoder is made for one catalogue."""

    kind: Literal["transformer", "static"] = Field(
        default="static",
        description="A table of word vectors, the fastest there is, or a small BERT that begins as"
        " such a table and reads words by their neighbours.",
    )
    teacher: Literal["full", "base", "none"] = Field(
        default="full",
        description="Who it learns from beside the pairs: the encoder of `model` tuned the same"
        " night (full), that encoder as it is (base), or nobody.",
    )
    layers: int = Field(default=1, ge=1, description="Layers of a transformer.")
    width: int = Field(
        default=384, ge=16, multiple_of=16, description="Numbers of a transformer's word vector."
    )
    vocabulary: int = Field(
        default=24_000, ge=100, description="Words and pieces of words that it knows."
    )
    tokens: int = Field(default=256, ge=8, description="Tokens of a text that it reads.")
    dimension: int | None = Field(
        default=None,
        ge=2,
        examples=[128],
        description="Length of its vectors; that of `model` if left out, so that slots fit.",
    )
    tasks: tuple[Literal["titles", "categories", "masked"], ...] = Field(
        default=("titles", "categories", "masked"),
        description="What it is pre-trained by: a title's words find the document, a category its"
        " members, masked words are told (by a transformer's layers, where there is no teacher);"
        " none: no pre-training without a teacher.",
    )
    queries_a_document: int = Field(
        default=4, ge=1, description="Queries that are made of a title."
    )
    passes: float = Field(
        default=20.0,
        ge=0,
        description="Times pre-training sees every pair; 0 leaves it out, of layers, too.",
    )
    max_steps: int = Field(default=2_000, ge=1, description="Pre-training ends here at the latest.")
    learning_rate: float | None = Field(
        default=None,
        gt=0,
        examples=[0.003],
        description="Of a table of words in pre-training, at its peak; left out: .003.",
    )
    tuning_passes: float = Field(default=4.0, gt=0, description="Times every pair is seen after.")
    tuning_learning_rate: float | None = Field(
        default=None,
        gt=0,
        examples=[0.003],
        description="Of a table of words in tuning, at its peak; left out: as in pre-training.",
    )
    layer_passes: float = Field(
        default=3.0,
        ge=0,
        description="Times pre-training sees every pair again with a transformer's layers over its"
        " trained words; 0 leaves that out.",
    )
    layer_learning_rate: float = Field(
        default=5e-4, gt=0, description="Of a transformer once it has its layers, at its peak."
    )
    intent_weight: float = Field(
        default=0.0,
        ge=0,
        description="What the category that a query means counts in tuning beside its document,"
        " where intent.category names a field; 0: it is not taught.",
    )

    @property
    def learning_rates(self) -> tuple[float, float]:
        """Of a table of words in pre-training and in tuning."""
        usual = self.learning_rate or 0.003
        return usual, self.tuning_learning_rate or usual


TrainedMode = Literal["adapter", "query", "lora", "full", "small"]
"""What may be trained, cheapest first."""

AUTO: tuple[TrainedMode, ...] = ("adapter", "query", "lora", "full")
"""What `auto` tries. A small encoder is worth its speed, which a gain on clicks does not show, and
it takes the place of a larger one only where somebody wants that: so it is asked for by name."""

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
    epochs: float = Field(default=2.0, gt=0, description="Times every pair is seen.")
    least_steps: int = Field(
        default=60,
        ge=1,
        description="Few pairs are seen more often, until there were this many steps, but no"
        " more than five times as often.",
    )
    max_steps: int = Field(
        default=5_000, ge=1, description="Training ends here, or at budget_s before."
    )
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
    frozen_cache_mb: int = Field(
        default=512,
        ge=0,
        description="Most memory for what these layers put out of each text, on a processor; 0"
        " computes it in every pass.",
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
    replay: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="General texts beside each batch, as a share of its documents: their vectors"
        " are to stay as the base has them; 0 for none. Of the modes lora and full.",
    )
    replay_texts: Path | None = Field(
        default=None,
        examples=["general.txt"],
        description="Those texts, one a line; those that ship if left out.",
    )
    replay_weight: float = Field(
        default=1.0, gt=0, description="What their distance counts beside the loss of the pairs."
    )
    self_supervised: SelfSupervisedConfig | None = Field(
        default=None,
        examples=[{"objective": "tsdae"}],
        description="What the documents' texts teach before the pairs do; left out: nothing. Of"
        " the modes lora and full.",
    )
    adapter: AdapterConfig = Field(
        default=AdapterConfig(), description="What the mode adapter does otherwise."
    )
    query: QueryTowerConfig = Field(
        default=QueryTowerConfig(), description="What the mode query does otherwise."
    )
    lora: LoraConfig = Field(default=LoraConfig(), description="What the mode lora does otherwise.")
    small: SmallConfig = Field(
        default=SmallConfig(), description="How the mode small makes a compact encoder."
    )
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
    report_to: tuple[str, ...] = Field(
        default=(),
        examples=[["tensorboard"]],
        description="Trackers that are told of the training, by transformers' names: tensorboard,"
        " wandb, mlflow, trackio …; they see settings and figures, no text and no weights.",
    )
    report_folder: str | None = Field(
        default=None,
        examples=["/var/log/desireline"],
        description="Where trackers that write files put them, below runs/; left out: data_dir.",
    )
    seed: int = Field(default=0, description="Same pairs and seed, same order of batches.")

    @property
    def reads_texts(self) -> bool:
        """Whether texts teach before pairs do: modes that train the base encoder's own layers."""
        return self.self_supervised is not None and self.mode in {"lora", "full"}

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
    #: Fingerprint of the encoder in `base`, whose vectors of anchors may be taken.
    encoder: str | None = None
    #: File written by `QueryVectors.write`: anchors' vectors, for the mode adapter; what is missing
    #: there, or not of that encoder, is encoded.
    queries: Path | None = None
    #: Folder written by `Catalogue.write`: the documents that a compact encoder is made for.
    catalogue: Path | None = None
    #: Folder of the registered encoder that a compact one learns from.
    teacher: Path | None = None
    #: File written by `write_texts`: what is read before the pairs; None: the pairs' passages.
    texts: Path | None = None
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

    @model_validator(mode="after")
    def _queries_of_a_known_encoder(self) -> "FitJob":
        if self.queries is not None and (self.encoder is None or self.config.mode != "adapter"):
            raise ValueError(
                "vectors of queries are taken by mode adapter, with the fingerprint of its base"
            )
        return self

    @model_validator(mode="after")
    def _catalogue_where_one_is_read(self) -> "FitJob":
        small = self.config.mode == "small"
        if small != (self.catalogue is not None):
            raise ValueError(
                f"mode {self.config.mode} needs {'' if small else 'no '}catalogue of documents"
            )
        taught = small and self.config.small.teacher != "none"
        if taught != (self.teacher is not None):
            raise ValueError(
                f"mode {self.config.mode} needs {'' if taught else 'no '}teacher's folder"
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
    #: That share each batch; one for each GPU if left out.
    processes: int | None = Field(default=None, ge=1)


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


class IntentJob(BaseModel, frozen=True, extra="forbid"):
    """Learn a head that reads a query's category from its vector."""

    kind: Literal["intent"] = "intent"
    #: File written by `write_lessons`; the head is written beside it.
    lessons: Path
    #: Fingerprint of the encoder that made the vectors.
    encoder: str
    #: Names of the columns.
    categories: tuple[str, ...]
    seed: int = 0


class SynthesizeJob(BaseModel, frozen=True, extra="forbid"):
    """Make rows with a teacher's margins; see `desireline.trainer.synthesize`."""

    kind: Literal["synthesize"] = "synthesize"
    #: By the names of `synthesize`, all of them plain values.
    arguments: dict[str, JsonValue]
    relation_miners: tuple[str, ...]
    cross_encoder: Path
    #: Folder of the model that writes queries.
    query_writer: Path | None = None
    #: Put before every document it writes for.
    prompt: str = ""
    #: Names a writer whose queries lie there already: it is asked by whoever holds its key.
    wrote: str | None = None
    #: Where registered encoders lie.
    registry: Path | None = None


AnyJob = (
    FitJob
    | FitFilesJob
    | ImportJob
    | QuantiseJob
    | WriteQueriesJob
    | RerankJob
    | IntentJob
    | SynthesizeJob
)
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
