"""What a user may say about when a run must wait; every field carries its own description.

A reason that is "off" never holds. One that is named in the file is also required: where its
figure cannot be had, the run waits and says so, instead of running unwatched.
"""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from desireline.sidecar.configuration.durations import parse_duration
from desireline.sidecar.configuration.hooks import web_address
from desireline.sidecar.configuration.paths import ConfigPath

Seconds = Annotated[float, BeforeValidator(parse_duration)]
Share = Annotated[float, Field(gt=0, le=1)]


def _probe_url(url: str) -> str:
    try:
        return web_address(url)
    except ValueError as error:
        raise ValueError(
            'expected an address such as "https://search.example.org/health", no user or password'
        ) from error


def _off(value: object) -> object:
    """TOML has no null: `false` or "off" switches a reason off; `true` would be no limit."""
    if value is True:
        raise ValueError('expected a limit, or "off"')
    return None if value is False or value == "off" else value


Off = BeforeValidator(_off)


class ThrottleConfig(BaseModel):
    """When a run writes nothing for a while, and how fast it is at most; "off" lifts a limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check_every: Seconds = Field(
        default=1.0,
        ge=0.2,
        le=60,
        description="How often the cluster is measured while a run is on.",
    )
    search_ratio: Annotated[float | None, Field(gt=1), Off] = Field(
        default=1.5,
        description="Wait when the p99 of live searches, as our probes see it, is above so many"
        ' times what it was before the run. "off" lifts this limit, as it does each one below.',
    )
    search_p99: Annotated[Seconds | None, Field(gt=0), Off] = Field(
        default=None,
        examples=["200ms"],
        description="Wait when the p99 of live searches is above this, whatever it was before.",
    )
    search_floor: Seconds = Field(
        default=0.05,
        ge=0,
        description="Searches below this are quick enough, whatever they took before the run.",
    )
    gentle: Annotated[float | None, Field(gt=1), Off] = Field(
        default=1.15,
        description="Write more slowly, before there is a reason to wait, while the p95 of live"
        " searches is above so many times what it was before the run.",
    )
    cpu: Annotated[Share | None, Off] = Field(
        default=0.85, description="Wait when OpenSearch uses more of a node's processors."
    )
    heap: Annotated[Share | None, Off] = Field(
        default=0.85, description="Wait when a node's old generation fills more of its heap."
    )
    breaker: Annotated[Share | None, Off] = Field(
        default=0.6,
        description="Wait when a circuit breaker (parent, or k-NN graphs) is filled above this"
        " share of its limit.",
    )
    rejections: Annotated[Seconds | None, Off] = Field(
        default=5.0,
        description="Wait this long after the last search or write that a node turned away.",
    )
    disk: Annotated[Share | None, Off] = Field(
        default=1.0,
        description="Wait when what is used and what is still to be written fill a disk above this"
        " share of the way to its low watermark.",
    )
    heartbeat: Annotated[Share | None, Off] = Field(
        default=0.5,
        description="Wait when our own lease was last renewed longer ago than this share of its"
        " time to live; at two thirds the run stops.",
    )
    flag_file: ConfigPath | None = Field(
        default=None,
        examples=["/var/run/desireline.pause"],
        description="Wait while this file exists.",
    )
    probe_url: Annotated[str, AfterValidator(_probe_url)] | None = Field(
        default=None,
        examples=["https://search.example.org/health"],
        description="Wait while this address does not answer 2xx; redirects are not followed.",
    )
    probe_private: bool = Field(
        default=False,
        description="Whether probe_url may lead to a private or loopback address; link-local ones"
        " (a cloud's metadata) never.",
    )
    documents_a_second: Annotated[float | None, Field(gt=0), Off] = Field(
        default=None, examples=[500], description="Never faster than this."
    )

    @property
    def watches_searches(self) -> bool:
        """Whether live searches must be probed."""
        return not (self.search_ratio is self.search_p99 is self.gentle is None)

    @property
    def watches_load(self) -> bool:
        """Whether the engine must be measured."""
        limits = (self.cpu, self.heap, self.breaker, self.rejections, self.disk)
        return self.watches_searches or any(limit is not None for limit in limits)

    def is_named(self, field: str) -> bool:
        """Say whether the user set this field, so that its figure must be had."""
        return field in self.model_fields_set
