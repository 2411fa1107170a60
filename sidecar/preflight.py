"""What makes it unsafe or useless to embed an index again, found before anything is written."""

from desireline.connectors.search_engine import IndexDescription
from desireline.sidecar.target import Target


def refusals(
    target: Target, described: IndexDescription, slot: str, dimension: int
) -> tuple[str, ...]:
    """Say why the slot must not be built, one sentence each; empty when it may.

    Args:
        target: whose index it is.
        described: the index as it is now.
        slot: that would be written.
        dimension: of the encoder; 0 where it is not known yet.

    """
    return (
        *described.obstacles,
        *_missing_fields(target, described),
        *_wrong_dimension(described, slot, dimension),
    )


def _missing_fields(target: Target, described: IndexDescription) -> list[str]:
    return [
        f"text field {name!r} is not in the mapping of {described.index!r}"
        for name in target.config.template.fields
        if name not in described.fields
    ]


def _wrong_dimension(described: IndexDescription, slot: str, dimension: int) -> list[str]:
    existing = described.slots.get(slot)
    if existing is None or not dimension or existing.dimension == dimension:
        return []
    return [
        f"slot {slot!r} has dimension {existing.dimension} and the encoder {dimension};"
        " another dimension needs a new index or another vector name"
    ]
