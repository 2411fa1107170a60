"""Real texts of mixed length: the demo's occupations, and pages of command-line tools."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from desireline.connectors.documents import Document
from desireline.sidecar.demo.occupations import TEXT_FIELDS, load_occupations

TLDR = Path(__file__).parents[4] / "shared" / "data" / "tldr" / "pages.jsonl"
FIELDS = tuple(TEXT_FIELDS)


def documents(count: int) -> list[Document]:
    """So many documents in an order of their own; where texts run out, titles change places."""
    found = [dict(document.fields) for document in load_occupations().documents]
    if TLDR.exists():
        pages = map(json.loads, TLDR.read_text(encoding="utf-8").splitlines())
        found += [{"title": page["title"], "description": page["text"]} for page in pages]
    drawn = np.random.default_rng(11)
    found = [found[n] for n in drawn.permutation(len(found))]
    turns = (
        {"title": found[(n + turn) % len(found)]["title"], "description": fields["description"]}
        for turn in range(1 + count // len(found))
        for n, fields in enumerate(found)
    )
    return [
        Document(document_id=f"d{n}", fields=fields)
        for n, fields in zip(range(count), turns, strict=False)
    ]


def short_documents(count: int, page: int = 5000) -> Iterator[list[Document]]:
    """Pages of documents of a few words each, for runs that are about their number."""
    drawn = np.random.default_rng(5)
    for start in range(0, count, page):
        some = drawn.integers(0, 2000, size=(min(page, count - start), 4))
        yield [
            Document(document_id=f"d{start + n}", fields={"title": " ".join(f"w{w}" for w in row)})
            for n, row in enumerate(some.tolist())
        ]


def queries(count: int) -> list[str]:
    """Job titles as people wrote them."""
    return sorted(load_occupations().reported["test"])[:count]
