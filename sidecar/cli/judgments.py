"""`desireline judgments`: weak labels to search-relevance, and its judgments to us."""

from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from desireline.connectors.errors import JudgmentFormatError
from desireline.sidecar.cli.arguments import TargetArgument
from desireline.sidecar.cli.global_options import EPILOG
from desireline.sidecar.cli.session import globals_of, opened, terminal_of
from desireline.sidecar.config import load_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from desireline.connectors.relevance_judgments import QuerySet
    from desireline.connectors.search_relevance import SearchRelevance

_Answer = TypeVar("_Answer")

judgments = typer.Typer(
    no_args_is_help=True,
    epilog=EPILOG,
    help="""Exchange judgments and query sets with search-relevance.

Weak labels go out with grade and confidence; judgments of people come in to judge by, to pin
golden queries, or to learn from. Files hold what the plugin's index holds. In a cluster the
plugin's API is used where it is installed, else indexes with its mappings.

Example: `desireline judgments export products --out judgments.json`""",
)
_Prefix = Annotated[str, typer.Option(help="Of the two indexes, in a cluster without the plugin.")]


@judgments.command("export", epilog=EPILOG)
def export(
    ctx: typer.Context,
    target: TargetArgument,
    *,
    out: Annotated[
        Path | None, typer.Option(help="The file to write: .json or .json.gz; must not exist.")
    ] = None,
    to_cluster: Annotated[
        bool, typer.Option("--to-cluster", help="Hand it to search-relevance instead.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="Of the list [the target and the day].")] = None,
    least_confidence: Annotated[
        float, typer.Option(min=0, max=1, help="Leave out labels that are trusted less.")
    ] = 0.0,
    query_set: Annotated[
        str | None,
        typer.Option(
            help="Only its queries, spelled as it spells them: a file, or an id or name in the"
            " cluster."
        ),
    ] = None,
    queries: Annotated[
        int, typer.Option(min=0, help="Also hand over a query set of at most so many queries.")
    ] = 0,
    prefix: _Prefix = "",
) -> None:
    """Write the weak labels of a target's click log as a list of judgments.

    Ratings are grades between 0 and 1. Files and indexes carry each label's confidence beside
    it; the plugin's import has no place for it, so choose by --least-confidence what it gets.
    The plugin finds ratings by a query's very text, and labels are of normalised text: name the
    query set of your experiment, and its spelling is used.

    Examples: `desireline judgments export products --out judgments.json`;
    `desireline judgments export products --to-cluster --least-confidence 0.5 --queries 200`

    Next: an experiment of search-relevance, or `desireline simulate --truth judgments.json`.
    """
    terminal = terminal_of(ctx)
    if (out is None) != to_cluster:
        raise typer.BadParameter("name a file with --out, or the cluster with --to-cluster")
    from desireline.connectors.judgment_files import write_judgment_list  # noqa: PLC0415
    from desireline.connectors.search_relevance import (  # noqa: PLC0415 - as above
        LONGEST_NAME,
        taken_by_plugin,
    )
    from desireline.trainer.judging import judgment_exchange as exchange  # noqa: PLC0415 - quick --help

    at, asked = datetime.now(UTC), _queries_of(ctx, query_set, prefix)
    with opened(ctx, target) as (_, sidecar):
        labels = sidecar.weak_labels(target)
    made = exchange.to_judgment_list(
        labels,
        name=name or f"desireline {at:%Y-%m-%d} {target}"[:LONGEST_NAME],
        at=at,
        least_confidence=least_confidence,
        queries=asked,
    )
    if not made.ratings:
        raise JudgmentFormatError(
            f"no label of {labels.frame.height:,} is of a query that is asked for with a"
            f" confidence of {least_confidence:g}; nothing was written",
            next_step="lower --least-confidence, or see desireline logs for what the log lacks",
        )
    told = {"name": made.name, "queries": len(made.ratings), "ratings": made.size}
    sentence = f"{made.size:,} ratings of {len(made.ratings):,} queries"
    sentence += f" (of {len(asked):,} asked for)" if asked is not None else ""
    note = partial(_note, ctx, target, at=at, prefix=prefix)
    if out is not None:
        write_judgment_list(made, out)
        note(place="file", kind="judgments", where=str(out.absolute()))
        terminal.result({**told, "written": str(out)})
        terminal.say(f"wrote {sentence} to {out}")
        return
    key, place = _in_cluster(ctx, prefix, lambda cluster: cluster.add_judgments(made))
    note(place="cluster", kind="judgments", where=key)
    terminal.say(f"handed {sentence} to {place} as {key}")
    told |= {"judgment_id": key}
    if queries:
        chosen = exchange.to_query_set(made, name=made.name, most=queries, taken=taken_by_plugin)
        told |= {"query_set_id": _hand_over(ctx, chosen, prefix, note)}
    terminal.result(told)


@judgments.command("import", epilog=EPILOG)
def import_(
    ctx: typer.Context,
    source: Annotated[
        str, typer.Argument(help="A file, or a list of the cluster by its id or name.")
    ],
    *,
    out: Annotated[
        Path | None, typer.Option(help="Where to keep a list of the cluster; must not exist.")
    ] = None,
    golden: Annotated[
        Path | None, typer.Option(help="Golden queries to write: each query's one best document.")
    ] = None,
    least_grade: Annotated[
        float,
        typer.Option(min=0, max=1, help="Pin only documents rated this share of the best."),
    ] = 1.0,
    prefix: _Prefix = "",
) -> None:
    """Read judgments of people, to judge candidates by or to learn from.

    Checks every rating first. A list of the cluster is kept in a file, so that what judged a
    candidate can be looked at later. Golden queries are those with one best document: a candidate
    that loses it is not promoted.

    Examples: `desireline judgments import ratings.json --golden golden-queries.tsv`;
    `desireline judgments import "ESCI Judgments" --out ratings.json`

    Next: `gate.judgments`, `gate.golden` or, with the miner `rated`, `tune.judgments`.
    """
    terminal = terminal_of(ctx)
    from desireline.connectors import judgment_files as files  # noqa: PLC0415 - quick --help
    from desireline.trainer.judging import judgment_exchange as exchange  # noqa: PLC0415

    kept = Path(source)
    if kept.is_file():
        lists = files.read_judgment_lists(kept)
    elif out is None:
        raise JudgmentFormatError(
            f"there is no file {source}; nothing was imported",
            next_step="correct its name, or say with --out where to keep the cluster's list",
        )
    else:
        found, _ = _in_cluster(ctx, prefix, lambda cluster: cluster.judgments(source))
        files.write_judgment_list(found, out)
        lists, kept = [found], out
    qrels = exchange.to_qrels(lists)
    told = {"judgments": str(kept), "queries": len(qrels), "ratings": sum(map(len, qrels.values()))}
    terminal.say(f"{told['ratings']:,} ratings of {told['queries']:,} queries in {kept}")
    if golden is not None:
        pins = exchange.golden_of(qrels, least_grade=least_grade)
        _write_golden(pins, golden)
        told["golden"] = len(pins)
        terminal.say(f"wrote {len(pins):,} golden queries to {golden}")
        terminal.say(f'next      golden = "{golden}" under [targets.NAME.gate]')
    terminal.say(f'next      judgments = "{kept}" under [targets.NAME.gate] to judge by them,')
    terminal.say(
        '          or under [targets.NAME.tune], with "rated" in miners, to learn from them'
    )
    terminal.result(told)


def _hand_over(
    ctx: typer.Context, chosen: "QuerySet", prefix: str, note: "Callable[..., None]"
) -> str:
    """Hand a query set to the cluster; return its id."""
    key, place = _in_cluster(ctx, prefix, lambda cluster: cluster.add_query_set(chosen))
    note(place="cluster", kind="query_sets", where=key)
    told = f"handed a set of {len(chosen.queries):,} queries to {place} as {key}"
    terminal_of(ctx).say(told)
    return key


def _note(ctx: typer.Context, target: str, **handed: Any) -> None:
    """Remember where labels went: `desireline erase` looks there."""
    from desireline.sidecar.erasing.exports import Export, keep_export  # noqa: PLC0415 - as above

    with opened(ctx, target) as (_, sidecar):
        keep_export(sidecar.parts(target).store, target, Export(**handed))


def _queries_of(ctx: typer.Context, query_set: str | None, prefix: str) -> tuple[str, ...] | None:
    """Return the queries of a set in a file or the cluster; None where none is named."""
    if query_set is None:
        return None
    from desireline.connectors.judgment_files import read_query_set  # noqa: PLC0415 - as above

    if Path(query_set).is_file():
        return read_query_set(Path(query_set)).queries
    return _in_cluster(ctx, prefix, lambda cluster: cluster.query_set(query_set))[0].queries


def _in_cluster(
    ctx: typer.Context, prefix: str, do: "Callable[[SearchRelevance], _Answer]"
) -> tuple[_Answer, str]:
    """Do something in the configured cluster; say by what it was done."""
    from desireline.connectors.search_relevance import SearchRelevance  # noqa: PLC0415 - as above
    from desireline.sidecar.wiring import opensearch_settings  # noqa: PLC0415

    settings = opensearch_settings(load_config(globals_of(ctx).config).cluster)
    if settings is None:
        raise JudgmentFormatError(
            "the configuration names no cluster; nothing was exchanged",
            next_step="set cluster.url, or exchange judgments as files",
        )
    with closing(SearchRelevance(settings, prefix=prefix)) as cluster:
        return do(cluster), "search-relevance" if cluster.by_plugin else "the cluster's indexes"


def _write_golden(pins: list[tuple[str, str]], golden: Path) -> None:
    try:
        with golden.open("x", encoding="utf-8") as file:
            file.writelines(f"{query}\t{document_id}\n" for query, document_id in pins)
    except OSError as error:
        raise JudgmentFormatError(
            f"{golden} cannot be written: {error.strerror}; it was left as it is",
            next_step="name another --golden",
        ) from error
