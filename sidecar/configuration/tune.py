"""When and how a target learns from its clicks; every field carries its own description."""

from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from desireline.connectors import plugins
from desireline.sidecar.configuration.cron import cron_trigger
from desireline.sidecar.configuration.paths import ConfigPath, beside_the_file
from desireline.sidecar.configuration.settings import Seconds, Settings
from desireline.sidecar.configuration.text_models import WriterConfig
from desireline.trainer.jobs import AUTO, FitConfig, TrainedMode
from desireline.trainer.judgments import EvidenceConfig

SAID_ABOVE_FIT = frozenset({"budget_s", "seed", "mode"})
"""Settings of the fit that a user gives as ``tune.budget``, ``tune.seed`` and ``tune.mode``."""


WantedMode = Literal["adapter", "query", "lora", "full", "small", "auto"]
"""What a user may ask for: one way of training, or the cheapest that is good enough."""


def _schedule(expression: str) -> str:
    try:
        cron_trigger(expression, "UTC")
    except ValueError as error:
        raise ValueError(f'expected a cron line such as "0 2 * * *"; {error}') from error
    return expression


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:  # KeyError: ZoneInfoNotFoundError
        raise ValueError('expected a time zone such as "Europe/Berlin" or "UTC"') from error
    return name


def _installed(kind: str) -> AfterValidator:
    def check(name: str) -> str:
        known = plugins.names(kind)
        if name not in known:
            raise ValueError(f"expected one of the installed {kind}: {', '.join(known)}")
        return name

    return AfterValidator(check)


class TuneConfig(Settings):
    """When and how a target learns from its clicks."""

    schedule: Annotated[str, AfterValidator(_schedule)] | None = Field(
        default=None,
        examples=["0 2 * * *"],
        description='Cron line in `timezone`, such as "0 2 * * *"; left out: only by hand.',
    )
    timezone: Annotated[str, AfterValidator(_timezone)] = Field(
        default="UTC", description="Time zone of the schedule."
    )
    budget: Seconds = Field(
        default=10_800.0, gt=0, description='Most time training may take: "3h".'
    )
    mode: WantedMode = Field(
        default="auto",
        description="What is trained: adapter (a map on query vectors), query (the query tower;"
        " both leave every document's vector alone), lora (low-rank changes), full (all weights),"
        " small (a compact encoder of the catalogue's own words, for fast serving), or auto: each"
        " of `modes` in turn, cheapest first, and the cheapest that is good enough is kept.",
    )
    modes: tuple[TrainedMode, ...] = Field(
        default=AUTO,
        min_length=1,
        description="Of auto: what is tried, always cheapest first, whatever order is written.",
    )
    epsilon: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Of auto: how much less than the best a cheaper mode may gain and still be"
        " kept, as a share of the best gain.",
    )
    click_model: Annotated[str, _installed("clickmodels")] = Field(
        default="latent",
        description="How clicks become judgments: latent (positions, and likeness of queries and"
        " documents); pbm, harvested, ubm, dbn, sdbn, dcm, cascade, ctr, coec or"
        " coec_search_relevance; or auto, the one that foretells held-out clicks best.",
    )
    evidence: EvidenceConfig = Field(
        default=EvidenceConfig(), description="What one search and one click are worth."
    )
    miners: tuple[Annotated[str, _installed("miners")], ...] = Field(
        default=("clicked",),
        min_length=1,
        description="What turns sessions, judgments and documents into pairs; the batch's other"
        " documents are the negatives of every pair anyway.",
    )
    miner_settings: dict[str, dict[str, Any]] = Field(
        default={},
        examples=[{"clicked": {"min_grade": 0.6}}],
        description="Settings of single miners, by name, read by their own configuration.",
    )
    judgments: ConfigPath | None = Field(
        default=None,
        examples=["ratings.json"],
        description="Judgments of people (JSON of search-relevance) that the miner rated learns"
        " from; not those that judge.",
    )
    query_writer: WriterConfig | None = Field(
        default=None,
        examples=[{"kind": "local", "folder": "./query-writer"}],
        description="Who writes queries for the miner `synthetic`: a local model, or an endpoint.",
    )
    cross_encoder: ConfigPath | None = Field(
        default=None,
        examples=["./cross-encoder"],
        description="Folder of a cross-encoder that the miner `engine_negatives` asks before it"
        " calls an answer wrong.",
    )
    held_out: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="Share of the queries kept for judging, never trained on.",
    )
    later: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="Share of the searches, the newest, that judge and are never trained on.",
    )
    seed: int = Field(default=7, ge=0, description="Same log and seed, same pairs and split.")
    min_clicks: int = Field(
        default=50, ge=1, description="With fewer clicks there is nothing to do."
    )
    without_clicks: bool = Field(
        default=False,
        description="With fewer clicks than min_clicks: whether to learn from the documents alone,"
        " judged by pieces of the titles of documents held out.",
    )
    min_pairs: int = Field(default=20, ge=1, description="With fewer pairs there is nothing to do.")
    fit: FitConfig = Field(
        default=FitConfig(),
        description="How a candidate is trained.",
    )

    @model_validator(mode="after")
    def _miners_understand(self) -> "TuneConfig":
        for name, settings in self.miner_settings.items():
            if name not in self.miners:
                raise ValueError(
                    f"miner_settings.{name} is of a miner that tune.miners does not name"
                )
            config_class = getattr(plugins.load("miners", name), "config_class", None)
            if config_class is None:
                raise ValueError(f"miner_settings.{name} is of a miner without settings")
            config_class.model_validate(settings)
        return self

    @field_validator("fit", mode="after")
    @classmethod
    def _texts_beside_the_file(cls, fit: FitConfig, info: ValidationInfo) -> FitConfig:
        if fit.replay_texts is None:
            return fit
        return fit.model_copy(update={"replay_texts": beside_the_file(fit.replay_texts, info)})

    @model_validator(mode="after")
    def _said_once(self) -> "TuneConfig":
        wrong = sorted(SAID_ABOVE_FIT & self.fit.model_fields_set)
        if wrong:
            raise ValueError(
                f"fit.{wrong[0]} is said beside it: set tune.budget, tune.seed and tune.mode"
            )
        return self

    @property
    def tried(self) -> tuple[TrainedMode, ...]:
        """What is tried, cheapest first."""
        if self.mode != "auto":
            return (self.mode,)
        return tuple(mode for mode in get_args(TrainedMode) if mode in self.modes)

    @property
    def fit_config(self) -> FitConfig:
        """How a candidate is trained, within the budget and by the seed of this table."""
        return self.fit.model_copy(update={"budget_s": self.budget or None, "seed": self.seed})
