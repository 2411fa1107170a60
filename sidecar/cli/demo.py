"""`desireline demo`: the first five minutes."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from desireline.sidecar.cli.session import terminal_of
from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.cli.waiting import until_signal
from desireline.sidecar.config import environment

if TYPE_CHECKING:
    from desireline.sidecar.demo.report import DemoReport
    from desireline.sidecar.demo.story import Demo

_SHOWN_MEASURES = ("mrr@20", "recall@20", "ndcg@20", "hit@20", "mrr@10", "ndcg@10", "hit@10")


class Engine(StrEnum):
    """Where the demo's index lives."""

    LANCEDB = "lancedb"
    OPENSEARCH = "opensearch"


def demo(
    ctx: typer.Context,
    *,
    engine: Annotated[
        Engine, typer.Option(help="lancedb needs no server; opensearch starts or takes a node.")
    ] = Engine.LANCEDB,
    serve: Annotated[bool, typer.Option(help="Serve the result when it is done.")] = True,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its index and models.")] = Path(
        "demo"
    ),
    report: Annotated[Path, typer.Option(help="Where the report goes, as JSON.")] = Path(
        "demo-report.json"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve on.")] = 8765,
) -> None:
    """Watch an index tune itself: real occupations, real job titles, simulated clicks.

    Creates an index, lets simulated users click, turns the wheel once, shows before and after on
    queries nobody trained on, swaps while a searcher and a writer keep working, and serves.

    Example: `desireline demo --no-serve` or `desireline demo --engine opensearch`

    Next: `desireline init --url https://your-cluster:9200 --index your-index`
    """
    terminal = terminal_of(ctx)
    from desireline.sidecar.demo.story import DemoSettings, tell  # noqa: PLC0415 - --help is quick

    settings = DemoSettings(
        engine=engine.value,
        folder=folder,
        port=port if serve else 0,
        opensearch_url=environment().opensearch_url,
        java_home=environment().opensearch_java_home,
    )
    with tell(settings, terminal.reporter()) as told:
        told.report.write(report)
        _show(told.report, terminal)
        terminal.say(f"report     {report}")
        terminal.result(told.report.to_json())
        if serve:
            _serve(told, terminal)


def _show(report: "DemoReport", terminal: Terminal) -> None:
    terminal.say("")
    terminal.say("Before and after, on test queries nobody trained on:", style="bold")
    rows = [
        [ranker, *(_cell(report, ranker, measure) for measure in _SHOWN_MEASURES)]
        for ranker in report.intervals
    ]
    terminal.table(["", *_SHOWN_MEASURES], rows)
    gain = report.gain["mrr@20"]
    terminal.say(f"mrr@20, tuned minus base: {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]")
    _show_changed(report, terminal)
    swap = report.swap
    terminal.say("")
    terminal.say(
        f"cut-over   {swap['searches']:,} searches served meanwhile: {swap['failed']} failed,"
        f" {swap['empty']} empty, {swap['mixed']} mixed; {swap['writes']:,} writes made,"
        f" {swap['writes'] - swap['lost']:,} found",
        style="bold",
    )
    for goal in report.goals:
        state = "holds" if goal.holds else "MISSED"
        terminal.say(f"goal       {goal.name} {goal.goal}: {goal.value:g}, {state}")
    terminal.say("The clicks are simulated; documents, queries and right answers are real.")


def _cell(report: "DemoReport", ranker: str, measure: str) -> str:
    interval = report.intervals[ranker][measure]
    if measure != _SHOWN_MEASURES[0]:
        return f"{interval.value:.3f}"
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _show_changed(report: "DemoReport", terminal: Terminal) -> None:
    terminal.say("")
    terminal.say("Queries whose answers changed most (* is right):", style="bold")
    terminal.table(
        ["query", "before", "after"],
        [
            [
                query.query,
                _titles(query.before, query.relevant),
                _titles(query.after, query.relevant),
            ]
            for query in report.changed
        ],
    )


def _titles(titles: tuple[str, ...], relevant: tuple[str, ...]) -> str:
    return "\n".join(f"{'*' if title in relevant else ' '} {title}" for title in titles)


def _serve(told: "Demo", terminal: Terminal) -> None:
    terminal.say("")
    terminal.say(f"serving at {told.url}   sign in with the key {told.key}", style="bold")
    terminal.say("Try:")
    terminal.say(f"  desireline search demo-occupations 'fixes planes' --config {told.config}")
    terminal.say(f"  desireline rollback demo-occupations --config {told.config}")
    terminal.say("On your own cluster:")
    terminal.say("  desireline init --url https://your-cluster:9200 --index your-index")
    terminal.say("  desireline doctor")
    terminal.say("Ctrl-C ends the demo.")
    until_signal().wait()
