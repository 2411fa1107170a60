"""A click log's health in words: the same lines in the terminal, on the page and in the docs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from desireline.sidecar.reports.reporting import as_sentence

Report: TypeAlias = Mapping[str, Any]

#: How much more often the top is clicked than further down, before it is worth a word.
_STEEP = 1.2
#: A click-through of fewer impressions is no measure.
ENOUGH_IMPRESSIONS = 100
_TOP = slice(0, 3)
_LOWER = slice(7, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One named line of the report."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Lines under one title."""

    title: str
    lines: tuple[Line, ...]


def headline(report: Report) -> str:
    """Return the tier and what is missing for the next, in one sentence."""
    highest = len(report["readiness"]["tiers"]) - 1
    return f"Tier {report['tier']} of {highest}: {report['next_tier']}."


def next_step(report: Report) -> str:
    """Return what is missing for the next tier, as a sentence."""
    return as_sentence(report["next_tier"])


def lacking(report: Report, tier: Report) -> list[Report]:
    """Return what the next tier lacks; of tiers beyond it nothing is told yet."""
    if tier["number"] != report["tier"] + 1:
        return []
    return [need for need in tier["needs"] if not need["met"]]


def parts(report: Report) -> tuple[Part, ...]:
    """Return what was counted."""
    told = {
        "Events": _events(report["events"]),
        "To learn from": _to_learn_from(report),
        "Queries": _queries(report["figures"]),
        "Documents": _documents(report["figures"]),
    }
    found = (
        Part(title=title, lines=tuple(Line(name=name, text=text) for name, text in lines))
        for title, lines in told.items()
    )
    return tuple(part for part in found if part.lines)


def positions_sentence(report: Report) -> str:
    """Say how click-through falls with position, and what it would mean if it did not."""
    places = report["figures"]["places"]
    top, lower = _pooled(places[_TOP]), _pooled(places[_LOWER])
    if top is None:
        return "Too few documents were shown at a known position to tell how users look."
    if lower is None:
        return f"Positions 1 to 3 are clicked in {top:.1%} of their impressions."
    if top >= _STEEP * lower:
        times = f"{top / lower:.1f} times as often as" if lower else "and nobody clicks"
        return f"Positions 1 to 3 are clicked {times} positions 8 to 10: users look from the top."
    return (
        "Positions 1 to 3 are clicked hardly more often than positions 8 to 10. Users do not look"
        " like that: see whether positions are logged as shown, and whether clicks are people's."
    )


def enough(place: Report) -> bool:
    """Whether a position was shown often enough for its click-through to be a measure."""
    return bool(place["impressions"] >= ENOUGH_IMPRESSIONS)


def share(part: int, whole: int) -> str:
    """Return a share in per cent; a dash of nothing."""
    return f"{part / whole:.1%}" if whole else "\N{EN DASH}"


def _events(events: Report) -> Iterator[tuple[str, str]]:
    if not (events["searches"] or events["impressions"] or events["kinds"]):
        yield "none", "the log holds no event that could be used"
        return
    yield "searches", f"{events['searches']:,} logged"
    yield "impressions", f"{events['impressions']:,} logged as events of their own"
    yield "actions", _actions(events)
    found = events["joined"] + events["joined_by_text"]
    by_text = f", {events['joined_by_text']:,} only by the text beside them"
    lost = f"; {events['actions'] - found:,} are lost" if found < events["actions"] else ""
    if events["actions"]:
        yield (
            "joined",
            f"{share(found, events['actions'])} of the actions that count find their search:"
            f" {found:,}{by_text if events['joined_by_text'] else ''}{lost}",
        )


def _actions(events: Report) -> str:
    def told(counts: bool) -> str:
        kinds = [kind for kind in events["kinds"] if kind["counts"] is counts]
        return ", ".join(f"{kind['name']} {kind['events']:,}" for kind in kinds)

    others = told(counts=False)
    if events["of_other_kinds"]:
        others += f", other kinds {events['of_other_kinds']:,}"
    counting = f"{events['actions']:,} that count" + (f": {told(counts=True)}" * bool(told(True)))
    return f"{counting}; not counted: {others}" if others else counting


def _to_learn_from(report: Report) -> Iterator[tuple[str, str]]:
    if report["first"]:
        days = _counted(report["days"], "day")
        yield "period", f"{report['first'][:10]} to {report['last'][:10]}, {days} with searches"
    yield "people", f"{_counted(report['clients'], 'client')}, {report['searches']:,} searches"
    enough = report["clicks"] >= report["tune_from_clicks"]
    yield (
        "clicks",
        f"{report['clicks']:,}, {'enough' if enough else 'too few'}: a cycle learns from"
        f" {report['tune_from_clicks']:,} on (tune.min_clicks)"
        + ("" if enough else "; until then from documents alone, with tune.without_clicks"),
    )
    if report["clicks_withheld"]:
        yield (
            "private",
            f"{report['clicks_withheld']:,} more clicks are not learned from: fewer than"
            f" {report['min_clients']} clients typed their query (sessions.min_clients)",
        )
    yield "bots", _bots(report["bots"])
    for name, count in report["left_out"].items():
        yield "left out", _left_out(name, count)


def _bots(bots: Report) -> str:
    if not bots:
        return "none suspected"
    # Each is counted under its plural.
    told = [_counted(count, name.removesuffix("s")) for name, count in bots.items()]
    return f"{', '.join(told)} left out"


def _left_out(name: str, count: int) -> str:
    of_clients = name.removeprefix("clients: ")
    return (
        f"{count:,} {name}" if of_clients == name else f"{_counted(count, 'client')}: {of_clients}"
    )


def _queries(figures: Report) -> Iterator[tuple[str, str]]:
    searches, queries = figures["searches"], figures["queries"]
    if not queries:
        return
    yield (
        "repeated",
        f"{figures['repeated_queries']:,} of {queries:,} queries were typed twice or more; they are"
        f" {share(figures['repeated_searches'], searches)} of the searches",
    )
    for segment in figures["segments"]:
        yield (
            segment["name"],
            f"{_counted(segment['queries'], 'query', 'queries')},"
            f" {share(segment['searches'], searches)} of the searches",
        )
    yield (
        "never clicked",
        f"{figures['queries_never_clicked']:,} of {queries:,} queries"
        f" ({share(figures['queries_never_clicked'], queries)}) never got a click",
    )
    shown = searches - figures["searches_without_results"]
    yield (
        "left unclicked",
        f"{figures['searches_without_click']:,} of {shown:,} searches that showed something"
        f" ({share(figures['searches_without_click'], shown)})",
    )
    yield (
        "impressions",
        f"missing for {figures['searches_without_results']:,} of {searches:,} searches"
        f" ({share(figures['searches_without_results'], searches)}): the log does not say what"
        " they showed, or they found nothing",
    )


def _documents(figures: Report) -> Iterator[tuple[str, str]]:
    shown = figures["documents_shown"]
    if not shown and not figures["documents_clicked"]:
        return
    yield "shown", f"{shown:,} different documents"
    yield "clicked", f"{figures['documents_clicked']:,}"
    yield (
        "never clicked",
        f"{figures['documents_never_clicked']:,} of those shown"
        f" ({share(figures['documents_never_clicked'], shown)})",
    )


def _pooled(places: Sequence[Report]) -> float | None:
    impressions: int = sum(place["impressions"] for place in places)
    clicks: int = sum(place["clicks"] for place in places)
    return clicks / impressions if impressions >= ENOUGH_IMPRESSIONS else None


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
