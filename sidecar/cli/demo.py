"""`desireline demo`: the first five minutes."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from desireline.sidecar.cli.changes import show_changes
from desireline.sidecar.cli.session import terminal_of
from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.cli.waiting import until_signal
from desireline.sidecar.config import environment

if TYPE_CHECKING:
    from desireline.sidecar.demo.report import DemoReport
    from desireline.sidecar.demo.story import Demo


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
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8765,
    seed: Annotated[int, typer.Option(min=0, help="Other users, other pairs.")] = 7,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its index and models.")] = Path(
        "demo"
    ),
    report: Annotated[Path, typer.Option(help="Where the report goes, as JSON.")] = Path(
        "demo-report.json"
    ),
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
        seed=seed,
        port=port if serve else 0,
        opensearch_url=environment().opensearch_url,
        java_home=environment().opensearch_java_home,
    )
    terminal.note("The clicks of this demo are SIMULATED. Documents, queries and truth are real.")
    with tell(settings, terminal.reporter()) as told:
        told.report.write(report)
        terminal.result(told.report.to_json())
        _show(told.report, terminal)
        terminal.say(f"\nThe whole report is in {report}.")
        if serve:
            _invite(told, terminal)
            until_signal().wait()


def _show(report: "DemoReport", terminal: Terminal) -> None:
    _show_table(report, terminal)
    terminal.say("\nTest queries that gained and lost most:", style="bold")
    show_changes(report.changes, terminal)
    swap = report.swap
    terminal.say(
        f"\nDuring the swap an application made {swap['searches']:,} searches ({swap['failed']}"
        f" failed, {swap['empty']} empty, {swap['mixed']} of mixed generations) and"
        f" {swap['writes']:,} writes ({swap['lost']} lost)."
    )
    for goal in report.goals:
        style = "green" if goal.holds else "red"
        mark = "holds" if goal.holds else "MISSED"
        terminal.say(f"{mark:<7} {goal.name}: {goal.value:g} (goal {goal.goal})", style=style)


def _show_table(report: "DemoReport", terminal: Terminal) -> None:
    measures = list(report.gain)
    rows: list[list[str]] = []
    for measure in measures:
        cells = [report.intervals[ranker][measure] for ranker in ("bm25", "base", "tuned")]
        gain = report.gain[measure]
        rows.append(
            [
                measure,
                *(f"{c.value:.3f} [{c.low:.3f}, {c.high:.3f}]" for c in cells),
                f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]",
            ]
        )
    terminal.say("\nOn 1,000 test queries that nobody trained on, 95 % intervals:", style="bold")
    terminal.table(["", "BM25", "base encoder", "tuned on clicks", "tuned minus base"], rows)


def _invite(told: "Demo", terminal: Terminal) -> None:
    terminal.say(f"\nServing at {told.url} (sign in with the key {told.key}). Try:", style="bold")
    terminal.say(
        f"  curl -s {told.url}/desireline-demo-occupations/_search"
        f" -H 'Authorization: Bearer {told.key}' -H 'Content-Type: application/json'"
        ' -d \'{"query": {"neural": {"embedding": {"query_text": "beekeeper", "k": 5}}}}\''
    )
    terminal.say(f"  {_command()} --config {told.config} revert demo-occupations")
    terminal.say("On your own cluster:", style="bold")
    terminal.say(f"  {_command()} init --url https://your-cluster:9200 --index your-index")
    terminal.say(f"  {_command()} doctor, then logs your-index, then tune your-index")
    terminal.note("Ctrl-C ends it.")


def _command() -> str:
    """Return how this program was called, so that what is printed can be pasted."""
    called = Path(sys.argv[0])
    return str(called.relative_to(Path.cwd())) if called.is_relative_to(Path.cwd()) else called.name
