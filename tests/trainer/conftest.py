from datetime import UTC, datetime, timedelta

import pytest

from desireline.connectors.events import Action, Query
from desireline.connectors.log_source import Cursor, LogBatch

START = datetime(2025, 3, 3, 9, tzinfo=UTC)


class LogWriter:
    """A click log written by hand, one search at a time."""

    def __init__(self) -> None:
        self.queries: list[Query] = []
        self.actions: list[Action] = []

    def search(
        self, text="coffee", shown="abc", clicks="", *, client="ann", after_s=0.0, query_id=None
    ) -> str:
        query_id = query_id or f"q{len(self.queries)}"
        at = START + timedelta(seconds=after_s)
        self.queries.append(
            Query(query_id=query_id, text=text, at=at, client=client, shown=tuple(shown))
        )
        for number, document_id in enumerate(clicks, 1):
            self.act(query_id, document_id, client=client, after_s=after_s + 10 * number)
        return query_id

    def act(
        self, query_id, document_id, *, kind="click", after_s=0.0, client="ann", **more
    ) -> None:
        at = START + timedelta(seconds=after_s)
        self.actions.append(
            Action(
                query_id=query_id, document_id=document_id, kind=kind, at=at, client=client, **more
            )
        )

    def batches(self) -> list[LogBatch]:
        return [
            LogBatch(cursor=Cursor("end"), queries=tuple(self.queries), actions=tuple(self.actions))
        ]


@pytest.fixture
def log() -> LogWriter:
    return LogWriter()
