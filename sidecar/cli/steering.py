"""The hand on a run: `pause`, `resume`, `throttle`, `postpone`, `cut-over` and `cancel`."""

import getpass
import socket
from typing import Annotated

import typer

from desireline.sidecar.cli.arguments import TargetArgument
from desireline.sidecar.cli.session import opened, terminal_of
from desireline.sidecar.steering.controls import RateError, Wish

_OFF = "off"


def pause(ctx: typer.Context, target: TargetArgument) -> None:
    """Write no further batch; searches go on, and so does everything that was written.

    Holds for the run under way, wherever it runs, and for later ones, until `desireline resume`.

    Example: `desireline pause products`

    Next: `desireline resume products`; `desireline status products --watch` shows the run.
    """
    _ask(ctx, target, Wish.PAUSE)


def resume(ctx: typer.Context, target: TargetArgument) -> None:
    """Go on writing after a pause.

    Example: `desireline resume products`

    Next: `desireline status products --watch` shows the run.
    """
    _ask(ctx, target, Wish.RESUME)


def throttle(
    ctx: typer.Context,
    target: TargetArgument,
    documents_a_second: Annotated[
        str, typer.Argument(help='Documents a second, at most; "off" lifts the limit.')
    ],
) -> None:
    """Write at most so many documents a second, beside what the measurements say.

    Holds for the run under way, wherever it runs, and for later ones, until it is "off".

    Example: `desireline throttle products 200` or `desireline throttle products off`

    Next: `desireline status products --watch` shows the rate.
    """
    _ask(ctx, target, Wish.THROTTLE, _rate(documents_a_second))


def postpone(ctx: typer.Context, target: TargetArgument) -> None:
    """Do everything but the cut-over, and wait with that until `desireline cut-over`.

    The new generation stays ready and nearly fresh meanwhile. A flag file does the same:
    `swap.postpone_flag` in the configuration.

    Example: `desireline postpone products`

    Next: `desireline cut-over products` when you are there to watch.
    """
    _ask(ctx, target, Wish.POSTPONE)


def cut_over(ctx: typer.Context, target: TargetArgument) -> None:
    """Let a postponed cut-over go on. No gate is skipped: the proof is made again first.

    Example: `desireline cut-over products`

    Next: `desireline status products --watch`; to go back: `desireline revert products`.
    """
    _ask(ctx, target, Wish.CUT_OVER)


def cancel(
    ctx: typer.Context,
    target: TargetArgument,
    run: Annotated[
        str | None, typer.Option("--run", help="Only this run [the one under way].")
    ] = None,
) -> None:
    """Give up the run under way; what serves is unchanged. A later run is not touched.

    Texts that were encoded stay in the cache, so another run encodes only what is new.

    Example: `desireline cancel products`

    Next: `desireline status products` says how it ended.
    """
    _ask(ctx, target, Wish.CANCEL, run=run)


def _ask(
    ctx: typer.Context,
    target: str,
    wish: Wish,
    rate: float | None = None,
    run: str | None = None,
) -> None:
    terminal = terminal_of(ctx)
    with opened(ctx, target) as (_, sidecar):
        answer = sidecar.steer(target, wish, by=who(), documents_a_second=rate, run=run)
    terminal.result({"target": target, "sentence": answer.sentence, "changed": answer.changed})
    terminal.say(answer.sentence)


def _rate(text: str) -> float | None:
    if text.strip().lower() == _OFF:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise RateError(
            f"{text[:40]!r} is no rate; nothing changed",
            next_step='give documents a second as a number above 0, or "off"',
        ) from error


def who() -> str:
    """Name whoever types, as the system knows them."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "somebody"
    return f"{user}@{socket.gethostname()}"
