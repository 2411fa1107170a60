"""Lessons and their vectors become a head whose confidences are true on average."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from desireline.connectors.documents import Vectors
from desireline.trainer.intent.descent import Point, lowest
from desireline.trainer.intent.head import IntentHead, directions, probabilities

#: How hard large weights are pulled to zero, strongest first: each begins where the last ended.
PENALTIES = (1e-3, 1e-4, 1e-5)
#: What all titles together count beside all queries.
TITLES = (0.05, 0.5, 2.0)
#: Share of the queries that choose and calibrate instead of teaching.
_KEPT_APART = 0.2
_STEPS = 150
_TEMPERATURES = np.geomspace(0.25, 8.0, 101)
_LEAST = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """Vectors with their categories."""

    #: Shape (texts, dimension).
    vectors: Vectors
    #: Shape (texts, categories); rows add up to 1.
    shares: NDArray[np.float32]
    #: Shape (texts,).
    weights: NDArray[np.float32]
    #: How likely the shares are what was meant; shape (texts,), 1 where that is certain.
    trust: NDArray[np.float32]

    def only(self, rows: NDArray[np.intp]) -> "Lesson":
        """Return some of it."""
        return Lesson(
            vectors=self.vectors[rows],
            shares=self.shares[rows],
            weights=self.weights[rows],
            trust=self.trust[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """A head and how it was found."""

    head: IntentHead
    #: Chosen, with the share of the titles, on the queries kept apart.
    penalty: float
    titles: float
    #: Queries that taught, and those that were kept apart.
    taught: int
    kept_apart: int


def learn_head(
    queries: Lesson,
    titles: Lesson,
    *,
    encoder: str,
    categories: tuple[str, ...],
    seed: int = 0,
) -> Learned:
    """Learn from queries and titles; choose and calibrate on queries kept apart.

    A softmax over a linear map, fitted to soft labels by cross entropy. The catalogue's titles
    count a little, so that a category nobody has searched for yet is known, too (JD: arXiv
    2208.06150 pre-trains on title to category). How little, and how smooth the map is, is chosen
    by the log-loss on a fifth of the queries; so is the temperature.

    Args:
        queries: of people.
        titles: of the catalogue; may be empty.
        encoder: fingerprint of the encoder that made the vectors.
        categories: names of the columns.
        seed: of the draw of the queries kept apart.

    """
    order = np.random.default_rng(seed).permutation(len(queries.weights))
    apart = max(1, round(_KEPT_APART * len(order)))
    judging, teaching = queries.only(np.sort(order[:apart])), queries.only(np.sort(order[apart:]))
    shares = TITLES if len(titles.weights) else TITLES[:1]
    tried = []
    start = None
    for share, penalty in product(shares, PENALTIES):
        start = _fit(_together(teaching, titles, share), penalty, start)
        temperature = _temperature(_scores(start, judging.vectors), judging)
        loss = _loss(_scores(start, judging.vectors), judging, temperature)
        tried.append((loss, penalty, share, temperature, start))
    _, penalty, share, temperature, best = min(tried, key=lambda each: each[0])
    weights, bias = _split(best, queries.shares.shape[1])
    return Learned(
        head=IntentHead(
            encoder=encoder,
            categories=categories,
            weights=np.asarray(weights, dtype=np.float32),
            bias=np.asarray(bias, dtype=np.float32),
            temperature=temperature,
        ),
        penalty=penalty,
        titles=share,
        taught=len(order) - apart,
        kept_apart=apart,
    )


def _together(queries: Lesson, titles: Lesson, share: float) -> Lesson:
    """Return queries that count 1 in all, and titles that count a share of that."""
    weights = queries.weights / max(float(queries.weights.sum()), _LEAST)
    beside = titles.weights * (share / max(float(titles.weights.sum()), _LEAST))
    return Lesson(
        vectors=directions(np.concatenate([queries.vectors, titles.vectors])),
        shares=np.concatenate([queries.shares, titles.shares]),
        weights=np.concatenate([weights, beside]).astype(np.float32),
        trust=np.concatenate([queries.trust, titles.trust]),
    )


def _fit(lesson: Lesson, penalty: float, start: Point | None) -> Point:
    columns = lesson.shares.shape[1]
    size = (lesson.vectors.shape[1] + 1) * columns

    def objective(point: Point) -> tuple[float, Point]:
        weights, bias = _split(point, columns)
        found = probabilities(lesson.vectors @ weights.astype(np.float32) + bias.astype(np.float32))
        logs = np.log(np.maximum(found, _LEAST))
        loss = -float(lesson.weights @ (lesson.shares * logs).sum(axis=1))
        wrong = (found - lesson.shares) * lesson.weights[:, None]
        slope = lesson.vectors.T @ wrong + penalty * weights
        value = loss + 0.5 * penalty * float((weights * weights).sum())
        return value, np.concatenate([slope.ravel(), wrong.sum(axis=0)]).astype(np.float64)

    return lowest(objective, np.zeros(size) if start is None else start, steps=_STEPS)


def _split(point: Point, columns: int) -> tuple[Point, Point]:
    return point[:-columns].reshape(-1, columns), point[-columns:]


def _scores(point: Point, vectors: Vectors) -> Point:
    weights, bias = _split(point, point.size // (vectors.shape[1] + 1))
    return np.asarray(directions(vectors) @ weights + bias)


def _temperature(scores: Point, lesson: Lesson) -> float:
    losses = [_loss(scores, lesson, float(each)) for each in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def _loss(scores: Point, lesson: Lesson, temperature: float) -> float:
    """Return the log-loss of what clicks show, where some of them are known to be wrong.

    A wrong click is taken to lie in any category as often as clicks do at all. So confidences are
    asked to be true of what is meant, and not of the clicks (forward correction of known noise:
    Patrini et al. 2017, here of the temperature alone).
    """
    found = probabilities((scores / temperature).astype(np.float32))
    anywhere = lesson.weights @ lesson.shares / max(float(lesson.weights.sum()), _LEAST)
    shown = lesson.trust[:, None] * found + (1 - lesson.trust[:, None]) * anywhere
    each = -(lesson.shares * np.log(np.maximum(shown, _LEAST))).sum(axis=1)
    return float(lesson.weights @ each) / max(float(lesson.weights.sum()), _LEAST)
