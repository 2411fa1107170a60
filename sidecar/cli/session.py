"""The configuration and the sidecar that a command works with."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from desireline.sidecar.cli.global_options import Globals
from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.config import Config, load_config

if TYPE_CHECKING:
    from desireline.sidecar.operations import Sidecar


def globals_of(ctx: typer.Context) -> Globals:
    """Return what the global options said."""
    found = ctx.find_object(Globals)
    return found if found is not None else Globals()


def terminal_of(ctx: typer.Context) -> Terminal:
    """Return where this command writes."""
    return globals_of(ctx).terminal


@contextmanager
def opened(ctx: typer.Context, target: str | None = None) -> Iterator[tuple[Config, "Sidecar"]]:
    """Load the configuration, open the sidecar, and close it whatever happens.

    A target's name is checked first, so that a typing error costs no connection.
    """
    config = load_config(globals_of(ctx).config)
    if target is not None:
        config.target(target)
    from desireline.sidecar.wiring import open_sidecar  # noqa: PLC0415 - --help needs no engine

    sidecar = open_sidecar(config)
    try:
        yield config, sidecar
    finally:
        sidecar.close()
