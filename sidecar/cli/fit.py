"""`desireline fit`: tune an encoder on files of one's own."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from desireline.sidecar.cli.arguments import ThreadsOption, seconds_of, whole_path
from desireline.sidecar.cli.session import terminal_of
from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.config import child_environment
from desireline.sidecar.worker_process import WorkerProcess
from desireline.trainer.jobs import FitFilesJob

_LOSS, _TRAINING, _TIME = "What pairs mean", "How weights move", "When it ends"


def _options(text: str | None) -> dict[str, Any] | None:
    """Read an option that is a JSON object."""
    if text is None:
        return None
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"{text!r} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise typer.BadParameter(f'{text!r} is no JSON object such as {{"margin": 0.3}}')
    return found


def fit(
    ctx: typer.Context,
    *,
    train: Annotated[
        Path,
        typer.Option(
            help="Pairs, triplets, scored pairs or labelled texts: .csv, .tsv, .ndjson, .parquet."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the tuned encoder; must not exist.")],
    model: Annotated[
        str, typer.Option(help="Folder, Hugging Face id, or minilm (comes with the package).")
    ] = "minilm",
    evaluate_on: Annotated[
        Path | None, typer.Option("--eval", help="The same of other queries, to measure with.")
    ] = None,
    val_split: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of the queries held out without --eval.")
    ] = 0.0,
    labelled: Annotated[
        bool, typer.Option("--labelled", help="Two columns without names are text and label.")
    ] = False,
    measures: Annotated[
        str, typer.Option(help="Measured before and after; the first is watched.")
    ] = "mrr@20,recall@20,ndcg@10,hit@10",
    loss: Annotated[
        str, typer.Option(help="Of pytorch-metric-learning or ours.", rich_help_panel=_LOSS)
    ] = "infonce",
    loss_options: Annotated[
        str | None, typer.Option(metavar="JSON", help="Its settings.", rich_help_panel=_LOSS)
    ] = None,
    miner: Annotated[
        str | None,
        typer.Option(help="In-batch miner of pytorch-metric-learning.", rich_help_panel=_LOSS),
    ] = None,
    miner_options: Annotated[
        str | None, typer.Option(metavar="JSON", help="Its settings.", rich_help_panel=_LOSS)
    ] = None,
    optimizer: Annotated[
        str, typer.Option(help="A name of torch.optim.", rich_help_panel=_TRAINING)
    ] = "AdamW",
    optimizer_options: Annotated[
        str | None,
        typer.Option(
            metavar="JSON",
            help="Its settings; layer_wise_lr_decay among them.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="At its peak [found].", rich_help_panel=_TRAINING)
    ] = None,
    scheduler: Annotated[
        str, typer.Option(help="How it falls.", rich_help_panel=_TRAINING)
    ] = "cosine",
    batch_size: Annotated[
        int | None, typer.Option(min=2, help="Rows in a batch [found].", rich_help_panel=_TRAINING)
    ] = None,
    sampler: Annotated[
        Literal["auto", "class", "random"],
        typer.Option(help="Which rows share a batch.", rich_help_panel=_TRAINING),
    ] = "auto",
    num_items_per_class: Annotated[
        int,
        typer.Option(
            min=1, help="Most rows of a document or label in a batch.", rich_help_panel=_TRAINING
        ),
    ] = 4,
    freeze: Annotated[
        int, typer.Option(min=0, help="Lowest layers left alone.", rich_help_panel=_TRAINING)
    ] = 0,
    output_dim: Annotated[
        int | None, typer.Option(min=1, help="Project to this length.", rich_help_panel=_TRAINING)
    ] = None,
    alpha: Annotated[
        float,
        typer.Option(
            min=0.01, max=1, help="Share of tuned weights (WiSE-FT).", rich_help_panel=_TRAINING
        ),
    ] = 1.0,
    to_onnx: Annotated[
        bool, typer.Option("--to-onnx", help="Also write the form that serves.")
    ] = False,
    report_to: Annotated[
        list[str] | None,
        typer.Option(help="Tracker told settings and figures: tensorboard, wandb …; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same encoder.")] = 0,
    threads: ThreadsOption = None,
    epochs: Annotated[
        float, typer.Option(min=0.01, help="How often a pair is seen.", rich_help_panel=_TIME)
    ] = 5.0,
    patience: Annotated[
        int,
        typer.Option(
            min=0,
            help="Evaluations without gain that end it; 0 for never.",
            rich_help_panel=_TIME,
        ),
    ] = 2,
    budget: Annotated[
        str | None, typer.Option(help="Most time: 90m, 3h.", rich_help_panel=_TIME)
    ] = None,
    done_by: Annotated[
        datetime | None,
        typer.Option(formats=["%H:%M"], help="It ends before.", rich_help_panel=_TIME),
    ] = None,
) -> None:
    """Tune an encoder on your own pairs, triplets, labels or scores, on this machine.

    Reads every row first: what is wrong is named by line, and nothing is started. Prints the
    measures before and after on the queries of --eval. Killed, the same command goes on from its
    last checkpoint; out of time, it ends with the best weights so far.

    Example: `desireline fit --train pairs.csv --eval test.csv --loss TripletMarginLoss --miner
    TripletMarginMiner --miner-options '{"margin": 0.3, "type_of_triplets": "hard"}' --out tuned`

    Next: `SentenceTransformer("tuned")`, or name the folder as a target's `model`.
    """
    terminal = terminal_of(ctx)
    arguments: dict[str, Any] = {
        "model": whole_path(model),
        "train_data": str(train.absolute()),
        "eval_data": str(evaluate_on.absolute()) if evaluate_on else None,
        "out": str(out.absolute()),
        "csv_options": {"is_labeled": labelled},
        "measures": [each.strip() for each in measures.split(",")],
        "loss_options": _options(loss_options),
        "miner_options": _options(miner_options),
        "optimizer_options": _options(optimizer_options),
        "budget_s": seconds_of(budget),
        "val_split": val_split,
        "loss": loss,
        "miner": miner,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "scheduler": scheduler,
        "batch_size": batch_size,
        "sampler": sampler,
        "num_items_per_class": num_items_per_class,
        "freeze": freeze,
        "output_dim": output_dim,
        "to_onnx": to_onnx,
        "seed": seed,
        "threads": threads,
        "report_to": report_to or [],
        "epochs": epochs,
    }
    job = FitFilesJob(
        arguments=arguments,
        done_by=next_moment(done_by, datetime.now().astimezone()) if done_by else None,
        patience=patience or None,
        alpha=alpha,
    )
    reporter = terminal.reporter()
    reporter.step("read", _beginning(model, train, evaluate_on, val_split))
    result = WorkerProcess(environment=child_environment(report_to or [])).run(job, reporter)
    _tell(result, terminal)


def _beginning(model: str, train: Path, evaluate_on: Path | None, val_split: float) -> str:
    """Say what comes before the first step, which may take minutes."""
    rows = f"the rows of {train}"
    if evaluate_on is None and not val_split:
        return f"{rows}; then {model} trains"
    held_out = evaluate_on or f"{val_split:g} of its queries"
    return f"{rows}; then {model} is measured on {held_out} as it is, and trains"


def next_moment(shown: datetime, now: datetime) -> datetime:
    """Return the next moment at which the clock of this place shows a time of day."""
    here = now.replace(tzinfo=None)
    then = datetime.combine(here, shown.time())
    # Back into the zone last: the clocks of this place may change before then.
    return (then if then > here else then + timedelta(days=1)).astimezone()


def _tell(result: Mapping[str, Any], terminal: Terminal) -> None:
    terminal.result(result)
    terminal.say(f"tuned     {result['sentence']}")
    before, after = result["before"], result["after"]
    if before is None or after is None:
        terminal.say("measured  nothing: name held-out queries with --eval or --val-split")
    else:
        rows = [
            (name, f"{before[name]:.4f}", f"{after[name]:.4f}", _gain(before[name], after[name]))
            for name in after
        ]
        terminal.table(("measure", "before", "after", "gain"), rows)
    if before is not None and result["best_step"] == 0:
        terminal.say("nothing was better than the encoder as it was: its weights were kept")
    terminal.say(f"written   {result['folder']}")


def _gain(before: float, after: float) -> str:
    return f"{100 * (after - before) / before:+.1f} %" if before else ""
