"""`desireline models`: the registered encoders, their cards, and a way out for them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from desireline.sidecar.cli.global_options import EPILOG
from desireline.sidecar.cli.session import opened, terminal_of

if TYPE_CHECKING:
    from desireline.sidecar.model_records import ModelRecord

models = typer.Typer(
    no_args_is_help=True,
    epilog=EPILOG,
    help="""List registered encoders, read their cards, take them elsewhere.

Example: `desireline models list`""",
)
_Name = Annotated[str, typer.Argument(help="The first 8 or more digits of its fingerprint.")]


@models.command("list", epilog=EPILOG)
def list_(ctx: typer.Context) -> None:
    """List the registered encoders, newest first: how each was made, judged and used.

    Example: `desireline models list`

    Next: `desireline models show 3f9a1c0b` prints the card of one.
    """
    terminal = terminal_of(ctx)
    with opened(ctx) as (_, sidecar):
        found = sidecar.models()
    terminal.result({"models": [_plain(record) for record in found]})
    if not found:
        terminal.say("no encoder is registered yet; `desireline reindex TARGET` brings the first")
        return
    columns = ["encoder", "made", "weights", "from", "pairs", "judged", "generations"]
    terminal.table(columns, [_row(record) for record in found])


@models.command("show", epilog=EPILOG)
def show(ctx: typer.Context, name: _Name) -> None:
    """Print an encoder's card: its line, what it learned from, before and after, its files.

    Example: `desireline models show 3f9a1c0b > card.md`

    Next: `desireline models export 3f9a1c0b ./encoder` writes it beside the files.
    """
    terminal = terminal_of(ctx)
    from desireline.sidecar.model_card import model_card  # noqa: PLC0415 - quick --help

    with opened(ctx) as (_, sidecar):
        record = sidecar.model(name)
    terminal.result({"model": _plain(record), "card": model_card(record)})
    terminal.say(model_card(record))


@models.command("export", epilog=EPILOG)
def export(
    ctx: typer.Context,
    name: _Name,
    folder: Annotated[Path, typer.Argument(help="The folder to write; must not exist.")],
) -> None:
    """Write an encoder to a folder: its files, its manifest and its card, nothing of the clicks.

    Every file is compared with the digest it was registered under first.

    Example: `desireline models export 3f9a1c0b ./encoder`

    Next: `SentenceTransformer("./encoder")`, or ONNX Runtime with encoder.onnx.
    """
    terminal = terminal_of(ctx)
    with opened(ctx) as (_, sidecar):
        record = sidecar.export_model(name, folder)
    terminal.result({"model": _plain(record), "written": str(folder)})
    terminal.say(f"wrote {record.manifest.fingerprint[:12]} to {folder}")


def _row(record: "ModelRecord") -> list[object]:
    manifest, made = record.manifest, record.manifest.provenance
    served = ", ".join(f"{g.target} {g.number} ({g.state})" for g in record.generations)
    return [
        manifest.fingerprint[:12],
        f"{manifest.created_at:%Y-%m-%d %H:%M}",
        made.precision,
        made.parent[:12] if made.parent else made.base_model,
        f"{made.pairs:,}" if made.pairs else "",
        record.judged.outcome if record.judged else "",
        served,
    ]


def _plain(record: "ModelRecord") -> dict[str, object]:
    return {
        **record.manifest.model_dump(mode="json"),
        "lineage": [manifest.fingerprint for manifest in record.lineage],
        "judged": record.judged.to_json() if record.judged else None,
        "generations": [
            {"target": g.target, "number": g.number, "state": g.state} for g in record.generations
        ],
    }
