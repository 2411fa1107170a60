"""`fit`: an encoder tuned on one's own data, on one's own machine, in Finetuner's words."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer

from desireline.trainer.callbacks import BestModelCheckpoint, Callback, EarlyStopping
from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer
from desireline.trainer.errors import TrainerError
from desireline.trainer.finetuning.arguments import FitArguments, Sampler, place_for
from desireline.trainer.finetuning.checkpoints import Checkpoints
from desireline.trainer.finetuning.evaluating import Evaluating
from desireline.trainer.finetuning.files import CSVOptions
from desireline.trainer.finetuning.own_pairs import (
    Source,
    TrainingData,
    read_training_data,
    refuse_one_document,
)
from desireline.trainer.finetuning.plan import (
    Plan,
    Watch,
    digest_of,
    evaluating,
    planned,
    seconds_left,
    wiseft_share,
)
from desireline.trainer.finetuning.run import FitRun
from desireline.trainer.forms.export import export_onnx
from desireline.trainer.forms.import_model import bring_model
from desireline.trainer.jobs import FitConfig
from desireline.trainer.losses.names import settings_of_loss
from desireline.trainer.pairs import PairSet
from desireline.trainer.peers import peers
from desireline.trainer.training.devices import training_device
from desireline.trainer.training.trackers import open_trackers
from desireline.trainer.training.tuned import Progress, Tuned
from desireline.trainer.training.tuning import tune_pairs

Options = Mapping[str, Any]

MEASURES = ("mrr@20", "recall@20", "ndcg@10", "hit@10")


def fit(
    model: str | Path,
    train_data: Source,
    eval_data: Source | None = None,
    val_split: float = 0.0,
    *,
    out: str | Path,
    loss: str = "infonce",
    loss_options: Options | None = None,
    miner: str | None = None,
    miner_options: Options | None = None,
    optimizer: str = "AdamW",
    optimizer_options: Options | None = None,
    learning_rate: float | None = None,
    epochs: float = 5,
    batch_size: int | None = None,
    scheduler: str = "cosine",
    scheduler_options: Options | None = None,
    freeze: bool | int = False,
    output_dim: int | None = None,
    device: str | None = None,
    to_onnx: bool = False,
    callbacks: Sequence[Callback] | None = None,
    sampler: Sampler = "auto",
    num_items_per_class: int = 4,
    loss_optimizer_options: Options | None = None,
    csv_options: CSVOptions | Options | None = None,
    index_data: Mapping[str, str] | None = None,
    measures: Sequence[str] = MEASURES,
    report_to: str | Sequence[str] = (),
    seed: int = 0,
    budget_s: float | None = None,
    done_by: datetime | None = None,
    checkpoint_s: float = 60.0,
    threads: int | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> FitRun:
    """Tune an encoder on pairs, triplets, labelled rows or scored pairs.

    Names and defaults are those of Jina's Finetuner 0.8.1 where they still make sense;
    docs/fit.md says which do not, and lists losses, miners and callbacks. Killed at any moment,
    the same call goes on from its last checkpoint, which lies beside `out` until the end. Called by
    each of several processes that `torchrun` started, they share every batch.

    Args:
        model: a sentence-transformers folder, a Hugging Face id, or `minilm`.
        train_data: a file (CSV, NDJSON, Parquet) or rows.
        eval_data: the same, of queries that training does not see.
        val_split: share of the queries of `train_data` held out where there is no `eval_data`.
        out: folder of the tuned encoder; must not exist.
        loss: a name of pytorch-metric-learning, sentence-transformers or desireline.
        loss_options: its settings.
        miner: an in-batch miner of pytorch-metric-learning, for its losses.
        miner_options: its settings.
        optimizer: a name of `torch.optim`.
        optimizer_options: its settings; `layer_wise_lr_decay` among them, as in Finetuner.
        learning_rate: at its peak; 2e-4, or 1e-2 where there are word vectors alone.
        epochs: how often every pair is seen.
        batch_size: rows in a batch; found if left out.
        scheduler: a name of transformers' schedules.
        scheduler_options: its settings; `warmup_share` among them.
        freeze: True leaves all layers but the top one as they are, a number that many.
        output_dim: length of a projection put on top.
        device: `cpu` or `cuda`; a GPU where there is one if left out.
        to_onnx: also write the serving form, proven equal.
        callbacks: see `desireline.trainer.callbacks`; without any and with evaluation data, the
            best weights are kept and training ends after two evaluations without gain.
        sampler: `class` gathers the rows of a document in one batch, `random` draws each alone;
            `auto` is `class` for labelled rows and where documents have many queries.
        num_items_per_class: most rows of one document or label in a batch.
        loss_optimizer_options: `lr` of the weights that the loss itself has.
        csv_options: dialect, encoding and the like of CSV files.
        index_data: text by document_id of further documents that evaluation must tell apart.
        measures: of the evaluation; the first is watched.
        report_to: trackers that are told settings and figures, by transformers' names; those that
            write files do so in `runs` beside `out`.
        seed: same data and seed, same encoder (on a processor).
        budget_s: most seconds the whole call may take; it ends with the best so far.
        done_by: when it must have ended; the earlier of both counts.
        checkpoint_s: seconds between checkpoints.
        threads: processor threads; all if left out.
        progress: told after every step.
        clock: monotonic seconds.

    Raises:
        FitArgumentsError: arguments are wrong (all are named); nothing was started.
        TrainingDataError: rows are wrong (all counted, twenty named); nothing was started.
        NothingToLearnError: the data teaches nothing.
        UnsafeModelError: the model cannot be loaded safely.
        TrackerError: `report_to` names what is not installed; nothing was started.
        LossError: loss, miner or their settings are wrong.
        TrainerError: training diverged, or `out` exists already or cannot be written.

    """
    started = clock()
    of_optimizer, of_scheduler = {**(optimizer_options or {})}, {**(scheduler_options or {})}
    asked = FitArguments.of(
        val_split=val_split,
        layer_wise_lr_decay=of_optimizer.pop("layer_wise_lr_decay", 1.0),
        optimizer=optimizer,
        optimizer_options=of_optimizer,
        learning_rate=learning_rate,
        epochs=epochs,
        batch_size=batch_size,
        warmup_share=of_scheduler.pop("warmup_share", 0.1),
        scheduler=scheduler,
        scheduler_options=of_scheduler,
        freeze=freeze,
        output_dim=output_dim,
        device=device,
        callbacks=(BestModelCheckpoint(), EarlyStopping()) if callbacks is None else callbacks,
        sampler=sampler,
        num_items_per_class=num_items_per_class,
        loss_learning_rate=(loss_optimizer_options or {}).get("lr"),
        csv_options=csv_options or {},
        index_data=index_data or {},
        measures=measures,
        report_to=(report_to,) if isinstance(report_to, str) else report_to,
        seed=seed,
        budget_s=budget_s,
        checkpoint_s=checkpoint_s,
        threads=threads,
    )
    name, settings = settings_of_loss(loss, loss_options, miner, miner_options)
    target = place_for(out)
    train, held_out = _data(train_data, eval_data, asked)
    pairs = train.pairs(seed)
    refuse_one_document(pairs, train.kind)
    plain = asked.config(
        name,
        settings,
        budget_s=seconds_left(budget_s, done_by),
        hard_negatives=max((len(pair.negatives) for pair in pairs.pairs), default=0),
        tuned_share=wiseft_share(asked.callbacks),
        device=training_device((device or "auto").split(":")[0]),
        report_folder=str(target.absolute().parent),
    )
    open_trackers(plain.report_to)
    return _Fitting(
        asked=asked,
        config=plain,
        target=target,
        train=train,
        held_out=held_out,
        pairs=pairs,
        started=started,
        clock=clock,
    ).run(str(model), progress, to_onnx=to_onnx)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fitting:
    """One call of `fit` whose arguments and rows are good."""

    asked: FitArguments
    #: Without what is found by looking at the encoder.
    config: FitConfig
    target: Path
    train: TrainingData
    held_out: TrainingData | None
    pairs: PairSet
    #: By the clock.
    started: float
    clock: Callable[[], float]

    def run(self, model: str, progress: Progress | None, *, to_onnx: bool) -> FitRun:
        """Train, write and tell."""
        with tempfile.TemporaryDirectory(prefix="desireline-model-") as scratch:
            base = _brought(model, Path(scratch, "base"))
            plan = peers().agreed(planned(base, self.pairs, self.config, self.asked))
            measuring = evaluating(self.train, self.held_out, self._watch(plan))
            checkpoints = self._checkpoints(base, plan, measuring)
            tuned = tune_pairs(
                self.pairs,
                base,
                self.target,
                _within(plan.config, self.clock() - self.started),
                progress=progress,
                clock=self.clock,
                watchers=[checkpoints],
            )
        if to_onnx and peers().leads:
            export_onnx(self.target)
        peers().wait()
        run = _run_of(tuned, measuring, plan, self.clock() - self.started)
        checkpoints.remove()
        return run

    def _watch(self, plan: Plan) -> Watch:
        return Watch(
            callbacks=self.asked.callbacks,
            measures=self.asked.measures,
            index_data=self.asked.index_data,
            epoch_steps=len(self.pairs.pairs) / plan.batch_size,
        )

    def _checkpoints(self, base: Path, plan: Plan, measuring: Evaluating | None) -> Checkpoints:
        return Checkpoints(
            folder=self.target.with_name(f"{self.target.name}.checkpoint"),
            digest=digest_of(base, self.pairs, plan.config, self.held_out),
            clock=self.clock,
            every_s=self.asked.checkpoint_s,
            keepers=[measuring] if measuring else [],
        )


def _brought(model: str, folder: Path) -> Path:
    try:
        return bring_model(model, folder)
    except OSError as error:
        raise TrainerError(
            f"the model {model} cannot be copied to {folder}: {error}; nothing was trained",
            next_step="make room in the folder for temporary files, or name another by TMPDIR",
        ) from error


def _within(config: FitConfig, spent_s: float) -> FitConfig:
    """Take what was spent before training from its budget; a second is left to end in order."""
    if config.budget_s is None:
        return config
    return config.model_copy(update={"budget_s": max(1.0, config.budget_s - spent_s)})


def _data(
    train_data: Source, eval_data: Source | None, asked: FitArguments
) -> tuple[TrainingData, TrainingData | None]:
    train = read_training_data(train_data, asked.csv_options)
    if eval_data is not None:
        return train, read_training_data(eval_data, asked.csv_options)
    return train.split(asked.val_split, asked.seed) if asked.val_split else (train, None)


def _run_of(tuned: Tuned, measuring: Evaluating | None, plan: Plan, seconds: float) -> FitRun:
    best = tuned.steps
    after = None
    if measuring:
        best = measuring.best_step if measuring.keep_best else tuned.steps
        mixed = plan.config.tuned_share < 1
        after = measuring.data.metrics(_loaded(tuned)) if mixed else measuring.history[best]
    return FitRun(
        folder=tuned.folder,
        before=measuring.before if measuring else None,
        after=after,
        history=measuring.history if measuring else {},
        losses=tuned.losses,
        best_step=best,
        batch_size=plan.batch_size,
        learning_rate=plan.config.learning_rate,
        seconds=seconds,
        sentence=tuned.sentence,
    )


def _loaded(tuned: Tuned) -> SentenceTransformer:
    return load_sentence_transformer(tuned.folder)
