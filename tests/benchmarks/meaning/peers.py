"""What else names a category for a query: votes of neighbours, and words."""

from collections.abc import Mapping, Sequence

import numpy as np

from desireline.connectors.documents import Vectors
from desireline.trainer.intent.lessons import IntentLessons

NEIGHBOURS = (5, 10, 20, 50)
SHARPNESS = (5.0, 10.0, 20.0, 40.0)


def vote(
    queries: Vectors, known: Vectors, shares: Vectors, *, neighbours: int, sharpness: float
) -> Vectors:
    """Let the nearest vote, each by e to the power of its likeness times the sharpness.

    Args:
        queries: shape (queries, dimension), of length 1.
        known: shape (texts, dimension), of length 1.
        shares: shape (texts, categories).
        neighbours: that vote.
        sharpness: how much more the nearer ones count.

    """
    likeness = queries @ known.T
    most = min(neighbours, known.shape[0])
    near = np.argpartition(-likeness, most - 1, axis=1)[:, :most]
    found = np.take_along_axis(likeness, near, axis=1)
    weights = np.exp(sharpness * (found - found.max(axis=1, keepdims=True)))
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("qn,qnc->qc", weights, shares[near]).astype(np.float32)


def shares_of(
    names: Sequence[str], categories: Mapping[str, Sequence[str]], columns: Sequence[str]
) -> Vectors:
    """Return the categories of documents as rows."""
    place = {category: column for column, category in enumerate(columns)}
    shares = np.zeros((len(names), len(columns)), dtype=np.float32)
    for row, name in enumerate(names):
        for category in categories[name]:
            shares[row, place[category]] = 1 / len(categories[name])
    return shares


def by_words(lessons: IntentLessons, queries: Sequence[str]) -> Vectors:
    """Return the confidences of logistic regression over TF-IDF of words and pairs of words.

    scikit-learn's, as its documentation shows it; the likeliest category is each text's label.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    texts = [*lessons.queries, *lessons.titles]
    labels = np.concatenate([lessons.of_queries.argmax(axis=1), lessons.of_titles.argmax(axis=1)])
    model = LogisticRegression(C=10.0, max_iter=300)
    weights = np.concatenate([lessons.weights, np.full(len(lessons.titles), 0.5)])
    model.fit(words.fit_transform(texts), labels, sample_weight=weights)
    found = np.zeros((len(queries), len(lessons.categories)), dtype=np.float32)
    found[:, model.classes_] = model.predict_proba(words.transform(queries))
    return found
