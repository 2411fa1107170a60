"""`desireline serve`: answer applications, follow writes, tune at night."""

import logging
from typing import Annotated

import typer

from desireline.sidecar.cli.log_output import configure_log
from desireline.sidecar.cli.session import opened, terminal_of
from desireline.sidecar.cli.waiting import until_signal


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
    with a schedule are tuned by it. The log goes to stderr, as JSON lines with `--json`.

    Example: `desireline serve --port 8765`

    Next: `desireline keys create my-app --scope search` makes the key your application sends.
    """
    terminal = terminal_of(ctx)
    configure_log(
        level=logging.DEBUG if terminal.verbose else logging.INFO, as_json=terminal.as_json
    )
    from desireline.sidecar.answering import answering  # noqa: PLC0415 - --help needs no server

    with opened(ctx) as (config, sidecar):
        stop = until_signal()
        with answering(sidecar, config.server, host=host, port=port) as server:
            terminal.note(f"serving at {server.url}; Ctrl-C ends it")
            if not sidecar.api_keys().list():
                terminal.note(
                    "no API key exists yet, so nobody is let in:"
                    " desireline keys create my-app --scope search"
                )
            stop.wait()
        terminal.note("requests under way have ended; what serves is unchanged")
    terminal.result({"url": server.url})
