"""What a user may say about people's privacy; every field carries its own description."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from desireline.sidecar.configuration.durations import parse_duration
from desireline.trainer.logs.personal_data import PersonalDataConfig

_DAY_S = 86_400.0

Seconds = Annotated[float, BeforeValidator(parse_duration)]


class PrivacyConfig(BaseModel):
    """What is kept of people, in what form, and for how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["strict", "local"] = Field(
        default="strict",
        description="local: a demo, or a log of nobody but yourself. One client is enough for a"
        " query or a pair, and events are kept without end, unless their settings say otherwise.",
    )
    salt_period: Seconds = Field(
        default=30 * _DAY_S,
        ge=_DAY_S,
        description="How long a client keeps one name; whole days. Then the salt it was hashed"
        " with is deleted, and nobody can tell any more whose name it was.",
    )
    keep: Seconds = Field(
        default=90 * _DAY_S,
        ge=_DAY_S,
        description="How long pulled events are kept; whole days.",
    )
    personal_data: PersonalDataConfig = Field(
        default=PersonalDataConfig(),
        description="What in a query names a person; such a query is left out whole.",
    )

    @property
    def keep_days(self) -> int | None:
        """Days that events are kept; None without end."""
        if self.mode == "local" and "keep" not in self.model_fields_set:
            return None
        return int(self.keep // _DAY_S)

    @property
    def salt_days(self) -> int:
        """Days that a salt is used."""
        return int(self.salt_period // _DAY_S)
