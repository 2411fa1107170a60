"""What an encoder must still be able to do whatever it was tuned for: a frozen suite of texts."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from desireline.trainer.encoders.base import Encoder
from desireline.trainer.errors import GeneralSuiteError
from desireline.trainer.evaluation import Evaluation, evaluate, rank_exact
from desireline.trainer.measures.base import Measure, Qrels
from desireline.trainer.query_text import normalise

_DEPTH = 20
#: A part is the target's own where this share of its documents is in the target's index.
_OWN = 0.2
#: Shorter pieces of text are in many an index by chance.
_LEAST_LETTERS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneralPart:
    """Documents, and queries whose answers among them are known for certain."""

    name: str
    #: Text by id, as an encoder reads it.
    documents: Mapping[str, str]
    qrels: Qrels


@dataclass
class _Growing:
    documents: dict[str, str] = field(default_factory=dict)
    qrels: dict[str, dict[str, float]] = field(default_factory=dict)


class _Line(BaseModel):
    """A document (id, text) or a query (query, relevant)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: str = "general"
    id: str | None = None
    text: str | None = None
    query: str | None = None
    relevant: tuple[str, ...] = ()

    @property
    def is_document(self) -> bool:
        return self.id is not None and self.text is not None and self.query is None

    @property
    def is_query(self) -> bool:
        return bool(self.query and self.relevant) and self.id is None and self.text is None


def builtin_suite() -> tuple[GeneralPart, ...]:
    """Read the suite that ships with desireline; its notices lie beside it."""
    file = files("desireline.trainer.general").joinpath("suite.jsonl")
    return _parse(file.read_text(encoding="utf-8").splitlines(), "the suite that ships")


def read_suite(path: Path) -> tuple[GeneralPart, ...]:
    """Read a suite: one JSON object a line, documents and queries, in any order.

    Raises:
        GeneralSuiteError: the file cannot be read, a line is not of that form, a query's
            document is not in its part, or a part has no queries.

    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise GeneralSuiteError(f"the general suite at {path} cannot be read: {error}") from error
    return _parse(lines, str(path))


def foreign(parts: Sequence[GeneralPart], texts: Iterable[str]) -> tuple[GeneralPart, ...]:
    """Leave out the parts whose documents are the target's own.

    A document counts as the target's where one of its sentences, or the whole, is in a text of
    the target, so that another template of the same data is recognised too.

    Args:
        parts: of the suite.
        texts: every rendered document of the target.

    """
    pieces = {
        part.name: {key: _pieces(text) for key, text in part.documents.items()} for part in parts
    }
    wanted = frozenset(piece for part in pieces.values() for own in part.values() for piece in own)
    found: set[str] = set()
    for text in texts:
        found |= _pieces(text) & wanted
    return tuple(part for part in parts if _share(pieces[part.name], found) < _OWN)


def measure_part(encoder: Encoder, part: GeneralPart, measure: Measure) -> Evaluation:
    """Let an encoder answer every query of a part among the part's documents."""
    run = rank_exact(encoder, sorted(part.qrels), part.documents, k=max(_DEPTH, measure.cutoff))
    return evaluate(run, part.qrels, [measure])


def _share(pieces: Mapping[str, frozenset[str]], found: set[str]) -> float:
    """Of the documents that have a piece long enough to tell by, those that are found."""
    telling = [own for own in pieces.values() if own]
    return sum(not own.isdisjoint(found) for own in telling) / max(1, len(telling))


def _pieces(text: str) -> frozenset[str]:
    whole = normalise(text)
    sentences = (part.strip(" .") for part in whole.replace("\n", ". ").split(". "))
    return frozenset(part for part in (whole, *sentences) if len(part) >= _LEAST_LETTERS)


def _parse(lines: Sequence[str], source: str) -> tuple[GeneralPart, ...]:
    parts: dict[str, _Growing] = {}
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        line = _line(text, f"line {number} of {source}")
        part = parts.setdefault(line.part, _Growing())
        if line.is_document:
            part.documents[str(line.id)] = str(line.text)
        else:
            part.qrels[str(line.query)] = dict.fromkeys(line.relevant, 1.0)
    for name, part in parts.items():
        _check(name, part, source)
    return tuple(
        GeneralPart(name=name, documents=part.documents, qrels=part.qrels)
        for name, part in parts.items()
    )


def _line(text: str, place: str) -> _Line:
    try:
        content: Any = json.loads(text)
        line = _Line.model_validate(content)
    except (json.JSONDecodeError, ValidationError) as error:
        raise GeneralSuiteError(f"{place} is not of the suite's form: {error}") from error
    if not (line.is_document or line.is_query):
        raise GeneralSuiteError(f"{place} is neither a document nor a query")
    return line


def _check(name: str, part: _Growing, source: str) -> None:
    missing = {key for grades in part.qrels.values() for key in grades} - set(part.documents)
    if missing:
        raise GeneralSuiteError(
            f"part {name!r} of {source} names the document {min(missing)!r}, which it lacks"
        )
    if not part.qrels:
        raise GeneralSuiteError(f"part {name!r} of {source} has no queries")
