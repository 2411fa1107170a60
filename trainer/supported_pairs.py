"""The pairs that enough people stand behind."""

import polars as pl

from desireline.trainer.logs.k_anonymity import clients_by
from desireline.trainer.pairs import Pair, PairSet
from desireline.trainer.sessions import Sessions

#: Miners whose pairs no user made: of documents alone, or of what people judged. A source that is
#: not among them is taken to have looked at clicks.
FROM_NO_CLICKS = frozenset(
    {"categories", "crops", "pseudo_queries", "rated", "self_supervised", "synthetic"}
)


def supported(pairs: PairSet, sessions: Sessions, min_clients: int) -> PairSet:
    """Drop the pairs that the clicks of fewer clients speak for.

    A pair is spoken for by the clients who clicked its document for its query; where nobody did,
    so that a miner or a model inferred it, by those who clicked the document for any query.
    Pairs that are made from no clicks, or whose anchor nobody typed, need nobody.

    Args:
        pairs: what the miners found.
        sessions: what they were found in.
        min_clients: how many clients a pair needs; with 1 all are kept.

    """
    if min_clients <= 1:
        return pairs
    support = _Support(sessions)
    kept = tuple(pair for pair in pairs.pairs if support.of(pair) >= min_clients)
    anchors = {pair.anchor for pair in kept}
    return PairSet(
        pairs=kept,
        related={anchor: known for anchor, known in pairs.related.items() if anchor in anchors},
    )


class _Support:
    """How many clients clicked what, by query and document and by document."""

    def __init__(self, sessions: Sessions) -> None:
        clicked = sessions.frame.filter(pl.col("clicked"))
        self._typed = frozenset(sessions.frame.get_column("query").unique()) | frozenset(
            sessions.unanswered.get_column("query").unique()
        )
        self._direct: dict[tuple[str, str], int] = {
            (query, document): n
            for query, document, n in clients_by(clicked, "query", "document_id").iter_rows()
        }
        self._of_document: dict[str, int] = dict(clients_by(clicked, "document_id").iter_rows())

    def of(self, pair: Pair) -> float:
        """Return how many clients stand behind a pair; infinity where it needs none."""
        made_of_no_clicks = not FROM_NO_CLICKS.isdisjoint(pair.source.split("+"))
        if made_of_no_clicks or pair.anchor not in self._typed:
            return float("inf")
        document = pair.positive.document_id
        direct = self._direct.get((pair.anchor, document))
        return self._of_document.get(document, 0) if direct is None else direct
