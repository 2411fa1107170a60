"""`desireline simulate`: a click log from known answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from desireline.connectors.errors import LogFormatError
from desireline.sidecar.cli.session import globals_of, opened, terminal_of
from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.config import load_config
from desireline.sidecar.reports.reporting import Reporter

if TYPE_CHECKING:
    from desireline.connectors.opensearch_client import OpenSearchSettings
    from desireline.sidecar.simulating.written_log import Rank, Simulated, Users
    from desireline.trainer.measures.base import Qrels

_USERS, _PAGES, _MESS = "Who searches", "What they see", "What goes wrong"
_ClickModel = Literal["pbm", "cascade", "dcm", "sdbn", "dbn", "ubm"]
_RankedBy = Literal["live", "bm25", "noisy"]
#: What people call the defects of `DefectsConfig`.
_NAMES = {
    "late": "late events",
    "duplicates": "duplicates",
    "missing_shown": "searches without what they showed",
    "missing_positions": "events without position",
    "missing_query_ids": "events without query_id",
    "missing_clients": "searches and events without client",
    "clock_skew": "events by wrong clocks",
    "personal": "searches with personal data",
}


def simulate(
    ctx: typer.Context,
    target: Annotated[
        str | None,
        typer.Argument(help="Whose index answers; none: --ranked-by noisy or --run."),
    ] = None,
    *,
    truth: Annotated[
        Path,
        typer.Option(
            help="Known answers: query, tab, document_id[, tab, grade] a line; judgments of"
            " search-relevance (JSON); or a folder of such files."
        ),
    ],
    split: Annotated[
        str, typer.Option(help="Only rows of this split, of tables with a column of that name.")
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="The log to write: .ndjson, .csv, .tsv, .parquet (.gz); must not exist."),
    ] = None,
    into: Annotated[
        str | None,
        typer.Option(
            metavar="PREFIX",
            help="Write into the cluster instead: PREFIXubi_queries and PREFIXubi_events.",
        ),
    ] = None,
    searches: Annotated[
        int, typer.Option(min=1, help="How many searches.", rich_help_panel=_USERS)
    ] = 10_000,
    days: Annotated[
        int, typer.Option(min=1, help="Over how many days.", rich_help_panel=_USERS)
    ] = 42,
    first_day: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="From when [so that the log ends yesterday].",
            rich_help_panel=_USERS,
        ),
    ] = None,
    click_model: Annotated[
        _ClickModel, typer.Option(help="How people look and click.", rich_help_panel=_USERS)
    ] = "pbm",
    seed: Annotated[
        int,
        typer.Option(min=0, help="Same seed and first day, same log.", rich_help_panel=_USERS),
    ] = 0,
    ranked_by: Annotated[
        _RankedBy,
        typer.Option(
            help="The live generation, BM25, or the truth with noise (needs no index).",
            rich_help_panel=_PAGES,
        ),
    ] = "live",
    run: Annotated[
        Path | None,
        typer.Option(
            help="Pages from a file instead: query, tab, document_id, best first.",
            rich_help_panel=_PAGES,
        ),
    ] = None,
    messy: Annotated[
        bool,
        typer.Option(
            "--messy",
            help="Also carts, dwell, reformulations, drift; late, doubled and broken events;"
            " personal data.",
            rich_help_panel=_MESS,
        ),
    ] = False,
    settings: Annotated[
        Path | None,
        typer.Option(
            help="Every number of [users] and [defects], in TOML; see docs/simulate.md.",
            rich_help_panel=_MESS,
        ),
    ] = None,
    spec: Annotated[
        Literal["1.2", "1.3"],
        typer.Option(help="Release of the UBI specification.", rich_help_panel=_MESS),
    ] = "1.3",
) -> None:
    """Write a click log of simulated users who know the right answers.

    People look at pages as the click model says, click what is right and sometimes what is
    wrong; a few bots click anything. What is true of the log (right answers, bots, everything
    that was put in) is written beside it. These are not real clicks, and every record says so.

    Example: `desireline simulate products --truth truth.tsv --out clicks.ndjson`, or
    `desireline simulate --truth judgments.json --ranked-by noisy --messy --out messy.parquet`

    Next: point the target's `logs` at it (the last line says how), then `desireline logs products`.
    """
    terminal = terminal_of(ctx)
    _check(target, out=out, into=into, needs_index=run is None and ranked_by != "noisy")
    from desireline.sidecar.simulating import written_log as simulating  # noqa: PLC0415 - --help stays quick
    from desireline.trainer.simulation.known_answers import read_known_answers  # noqa: PLC0415

    answers = read_known_answers(truth, split=split)
    asked = simulating.read_settings(settings) if settings else simulating.Users()
    asked = simulating.MESSY if messy else asked
    said: dict[str, object] = {"searches": searches, "days": days, "click_model": click_model}
    kept = {name: value for name, value in said.items() if not settings or _typed(ctx, name)}
    if first_day is not None or "first_day" not in asked.users.model_fields_set:
        kept["first_day"] = _first_day(first_day, kept.get("days", asked.users.days))
    asked = asked.reseeded(seed if not settings or _typed(ctx, "seed") else None, **kept)
    reporter = terminal.reporter()
    with _ranking(
        ctx,
        target,
        ranked_by=ranked_by,
        run=run,
        answers=answers,
        asked=asked,
        reporter=reporter,
    ) as rank:
        made = simulating.simulated(answers, rank, asked, reporter)
    if out is not None:
        beside = simulating.into_file(made, out, spec, reporter)
        where, logs = str(out), f'kind = "files", path = "{out}"'
    else:
        cluster = _cluster(ctx)
        beside = simulating.into_cluster(made, cluster, into or "", spec, reporter)
        names = [f"{into}{each}" for each in ("ubi_queries", "ubi_events")]
        logs = (
            f'kind = "ubi", queries_index = "{names[0]}", events_index = "{names[1]}",'
            ' window = "3650d"'
        )
        where = " and ".join(names)
    _tell(made, terminal, where=where, beside=beside, logs=logs, target=target)


def _check(target: str | None, *, out: Path | None, into: str | None, needs_index: bool) -> None:
    """Refuse what cannot be done before anything is read."""
    if (out is None) == (into is None):
        raise typer.BadParameter("name a file with --out, or a prefix in the cluster with --into")
    if target is None and needs_index:
        raise typer.BadParameter(
            "name a target whose index answers, or rank by --run or --ranked-by noisy"
        )
    if out is not None and out.exists():
        raise LogFormatError(f"{out} exists; it was left as it is", next_step="name another --out")


def _first_day(asked: datetime | None, days: object) -> datetime:
    """Return the day that was asked for, or the one with which the log ends yesterday.

    What is older than the windows of logs and of privacy would be left out.
    """
    if asked is not None:
        return asked.replace(tzinfo=UTC)
    assert isinstance(days, int)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days)


def _typed(ctx: typer.Context, name: str) -> bool:
    """Whether an option was given; options that were not leave the settings file alone."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


