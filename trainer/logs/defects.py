"""Defects of a log by name: what each means for learning, and how to mend it at its source.

Log sources and the joining name what they meet; a name unknown here (of a plugin, say) is told
without an explanation. A defect that two stages count is one defect: the earlier stage sees more
records, so the larger count is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    """What became of the events that have a defect."""

    #: Nothing can be learned from them.
    LOST = "lost"
    #: They are used, for less than they could be worth.
    WEAKER = "weaker"
    #: They are not read, because the configuration says so.
    LEFT_OUT = "left out"
    #: They are used as if nothing were wrong.
    MENDED = "mended"
    #: Nothing is known of it.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One defect, counted and explained."""

    name: str
    count: int
    effect: Effect
    means: str
    mend: str


@dataclass(frozen=True, slots=True)
class _Entry:
    effect: Effect
    means: str
    mend: str
    #: What other stages call it.
    also: tuple[str, ...] = ()


_KNOWN: Mapping[str, _Entry] = {
    "events of unknown queries": _Entry(
        Effect.LOST,
        "their query_id is of no search in the log, so nobody knows what was asked",
        "log every search, and keep searches at least as long as what followed them",
    ),
    "events without query_id": _Entry(
        Effect.LOST,
        "nothing tells which search they belong to",
        "send the query_id that the search answered with along with every event",
        ("event without query id", "query without query id"),
    ),
    "event without document": _Entry(
        Effect.LOST,
        "nothing tells what was shown or clicked",
        "log the document's id in event_attributes.object.object_id",
    ),
    "queries without text": _Entry(
        Effect.LOST,
        "what the user typed is missing (browsing a category looks like that too)",
        "log what was typed as user_query",
        ("query without text",),
    ),
    "query without a time": _Entry(
        Effect.LOST,
        "the search has no time that can be read",
        "log timestamp as ISO 8601, or as seconds or milliseconds since 1970",
    ),
    "event without a time": _Entry(
        Effect.LOST,
        "the event has no time that can be read",
        "log timestamp as ISO 8601, or as seconds or milliseconds since 1970",
    ),
    "broken line": _Entry(
        Effect.LOST,
        "the line is no record of this format",
        "see that whole lines are written, one record each",
    ),
    "record without a type": _Entry(
        Effect.LOST,
        "nothing tells whether it is a query, an impression or an action",
        "name the field that says so: fields.type",
    ),
    "clicks on documents not shown": _Entry(
        Effect.WEAKER,
        "the search lists what it showed, and the clicked document is not on the list",
        "log the same kind of id on both sides, and the list of every page that was loaded",
    ),
    "queries without hit ids": _Entry(
        Effect.WEAKER,
        "the search does not list what it showed, so only impression events can tell what was"
        " seen and skipped (a search that found nothing looks like that too)",
        "log the ids of the documents shown, best first: query_response_hit_ids",
        ("query without shown documents",),
    ),
    "clicks without position": _Entry(
        Effect.WEAKER,
        "it is unknown how far down the clicked document stood",
        "log event_attributes.position.ordinal, or the ids of the documents shown",
        ("event without position",),
    ),
    "shown ids are Lucene document numbers": _Entry(
        Effect.WEAKER,
        "the search lists the numbers that hits have inside the index, not their ids, so it is"
        " unknown what was seen and skipped",
        "send object_id_field with every search (ext.ubi), or log impression events",
    ),
    "searches left out so that memory is enough": _Entry(
        Effect.LEFT_OUT,
        "the log is larger than sessions.most_rows; what some clients did, drawn by chance, is"
        " not looked at",
        "raise sessions.most_rows on a machine with more memory, or shorten logs.window",
    ),
    "event from the future": _Entry(
        Effect.MENDED,
        "the clock that stamped it runs more than an hour ahead; it counts at the time it was read",
        "set the clocks of whatever stamps the events by NTP",
    ),
    "queries known only from the text beside an action": _Entry(
        Effect.WEAKER,
        "the search itself is not in the log; its words were taken from the action",
        "log every search with its query_id",
    ),
    "event of another action": _Entry(
        Effect.LEFT_OUT,
        "this kind of action is not among those read",
        "list the kinds that say something for a document in logs.actions",
    ),
    "events older than privacy.keep, removed": _Entry(
        Effect.LEFT_OUT,
        "they are older than the time for which anything is kept of people",
        "lengthen privacy.keep, if you may",
    ),
    "duplicate events": _Entry(
        Effect.MENDED,
        "the same event was logged or pulled more than once; it counts once",
        "nothing needs to be done",
    ),
    "positions counted from zero": _Entry(
        Effect.MENDED,
        "the log calls the top position 0; every position was moved by one",
        "nothing needs to be done",
    ),
}
_NAMES = {name: key for key, entry in _KNOWN.items() for name in (key, *entry.also)}
_ORDER = tuple(Effect)


def explain(defects: Mapping[str, int]) -> tuple[Explained, ...]:
    """Explain the defects that occur: what is lost first, and then by how many events."""
    counts: dict[str, int] = {}
    for name, count in defects.items():
        key = _NAMES.get(name, name)
        counts[key] = max(count, counts.get(key, 0))
    told = (_explained(name, count) for name, count in counts.items() if count)
    return tuple(sorted(told, key=lambda each: (_ORDER.index(each.effect), -each.count, each.name)))


def is_known(name: str) -> bool:
    """Whether there is an explanation for a defect of this name."""
    return name in _NAMES


def _explained(name: str, count: int) -> Explained:
    entry = _KNOWN.get(name, _Entry(Effect.UNKNOWN, "", ""))
    return Explained(
        name=name, count=count, effect=entry.effect, means=entry.means, mend=entry.mend
    )
