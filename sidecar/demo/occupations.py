"""The demo's data: occupations, and the job titles that people write for them (O*NET 29.3).

The documents, the titles and what belongs to what are real. There are no clicks inside.
"""

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from desireline.connectors.documents import Document
from desireline.trainer.query_text import normalise

TEXT_FIELDS = ("title", "description")
Part = Literal["train", "dev", "test"]

Truth = Mapping[str, Mapping[str, float]]
"""Normalised query to the occupations it names, each with grade 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupations:
    """Documents, and the truth about every query by the part of the fixed split it is in."""

    documents: tuple[Document, ...]
    #: Titles as incumbents reported them, split train / dev / test.
    reported: Mapping[Part, Truth]
    #: Lay titles; none of them is a dev or test query.
    lay: Truth


def load_occupations() -> Occupations:
    """Read the data that ships with desireline; its notice lies beside it."""
    folder = files("desireline.sidecar.demo.onet")
    documents = tuple(
        Document(
            document_id=str(row["id"]),
            fields={"title": row["title"], "description": row["description"]},
        )
        for row in map(json.loads, folder.joinpath("occupations.jsonl").read_text().splitlines())
    )
    named: dict[str, dict[str, float]] = defaultdict(dict)
    parts: dict[str, set[str]] = defaultdict(set)
    lay: set[str] = set()
    for row in _rows(folder.joinpath("reported_titles.tsv").read_text()):
        query = normalise(row["query"])
        named[query][row["occupation"]] = 1.0
        parts[row["split"]].add(query)
    for row in _rows(folder.joinpath("alternate_titles.tsv").read_text()):
        query = normalise(row["query"])
        named[query][row["occupation"]] = 1.0
        lay.add(query)
    held_out = parts["dev"] | parts["test"]
    return Occupations(
        documents=documents,
        reported={
            "train": _truth(parts["train"] - held_out, named),
            "dev": _truth(parts["dev"], named),
            "test": _truth(parts["test"], named),
        },
        lay=_truth(lay - held_out, named),
    )


def _rows(text: str) -> Iterator[dict[str, str]]:
    return iter(csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))


def _truth(queries: set[str], named: Mapping[str, Mapping[str, float]]) -> Truth:
    return {query: named[query] for query in sorted(queries)}