@contextmanager
def _ranking(
    ctx: typer.Context,
    target: str | None,
    *,
    ranked_by: _RankedBy,
    run: Path | None,
    answers: "Qrels",
    asked: "Users",
    reporter: Reporter,
) -> Iterator["Rank"]:
    """Give what answers the queries, for as long as it is open."""
    from desireline.sidecar.simulating import written_log as simulating  # noqa: PLC0415 - --help stays quick
    from desireline.trainer.simulation.known_answers import read_run  # noqa: PLC0415

    if run is not None:
        pages = read_run(run)
        yield lambda _: pages
    elif ranked_by == "noisy" or target is None:
        yield simulating.by_noise(answers, seed=asked.users.seed)
    else:
        with opened(ctx, target) as (_, sidecar):
            yield simulating.by_engine(sidecar, target, ranked_by, asked.users.shown, reporter)


def _cluster(ctx: typer.Context) -> "OpenSearchSettings":
    from desireline.sidecar.wiring import opensearch_settings  # noqa: PLC0415 - as above

    settings = opensearch_settings(load_config(globals_of(ctx).config).cluster)
    if settings is None:
        raise LogFormatError(
            "--into writes into a cluster, but the configuration names none; nothing was written",
            next_step="set cluster.url, or write a file with --out",
        )
    return settings


def _tell(
    made: "Simulated",
    terminal: Terminal,
    *,
    where: str,
    beside: Path,
    logs: str,
    target: str | None,
) -> None:
    """Say what was written, what is planted, and what to do next."""
    log, users = made.log, made.settings.users
    searches = sum(len(batch.queries) for batch in log.batches)
    planted = {_NAMES[name]: made.planted.counts.get(name, 0) for name in _NAMES}
    planted |= {
        "bots": len(log.truth.bots),
        "searches that find nothing": len(log.truth.zero_results),
        "reformulations": len(log.truth.reformulations),
        "queries that drift": len(log.truth.drifted),
    }
    counted = [f"{count:>9,} {name}" for name, count in planted.items() if count]
    next_step = f"desireline logs {target or 'TARGET'}"
    body = {"written": where, "searches": users.searches, "clicks": log.clicks, "simulated": True}
    body |= {"wrong_share": log.wrong_share, "truth": str(beside), "planted": planted}
    terminal.result(body | {"logs": logs, "next_step": next_step})
    by_bots = len(log.truth.bots) * users.searches_a_bot
    of_bots = f" ({by_bots:,} of them by bots)" if by_bots else ""
    terminal.say(
        f"wrote {searches:,} simulated searches{of_bots}"
        f" and {log.clicks:,} simulated clicks of people"
        f" ({log.wrong_share:.0%} of them wrong) to {where}"
    )
    terminal.say(f"users     {users.click_model}, {users.clients:,} clients, {users.days} days")
    for number, line in enumerate(counted or ["  nothing"]):
        terminal.say(f"{'' if number else 'planted':<8}{line}")
    terminal.say(f"truth     {beside}: right answers, bots, and everything planted")
    terminal.say(
        'privacy   users who do not exist are few: say privacy = { mode = "local" } beside'
    )
    terminal.say(f"next      logs = {{ {logs} }} under [targets.{target or 'TARGET'}],")
    terminal.say(f"          then {next_step}")
