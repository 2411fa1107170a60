"""`desireline verify`: proof that every document carries the right vector, whenever asked."""

from typing import TYPE_CHECKING, Annotated

import typer

from desireline.sidecar.cli.arguments import TargetArgument
from desireline.sidecar.cli.exit_codes import ExitCode
from desireline.sidecar.cli.session import opened, terminal_of
from desireline.sidecar.cli.terminal import Terminal

if TYPE_CHECKING:
    from desireline.sidecar.proof.vector_spaces import Survey
    from desireline.sidecar.proof.verification import Verification

_SURVEYED = 500


def verify(
    ctx: typer.Context,
    target: TargetArgument,
    *,
    slot: Annotated[
        str | None, typer.Option("--slot", help="Slot to prove: a, b or its name [the live one].")
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option("--sample", min=0, help="Documents to encode again [swap.verify_sample]."),
    ] = None,
    index: Annotated[
        str | None,
        typer.Option("--index", help="Any index of the cluster, also one without stamps."),
    ] = None,
    vector: Annotated[
        str | None, typer.Option("--vector", help="With --index: its vector field.")
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option("--text", help="With --index: a field of the embedded text; repeatable."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="With --index: an encoder to try; repeatable."),
    ] = None,
) -> None:
    """Prove that every document carries the vector it should. Reads only, at any time.

    Looks at every document: stamp, text digest, and the vector against the check of what was
    written; a sample is encoded again. With `--index` it looks at an index that desireline never
    touched and says of which encoder its vectors are, and whether they are mixed. Exit code 1
    when anything differs.

    Example: `desireline verify products` or
    `desireline verify products --index shop-v3 --vector emb --text title --sample 2000`

    Next: `desireline reindex products` embeds every document again.
    """
    terminal = terminal_of(ctx)
    if (index is None) != (vector is None) or (index is None and (text or model)):
        raise typer.BadParameter("--index and --vector go together; --text and --model need them")
    found: Verification | Survey
    with opened(ctx, target) as (_, sidecar):
        reporter = terminal.reporter()
        if index is None or vector is None:
            found = sidecar.verify(target, reporter, slot=slot, sample=sample)
        else:
            found = sidecar.survey(
                target,
                reporter,
                index=index,
                vector=vector,
                text=text or (),
                models=model or (),
                sample=_SURVEYED if sample is None else sample,
            )
    _show(found, terminal)
    if not found.clean:
        raise typer.Exit(ExitCode.FAILED)


def _show(found: "Verification | Survey", terminal: Terminal) -> None:
    body = found.to_json()
    terminal.result(body)
    terminal.say(found.sentence, style="bold green" if found.clean else "bold red")
    kinds = body.get("differences")
    if kinds:
        terminal.table(["differ and stay so", "documents"], list(kinds.items()))
    for example in found.examples:
        terminal.say(f"  {example if isinstance(example, str) else example.sentence}")
