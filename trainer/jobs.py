"""What the child process is asked to do; plain values, so that no torch is needed to ask."""

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from desireline.connectors.search_engine import Similarity
from desireline.trainer.errors import JobError


class FitConfig(BaseModel, frozen=True, extra="forbid"):
    """How an encoder is tuned."""

    loss: str = Field(default="infonce", description="What the pairs mean to the encoder.")
    loss_settings: dict[str, object] = Field(
        default={}, description="Settings of the loss, read by its own configuration."
    )
    batch_size: int = Field(
        default=64, ge=2, description="Pairs in a batch; each is a negative of the others."
    )
    max_steps: int = Field(
        default=100, ge=1, description="Training ends here, or at epochs or budget_s before."
    )
    epochs: float = Field(default=10.0, gt=0, description="Most times every pair is seen.")
    budget_s: float | None = Field(
        default=None, gt=0, examples=[3600], description="Most seconds training may take."
    )
    learning_rate: float = Field(default=5e-5, gt=0, description="Learning rate at its peak.")
    warmup_share: float = Field(
        default=0.1, ge=0, le=1, description="Share of the steps in which it rises to the peak."
    )
    weight_decay: float = Field(default=0.0, ge=0, description="Pull of all weights towards zero.")
    max_seq_length: int = Field(
        default=64,
        ge=4,
        description="Tokens of an input that training reads; the encoder keeps its own limit.",
    )
    freeze_token_embeddings: bool = Field(
        default=True,
        description="Leave the word vectors as they are: faster, and rare words keep their meaning.",
    )
    bucket_by_length: bool = Field(
        default=False, description="Batches of texts of like length: less padding."
    )
    tuned_share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Share of the trained weights in the result; the rest is the base's (WiSE-FT).",
    )
    seed: int = Field(default=0, description="Same pairs and seed, same order of batches.")


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
    #: Where the encoder comes from, for its manifest: parent, cycle, log window.
    provenance: dict[str, str] = {}


class ImportJob(BaseModel, frozen=True, extra="forbid"):
    """Bring a model folder or Hugging Face id into the registry."""

    kind: Literal["import"] = "import"
    source: str
    registry: Path
    template: tuple[str, ...]
    separator: str = ". "


Job = Annotated[FitJob | ImportJob, Field(discriminator="kind")]
_JOB: TypeAdapter[FitJob | ImportJob] = TypeAdapter(Job)


def write_job(job: FitJob | ImportJob, path: Path) -> None:
    """Write what `read_job` reads."""
    path.write_text(job.model_dump_json(indent=2), encoding="utf-8")


def read_job(path: Path) -> FitJob | ImportJob:
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
