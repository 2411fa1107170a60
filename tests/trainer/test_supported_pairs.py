"""A pair needs several people behind it."""

from datetime import UTC, datetime

import pytest

from desireline.connectors.events import Action, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.trainer.pairs import Pair, PairSet, Passage
from desireline.trainer.sessions import to_sessions
from desireline.trainer.supported_pairs import supported

AT = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def sessions():
    """Three people click shoe for shoes, one clicks boot for it; ann clicks hat for hats."""
    clicks = [
        ("ann", "shoes", "shoe"),
        ("bob", "shoes", "shoe"),
        ("cid", "shoes", "shoe"),
        ("ann", "shoes", "boot"),
        ("ann", "hats", "hat"),
    ]
    queries = tuple(
        Query(query_id=str(n), text=text, at=AT, client=who, shown=("shoe", "boot", "hat"))
        for n, (who, text, _) in enumerate(clicks)
    )
    actions = tuple(
        Action(query_id=str(n), document_id=document, kind="click", at=AT, client=who)
        for n, (who, _, document) in enumerate(clicks)
    )
    return to_sessions([LogBatch(cursor=Cursor(""), queries=queries, actions=actions)])


def pair(anchor: str, document: str, source: str = "clicked") -> Pair:
    return Pair(anchor=anchor, positive=Passage(document, f"text of {document}"), source=source)


def kept(sessions, *pairs: Pair, k: int = 3) -> list[tuple[str, str]]:
    known = {each.anchor: frozenset({"shoe"}) for each in pairs}
    found = supported(PairSet(pairs=pairs, related=known), sessions, k)
    assert set(found.related) == {each.anchor for each in found.pairs} or k == 1
    return [(each.anchor, each.positive.document_id) for each in found.pairs]


def test_a_pair_that_too_few_clicked_is_dropped(sessions):
    found = kept(sessions, pair("shoes", "shoe"), pair("shoes", "boot"), pair("hats", "hat"))
    assert found == [("shoes", "shoe")]


def test_an_inferred_pair_needs_people_who_clicked_its_document(sessions):
    assert kept(sessions, pair("hats", "shoe"), pair("hats", "boot")) == [("hats", "shoe")]


def test_a_pair_made_from_documents_alone_needs_nobody(sessions):
    assert kept(sessions, pair("title of a hat", "hat")) == [("title of a hat", "hat")]


def test_a_pair_that_people_judged_needs_no_clicks(sessions):
    assert kept(sessions, pair("hats", "hat", "clicked+rated")) == [("hats", "hat")]
    assert kept(sessions, pair("hats", "hat", "clicked+somebody_elses")) == []


def test_with_one_client_everything_stays(sessions):
    assert kept(sessions, pair("hats", "hat"), k=1) == [("hats", "hat")]
