"""What the child process is asked to do; plain values, so that no torch is needed to ask."""

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from desireline.connectors.search_engine import Similarity
from desireline.trainer.errors import JobError


class FitConfig(BaseModel, frozen=True, extra="forbid"):
    """How an encoder is tuned."""

    loss: str = "infonce"
    #: Settings of the loss, read by its own configuration.
    loss_settings: dict[str, object] = {}
    batch_size: int = Field(default=64, ge=2)
    #: The end of training, whichever comes first of steps, epochs and budget.
    max_steps: int = Field(default=100, ge=1)
    epochs: float = Field(default=10.0, gt=0)
    budget_s: float | None = Field(default=None, gt=0)
    learning_rate: float = Field(default=5e-5, gt=0)
    warmup_share: float = Field(default=0.1, ge=0, le=1)
    weight_decay: float = Field(default=0.0, ge=0)
    #: Tokens of an input that training reads; the encoder keeps its own limit.
    max_seq_length: int = Field(default=64, ge=4)
    #: Leave the word vectors as they are: faster, and rare words keep their meaning.
    freeze_token_embeddings: bool = True
    #: Batches of texts of like length: less padding.
    bucket_by_length: bool = False
    #: Share of the trained weights in the result; the rest is the base's (WiSE-FT).
    tuned_share: float = Field(default=1.0, gt=0, le=1)
    seed: int = 0


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
