"""Port: a number for one ranked list; measures print and parse as ``ndcg@10``."""

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from desireline.connectors import plugins
from desireline.trainer.errors import UnknownMeasureError

Grades = Mapping[str, float]
"""The truth about one query: document_id to grade; a document left out has grade 0."""

Qrels = Mapping[str, Grades]
"""The truth: query to grades."""

Run = Mapping[str, Sequence[str]]
"""Answers: query to document_ids, best first."""


class Measure(Protocol):
    """A value: hashable, equal by name and cutoff."""

    def __hash__(self) -> int:
        """Alike for measures of one name and cutoff."""
        ...

    @property
    def cutoff(self) -> int:
        """How many answers are looked at."""
        ...

    @property
    def label(self) -> str:
        """The name as people write it, such as ``nDCG@10``."""
        ...

    def value(self, ranked: Sequence[str], grades: Grades) -> float:
        """Measure one ranked list, between 0 and 1; 0 where nothing is relevant."""
        ...


def parse(name: str) -> Measure:
    """Turn ``ndcg@10`` into the measure that prints so; case does not matter.

    Raises:
        UnknownMeasureError: no such measure, or no cutoff of 1 or more.

    """
    found = re.fullmatch(r"([a-z_]+)@([1-9]\d*)", name.strip().lower())
    known = plugins.names("measures")
    if not found or found[1] not in known:
        raise UnknownMeasureError(
            f"{name!r} is no measure",
            next_step=f"write one of {', '.join(known)} with a cutoff, such as ndcg@10",
        )
    measure: Measure = plugins.load("measures", found[1])(int(found[2]))
    return measure


def label_of(name: str) -> str:
    """Return a measure's name as people write it, with what follows it; other names stay."""
    measure, space, rest = name.partition(" ")
    try:
        return f"{parse(measure).label}{space}{rest}"
    except UnknownMeasureError:
        return name


def relevant(grades: Grades) -> set[str]:
    """Return the documents with a grade above zero."""
    return {document_id for document_id, grade in grades.items() if grade > 0}
