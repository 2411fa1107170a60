"""The ladder of modes: every rung with what it gained and what it costs, and a plot of both."""

from collections.abc import Mapping
from typing import Any

from desireline.sidecar.configuration.durations import format_duration
from desireline.sidecar.http.ladder_plot import COLOURS, ladder_plot
from desireline.sidecar.http.markup import Child, Markup, element
from desireline.sidecar.http.page_parts import NOTHING, table
from desireline.sidecar.reports.cycle_report import Ladder, Rung
from desireline.trainer.measures.base import label_of


def ladder_section(report: Mapping[str, Any]) -> Markup | None:
    """Return the rungs of a cycle, and the plot; None where one mode alone was tried."""
    if not report.get("ladder"):
        return None
    ladder = Ladder.model_validate(report["ladder"])
    titles = [
        "Mode",
        "Gate",
        f"Gain in {label_of(ladder.measure)}",
        "Training",
        "Embedding",
        "A query",
    ]
    return element(
        "section",
        element("h2", "Modes tried"),
        element("p", ladder.sentence, class_="reason spaced"),
        table(titles, [_row(rung, titles) for rung in ladder.rungs], class_="modes"),
        ladder_plot(ladder.rungs),
    )


def _row(rung: Rung, titles: list[str]) -> Markup:
    name = element("th", rung.mode, scope="row")
    if rung.gain is None:
        why = element("td", ["left out: ", rung.reason], colspan="5", class_="quiet left-out")
        return element("tr", name, why)
    state = element(
        "span", rung.verdict, class_=f"state {COLOURS[rung.verdict]}", title=rung.reason
    )
    cells: list[Child] = [
        _gain(rung),
        _time(rung.train_s),
        _embedding(rung),
        NOTHING if rung.query_ms is None else f"{rung.query_ms:.1f} ms",
    ]
    numbers = [
        element("td", element("span", title, class_="label"), cell, class_="number")
        for title, cell in zip(titles[2:], cells, strict=True)
    ]
    return element("tr", name, element("td", state), numbers)


def _gain(rung: Rung) -> list[Child]:
    gain = rung.gain
    assert gain is not None
    share = f" ({rung.share})" if rung.share else ""
    within = f"[{gain.low:+.3f}, {gain.high:+.3f}]"
    return [f"{gain.value:+.3f}{share}", element("span", within, class_="interval")]


def _embedding(rung: Rung) -> list[Child]:
    if not rung.embed_documents:
        return ["none"]
    documents = element("span", f"{rung.embed_documents:,} documents", class_="interval")
    return [_time(rung.embed_s), documents]


def _time(seconds: float | None) -> str:
    return NOTHING if seconds is None else format_duration(seconds)
