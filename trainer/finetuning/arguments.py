"""What `fit` was asked for: every plain argument is looked at before anything is read."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError, field_validator

from desireline.trainer.callbacks import Callback, EarlyStopping, EvaluationCallback, WiSEFTCallback
from desireline.trainer.errors import FitArgumentsError, TrainerError
from desireline.trainer.finetuning.files import CSVOptions
from desireline.trainer.jobs import FitConfig
from desireline.trainer.measures.base import parse

Sampler = Literal["auto", "class", "random"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]

#: More than any encoder has layers, or any training steps.
_ALL = 1_000_000_000


class FitArguments(BaseModel):
    """The plain arguments of `fit`, by its names; all that is wrong is told at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    val_split: float = Field(ge=0, lt=1)
    optimizer: str
    optimizer_options: dict[str, Any]
    #: Of `optimizer_options`.
    layer_wise_lr_decay: float = Field(gt=0, le=1)
    learning_rate: Positive | None
    epochs: Positive
    batch_size: Annotated[int, Field(ge=2)] | None
    scheduler: str
    scheduler_options: dict[str, Any]
    #: Of `scheduler_options`.
    warmup_share: float = Field(ge=0, le=1)
    freeze: StrictBool | Annotated[int, Field(ge=0)]
    output_dim: Count | None
    device: str | None
    callbacks: tuple[Any, ...]
    sampler: Sampler
    num_items_per_class: Count
    #: `lr` of `loss_optimizer_options`.
    loss_learning_rate: Positive | None
    csv_options: CSVOptions
    index_data: dict[str, str]
    measures: tuple[str, ...] = Field(min_length=1)
    report_to: tuple[str, ...]
    seed: int
    budget_s: Positive | None
    checkpoint_s: float = Field(ge=0, allow_inf_nan=False)
    threads: Count | None

    @field_validator("callbacks")
    @classmethod
    def _known_callbacks(cls, callbacks: tuple[Any, ...]) -> tuple[Callback, ...]:
        for each in callbacks:
            if not isinstance(each, Callback):
                raise ValueError("objects of desireline.trainer.callbacks, such as EarlyStopping()")  # noqa: TRY004 - told with the others
            if isinstance(each, EvaluationCallback):
                _measure(each.monitor)
                if not each.every > 0:
                    raise ValueError("an EvaluationCallback whose every is above 0")
            if isinstance(each, EarlyStopping) and each.patience < 1:
                raise ValueError("an EarlyStopping whose patience is 1 or more")
            if isinstance(each, WiSEFTCallback) and not 0 < each.alpha <= 1:
                raise ValueError("a WiSEFTCallback whose alpha is above 0 and up to 1")
        return callbacks

    @field_validator("measures")
    @classmethod
    def _known_measures(cls, measures: tuple[str, ...]) -> tuple[str, ...]:
        for each in measures:
            _measure(each)
        return measures

    @classmethod
    def of(cls, **arguments: Any) -> "FitArguments":
        """Look at all of them.

        Raises:
            FitArgumentsError: some are wrong; each is named with its value and what was expected.

        """
        try:
            return cls.model_validate(arguments)
        except ValidationError as error:
            raise _wrong(error) from error

    def config(
        self, loss: str, settings: Mapping[str, object], *, budget_s: float | None, **found: Any
    ) -> FitConfig:
        """Give the settings of training, without what is found by looking at the data."""
        return FitConfig(
            loss=loss,
            loss_settings=dict(settings),
            max_steps=_ALL,
            epochs=self.epochs,
            least_steps=1,
            budget_s=budget_s,
            learning_rate=self.learning_rate or FitConfig().learning_rate,
            warmup_share=self.warmup_share,
            optimizer=self.optimizer,
            optimizer_options=self.optimizer_options,
            layer_wise_lr_decay=self.layer_wise_lr_decay,
            scheduler=self.scheduler,
            scheduler_options=self.scheduler_options,
            loss_learning_rate=self.loss_learning_rate,
            frozen_layers=_ALL if self.freeze is True else int(self.freeze),
            output_dim=self.output_dim,
            threads=self.threads,
            seed=self.seed,
            report_to=self.report_to,
            **found,
        )


def place_for(out: str | Path) -> Path:
    """Return the folder to be made, after trying whether something can be written beside it.

    Raises:
        TrainerError: it exists, or nothing can be written there.

    """
    target = Path(out).expanduser()
    if target.exists():
        raise TrainerError(
            f"{target} exists already; a trained encoder is never written over and nothing was"
            " trained",
            next_step="name another out, or move that folder away",
        )
    there = next(folder for folder in target.absolute().parents if folder.exists())
    try:
        with tempfile.TemporaryDirectory(prefix=f"{target.name}.", dir=there):
            return target
    except OSError as error:
        raise TrainerError(
            f"out is {target}, and nothing can be written to {there}: {error.strerror};"
            " nothing was trained",
            next_step="name an out in a folder that you may write to",
        ) from error


def _measure(name: str) -> None:
    try:
        parse(name)
    except TrainerError as error:
        raise ValueError(f"measures such as ndcg@10 ({error}: {error.next_step})") from error


def _wrong(error: ValidationError) -> FitArgumentsError:
    expected: dict[str, list[str]] = {}
    values: dict[str, object] = {}
    for problem in error.errors():
        name, *rest = map(str, problem["loc"])
        inside = ".".join(each for each in rest if name in {"csv_options", "index_data"})
        name = f"{name}.{inside}" if inside else name
        said = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        expected.setdefault(name, []).append(said[0].lower() + said[1:])
        values[name] = problem["input"]
    told = "; ".join(
        f"{name} is {str(values[name])[:80]!r}, expected {' or '.join(several)}"
        if isinstance(values[name], str)
        else f"{name} is {str(values[name])[:80]}, expected {' or '.join(several)}"
        for name, several in expected.items()
    )
    return FitArgumentsError(
        f"fit was asked for what cannot be: {told}; nothing was trained",
        next_step="mend these arguments; docs/fit.md says what each means",
    )
