"""What can be seen of a candidate without one click: numbers, own titles, documents that push."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from desireline.connectors.documents import Vectors
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.measures.base import Run
from desireline.trainer.query_text import normalise

_DEPTH = 10
_MOST_TITLES = 500
_WORDS_OF_A_TITLE = 8
#: Unit vectors whose mean is this long all point the same way.
_ALIKE = 0.9999


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTitles:
    """Documents looked for by their own titles, of which every encoder should find most."""

    #: That the incumbent finds among its first ten answers.
    found: int
    #: Of those, how many the candidate does not find.
    lost: int

    @property
    def share_lost(self) -> float:
        """Between 0 and 1; 0 where the incumbent finds none."""
        return self.lost / self.found if self.found else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """The document whose share of the queries rose most, and from where to where."""

    document_id: str
    #: Share of the queries that have it among their first ten answers.
    before: float
    after: float

    @property
    def rise(self) -> float:
        """What the share gained."""
        return self.after - self.before


def unsound(vectors: Vectors) -> str:
    """Say what is wrong with vectors as such; empty where nothing is.

    Args:
        vectors: of different texts, shape (texts, dimension).

    """
    wrong = int((~np.isfinite(vectors).all(axis=1)).sum())
    if wrong:
        return f"{wrong} of {len(vectors)} vectors hold what is no number"
    lengths = np.linalg.norm(vectors, axis=1)
    if not lengths.any():
        return f"all {len(vectors)} vectors are zero"
    units = vectors[lengths > 0] / lengths[lengths > 0, None]
    if len(vectors) > 1 and float(np.linalg.norm(units.mean(axis=0))) > _ALIKE:
        return f"the vectors of {len(vectors)} different texts are all alike"
    return ""


def titles_to_ask(documents: Mapping[str, DocumentText]) -> dict[str, frozenset[str]]:
    """Draw documents, the same each night, and return who answers to their titles.

    A title is cut after eight words; where several documents have one, any of them answers.
    """
    named: dict[str, set[str]] = {}
    for key, document in documents.items():
        words = normalise(document.title or document.text).split()[:_WORDS_OF_A_TITLE]
        if words:
            named.setdefault(" ".join(words), set()).add(key)
    drawn = sorted(named, key=lambda title: sha256(title.encode("utf-8", "surrogatepass")).digest())
    return {title: frozenset(named[title]) for title in drawn[:_MOST_TITLES]}


def own_titles(titles: Mapping[str, frozenset[str]], incumbent: Run, candidate: Run) -> OwnTitles:
    """Count the titles that the incumbent answers with their document and the candidate not."""
    found = [title for title in titles if _answers(titles[title], incumbent.get(title, ()))]
    lost = [title for title in found if not _answers(titles[title], candidate.get(title, ()))]
    return OwnTitles(found=len(found), lost=len(lost))


def most_pushed(incumbent: Run, candidate: Run) -> Push | None:
    """Find the document that more queries have among their first ten answers than before.

    Args:
        incumbent: its answers to some queries.
        candidate: its answers to the same queries.

    """
    before, after = _shares(incumbent), _shares(candidate)
    if not after:
        return None
    most = max(sorted(after), key=lambda key: after[key] - before.get(key, 0.0))
    return Push(document_id=most, before=before.get(most, 0.0), after=after[most])


def _answers(right: frozenset[str], ranked: Sequence[str]) -> bool:
    return not right.isdisjoint(ranked[:_DEPTH])


def _shares(run: Run) -> dict[str, float]:
    counts = Counter(key for ranked in run.values() for key in set(ranked[:_DEPTH]))
    return {key: count / len(run) for key, count in counts.items()}
