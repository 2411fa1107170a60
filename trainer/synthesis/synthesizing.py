"""`synthesize`: rows with a teacher's margins from queries and documents, in Finetuner's words."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from desireline.trainer.errors import SynthesisError
from desireline.trainer.synthesis.asked import Asked
from desireline.trainer.synthesis.deadline import Deadline
from desireline.trainer.synthesis.opening import open_models
from desireline.trainer.synthesis.rows import Source
from desireline.trainer.synthesis.run import SynthesisRun, refuse_done, run
from desireline.trainer.synthesis.settings import (
    Progress,
    Scores,
    SynthesisModels,
    settings_of,
)
from desireline.trainer.training.devices import processor_threads, training_device


def synthesize(
    query_data: Source | None,
    corpus_data: Source,
    models: SynthesisModels,
    num_relations: int = 3,
    *,
    out: str | Path,
    queries_per_document: int = 3,
    negatives_per_query: int = 50,
    scores: Scores = "probability",
    max_pairs: int | None = None,
    most_queries: int = 250_000,
    fields: Sequence[str] = (),
    seed: int = 0,
    budget_s: float | None = None,
    device: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> SynthesisRun:
    """Make training data from queries and documents that nobody judged.

    For every query the relation miner finds documents, of which `num_relations` are read by the
    cross-encoder. The right one (the document a query was written for; else that of the best
    score) makes a row with each of the others: query, document, negative, and by how much the
    cross-encoder scores the document above the negative. So the rows are
    `len(queries) * (num_relations - 1)`. `fit(loss="MarginMSELoss", train_data=run.file)` reads
    them as they are.

    Killed at any moment, the same call goes on where it was: its pieces lie beside `out` until
    the end. The same inputs give the same bytes (on one machine). Memory holds the queries, names
    of documents, and one block of vectors, whatever the size of the catalogue.

    Args:
        query_data: a file or rows of `query`, perhaps with the `document_id` that is right; None
            has queries written for the documents.
        corpus_data: a file or rows of `text`, perhaps with `document_id` and `title`.
        models: see `SynthesisModels`.
        num_relations: documents that are read for each query.
        out: folder of the result; must not exist.
        queries_per_document: asked for of each document, where queries are written.
        negatives_per_query: hits of each relation miner among which the others are drawn; where
            it is below `num_relations`, they are simply the nearest.
        scores: what a margin is a difference of: `probability` for encoders with vectors of
            length 1, `logit` for those that compare by dot product.
        max_pairs: rows at most; queries are drawn evenly.
        most_queries: written at most; documents are drawn evenly.
        fields: columns of the documents that make their text, in order; found if left out.
        seed: of every draw.
        budget_s: most seconds the call may take; at most half of it is spent on writing queries.
            It ends in good order with the rows there are, and the same call goes on.
        device: None for what there is.
        threads: processor threads; all if left out.
        progress: told after every piece: what is done, how much of it, how much there is.
        clock: monotonic seconds.

    Raises:
        TrainingDataError: rows are wrong (all counted, twenty named); nothing was made.
        UnsafeModelError: a model cannot be found, or could run code.
        SynthesisError: the result is there already, there is too little to make it of, or no
            time for a single row.

    """
    deadline = Deadline.after(budget_s, clock)
    if query_data is not None and models.query_writer is not None:
        raise SynthesisError(
            "queries are given, and a query writer as well; nothing was made",
            next_step="leave one of them out",
        )
    settings = settings_of(
        num_relations=num_relations,
        queries_per_document=queries_per_document,
        most_queries=most_queries,
        negatives_per_query=negatives_per_query,
        scores=scores,
        max_pairs=max_pairs,
        fields=tuple(fields),
        seed=seed,
    )
    asked = Asked(
        documents=corpus_data,
        queries=query_data,
        out=Path(out).expanduser(),
        settings=settings,
        deadline=deadline,
        progress=progress or _silent,
    )
    refuse_done(asked.out)
    with processor_threads(threads):
        opened = open_models(
            models,
            seed=seed,
            work=asked.work,
            device=training_device(device or "auto"),
            threads=threads,
        )
        return run(asked, opened)


def _silent(_what: str, _done: int, _total: int) -> None:
    """Tell nobody."""
