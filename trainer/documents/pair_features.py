"""What is known of a query and a document beside clicks: likeness, words, like queries."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from desireline.connectors.documents import Vectors
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.encoders.base import Encoder

_NEIGHBOURS = 30
#: Like queries are found among this many at most: the search is quadratic.
_MOST_QUERIES = 40_000
_QUERIES_AT_ONCE = 1_024
#: A neighbour at cosine c counts exp((c - 1) / this).
_KERNEL_WIDTH = 0.1
#: Words are compared by their first letters: a stem without knowing the language.
_STEM_LETTERS = 5
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Pairs of the same document under like queries, with weights."""

    of: NDArray[np.intp]
    to: NDArray[np.intp]
    weight: NDArray[np.float64]
    size: int

    def pool(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up the linked pairs' values by weight, for each pair."""
        pooled = np.bincount(self.of, self.weight * values[self.to], minlength=self.size)
        return np.asarray(pooled, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFeatures:
    """Features of pairs, in the order of `pairs`, and the neighbours of their queries."""

    #: Columns query, document_id.
    pairs: pl.DataFrame
    #: Shape (pairs, features).
    values: NDArray[np.float64]
    #: Columns query, neighbour, weight.
    neighbours: pl.DataFrame

    def of(self, pairs: pl.DataFrame) -> NDArray[np.float64]:
        """Return the features of these pairs; those of unknown ones are 0."""
        numbered = self.pairs.with_row_index("row")
        row = (
            pairs.select("query", "document_id")
            .join(numbered, on=["query", "document_id"], how="left", maintain_order="left")
            .get_column("row")
        )
        found = self.values[row.fill_null(0).to_numpy()]
        return np.asarray(found * row.is_not_null().to_numpy()[:, None])

    def links(self, pairs: pl.DataFrame) -> Links:
        """Link each pair to the pairs of the same document under neighbouring queries."""
        numbered = pairs.select("query", "document_id").with_row_index("row")
        joined = (
            numbered.lazy()
            .join(self.neighbours.lazy(), on="query")
            .join(
                numbered.lazy().rename({"row": "to", "query": "neighbour"}),
                on=["neighbour", "document_id"],
            )
            .select("row", "to", "weight")
            .collect()
        )
        return Links(
            of=joined.get_column("row").to_numpy().astype(np.intp),
            to=joined.get_column("to").to_numpy().astype(np.intp),
            weight=joined.get_column("weight").to_numpy(),
            size=pairs.height,
        )


def describe_pairs(
    pairs: pl.DataFrame, documents: Mapping[str, DocumentText], encoder: Encoder
) -> PairFeatures:
    """Compare each query with each document shown for it.

    Features: cosine, its square, its distance to the best and to the mean of the query's
    documents; share of the query's words (by rarity) in the title and in the whole text;
    share of the title's words in the query. Nothing here knows of a click.

    Args:
        pairs: columns query and document_id; repeats and unknown documents are left out.
        documents: by document_id.
        encoder: the incumbent, which judges likeness.

    """
    known = pl.Series(list(documents), dtype=pl.String)
    pairs = (
        pairs.select("query", "document_id")
        .unique()
        .filter(pl.col("document_id").is_in(known.implode()))
        .sort("query", "document_id")
    )
    queries = pairs.get_column("query").unique(maintain_order=True)
    document_ids = pairs.get_column("document_id").unique().sort()
    query_vectors = _unit(encoder.encode_queries(queries.to_list()), encoder.dimension)
    texts = [documents[document_id].text for document_id in document_ids]
    cosine = _cosines(
        pairs,
        (queries, query_vectors),
        (document_ids, _unit(encoder.encode_documents(texts), encoder.dimension)),
    )
    likeness = pairs.with_columns(cosine=pl.Series(cosine)).select(
        "cosine",
        square=pl.col("cosine") ** 2,
        to_best=pl.col("cosine") - pl.col("cosine").max().over("query"),
        to_mean=pl.col("cosine") - pl.col("cosine").mean().over("query"),
    )
    words = _shared_words(pairs, {name: documents[name] for name in document_ids})
    return PairFeatures(
        pairs=pairs,
        values=np.concatenate([likeness.to_numpy(), words], axis=1),
        neighbours=_neighbours(queries, query_vectors),
    )


def _unit(vectors: Vectors, dimension: int) -> Vectors:
    if not len(vectors):
        return np.zeros((0, dimension), dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


def _cosines(
    pairs: pl.DataFrame, queries: tuple[pl.Series, Vectors], documents: tuple[pl.Series, Vectors]
) -> NDArray[np.float64]:
    """Cosine of each pair; a row at a time would be slow, all at once would be large."""
    left = _rows(pairs.get_column("query"), queries[0])
    right = _rows(pairs.get_column("document_id"), documents[0])
    cosine = np.empty(pairs.height, dtype=np.float64)
    for start in range(0, pairs.height, 100_000):
        some = slice(start, start + 100_000)
        cosine[some] = np.einsum("ij,ij->i", queries[1][left[some]], documents[1][right[some]])
    return cosine


def _rows(names: pl.Series, order: pl.Series) -> NDArray[np.intp]:
    numbers = dict(zip(order, range(len(order)), strict=True))
    return names.replace_strict(numbers, return_dtype=pl.Int64).to_numpy().astype(np.intp)


def _neighbours(queries: pl.Series, vectors: Vectors) -> pl.DataFrame:
    """Find the like queries of each query, itself left out."""
    known = vectors[:_MOST_QUERIES]
    count = min(_NEIGHBOURS, len(known) - 1)
    if count < 1:
        return pl.DataFrame(
            schema={"query": pl.String, "neighbour": pl.String, "weight": pl.Float64}
        )
    of, to, cosines = [], [], []
    for start in range(0, len(vectors), _QUERIES_AT_ONCE):
        scores = vectors[start : start + _QUERIES_AT_ONCE] @ known.T
        own = np.arange(start, min(start + _QUERIES_AT_ONCE, len(known)))
        scores[own - start, own] = -np.inf
        rows, columns = _best(scores, count)
        of.append(rows + start)
        to.append(columns)
        cosines.append(scores[rows, columns])
    names = queries.to_numpy()
    cosine = np.concatenate(cosines).astype(np.float64)
    return pl.DataFrame(
        {
            "query": names[np.concatenate(of)],
            "neighbour": names[np.concatenate(to)],
            "weight": np.exp((cosine - 1) / _KERNEL_WIDTH),
        },
        schema={"query": pl.String, "neighbour": pl.String, "weight": pl.Float64},
    )


def _best(scores: Vectors, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the highest scores of each row, about `count` of them; as row and column numbers.

    A threshold from a sample of the columns lets all but a hundred or so of each row be
    dismissed by one comparison: several times faster than sorting out every row.
    """
    stride = max(1, scores.shape[1] // 1_024)
    sample = scores[:, ::stride]
    place = min(sample.shape[1], 2 * count // stride + 2)
    enough = np.partition(sample, sample.shape[1] - place, axis=1)[:, sample.shape[1] - place]
    rows, columns = np.nonzero((scores >= enough[:, None]) & (scores > -np.inf))
    order = np.lexsort((-scores[rows, columns], rows))
    rows, columns = rows[order], columns[order]
    place_in_row = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = place_in_row < count
    return rows[kept], columns[kept]


def _shared_words(
    pairs: pl.DataFrame, documents: Mapping[str, DocumentText]
) -> NDArray[np.float64]:
    """Share of the query's words in title and text, and of the title's words in the query."""
    titles = {name: _stems(document.title) for name, document in documents.items()}
    texts = {name: _stems(document.text) | titles[name] for name, document in documents.items()}
    in_documents = pl.DataFrame(
        [
            (name, word, word in titles[name], 1 / max(1, len(titles[name])))
            for name, words in texts.items()
            for word in sorted(words)
        ],
        schema={
            "document_id": pl.String,
            "word": pl.String,
            "in_title": pl.Boolean,
            "of_title": pl.Float64,
        },
        orient="row",
    )
    rarity = in_documents.group_by("word").agg(rarity=(1 + len(documents) / (1 + pl.len())).log())
    in_queries = (
        pl.DataFrame(
            [
                (query, word)
                for query in pairs.get_column("query").unique(maintain_order=True)
                for word in sorted(_stems(query))
            ],
            schema={"query": pl.String, "word": pl.String},
            orient="row",
        )
        .join(rarity, on="word", how="left")
        .with_columns(pl.col("rarity").fill_null(float(np.log(1 + len(documents)))))
        .with_columns(share=pl.col("rarity") / pl.col("rarity").sum().over("query"))
    )
    shared = (
        pairs.lazy()
        .join(in_queries.lazy(), on="query")
        .join(in_documents.lazy(), on=["document_id", "word"])
        .group_by("query", "document_id")
        .agg(
            title=(pl.col("share") * pl.col("in_title")).sum(),
            text=pl.col("share").sum(),
            of_title=(pl.col("of_title") * pl.col("in_title")).sum(),
        )
        .collect()
    )
    return (
        pairs.join(shared, on=["query", "document_id"], how="left", maintain_order="left")
        .select(pl.col("title", "text", "of_title").fill_null(0.0))
        .to_numpy()
    )


def _stems(text: str) -> set[str]:
    return {word[:_STEM_LETTERS] for word in _WORD.findall(text.casefold())}
