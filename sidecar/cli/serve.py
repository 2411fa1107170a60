"""`desireline serve`: answer applications, follow writes, tune at night."""

from typing import Annotated

import typer

from desireline.sidecar.cli.session import opened, terminal_of


def serve(
    ctx: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on [server.host].")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on [server.port].")
    ] = None,
) -> None:
    """Run the sidecar: embeddings, searches, the page, the schedules, until Ctrl-C.

    Applications send the searches they always sent to this address; a `neural` clause is answered
    by the live generation. New and changed documents are embedded as they are written. Targets
    with a schedule are tuned by it.

    Example: `desireline serve --port 8765`

    Next: `desireline keys create my-app --scope search` makes the key your application sends.
    """
    terminal = terminal_of(ctx)
    with opened(ctx) as (_, sidecar):
        sidecar.serve(terminal.reporter(), host=host, port=port)
    terminal.result({"served": True})
