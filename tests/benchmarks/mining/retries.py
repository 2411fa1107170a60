"""Users who find nothing to click and type something else for the same want. SIMULATED."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from random import Random

from desireline.connectors.events import Action, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.trainer.measures.base import Run
from desireline.trainer.simulation.users import SimulatedLog

_SHOWN = 20
_POWER, _RELEVANT, _OTHER = 0.6, 0.85, 0.04


def with_retries(
    log: SimulatedLog,
    truth: Mapping[str, frozenset[str]],
    ranked: Run,
    *,
    seed: int,
    share: float = 0.5,
    empty: float = 0.05,
) -> list[LogBatch]:
    """Let `share` of the searches without a click be followed by another query.

    The retry is drawn from the queries with an answer in common. For `empty` of the queries the
    search shows nothing at all.

    Args:
        log: users who never retry.
        truth: right documents by query, of the queries that may be typed.
        ranked: what the search shows for each of them.
        seed: of the draws.
        share: of the searches without a click that are retried.
        empty: of the queries.

    """
    random = Random(seed)
    nothing = {query for query in sorted(truth) if random.random() < empty}
    by_document: dict[str, list[str]] = defaultdict(list)
    for query in sorted(set(truth) - nothing):
        for document_id in sorted(truth[query]):
            by_document[document_id].append(query)
    clicked: dict[str, list[Action]] = defaultdict(list)
    for action in log.actions():
        clicked[action.query_id].append(action)
    queries: list[Query] = []
    actions: list[Action] = []
    for search in log.queries():
        shown = () if search.text in nothing else search.shown
        queries.append(
            Query(
                query_id=search.query_id,
                text=search.text,
                at=search.at,
                client=search.client,
                shown=shown,
            )
        )
        if shown and clicked[search.query_id]:
            actions += clicked[search.query_id]
        elif random.random() < share:
            retried = _retry(search, truth, by_document, ranked, random)
            queries += retried[:1]
            actions += retried[1:]
    return [LogBatch(cursor=Cursor("end"), queries=tuple(queries), actions=tuple(actions))]


def _retry(
    search: Query,
    truth: Mapping[str, frozenset[str]],
    by_document: Mapping[str, Sequence[str]],
    ranked: Run,
    random: Random,
) -> list:
    wanted = random.choice(sorted(truth[search.text]))
    others = [query for query in by_document[wanted] if query != search.text]
    if not others:
        return []
    text = random.choice(others)
    retry = Query(
        query_id=f"{search.query_id}-again",
        text=text,
        at=search.at + timedelta(seconds=random.uniform(10, 90)),
        client=search.client,
        shown=tuple(ranked[text][:_SHOWN]),
    )
    clicks = [
        Action(
            query_id=retry.query_id,
            document_id=document_id,
            kind="click",
            at=retry.at + timedelta(seconds=5 + position),
            position=position,
            client=retry.client,
            text=text,
        )
        for position, document_id in enumerate(retry.shown, 1)
        if random.random() < position**-_POWER * (_RELEVANT if document_id == wanted else _OTHER)
    ]
    return [retry, *clicks]
