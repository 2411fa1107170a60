"""What a user may say about one target; every field carries its own description."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from desireline.connectors.documents import TextTemplate
from desireline.connectors.search_engine import Similarity
from desireline.sidecar.configuration.hooks import HookConfig
from desireline.sidecar.configuration.intent import IntentConfig
from desireline.sidecar.configuration.logs import LogSettings
from desireline.sidecar.configuration.paths import ConfigPath, beside_the_file
from desireline.sidecar.configuration.privacy import PrivacyConfig
from desireline.sidecar.configuration.settings import Settings
from desireline.sidecar.configuration.swap import SwapConfig
from desireline.sidecar.configuration.throttle import ThrottleConfig
from desireline.sidecar.configuration.tune import TuneConfig
from desireline.trainer.gate import GateConfig
from desireline.trainer.sessions import OF_NOBODY, SessionConfig
from desireline.trainer.trust.belief import TrustConfig

_INDEX = re.compile(r"[a-z0-9.][^\sA-Z\\/*?\"<>|,#:]{0,254}")
_FIELD = re.compile(r"[^\s_^*.,][^\s^*,]*")
_VECTOR = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")

_TWO = 2


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
    general: Literal["builtin", False] | ConfigPath = Field(
        default="builtin",
        examples=["general.jsonl"],
        description="The frozen suite of general ability: builtin, a file of your own (JSON lines:"
        " documents {part, id, text} and queries {part, query, relevant}), or false for none.",
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
    intent: IntentConfig = Field(
        default=IntentConfig(), description="What queries mean, and what searches make of it."
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
