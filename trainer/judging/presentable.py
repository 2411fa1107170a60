"""What of a truth may be shown to people: no query, and no click, of too few of them."""

import polars as pl

from desireline.trainer.logs.k_anonymity import clients_by
from desireline.trainer.measures.base import Qrels


def presentable_clicks(
    qrels: Qrels, rows: pl.DataFrame, *, min_clients: int, min_pair_clients: int
) -> dict[str, dict[str, float]]:
    """Return the wanted documents that enough clients clicked, of queries that enough typed.

    Args:
        qrels: a truth made of clicks; grades at or below zero want nothing.
        rows: impressions with `query`, `document_id`, `client` and `clicked`.
        min_clients: who must have typed a query.
        min_pair_clients: who must have clicked a document for it.

    """
    clicks = clients_by(rows.filter("clicked"), "query", "document_id")
    spoken_for = {(query, document): clients for query, document, clients in clicks.iter_rows()}
    typed = presentable_queries(qrels, rows, min_clients=min_clients)
    wanted = {
        query: {
            document: grade
            for document, grade in grades.items()
            if grade > 0 and spoken_for.get((query, document), 0) >= min_pair_clients
        }
        for query, grades in typed.items()
    }
    return {query: grades for query, grades in wanted.items() if grades}


def presentable_queries(
    qrels: Qrels, rows: pl.DataFrame, *, min_clients: int
) -> dict[str, dict[str, float]]:
    """Return the truth of the queries that enough clients typed, whoever judged it."""
    enough = clients_by(rows, "query").filter(pl.col("clients") >= min_clients)
    typed = set(enough.get_column("query"))
    return {query: dict(grades) for query, grades in sorted(qrels.items()) if query in typed}
