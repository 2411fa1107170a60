"""What a user may say about one target; every field carries its own description."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)

from desireline.connectors import plugins
from desireline.connectors.documents import TextTemplate
from desireline.connectors.search_engine import Similarity
from desireline.sidecar.config_paths import ConfigPath, beside_the_file
from desireline.sidecar.cron import cron_trigger
from desireline.sidecar.durations import parse_duration
from desireline.sidecar.hook_config import HookConfig
from desireline.sidecar.log_settings import LogSettings
from desireline.sidecar.privacy_config import PrivacyConfig
from desireline.sidecar.text_model_config import WriterConfig
from desireline.sidecar.throttle_config import ThrottleConfig
from desireline.trainer.gate import GateConfig
from desireline.trainer.jobs import FitConfig
from desireline.trainer.judgments import EvidenceConfig
from desireline.trainer.sessions import OF_NOBODY, SessionConfig
from desireline.trainer.trust import TrustConfig

_INDEX = re.compile(r"[a-z0-9.][^\sA-Z\\/*?\"<>|,#:]{0,254}")
_FIELD = re.compile(r"[^\s_^*.,][^\s^*,]*")
_VECTOR = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


_TWO = 2


class Settings(BaseModel):
    """A frozen table of the configuration that knows no other keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


SAID_ABOVE_FIT = frozenset({"budget_s", "seed"})
"""Settings of the fit that a user gives as ``tune.budget`` and ``tune.seed``."""

Seconds = Annotated[float, BeforeValidator(parse_duration)]
"""A duration such as ``"12h"``, held in seconds."""


def _index_name(name: str) -> str:
    if not _INDEX.fullmatch(name) or name in {".", ".."}:
        raise ValueError(
            'expected an index or alias: lower case, no spaces, none of \\ / * ? " < > | , # :,'
            " not starting with - _ +"
        )
    return name


def _text_field(text: str) -> str:
    _parse_text_field(text)
    return text


def _parse_text_field(text: str) -> tuple[str, float]:
    name, caret, boost = text.partition("^")
    try:
        weight = float(boost) if caret else 1.0
    except ValueError:
        weight = 0.0
    if not _FIELD.fullmatch(name) or ".." in name or name.endswith(".") or not 0 < weight < 1e6:  # noqa: PLR2004 - any sane boost
        raise ValueError(
            f"{text!r} is not a text field; expected a name, or a name with a boost above 0 such as"
            ' "title^2"'
        )
    return name, weight


def _vector_name(name: str) -> str:
    if not _VECTOR.fullmatch(name) or name.endswith(("__a", "__b")):
        raise ValueError(
            "expected a name of letters, digits, _ and - without __a or __b at its end (those are"
            " the two slots)"
        )
    return name


