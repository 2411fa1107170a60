"""Real documents, queries and answers, and a log of users who are simulated on them.

Documents, queries and what answers what are real; the clicks are SIMULATED.
"""

import csv
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from desireline.connectors.documents import TextTemplate
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.query_text import normalise

#: Where the sets lie beside a checkout.
DATA = Path(__file__).parents[4] / "shared" / "data"
Truth = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One data set in its fixed split; queries are normalised, no test query is in `train`."""

    name: str
    documents: Mapping[str, DocumentText]
    train: Truth
    #: For choosing the recipe; never reported.
    dev: Truth
    test: Truth


def at_hand(data: Path) -> bool:
    """Say whether the sets are there; a benchmark that needs them measures nothing without."""
    if not data.exists():
        print(f"the data sets are not in {data}; nothing was measured")
    return data.exists()


def load(name: str, data: Path) -> World:
    """Read a set of `../shared/data`; FileNotFoundError where it is not there."""
    return {"onet": _onet, "tldr": _tldr, "banking77": _banking77}[name](data / name)


def _onet(folder: Path) -> World:
    template = TextTemplate(fields=("title", "description"))
    found, parts = defaultdict(set), defaultdict(set)
    for row in _rows(folder / "reported_titles.tsv"):
        found[normalise(row["query"])].add(row["occupation"])
        parts[row["split"]].add(normalise(row["query"]))
    for row in _rows(folder / "alternate_titles.tsv"):
        found[normalise(row["query"])].add(row["occupation"])
        parts["train"].add(normalise(row["query"]))
    return World(
        name="onet",
        documents=_documents(folder / "occupations.jsonl", template),
        train=_truth(found, parts["train"] - parts["dev"] - parts["test"]),
        dev=_truth(found, parts["dev"]),
        test=_truth(found, parts["test"]),
    )


def _tldr(folder: Path) -> World:
    template = TextTemplate(fields=("title", "text", "platform"))
    found, parts = defaultdict(set), defaultdict(set)
    for row in _rows(folder / "examples.tsv"):
        found[normalise(row["query"])].add(row["page"])
        parts[row["split"]].add(normalise(row["query"]))
    return World(
        name="tldr",
        documents=_documents(folder / "pages.jsonl", template),
        train=_truth(found, parts["train"] - parts["dev"] - parts["test"]),
        dev=_truth(found, parts["dev"]),
        test=_truth(found, parts["test"]),
    )


def _banking77(folder: Path) -> World:
    """Customers' questions; a document is the name of what they want. A tenth of train is dev."""
    found, parts = defaultdict(set), defaultdict(set)
    for part in ("train", "test"):
        with (folder / f"{part}.csv").open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                found[normalise(row["text"])].add(row["category"])
                parts[part].add(normalise(row["text"]))
    names = json.loads((folder / "categories.json").read_text(encoding="utf-8"))
    template = TextTemplate(fields=("title",))
    known = sorted(parts["train"] - parts["test"])
    dev = set(known[::10])
    return World(
        name="banking77",
        documents={
            name: DocumentText.of({"title": name.replace("_", " ")}, template) for name in names
        },
        train=_truth(found, set(known) - dev),
        dev=_truth(found, dev),
        test=_truth(found, parts["test"]),
    )


def _documents(path: Path, template: TextTemplate) -> dict[str, DocumentText]:
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {str(row["id"]): DocumentText.of(row, template) for row in rows}


def _rows(path: Path) -> list[dict[str, str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def _truth(found: Mapping[str, set[str]], queries: set[str]) -> Truth:
    return {query: frozenset(found[query]) for query in sorted(queries)}
