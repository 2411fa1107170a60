"""What every table of the configuration is made of."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from desireline.sidecar.configuration.durations import parse_duration


class Settings(BaseModel):
    """A frozen table of the configuration that knows no other keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Seconds = Annotated[float, BeforeValidator(parse_duration)]
"""A duration such as ``"12h"``, held in seconds."""
