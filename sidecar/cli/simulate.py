"""`desireline simulate`: a click log from known answers."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from desireline.connectors.errors import LogFormatError
from desireline.sidecar.cli.arguments import TargetArgument
from desireline.sidecar.cli.session import opened, terminal_of
from desireline.sidecar.cli.terminal import Terminal

if TYPE_CHECKING:
    from desireline.sidecar.operations import Sidecar
    from desireline.trainer.simulation import SimulatedLog

_COLUMNS = 2


def simulate(
    ctx: typer.Context,
    target: TargetArgument,
    *,
    truth: Annotated[
        Path, typer.Option(help="Known answers, one a line: query, tab, document_id.")
    ],
    out: Annotated[Path, typer.Option(help="The log to write; must not exist.")],
    searches: Annotated[int, typer.Option(min=1, help="How many searches.")] = 10_000,
    days: Annotated[int, typer.Option(min=1, help="Over how many days.")] = 42,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same log.")] = 0,
) -> None:
    """Write a click log of simulated users who know the right answers.

    The live generation answers; simulated users look from the top, click what is right and
    sometimes what is wrong; a few bots click anything. The log is for trials: these are not real
    clicks, and every record says so.

    Example: `desireline simulate products --truth truth.tsv --out clicks.ndjson`

    Next: `logs = { kind = "files", path = "clicks.ndjson" }` and `desireline logs products`.
    """
    terminal = terminal_of(ctx)
    known = read_truth(truth)
    if out.exists():
        raise LogFormatError(f"{out} exists; it was left as it is", next_step="name another --out")
    from desireline.trainer import simulation  # noqa: PLC0415 - --help stays quick

    config = simulation.SimulationConfig(searches=searches, days=days, seed=seed)
    with opened(ctx, target) as (_, sidecar):
        log = simulation.simulate(
            sorted(known), known, _ranking(sidecar, target, config.shown), config
        )
    _write(log, out)
    _tell(log, searches, out, terminal)


def read_truth(path: Path) -> dict[str, set[str]]:
    """Read relevant document_ids by query.

    Raises:
        LogFormatError: the file cannot be read, or a line is not query, tab, document_id.

    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LogFormatError(f"{path} cannot be read: {error}; nothing was written") from error
    known: dict[str, set[str]] = defaultdict(set)
    for number, line in enumerate(lines, 1):
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) != _COLUMNS or not all(cells):
            raise LogFormatError(
                f"line {number} of {path} is not query, tab, document_id; nothing was written"
            )
        known[cells[0]].add(cells[1])
    return dict(known)


def _ranking(
    sidecar: "Sidecar", target: str, depth: int
) -> Callable[[Sequence[str]], dict[str, tuple[str, ...]]]:
    def rank(queries: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return {
            query: tuple(hit.document_id for hit in sidecar.search(target, query, depth)[1])
            for query in queries
        }

    return rank


def _write(log: "SimulatedLog", out: Path) -> None:
    from desireline.sidecar.demo.ubi_bulk import bulk_lines  # noqa: PLC0415 - as above

    try:
        with out.open("xb") as file:
            for batch in log.batches:
                file.writelines(bulk_lines(batch))
    except OSError as error:
        out.unlink(missing_ok=True)
        raise LogFormatError(f"{out} cannot be written: {error.strerror}") from error


def _tell(log: "SimulatedLog", searches: int, out: Path, terminal: Terminal) -> None:
    body = {"written": str(out), "searches": searches, "clicks": log.clicks, "simulated": True}
    terminal.result(body | {"wrong_share": log.wrong_share})
    terminal.say(
        f"wrote {searches:,} simulated searches and {log.clicks:,} simulated clicks"
        f" ({log.wrong_share:.0%} of them wrong) to {out}"
    )
