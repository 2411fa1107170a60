"""A cycle on a page: how it ended and why, or how far it is, and every step on the way."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from desireline.sidecar.configuration.durations import format_duration
from desireline.sidecar.http import page_parts as parts
from desireline.sidecar.http.markup import Child, Markup, element
from desireline.sidecar.http.measures_table import measures_table
from desireline.sidecar.reports.cycle_report import LoggedClicks, Outcome

Report = Mapping[str, Any]

#: What an outcome means for searches.
_MEANS = {
    Outcome.KEPT_INCUMBENT: "The candidate was not proved better than what serves, which goes on"
    " serving.",
    Outcome.NOTHING_TO_DO: "Nothing was trained. What serves goes on serving.",
    Outcome.FAILED: "What serves goes on serving. The next cycle tries again.",
    Outcome.CANCELLED: "The next cycle begins anew.",
    Outcome.INTERRUPTED: "What serves goes on serving. The next cycle goes on where it can.",
}
_LOST = "Its process ended without saying so; the next cycle goes on where it can."


def under_way(report: Report | None) -> bool:
    """Tell whether a cycle runs and somebody still owns its target, as far as is known."""
    if report is None or report.get("outcome") != Outcome.RUNNING:
        return False
    return "beat" not in report or report["beat"] is not None


def cycle_section(
    target: str,
    report: Report | None,
    generations: Sequence[Mapping[str, Any]] = (),
    *,
    watch: bool = True,
    progress: bool = True,
) -> Markup:
    """Return the last cycle, or how to begin the first.

    Args:
        target: whose.
        report: of the last cycle, as `Operations.last_cycle` has it.
        generations: of the target, to tell whether what it put live still is.
        watch: whether to lead to the page of the run, which loads itself again.
        progress: whether to show how far it is; a re-embedding under way shows that itself.

    """
    if report is None:
        command = element("code", f"desireline tune {target}")
        none = element("p", "No cycle has run yet. Start one with ", command, ".", class_="quiet")
        return element("section", element("h2", "Last cycle"), none)
    when = parts.span(report.get("started_at"), report.get("ended_at"))
    outcome, reason = report.get("outcome", ""), report.get("reason")
    running = under_way(report)
    mark = "lost" if outcome == Outcome.RUNNING and not running else outcome
    heading: list[Child] = ["Cycle " if running else "Last cycle ", parts.state_mark(mark)]
    return element(
        "section",
        element("h2", heading, element("small", when)),
        element("p", str(reason), class_="reason") if reason else None,
        element("p", _LOST, class_="reason") if mark == "lost" else None,
        _next_step(report),
        _means(report, generations),
        _progress(report) if running and progress else None,
        _watch(target) if watch and running else None,
        measures_table(report),
        _expected_clicks(report),
        parts.steps_list(report.get("steps") or []),
        class_="cycle",
    )


def _watch(target: str) -> Markup:
    address = f"/targets/{quote(target, safe='')}/run"
    return element("p", element("a", "Watch it go", href=address))


def _progress(report: Report) -> Markup | None:
    """Return how far a cycle is with what it is at; None where that is not known."""
    at = report.get("progress")
    if not at or not at["total"]:
        return None
    done, total = min(at["done"], at["total"]), at["total"]
    told = f"{at['name']}: {done:,} of {total:,}"
    left = at.get("eta_s")
    if left is not None and done < total:
        told = f"{told}, {format_duration(left)} left"
    bar = element("progress", told, max=total, value=done, aria_label=str(at["name"]))
    return element("div", element("p", told, class_="quiet"), bar)


def _next_step(report: Report) -> Markup | None:
    step = report.get("next_step")
    return element("p", "Next: ", parts.spoken(f"{step}."), class_="lacks") if step else None


def _means(report: Report, generations: Sequence[Mapping[str, Any]]) -> Markup | None:
    outcome, made = report.get("outcome"), report.get("generation")
    live = next((each["number"] for each in generations if each["state"] == "live"), None)
    if outcome == Outcome.WENT_LIVE and None not in (live, made) and live != made:
        gone = f"Generation {made}, which it put live, does not serve now; generation {live} does."
        return element("p", gone, class_="lacks")
    means = next((told for each, told in _MEANS.items() if each == outcome), None)
    return element("p", means, class_="quiet") if means else None


def _expected_clicks(report: Report) -> Markup | None:
    if not report.get("clicks"):
        return None
    clicks = LoggedClicks.model_validate(report["clicks"])
    return element("p", f"By the log alone: {clicks.sentence}. It decides nothing.", class_="quiet")
