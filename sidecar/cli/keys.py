"""`desireline keys`: who may ask what of the sidecar."""

from typing import Annotated

import typer

from desireline.sidecar.cli.global_options import EPILOG
from desireline.sidecar.cli.session import opened, terminal_of
from desireline.sidecar.on_request.api_keys import ApiKeyError, Key, Scope

keys = typer.Typer(
    no_args_is_help=True,
    epilog=EPILOG,
    help="""Make, list and revoke API keys.

Every request to the sidecar but /healthz and /metrics needs a key. Scopes: embed (texts into
vectors), search (the proxy), read (targets and cycles), admin (everything).

Example: `desireline keys create my-app --scope search --scope embed`""",
)


@keys.command("create", epilog=EPILOG)
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Who will use it.")],
    scope: Annotated[list[Scope], typer.Option(help="What it opens; may be repeated.")],
) -> None:
    """Make a key and show it once; only its hash is kept.

    Example: `desireline keys create my-app --scope search`

    Next: send it as `Authorization: Bearer KEY`.
    """
    terminal = terminal_of(ctx)
    with opened(ctx) as (_, sidecar):
        plaintext = sidecar.api_keys().create(name, [str(one) for one in scope])
    terminal.result({"name": name, "scopes": sorted(scope), "key": plaintext})
    terminal.say(plaintext)
    terminal.note("this is the only time the key is shown; keep it where your application reads it")


@keys.command("list", epilog=EPILOG)
def list_(ctx: typer.Context) -> None:
    """List the keys: their ids, names and scopes; never the keys themselves.

    Example: `desireline keys list`

    Next: `desireline keys revoke ID` ends one.
    """
    terminal = terminal_of(ctx)
    with opened(ctx) as (_, sidecar):
        found = sidecar.api_keys().list()
    terminal.result({"keys": [_body(key) for key in found]})
    rows = [[key.key_id, key.name, " ".join(sorted(key.scopes)), _day(key)] for key in found]
    terminal.table(["id", "name", "scopes", "created"], rows)


@keys.command("revoke", epilog=EPILOG)
def revoke(
    ctx: typer.Context, key_id: Annotated[str, typer.Argument(help="Its id, from the list.")]
) -> None:
    """End a key; requests with it are refused within seconds.

    Example: `desireline keys revoke 3f9a1c0b5d7e2a46`

    Next: `desireline keys list` shows those that are left.
    """
    terminal = terminal_of(ctx)
    with opened(ctx) as (_, sidecar):
        if not sidecar.api_keys().revoke(key_id):
            raise ApiKeyError(
                f"no API key has the id {key_id!r}; nothing changed",
                next_step="desireline keys list shows the ids",
            )
    terminal.result({"revoked": key_id})
    terminal.say(f"the key {key_id} is revoked")


def _day(key: Key) -> str:
    return f"{key.created_at:%Y-%m-%d %H:%M}"


def _body(key: Key) -> dict[str, object]:
    return {
        "key_id": key.key_id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at.isoformat(),
    }
