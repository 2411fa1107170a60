"""Known answers: which documents are right for which query, from the files people have."""

import gzip
import io
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from desireline.connectors.errors import LogFormatError
from desireline.connectors.judgment_files import read_judgment_lists
from desireline.trainer.measures.base import Qrels, Run

_TABLES = (".tsv", ".tsv.gz")
_JSON = (".json", ".json.gz")
_QUERY, _SPLIT = "query", "split"
_CELLS = (2, 3)


def read_known_answers(path: Path, *, split: str = "") -> Qrels:
    """Read grades by query and document_id.

    Files that are understood: ``query<TAB>document_id[<TAB>grade]``; a table with a header
    whose column ``query`` is followed by the document's (a column ``split`` before it is
    heeded); judgments as search-relevance keeps and takes them (JSON). A folder is read whole:
    every table with such a header and every JSON of judgments in it. Any may be gzipped.

    Args:
        path: a file or a folder.
        split: only rows of this split, of tables that name one; empty for all.

    Raises:
        LogFormatError: it cannot be read, or holds no answer.

    """
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for file in _files(path):
        for query, document_id, grade in _rows(file, split):
            found[query][document_id] = max(grade, found[query].get(document_id, 0.0))
    answers = {q: grades for q, grades in found.items() if any(g > 0 for g in grades.values())}
    if not answers:
        raise LogFormatError(
            f"{path} holds no answer to any query; nothing was written",
            next_step="give a file of query, tab, document_id, or a folder of such tables",
        )
    return answers


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.iterdir())
    tables = [file for file in files if file.name.endswith(_TABLES) and _header(file)]
    return tables + [file for file in files if file.name.endswith(_JSON)]


def _rows(file: Path, split: str) -> Iterator[tuple[str, str, float]]:
    if file.name.endswith(_JSON):
        return _of_judgments(file)
    header = _header(file)
    return _of_table(file, header, split) if header else _of_lines(file)


def _header(file: Path) -> list[str]:
    """Return the columns of a table that has a header with a query column; else nothing."""
    first = next(_lines(file), "").split("\t")
    columns = [name.strip().lower() for name in first]
    known = _QUERY in columns and columns.index(_QUERY) + 1 < len(columns)
    return columns if known else []


def _of_table(file: Path, columns: list[str], split: str) -> Iterator[tuple[str, str, float]]:
    at = columns.index(_QUERY)
    grade_at = next((columns.index(name) for name in ("grade", "rating") if name in columns), None)
    for number, line in enumerate(_lines(file), 1):
        cells = line.split("\t")
        if number == 1 or (split and _SPLIT in columns and cells[columns.index(_SPLIT)] != split):
            continue
        if len(cells) < len(columns) or not cells[at].strip() or not cells[at + 1].strip():
            raise _wrong(file, number, "\t".join(columns))
        grade = _grade(cells[grade_at], file, number) if grade_at is not None else 1.0
        yield cells[at].strip(), cells[at + 1].strip(), grade


def _of_lines(file: Path) -> Iterator[tuple[str, str, float]]:
    for number, line in enumerate(_lines(file), 1):
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) not in _CELLS or not all(cells):
            raise _wrong(file, number, "query, tab, document_id")
        yield cells[0], cells[1], _grade(cells[2], file, number) if cells[2:] else 1.0


def _of_judgments(file: Path) -> Iterator[tuple[str, str, float]]:
    for judgments in read_judgment_lists(file):
        for query, grades in judgments.grades().items():
            for document_id, grade in grades.items():
                yield query, document_id, grade


def _grade(cell: str, file: Path, number: int) -> float:
    try:
        grade = float(cell)
    except ValueError:
        grade = float("nan")
    if not math.isfinite(grade):
        raise _wrong(file, number, "query, tab, document_id, tab, a number")
    return grade


def _wrong(file: Path, number: int, expected: str) -> LogFormatError:
    return LogFormatError(f"line {number} of {file} is not {expected}; nothing was written")


def _lines(file: Path) -> Iterator[str]:
    try:
        with file.open("rb") as held:
            raw = gzip.GzipFile(fileobj=held) if file.suffix == ".gz" else held
            text = io.TextIOWrapper(cast("IO[bytes]", raw), encoding="utf-8")
            yield from (line.rstrip("\r\n") for line in text)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise LogFormatError(f"{file} cannot be read: {error}; nothing was written") from error


def read_run(file: Path) -> Run:
    """Read ranked answers: ``query<TAB>document_id``, best first. Raises LogFormatError."""
    run: dict[str, list[str]] = defaultdict(list)
    for number, line in enumerate(_lines(file), 1):
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) < _CELLS[0] or not all(cells[:2]):
            raise _wrong(file, number, "query, tab, document_id")
        run[cells[0]].append(cells[1])
    return dict(run)
