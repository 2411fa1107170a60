"""How a target's documents are embedded again; every field carries its own description."""

from typing import Any, Literal

from pydantic import Field

from desireline.sidecar.configuration.paths import ConfigPath
from desireline.sidecar.configuration.settings import Seconds, Settings


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
    min_recall: float = Field(
        default=0.0,
        ge=0,
        le=1,
        examples=[0.9],
        description="Least share of the ten nearest documents that the new slot's index must find"
        " before it serves; 0 does not look. Looking reads every vector once.",
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
