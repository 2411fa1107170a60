"""`desireline models`: the registered encoders, their cards, and a way out for them."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from desireline.sidecar.cli.exit_codes import ExitCode
from desireline.sidecar.cli.global_options import EPILOG
from desireline.sidecar.cli.session import opened, terminal_of
from desireline.sidecar.configuration.errors import ConfigError

if TYPE_CHECKING:
    from desireline.sidecar.models.description import ModelDescription
    from desireline.sidecar.operations import Sidecar
    from desireline.trainer.models.manifest import Manifest

models = typer.Typer(
    no_args_is_help=True,
    epilog=EPILOG,
    help="""List registered encoders, read their cards, prove, share and sign them.

Example: `desireline models list`""",
)
#: In a narrower window a sentence would be a column of single words.
_ROOM_FOR_VERDICTS = 110
_Names = Annotated[list[str] | None, typer.Argument(help="First 8 or more digits of fingerprints.")]
_Name = Annotated[str, typer.Argument(help="The first 8 or more digits of its fingerprint.")]


@models.command("list", epilog=EPILOG)
def list_(
    ctx: typer.Context,
    *,
    shared: Annotated[
        bool, typer.Option("--shared", help="What the shared registry holds, instead.")
    ] = False,
) -> None:
    """List the registered encoders, newest first: where each stands, how it was made and judged.

    `/targets/TARGET/models` of the server shows the same.

    Example: `desireline models list`

    Next: `desireline models show 3f9a1c0b` prints the card of one.
    """
    terminal = terminal_of(ctx)
    if shared:
        _list_shared(ctx)
        return
    from desireline.sidecar.models.description import ModelDescription  # noqa: PLC0415 - as below

    with opened(ctx) as (_, sidecar):
        found = [ModelDescription(record=record) for record in sidecar.models()]
    terminal.result({"models": [_plain(model) for model in found]})
    if not found:
        terminal.say("no encoder is registered yet; `desireline reindex TARGET` brings the first")
        return
    columns = ["encoder", "state", "made", "mode", "size", "generations", "verdict"]
    shown = len(columns) if terminal.columns >= _ROOM_FOR_VERDICTS else len(columns) - 1
    terminal.table(columns[:shown], [_row(model)[:shown] for model in found])
    if shown < len(columns):
        terminal.note("a wider window shows each verdict; so does `desireline models show`")


@models.command("show", epilog=EPILOG)
def show(ctx: typer.Context, name: _Name) -> None:
    """Print an encoder's card: its line, what it learned from, before and after, its files.

    Example: `desireline models show 3f9a1c0b > card.md`

    Next: `desireline models export 3f9a1c0b ./encoder` writes it beside the files.
    """
    terminal = terminal_of(ctx)
    from desireline.sidecar.models.card import model_card  # noqa: PLC0415 - quick --help
    from desireline.sidecar.models.description import ModelDescription  # noqa: PLC0415 - the same

    with opened(ctx) as (_, sidecar):
        record = sidecar.model(name)
    plain = _plain(ModelDescription(record=record))
    terminal.result({"model": plain, "card": model_card(record)})
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
    from desireline.sidecar.models.description import ModelDescription  # noqa: PLC0415 - the same

    with opened(ctx) as (_, sidecar):
        record = sidecar.export_model(name, folder)
    plain = _plain(ModelDescription(record=record))
    terminal.result({"model": plain, "written": str(folder)})
    terminal.say(f"wrote {record.manifest.fingerprint[:12]} to {folder}")


@models.command("verify", epilog=EPILOG)
def verify(ctx: typer.Context, names: _Names = None) -> None:
    """Read every file of the registered encoders again, and compare it with its digest.

    Example: `desireline models verify`

    Next: `desireline models pull 3f9a1c0b` puts a whole copy in the place of a damaged one.
    """
    terminal = terminal_of(ctx)
    with opened(ctx) as (_, sidecar):
        found = sidecar.exchange.verify(names or [])
    wrong = {name: sentence for name, sentence in found.items() if sentence}
    terminal.result({"verified": sorted(found.keys() - wrong.keys()), "wrong": wrong})
    for sentence in wrong.values():
        terminal.say(sentence)
    terminal.say(f"{len(found) - len(wrong)} of {len(found)} encoders are as they were registered")
    if wrong:
        raise typer.Exit(ExitCode.FAILED)


@models.command("push", epilog=EPILOG)
def push(ctx: typer.Context, names: _Names = None) -> None:
    """Share encoders, signed where there is a key; without a name, those that serve or may.

    What serves is shared by itself, too. This signs with the present key what is shared already.

    Example: `desireline models push 3f9a1c0b`

    Next: `desireline models list --shared` shows what others see.
    """
    terminal = terminal_of(ctx)
    with opened(ctx) as (_, sidecar):
        _require_place(sidecar)
        done = sidecar.exchange.push(names or [])
    terminal.result({"pushed": [asdict(each) for each in done]})
    for each in done:
        terminal.say(each.sentence)
    if not done:
        terminal.say("no encoder serves yet, so none was shared")
    if any(each.failed for each in done):
        raise typer.Exit(ExitCode.FAILED)


@models.command("pull", epilog=EPILOG)
def pull(ctx: typer.Context, name: _Name) -> None:
    """Bring an encoder from the shared registry, proved while it arrives.

    What a generation needs is brought by itself. A damaged copy here is replaced.

    Example: `desireline models pull 3f9a1c0b`

    Next: `desireline models show 3f9a1c0b`
    """
    terminal = terminal_of(ctx)
    with opened(ctx) as (_, sidecar):
        _require_place(sidecar)
        manifest = sidecar.exchange.pull(name)
    terminal.result({"model": manifest.model_dump(mode="json")})
    terminal.say(f"encoder {manifest.fingerprint[:12]} is on this machine")


@models.command("import", epilog=EPILOG)
def import_(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A folder that `models export` wrote.")],
) -> None:
    """Register an exported encoder as what it is: its name, its line and its signatures stay.

    Example: `desireline models import ./encoder`

    Next: `desireline reindex products --model 3f9a1c0b` embeds an index with it.
    """
    terminal = terminal_of(ctx)
    with opened(ctx) as (_, sidecar):
        manifest = sidecar.exchange.take(folder)
    terminal.result({"model": manifest.model_dump(mode="json")})
    terminal.say(f"encoder {manifest.fingerprint[:12]} is registered")


@models.command("keygen", epilog=EPILOG)
def keygen(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The private key's file; must not exist.")],
) -> None:
    """Make a key that signs encoders; only its owner can read the file.

    The public key is printed, for `registry.trusted_keys` of every machine that takes them.

    Example: `desireline models keygen signing.pem`

    Next: name the file in `registry.signing_key_file`, the line in `registry.trusted_keys`.
    """
    terminal = terminal_of(ctx)
    from desireline.sidecar.models.signing_keys import make_key  # noqa: PLC0415 - quick --help

    public = make_key(file)
    terminal.result({"file": str(file), "public_key": public.text, "key": public.id})
    terminal.say(public.text)
    terminal.note(f"the key {public.id} is in {file}; keep it where nobody else can read it")


def _list_shared(ctx: typer.Context) -> None:
    terminal = terminal_of(ctx)
    with opened(ctx) as (_, sidecar):
        _require_place(sidecar)
        place, found = sidecar.exchange.place, sidecar.exchange.manifests()[::-1]
        here = {record.manifest.fingerprint for record in sidecar.models()}
    terminal.result({"registry": place, "models": [each.model_dump(mode="json") for each in found]})
    if not found:
        terminal.say(f"{place} holds no encoder yet; `desireline models push` shares those in use")
        return
    rows = [[*_made(manifest), "yes" if manifest.fingerprint in here else ""] for manifest in found]
    terminal.table(["encoder", "made", "weights", "from", "pairs", "here"], rows)


def _require_place(sidecar: "Sidecar") -> None:
    if not sidecar.exchange.place:
        raise ConfigError(
            "no shared registry is configured; nothing was sent or taken",
            next_step='set url under [registry], such as "s3://search-models/products"',
        )


def _row(model: "ModelDescription") -> list[object]:
    manifest = model.record.manifest
    return [
        model.fingerprint[:12],
        model.state,
        f"{manifest.created_at:%Y-%m-%d %H:%M}",
        model.origin,
        model.size,
        ", ".join(f"{g.target} {g.number} ({g.state})" for g in model.generations),
        model.verdict,
    ]


def _made(manifest: "Manifest") -> list[object]:
    made = manifest.provenance
    return [
        manifest.fingerprint[:12],
        f"{manifest.created_at:%Y-%m-%d %H:%M}",
        made.precision,
        made.parent[:12] if made.parent else made.base_model,
        f"{made.pairs:,}" if made.pairs else "",
    ]


def _plain(model: "ModelDescription") -> dict[str, object]:
    record = model.record
    return {
        **model.to_json(),
        **record.manifest.model_dump(mode="json"),
        "judged": record.judged.to_json() if record.judged else None,
    }
