"""Where a target's weak labels were handed to, so that an erasure can reach or name them."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from desireline.connectors.errors import JudgmentFormatError
from desireline.connectors.judgment_files import read_judgment_lists
from desireline.connectors.search_relevance import Kind
from desireline.connectors.state_store import StateStore
from desireline.trainer.query_text import normalise

EXPORT = "export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """One list that was handed over, to a file or to the cluster."""

    place: Literal["file", "cluster"]
    kind: Kind
    #: The file's path, or the list's id.
    where: str
    at: datetime
    #: Of the cluster's indexes.
    prefix: str = ""


def keep_export(store: StateStore, target: str, export: Export) -> None:
    """Remember an export; one to the same place takes the former one's."""
    key = _key(target, export)
    body = {**asdict(export), "at": export.at.isoformat()}
    store.put(EXPORT, key, body, expected=store.get(EXPORT, key))


def exports_of(store: StateStore, target: str) -> list[Export]:
    """Return everything that was exported for a target."""
    return [
        Export(**{**record.body, "at": datetime.fromisoformat(record.body["at"])})
        for record in store.list(EXPORT)
        if record.key.startswith(f"{target}:")
    ]


def forget_export(store: StateStore, target: str, export: Export) -> None:
    """Forget an export that is gone."""
    found = store.get(EXPORT, _key(target, export))
    if found is not None:
        store.delete(found)


def still_handed(store: StateStore, target: str, text: str) -> Iterator[str]:
    """Yield a sentence for each export that an erasure does not reach, and what to do with it.

    Args:
        store: of the exports.
        target: whose.
        text: the erased query, normalised; empty where a client was erased. Lists name queries
            and no client, but their grades count the clicks of every client.

    """
    for export in exports_of(store, target):
        named = f"{export.where}, exported on {export.at:%Y-%m-%d},"
        if not text:
            yield f"{named} names no client but may count its clicks: delete it and export again"
        elif export.place == "file":
            said = _said_of(Path(export.where), text)
            if said:
                yield f"{named} {said}"


def _said_of(file: Path, text: str) -> str:
    if not file.exists():
        return "is not here any more: delete its copies, for it may hold the query"
    try:
        lists = read_judgment_lists(file)
    except JudgmentFormatError:
        return "cannot be read here any more: delete it, for it may hold the query"
    if any(normalise(query) == text for each in lists for query in each.ratings):
        return "holds the query: delete it and its copies, and export again"
    return ""


def _key(target: str, export: Export) -> str:
    named = f"{export.place}\n{export.kind}\n{export.prefix}\n{export.where}"
    return f"{target}:{hashlib.sha256(named.encode()).hexdigest()[:32]}"
