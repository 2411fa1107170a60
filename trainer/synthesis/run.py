"""One synthesis from its sources to the folder of its result, whoever the models are."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog

from desireline.trainer.errors import SynthesisError, TrainingDataError
from desireline.trainer.models.disk_sync import sync, sync_path
from desireline.trainer.models.stored_files import record
from desireline.trainer.synthesis.asked import Asked, Opened
from desireline.trainer.synthesis.card import PAIRS, read_card, write_card
from desireline.trainer.synthesis.making import Made, Making
from desireline.trainer.synthesis.pieces import not_writable
from desireline.trainer.synthesis.relations import Search
from desireline.trainer.synthesis.rows import Source
from desireline.trainer.synthesis.settings import QueryWriter, SynthesisSettings
from desireline.trainer.synthesis.sources import (
    Documents,
    digest_of,
    read_documents,
    read_queries,
)
from desireline.trainer.synthesis.written import TITLES, author_of, drawn_order, written

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisRun:
    """What a synthesis gave back."""

    folder: Path
    #: What `fit(loss="MarginMSELoss", train_data=...)` reads.
    file: Path
    rows: int
    queries: int
    #: Whether every query had its turn; else the same call goes on.
    complete: bool
    sentence: str
    seconds: float
    card: dict[str, Any]


def write_ahead(asked: Asked, writer: QueryWriter) -> None:
    """Have queries written where the writer can be reached; `run` finds them.

    Raises:
        TrainingDataError: documents are wrong.
        SynthesisError: the result is there already.
        DesirelineError: the writer failed; what it wrote is kept.

    """
    with _working(asked):
        documents = read_documents(asked.documents, asked.settings.fields, asked.work / "documents")
        written(
            documents,
            author_of(writer, documents, asked.settings),
            asked.settings,
            asked.work / "written",
            deadline=asked.deadline.halfway(),
            progress=asked.progress,
        )


def run(asked: Asked, opened: Opened) -> SynthesisRun:
    """Make rows, a card beside them, and put both in place at once.

    Raises:
        TrainingDataError: rows of queries or documents are wrong; nothing was made.
        SynthesisError: the result is there already, there are too few documents, nothing to take
            queries from, or no time for a single row.

    """
    began = asked.deadline.clock()
    with _working(asked):
        documents = read_documents(asked.documents, asked.settings.fields, asked.work / "documents")
        _check_documents(documents, asked)
        queries, of_queries, whole = _queries(asked, opened, documents)
        searches = opened.searches(documents, asked.work)
        card = _card(asked, opened, documents, of_queries, searches)
        _check_out(asked.out, card["request"])
        made, result = _made(asked, opened, documents, queries, searches)
        complete = whole and made.queries == len(queries)
        card |= _told(made, complete=complete, documents=len(documents), folder=result)
        write_card(result, card)
        _put(result, asked.out)
    if complete:
        shutil.rmtree(asked.work, ignore_errors=True)
    return SynthesisRun(
        folder=asked.out,
        file=asked.out / PAIRS,
        rows=made.rows,
        queries=made.queries,
        complete=complete,
        sentence=str(card["sentence"]),
        seconds=asked.deadline.clock() - began,
        card=card,
    )


@contextmanager
def _working(asked: Asked) -> Iterator[None]:
    """Lend the folder of the pieces; of wrong rows nothing is left behind."""
    there = asked.work.exists()
    refuse_done(asked.out)
    try:
        asked.work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_writable(asked.work, error) from error
    try:
        yield
    except TrainingDataError:
        if not there:
            shutil.rmtree(asked.work, ignore_errors=True)
        raise


def _queries(
    asked: Asked, opened: Opened, documents: Documents
) -> tuple[list[tuple[str, int]], dict[str, Any], bool]:
    """Return the queries in the order of their turns, what they are of, and if they are all."""
    if asked.queries is None:
        return _written(asked, opened, documents)
    read = read_queries(asked.queries, documents, asked.work / "queries")
    order = drawn_order(len(read.texts), asked.settings.seed)
    texts = read.texts.texts(order)
    queries = [(text, read.documents[at]) for text, at in zip(texts, order, strict=True)]
    source = _source(asked.queries, read.rows)
    return _limited(queries, asked.settings), source, True


def _written(
    asked: Asked, opened: Opened, documents: Documents
) -> tuple[list[tuple[str, int]], dict[str, Any], bool]:
    author = author_of(opened.writer, documents, asked.settings)
    found = written(
        documents,
        author,
        asked.settings,
        asked.work / "written",
        deadline=asked.deadline.halfway(),
        progress=asked.progress,
    )
    if not found.queries:
        raise SynthesisError(
            f"not one query was written for {len(documents):,} documents; nothing was made",
            next_step="give it more time, or try the query writer by itself on a text",
        )
    log.info("queries written", queries=len(found.queries), whole=found.whole)
    source = {"name": f"written by {author.fingerprint[:12]}", "rows": len(found.queries)}
    queries = _limited(list(found.queries), asked.settings)
    return queries, {**source, "sha256": None}, found.whole


def _limited(queries: list[tuple[str, int]], settings: SynthesisSettings) -> list[tuple[str, int]]:
    if settings.max_pairs is None:
        return queries
    return queries[: max(1, settings.max_pairs // (settings.num_relations - 1))]


def _check_documents(documents: Documents, asked: Asked) -> None:
    needed = asked.settings.num_relations
    if len(documents) < needed:
        raise SynthesisError(
            f"there are {len(documents):,} distinct documents, and num_relations is {needed}:"
            " a query needs that many; nothing was made",
            next_step="give more documents, or a smaller num_relations",
        )


def _made(
    asked: Asked,
    opened: Opened,
    documents: Documents,
    queries: Sequence[tuple[str, int]],
    searches: Sequence[Search],
) -> tuple[Made, Path]:
    result = asked.work / "result"
    shutil.rmtree(result, ignore_errors=True)
    result.mkdir()
    making = Making(
        documents=documents,
        queries=queries,
        searches=searches,
        judge=opened.judge,
        settings=asked.settings,
        folder=asked.work,
        deadline=asked.deadline,
        progress=asked.progress,
    )
    return making.make(result / PAIRS), result


def _card(
    asked: Asked,
    opened: Opened,
    documents: Documents,
    of_queries: dict[str, Any],
    searches: Sequence[Search],
) -> dict[str, Any]:
    wrote = opened.writer.fingerprint if opened.writer else TITLES
    settings = asked.settings.model_dump(mode="json")
    card = {
        "documents": _source(asked.documents, documents.rows) | {"distinct": len(documents)},
        "queries": of_queries,
        "relation_miners": [
            {"role": "relation miner", "name": each.name, "fingerprint": each.fingerprint}
            for each in searches
        ],
        "cross_encoder": {
            "role": "cross-encoder",
            "name": opened.judge_name,
            "fingerprint": opened.judge.fingerprint,
        },
        "query_writer": None
        if asked.queries is not None
        else {
            "role": "query writer",
            "name": TITLES if wrote == TITLES else "a model",
            "fingerprint": wrote,
        },
        "settings": settings,
    }
    source = of_queries["sha256"] or wrote
    models = [*(each.fingerprint for each in searches), opened.judge.fingerprint]
    request = repr((documents.digest, source, models, sorted(settings.items())))
    return {"request": sha256(request.encode()).hexdigest(), **card}


def _source(source: Source, rows: int) -> dict[str, Any]:
    name = Path(source).name if isinstance(source, str | Path) else "a list"
    return {"name": name, "sha256": digest_of(source), "rows": rows}


def _told(made: Made, *, complete: bool, documents: int, folder: Path) -> dict[str, Any]:
    sentence = f"{made.rows:,} rows for {made.queries:,} queries over {documents:,} documents"
    if made.doubted:
        sentence += f"; for {made.doubted:,} queries a wrong document scored above the right one"
    if not complete:
        sentence += "; the time was spent before the rest: the same call goes on"
    return {
        "sentence": sentence,
        "complete": complete,
        "rows": made.rows,
        "read_queries": made.queries,
        "doubted": made.doubted,
        "margins": {"mean": made.mean_margin, "deviation": made.margin_deviation},
        "sha256": record(folder / PAIRS).sha256,
    }


def refuse_done(out: Path) -> None:
    """Raise SynthesisError where something is that is no unfinished result."""
    if out.exists() and (read_card(out) or {}).get("complete", True):
        raise _there_already(out)


def _check_out(out: Path, request: str) -> None:
    """Refuse to write over anything but an unfinished result of the very same request."""
    if out.exists() and (read_card(out) or {}).get("request") != request:
        raise _there_already(out)


def _there_already(out: Path) -> SynthesisError:
    return SynthesisError(
        f"{out} exists already; rows are never written over",
        next_step="name another folder, or remove that one",
    )


def _put(result: Path, out: Path) -> None:
    sync(result)
    before = result.with_name("before")
    shutil.rmtree(before, ignore_errors=True)
    if out.exists():
        out.rename(before)
    result.rename(out)
    sync_path(out.parent)
    shutil.rmtree(before, ignore_errors=True)
