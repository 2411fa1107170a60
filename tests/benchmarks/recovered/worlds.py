"""Real judgments, and users who click on pages of them: the clicks are simulated, the truth is not.

An engine shows 20 of a query's candidates. It has three rankings, as after two new encoders, each
of them better than chance. Users type popular queries more often.
"""

import csv
import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from desireline.trainer.clickmodels.base import ClickLog, FittedClickModel
from desireline.trainer.clickmodels.users import (
    BrowseFromLastClick,
    LookByPosition,
    ReadFromTop,
    Users,
)

ROOT = Path(__file__).parents[3]
ESCI = ROOT / "tests" / "data" / "esci_ubi" / "esci_us_judgments.json.gz"
ONET = ROOT / "sidecar" / "demo" / "onet"
SHOWN, RANKINGS = 20, 3
#: Gain of the grades of ESCI (irrelevant, complement, substitute, exact) in the truth.
_GAINS = {0.0: 0.0, 1.0: 0.1, 10.0: 0.4, 100.0: 1.0}
_LEAST, _MOST = 0.05, 0.7  # P(click | look) of gain 0 and of gain 1
_SPREAD = 0.1  # what else makes a document attract, whatever its relevance
_WORD = re.compile(r"[a-z]{3}[a-z]{0,2}")

Truth = Mapping[str, Mapping[str, float]]
"""Gain of every candidate of every query."""

_LOOKS = np.arange(1.0, SHOWN + 1) ** -0.6
_PLACE, _LAST = np.indices((SHOWN, SHOWN + 1))
USERS: dict[str, Users] = {
    "look by position": LookByPosition(examination=_LOOKS),
    "read from the top": ReadFromTop(perseverance=0.85),
    "browse from the last click": BrowseFromLastClick(
        examination=np.where(_LAST > 0, 0.9 ** np.maximum(_PLACE - _LAST + 1, 0), 0.85**_PLACE)
    ),
}


def esci() -> Truth:
    with gzip.open(ESCI, "rt", encoding="utf-8") as file:
        rated = json.load(file)["judgmentRatings"]
    return {
        each["query"]: {one["docId"]: _GAINS[float(one["rating"])] for one in each["ratings"]}
        for each in rated
    }


def onet() -> Truth:
    """Job titles and the occupations that people reported them for."""
    with (ONET / "occupations.jsonl").open(encoding="utf-8") as lines:
        titles = {one["id"]: one["title"] for one in map(json.loads, lines)}
    return _beside_alike(_right(ONET / "reported_titles.tsv", "occupation"), titles)


def tldr(data: Path) -> Truth:
    """What people want to do on a command line, and the pages that say how."""
    with (data / "tldr" / "pages.jsonl").open(encoding="utf-8") as lines:
        texts = {one["id"]: f"{one['title']} {one['text']}" for one in map(json.loads, lines)}
    return _beside_alike(_right(data / "tldr" / "examples.tsv", "page"), texts)


def _right(path: Path, named: str) -> dict[str, set[str]]:
    """Return the right documents of each query of the training split."""
    right: dict[str, set[str]] = {}
    with path.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["split"] == "train":
                right.setdefault(row["query"], set()).add(row[named])
    return right


def _beside_alike(
    right: Mapping[str, set[str]],
    texts: Mapping[str, str],
    *,
    queries: int = 600,
    candidates: int = 30,
) -> Truth:
    """Return the candidates of some queries: the right ones, and those that share most words."""
    words = {name: set(_WORD.findall(text.lower())) for name, text in texts.items()}
    truth = {}
    for query in sorted(right)[:: max(1, len(right) // queries)]:
        asked = set(_WORD.findall(query.lower()))
        like = sorted(words, key=lambda name: (-len(asked & words[name]), name))
        shown = [*sorted(right[query]), *(each for each in like if each not in right[query])]
        truth[query] = {each: float(each in right[query]) for each in shown[:candidates]}
    return truth


@dataclass(frozen=True, kw_only=True)
class World:
    """A truth with an engine over it and users in front of it."""

    truth: Truth
    users: Users
    random: np.random.Generator

    def log(self, events: int) -> ClickLog:
        """Let users search until the log holds about that many events."""
        pages = max(1, round(events / (SHOWN * 1.08)))
        names = sorted(self.truth)
        share = np.arange(1.0, len(names) + 1) ** -0.8
        order = self.random.permutation(len(names))
        typed = order[self.random.choice(len(names), pages, p=share / share.sum())]
        rankings = [[self._ranking(name) for _ in range(RANKINGS)] for name in names]
        shown = [
            rankings[query][each] for query, each in zip(typed, self._versions(pages), strict=True)
        ]
        sizes = [len(page) for page in shown]
        rows = pl.DataFrame(
            {
                "view": np.repeat(np.arange(pages), sizes),
                "query": pl.Series([names[query] for query in typed]).gather(
                    np.repeat(np.arange(pages), sizes)
                ),
                "document_id": [document for page in shown for document in page],
                "position": np.concatenate([np.arange(1, size + 1) for size in sizes]),
                "shown": True,
                "clicked": False,
                "share": 1.0,
            }
        )
        log = ClickLog(rows)
        return self._people(log).sample(log, self.random)

    def _versions(self, pages: int) -> list[int]:
        """Which ranking serves: one after the other."""
        return (np.arange(pages) * RANKINGS // pages).tolist()

    def _ranking(self, query: str) -> list[str]:
        gains = self.truth[query]
        score = np.array(list(gains.values())) + self.random.normal(0, 0.7, len(gains))
        return [list(gains)[each] for each in np.argsort(-score)[:SHOWN]]

    def _people(self, log: ClickLog) -> FittedClickModel:
        gain = np.array(
            [self.truth[q][d] for q, d in log.pairs.select("query", "document_id").rows()]
        )
        appeal = _LEAST + gain * (_MOST - _LEAST) + self.random.normal(0, _SPREAD, len(gain))
        return FittedClickModel(
            attractiveness=log.pairs.with_columns(
                attraction=pl.Series(np.clip(appeal, 0.01, 0.95)),
                satisfaction=pl.Series(0.1 + 0.7 * gain),
            ),
            users=self.users,
            positions=np.arange(1, SHOWN + 1),
            examination={},
            usual=_LEAST,
        )
