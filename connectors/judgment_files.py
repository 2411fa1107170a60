"""Judgments and query sets of search-relevance on disk: JSON, gzipped or not."""

import gzip
import zlib
from pathlib import Path
from typing import Any

import orjson

from desireline.connectors.errors import JudgmentFormatError
from desireline.connectors.relevance_judgments import (
    JudgmentList,
    QuerySet,
    documents_of,
    judgments_document,
    parse_judgments,
    parse_query_set,
)


def read_judgment_lists(file: Path) -> list[JudgmentList]:
    """Read every list of a file: one object, several, or the answer of a search.

    Raises:
        JudgmentFormatError: the file cannot be read, or holds something else.

    """
    return [parse_judgments(body, str(file)) for body in documents_of(_read(file))]


def read_query_set(file: Path) -> QuerySet:
    """Read the one query set of a file. Raises JudgmentFormatError."""
    found = [parse_query_set(body, str(file)) for body in documents_of(_read(file))]
    if len(found) != 1:
        raise JudgmentFormatError(
            f"{file} holds {len(found)} query sets, not one; nothing was read"
        )
    return found[0]


def write_judgment_list(judgments: JudgmentList, file: Path) -> None:
    """Write one list as the plugin keeps it. Raises JudgmentFormatError."""
    text = orjson.dumps(judgments_document(judgments), option=orjson.OPT_INDENT_2)
    try:
        with file.open("xb") as out:
            out.write(gzip.compress(text) if file.suffix == ".gz" else text)
    except OSError as error:
        raise JudgmentFormatError(
            f"{file} cannot be written: {error.strerror}; nothing was exported",
            next_step="name another --out",
        ) from error


def _read(file: Path) -> Any:
    try:
        held = file.read_bytes()
        return orjson.loads(gzip.decompress(held) if file.suffix == ".gz" else held)
    except (OSError, EOFError, zlib.error, orjson.JSONDecodeError) as error:
        raise JudgmentFormatError(
            f"{file} cannot be read as JSON: {error}; nothing was imported"
        ) from error
