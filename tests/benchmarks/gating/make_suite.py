"""Makes trainer/general/suite.jsonl, by rule, from ../shared/data; run by hand, the result is kept.

    python tests/benchmarks/gating/make_suite.py ../shared/data trainer/general/suite.jsonl

Three parts: job titles as people wrote them against occupations (dev queries, never the demo's
test queries); keywords that uploaders gave against titles of drawings; titles against keywords.
"""

import csv
import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from desireline.trainer.query_text import normalise

OCCUPATIONS, DRAWINGS, TITLES = 300, 1_000, 450


def main(data: Path, out: Path) -> None:
    """Write one line a document or query."""
    lines = [*jobs(data / "onet"), *keywords(data / "openclipart"), *titles(data / "openclipart")]
    out.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def jobs(folder: Path) -> Iterator[dict[str, Any]]:
    """Occupations drawn by a seed, and the dev queries that ask for them."""
    rows = _jsonl(folder / "occupations.jsonl")
    drawn = {str(r["id"]): r for r in random.Random(1).sample(rows, OCCUPATIONS)}
    asked: set[str] = set()
    wanted: dict[str, set[str]] = defaultdict(set)
    for row in _tsv(folder / "reported_titles.tsv"):
        wanted[normalise(row["query"])].add(row["occupation"])
        if row["split"] == "dev" and row["occupation"] in drawn:
            asked.add(normalise(row["query"]))
    texts = {key: f"{row['title']}. {row['description']}" for key, row in drawn.items()}
    return _lines("jobs", texts, {query: wanted[query] & set(drawn) for query in asked})


def keywords(folder: Path) -> Iterator[dict[str, Any]]:
    """Titled drawings, and keywords that two to twenty of them carry."""
    titled = [row for row in _jsonl(folder / "items.jsonl") if row["title"].strip()]
    rows = random.Random(3).sample(titled, DRAWINGS)
    texts = {
        row["id"]: ". ".join(part for part in (row["title"], row["description"]) if part)
        for row in rows
    }
    tagged: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for word in row["keywords"]:
            tagged[normalise(word)].add(row["id"])
    return _lines("keywords", texts, {q: ids for q, ids in tagged.items() if 2 <= len(ids) <= 20})


def titles(folder: Path) -> Iterator[dict[str, Any]]:
    """Drawings as their keywords, asked for by their titles."""
    rows = [r for r in _jsonl(folder / "items.jsonl") if r["title"].strip() and r["keywords"]]
    drawn = random.Random(2).sample(rows, TITLES)
    texts = {row["id"]: ", ".join(row["keywords"]) for row in drawn}
    named: dict[str, set[str]] = defaultdict(set)
    for row in drawn:
        named[normalise(row["title"])].add(row["id"])
    return _lines("titles", texts, {q: ids for q, ids in named.items() if len(ids) == 1})


def _lines(
    part: str, texts: Mapping[str, str], asked: Mapping[str, Iterable[str]]
) -> Iterator[dict[str, Any]]:
    for key, text in sorted(texts.items()):
        yield {"part": part, "id": key, "text": text}
    for query, ids in sorted(asked.items()):
        yield {"part": part, "query": query, "relevant": sorted(ids)}


def _jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _tsv(path: Path) -> list[dict[str, str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
