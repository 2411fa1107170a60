"""What of a simulated row or index is the application's, and what is desireline's."""

from typing import Any

from simulated_index import Index
from simulated_shard import Row
from simulated_target import CONFIG, INDEX

from desireline.connectors.documents import digest

SLOTS = ("embedding__a", "embedding__b")
_OURS = {part for slot in SLOTS for part in (slot, f"{slot}_stamp")}


def stands_for(index: Index) -> bool:
    """Say whether the application means this index."""
    return index.name == INDEX or INDEX in index.aliases


def documents_of(index: Index) -> dict[str, Row]:
    """Return every document that its primaries hold."""
    rows = [row for shard in index.shards for row in shard.primary.rows.values()]
    return {row.document_id: row for row in rows if present(row)}


def present(row: Row | None) -> bool:
    return row is not None and row.source is not None


def own(row: Row) -> dict[str, Any]:
    """Return the application's fields."""
    return {name: value for name, value in (row.source or {}).items() if name not in _OURS}


def digest_of(row: Row) -> str:
    return digest(CONFIG.template.render(row.source or {}))
