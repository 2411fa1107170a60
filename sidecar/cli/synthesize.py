"""`desireline synthesize`: training data from queries and documents that nobody judged."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from desireline.sidecar.cli.arguments import ThreadsOption, seconds_of, whole_path
from desireline.sidecar.cli.session import globals_of, terminal_of
from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.config import child_environment, load_config, secret
from desireline.sidecar.configuration.text_models import INSTRUCTION, EndpointWriterConfig
from desireline.sidecar.learning.query_endpoint import QueryEndpoint
from desireline.sidecar.worker_process import WorkerProcess
from desireline.trainer.jobs import SynthesizeJob
from desireline.trainer.synthesis.settings import SynthesisSettings

_MODELS, _WRITING, _END = "Who finds, who reads", "Who writes queries", "When it ends"


def synthesize(
    ctx: typer.Context,
    *,
    corpus: Annotated[
        Path,
        typer.Option(
            help="Documents: text, perhaps document_id and title; .csv, .ndjson, .parquet, .txt."
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder of the result; must not exist.")],
    queries: Annotated[
        Path | None,
        typer.Option(help="Queries, perhaps with document_id; left out: they are written."),
    ] = None,
    fields: Annotated[
        str, typer.Option(help="Columns that make a document's text, in order [found].")
    ] = "",
    relation_miner: Annotated[
        list[str],
        typer.Option(
            help="Folder, Hugging Face id, minilm, bm25, or the first digits of a registered one;"
            " may be given several times.",
            rich_help_panel=_MODELS,
        ),
    ],
    cross_encoder: Annotated[
        Path,
        typer.Option(
            help="Folder with config.json, a tokenizer, safetensors.", rich_help_panel=_MODELS
        ),
    ],
    num_relations: Annotated[
        int, typer.Option(min=2, help="Documents read for each query.", rich_help_panel=_MODELS)
    ] = 3,
    negatives_per_query: Annotated[
        int,
        typer.Option(
            min=1, help="Hits of each miner to draw wrong ones from.", rich_help_panel=_MODELS
        ),
    ] = 50,
    scores: Annotated[
        Literal["probability", "logit"],
        typer.Option(help="What a margin is a difference of.", rich_help_panel=_MODELS),
    ] = "probability",
    query_writer: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a sequence-to-sequence model; left out: words of titles.",
            rich_help_panel=_WRITING,
        ),
    ] = None,
    prompt: Annotated[
        str, typer.Option(help="Put before every document for it.", rich_help_panel=_WRITING)
    ] = "",
    writer_url: Annotated[
        str | None,
        typer.Option(
            help="OpenAI-compatible endpoint; documents' texts are sent there.",
            rich_help_panel=_WRITING,
        ),
    ] = None,
    writer_model: Annotated[
        str, typer.Option(help="Name of the model there.", rich_help_panel=_WRITING)
    ] = "default",
    writer_key_env: Annotated[
        str | None,
        typer.Option(help="Environment variable with its key.", rich_help_panel=_WRITING),
    ] = None,
    writer_instruction: Annotated[
        str, typer.Option(help="What it is asked; {most} is how many.", rich_help_panel=_WRITING)
    ] = INSTRUCTION,
    queries_per_document: Annotated[
        int, typer.Option(min=1, help="Written for each document.", rich_help_panel=_WRITING)
    ] = 3,
    most_queries: Annotated[
        int, typer.Option(min=1, help="Written in all.", rich_help_panel=_WRITING)
    ] = 250_000,
    max_pairs: Annotated[
        int | None, typer.Option(min=1, help="Rows at most.", rich_help_panel=_END)
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help="Most time: 90m, 3h; the same command goes on after it.", rich_help_panel=_END
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same rows.")] = 0,
    threads: ThreadsOption = None,
) -> None:
    """Make training data with a teacher's margins from queries and documents nobody judged.

    For each query the relation miners find documents, and the cross-encoder reads some of them
    with it; how much more right it finds one than another is what an encoder then learns. Reads
    every row first: what is wrong is named by line, and nothing is made. Killed, or out of time,
    the same command goes on where it was.

    Example: `desireline synthesize --queries queries.txt --corpus documents.csv --relation-miner
    minilm --cross-encoder ./cross-encoder --num-relations 3 --output rows`

    Next: `desireline fit --train rows/pairs.ndjson --loss MarginMSELoss --out tuned`
    """
    began = time.monotonic()
    terminal = terminal_of(ctx)
    seconds = seconds_of(budget)
    settings = SynthesisSettings(
        num_relations=num_relations,
        queries_per_document=queries_per_document,
        most_queries=most_queries,
        negatives_per_query=negatives_per_query,
        scores=scores,
        max_pairs=max_pairs,
        fields=tuple(filter(None, map(str.strip, fields.split(",")))),
        seed=seed,
    )
    endpoint = _endpoint(writer_url, writer_model, writer_instruction, writer_key_env)
    _refuse_two(queries, query_writer, endpoint)
    if endpoint:
        _write_ahead(
            endpoint,
            corpus=corpus,
            output=output,
            settings=settings,
            seconds=seconds,
            terminal=terminal,
        )
    left = None if seconds is None else max(0.0, seconds - (time.monotonic() - began))
    job = SynthesizeJob(
        arguments={
            **settings.model_dump(mode="json"),
            "query_data": str(queries.absolute()) if queries else None,
            "corpus_data": str(corpus.absolute()),
            "out": str(output.absolute()),
            "budget_s": left,
            "threads": threads,
        },
        relation_miners=tuple(map(whole_path, relation_miner)),
        cross_encoder=cross_encoder.absolute(),
        query_writer=query_writer.absolute() if query_writer else None,
        prompt=prompt,
        wrote=endpoint.fingerprint if endpoint else None,
        registry=_registry(ctx, relation_miner),
    )
    result = WorkerProcess(environment=child_environment()).run(job, terminal.reporter())
    _tell(result, terminal)


def _write_ahead(
    endpoint: QueryEndpoint,
    *,
    corpus: Path,
    output: Path,
    settings: SynthesisSettings,
    seconds: float | None,
    terminal: Terminal,
) -> None:
    """Have the endpoint asked here: the child process sees no key."""
    from desireline.trainer.synthesis.asked import Asked  # noqa: PLC0415
    from desireline.trainer.synthesis.deadline import Deadline  # noqa: PLC0415 - quick --help
    from desireline.trainer.synthesis.run import write_ahead  # noqa: PLC0415

    asked = Asked(
        documents=corpus.absolute(),
        queries=None,
        out=output.absolute(),
        settings=settings,
        deadline=Deadline.after(seconds, time.monotonic),
        progress=terminal.reporter().progress,
    )
    write_ahead(asked, endpoint)


def _endpoint(
    url: str | None, model: str, instruction: str, key_env: str | None
) -> QueryEndpoint | None:
    if url is None:
        return None
    try:
        found = EndpointWriterConfig(
            kind="endpoint", url=url, model=model, instruction=instruction, key_env=key_env
        )
    except ValueError as error:
        raise typer.BadParameter(f"--writer-url is {url!r}: {error}") from error
    return QueryEndpoint(
        url=found.url,
        model=found.model,
        instruction=found.instruction,
        timeout_s=found.timeout,
        key=secret(key_env, "--writer-key-env") if key_env else None,
        next_step="check --writer-url; run the same again: what was written is kept",
    )


def _refuse_two(queries: Path | None, folder: Path | None, endpoint: QueryEndpoint | None) -> None:
    named = {"--queries": queries, "--query-writer": folder, "--writer-url": endpoint}
    given = [name for name, value in named.items() if value is not None]
    if len(given) > 1:
        raise typer.BadParameter(
            f"{' and '.join(given)} each say where queries come from: give one of them"
        )


def _registry(ctx: typer.Context, miners: list[str]) -> Path | None:
    """Return where registered encoders lie, if one is named: only then is a configuration read."""
    from desireline.trainer.registry import PREFIX  # noqa: PLC0415 - quick --help

    if not any(PREFIX.fullmatch(name) and not Path(name).is_dir() for name in miners):
        return None
    return load_config(globals_of(ctx).config).models_dir


def _tell(result: Mapping[str, Any], terminal: Terminal) -> None:
    terminal.result(result)
    terminal.say(f"made      {result['sentence']}")
    terminal.say(f"written   {result['file']}")
    terminal.say(
        "next      desireline fit --loss MarginMSELoss --out tuned --train " + result["file"]
    )
