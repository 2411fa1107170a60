"""What makes it unsafe or useless to embed an index again, found before anything is written."""

from desireline.connectors.search_engine import IndexDescription, Slot
from desireline.sidecar.target import Target


def target_refusals(target: Target, described: IndexDescription) -> tuple[str, ...]:
    """Say why no way is open, one sentence each."""
    return tuple(
        f"text field {name!r} is not in the mapping of {described.index!r}"
        for name in target.config.template.fields
        if name not in described.fields
    )


def slot_refusals(described: IndexDescription, slot: Slot) -> tuple[str, ...]:
    """Say why the slot must not be built in place, one sentence each.

    Args:
        described: the index as it is now.
        slot: that would be written; of dimension 0 where the encoder is not known yet.

    """
    existing = described.slots.get(slot.name)
    if existing is None or not slot.dimension or existing.dimension == slot.dimension:
        return described.obstacles
    return (
        *described.obstacles,
        f"slot {slot.name!r} has dimension {existing.dimension} and the encoder {slot.dimension};"
        " another dimension needs a new index or another vector name",
    )