def _model_name(name: str, info: ValidationInfo) -> str:
    if name.startswith((".", "~", "/")):
        return str(beside_the_file(Path(name), info))
    if not name.strip():
        raise ValueError('expected a Hugging Face id, a folder, or "minilm"')
    return name


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
    mode: Literal["full"] = Field(
        default="full", description="What is trained: full = the whole encoder."
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

    @model_validator(mode="after")
    def _said_once(self) -> "TuneConfig":
        wrong = sorted(SAID_ABOVE_FIT & self.fit.model_fields_set)
        if wrong:
            raise ValueError(f"fit.{wrong[0]} is said beside it: set tune.budget and tune.seed")
        return self

    @property
    def fit_config(self) -> FitConfig:
        """How a candidate is trained, within the budget and by the seed of this table."""
        return self.fit.model_copy(update={"budget_s": self.budget or None, "seed": self.seed})


class TargetGateConfig(GateConfig, frozen=True):
    """When a candidate may replace what serves."""

    golden: ConfigPath | None = Field(
        default=None,
        examples=["golden-queries.tsv"],
        description="File of queries whose document must stay in the first ten: query, tab, id.",
    )
    judgments: ConfigPath | None = Field(
        default=None,
        examples=["judgments.json"],
        description="Judgments of people (JSON of search-relevance) that judge in place of"
        " held-out clicks.",
    )


class SwapConfig(Settings):
    """How documents are embedded again and how the new generation goes live."""

    hold: Seconds = Field(
        default=43_200.0,
        ge=0,
        description="How long the former generation stays ready for a revert.",
    )
    follow_every: Seconds = Field(
        default=1.0,
        ge=0.1,
        description="How often new and changed documents are looked for; each look refreshes the"
        " index if anything was written, so raise it where refreshes are dear.",
    )
    verify_sample: int = Field(
        default=100,
        ge=0,
        description="Documents, drawn from all, that the proof before a cut-over encodes again.",
    )
    batch_size: int = Field(
        default=256, ge=1, le=10_000, description="Documents in one bulk write."
    )
    max_failed: int = Field(
        default=0, ge=0, description="Documents that may stay without an embedding at the cut-over."
    )
    replica_wait: Seconds = Field(
        default=30.0, ge=0, description="How long the cut-over waits for other sidecars to load."
    )
    patience: Seconds = Field(
        default=1800.0,
        ge=0,
        description="How long a run waits for a cluster that is busy, full or away before it ends;"
        " the next run resumes.",
    )
    postpone_flag: ConfigPath | None = Field(
        default=None,
        examples=["./postpone-cut-over"],
        description="While this file stands, everything is done but the cut-over.",
    )
    write_pause: Seconds = Field(
        default=5.0,
        gt=0,
        le=60,
        description="Most time that writes may be held up while a new index is swapped in; after it"
        " they are let in again and the swap is tried later.",
    )
    cut_over_tries: int = Field(
        default=10, ge=1, le=100, description="How often the swap of a new index is tried."
    )
    versions: Literal["auto", "sequence", "external"] = Field(
        default="auto",
        description="Who numbers the documents: the engine (sequence) or the application"
        " (external); auto looks at them, which cannot tell numbers smaller than the index's"
        " count of writes.",
    )
    new_index_settings: dict[str, Any] = Field(
        default={},
        examples=[{"number_of_shards": 3}],
        description="In what the settings of a new index differ from those of the present one.",
    )
    new_index_mappings: dict[str, Any] = Field(
        default={},
        examples=[{"properties": {"title": {"type": "text", "analyzer": "english"}}}],
        description="Laid over the mapping of a new index.",
    )
    lease_ttl: Seconds = Field(
        default=30.0,
        ge=1,
        description="After this silence another sidecar may take the target over.",
    )


class TargetConfig(Settings):
    """One index tuned by desireline."""

    index: Annotated[str, AfterValidator(_index_name)] = Field(
        description="The index, or an alias of one."
    )
    text: tuple[Annotated[str, AfterValidator(_text_field)], ...] = Field(
        min_length=1,
        description='Fields rendered into one input, in this order; "title^2" boosts BM25.',
    )
    vector: Annotated[str, AfterValidator(_vector_name)] = Field(
        default="embedding",
        description="Name of the vector; its slots are <vector>__a and <vector>__b.",
    )
    model: Annotated[str, AfterValidator(_model_name)] = Field(
        default="minilm",
        description='The base encoder: a Hugging Face id, a folder, or "minilm" (in [demo]).',
    )
    similarity: Similarity | None = Field(
        default=None,
        examples=["cosine"],
        description="cosine or dot; left out: what the model was trained for.",
    )
    logs: LogSettings | None = Field(
        default=None,
        examples=[{"kind": "ubi"}],
        description='The click log: kind ("ubi", "files", a plugin) and its own settings.',
    )
    note: str | None = Field(
        default=None,
        max_length=200,
        examples=["the clicks are simulated"],
        description="Stands with the result of every cycle, for whoever reads it.",
    )
    sessions: SessionConfig = Field(
        default=SessionConfig(), description="How events are joined and whom to believe."
    )
    trust: TrustConfig = Field(
        default=TrustConfig(),
        description="How hard it is to teach it by pretending to be its users.",
    )
    privacy: PrivacyConfig = Field(
        default=PrivacyConfig(), description="What is kept of people, in what form, how long."
    )
    tune: TuneConfig = Field(default=TuneConfig(), description="When and how it learns.")
    gate: TargetGateConfig = Field(
        default=TargetGateConfig(), description="When a candidate is promoted."
    )
    swap: SwapConfig = Field(default=SwapConfig(), description="How a generation goes live.")
    throttle: ThrottleConfig = Field(
        default=ThrottleConfig(), description="When a run must wait, and how fast it may be."
    )
    hooks: tuple[HookConfig, ...] = Field(
        default=(), description="Programs and webhooks at the named points of a run."
    )

    @model_validator(mode="after")
    def _judges_do_not_teach(self) -> "TargetConfig":
        judgments = self.tune.judgments
        if judgments is not None and judgments == self.gate.judgments:
            raise ValueError(
                f"tune.judgments and gate.judgments are both {judgments}: what is learned from"
                " must not judge"
            )
        if "rated" in self.tune.miners and judgments is None:
            raise ValueError("tune.miners names rated, but tune.judgments names no file")
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> "TargetConfig":
        names = [name for name, _ in self.boosts]
        if len(set(names)) < len(names):
            raise ValueError(f"text names a field twice: {', '.join(names)}")
        if self.vector in names:
            raise ValueError(f"vector {self.vector!r} is also a text field")
        return self

    @model_validator(mode="after")
    def _nobody_stands_alone(self) -> "TargetConfig":
        asked = self.sessions
        if self.privacy.mode != "local" and min(asked.min_clients, asked.min_pair_clients) < _TWO:
            raise ValueError(
                "sessions.min_clients and sessions.min_pair_clients of 1 let one person's words"
                ' into a pair; expected 2 or more, or privacy.mode = "local"'
            )
        return self

    @property
    def session_config(self) -> SessionConfig:
        """How events are joined; in local mode one client is enough unless the file says else."""
        if self.privacy.mode != "local":
            return self.sessions
        enough = OF_NOBODY.model_dump(include={"min_clients", "min_pair_clients"})
        unsaid = {
            name: n for name, n in enough.items() if name not in self.sessions.model_fields_set
        }
        return self.sessions.model_copy(update=unsaid)

    @property
    def log_kind(self) -> str:
        """The kind of the click log, empty without one."""
        return str(getattr(self.logs, "kind", ""))

    @property
    def template(self) -> TextTemplate:
        """The fields in order, without their boosts."""
        return TextTemplate(fields=tuple(name for name, _ in self.boosts))

    @property
    def boosts(self) -> tuple[tuple[str, float], ...]:
        """The fields with their BM25 boosts."""
        return tuple(_parse_text_field(text) for text in self.text)
