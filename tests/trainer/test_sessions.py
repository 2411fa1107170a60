from datetime import timedelta

import polars as pl
import pytest
from pydantic import ValidationError

from desireline.connectors.events import Impression
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.trainer.query_text import normalise
from desireline.trainer.sessions import SCHEMA, SessionConfig, to_sessions

DAY = 86_400.0


def rows(sessions, *columns):
    return sessions.frame.select(columns or list(SCHEMA)).rows()


def test_a_search_and_its_click_become_one_row_a_document(log):
    log.search("  Coffee\u3000CUP ", "abc", "b")
    sessions = to_sessions(log.batches())
    assert sessions.frame.schema == pl.Schema(SCHEMA)
    assert rows(sessions, "query", "document_id", "position", "clicked") == [
        ("coffee cup", "a", 1, False),
        ("coffee cup", "b", 2, True),
        ("coffee cup", "c", 3, False),
    ]


def test_an_empty_log_is_no_error_and_says_that_nothing_can_be_learned():
    sessions = to_sessions([])
    assert sessions.frame.is_empty()
    assert (sessions.health.tier, sessions.health.clicks, sessions.health.first) == (0, 0, None)


def test_dwell_is_the_time_to_the_clients_next_event(log):
    log.search(clicks="ab")  # clicks after 10 s and 20 s
    log.search(clicks="", after_s=65)
    log.search(clicks="c", client="bob", after_s=1)
    dwell = dict(
        to_sessions(log.batches())
        .frame.filter("clicked")
        .select(pl.concat_str("client", "document_id"), "dwell_s")
        .iter_rows()
    )
    assert dwell == {"anna": 10.0, "annb": 45.0, "bobc": None}


def test_a_long_silence_is_no_dwell(log):
    log.search(clicks="a")
    log.search(after_s=DAY)
    assert to_sessions(log.batches()).frame.filter("clicked")["dwell_s"].to_list() == [None]


def test_the_second_page_counts_on_and_both_pages_are_kept(log):
    log.search(shown="ab", query_id="q")
    second = log.queries[0]
    log.queries.append(
        type(second)(
            query_id="q",
            text=second.text,
            at=second.at + timedelta(seconds=5),
            client="ann",
            shown=("c", "d"),
            first_position=3,
        )
    )
    sessions = to_sessions(log.batches())
    assert rows(sessions, "document_id", "position") == [("a", 1), ("b", 2), ("c", 3), ("d", 4)]
    assert sessions.health.searches == 1


def test_a_log_pulled_twice_counts_once(log):
    log.search(clicks="a")
    once, twice = to_sessions(log.batches()), to_sessions(log.batches() * 2)
    assert once.frame.equals(twice.frame)
    assert twice.health.defects["duplicate events"] == 2


def test_a_client_counts_once_a_day_for_a_query_and_a_document(log):
    for number in range(5):
        log.search(clicks="b" if number == 3 else "", after_s=number * 60)
    log.search(clicks="b", after_s=DAY)
    clicked = (
        to_sessions(log.batches())
        .frame.group_by("document_id")
        .agg(pl.len(), pl.col("clicked").sum())
    )
    assert sorted(clicked.iter_rows()) == [("a", 2, 0), ("b", 2, 2), ("c", 2, 0)]


def test_the_strongest_action_weighs_and_unknown_kinds_say_nothing(log):
    query_id = log.search(clicks="a")
    log.act(query_id, "a", kind="purchase", after_s=30)
    log.act(query_id, "c", kind="hover", after_s=31)
    assert rows(to_sessions(log.batches()), "document_id", "weight") == [
        ("a", 3.0),
        ("b", 0.0),
        ("c", 0.0),
    ]


def test_a_bot_is_left_out_and_people_stay(log):
    for client in range(30):
        log.search(clicks="a", client=f"person{client}")
    for number in range(150):
        log.search(clicks="c", client="bot", after_s=number)
    sessions = to_sessions(log.batches())
    assert sessions.frame["client"].n_unique() == 30
    assert sessions.health.bots == {"clients": 1, "searches": 150, "actions": 150}


def test_with_a_handful_of_clients_nobody_is_called_a_bot(log):
    for number in range(150):
        log.search(f"query {number}", clicks="c", after_s=number)
    assert to_sessions(log.batches()).health.searches == 150


def test_positions_counted_from_zero_are_moved_to_one():
    at = to_at()
    batch = LogBatch(
        cursor=Cursor("end"),
        queries=(query("q", at),),
        impressions=tuple(
            Impression(query_id="q", document_id=document, position=position, at=at)
            for position, document in enumerate("ab")
        ),
    )
    sessions = to_sessions([batch])
    assert rows(sessions, "document_id", "position") == [("a", 1), ("b", 2)]
    assert sessions.health.defects["positions counted from zero"] == 1


def test_a_log_of_clicks_alone_keeps_its_positives(log):
    log.act("", "a", text="Coffee", client="ann")
    log.act("gone", "b", text="tea", client="bob", after_s=1)
    log.act("gone2", "c", client="bob")
    log.act("", "d", client="bob")
    sessions = to_sessions(log.batches())
    assert rows(sessions, "query", "document_id", "position", "shown", "clicked") == [
        ("coffee", "a", None, False, True),
        ("tea", "b", None, False, True),
    ]
    health = sessions.health
    assert health.tier == 1
    assert "query_response_hit_ids" in health.next_tier
    assert health.defects["events of unknown queries"] == 1
    assert health.defects["events without query_id"] == 2
    assert health.defects["queries known only from the text beside an action"] == 2


def test_every_defect_is_named(log):
    query_id = log.search(shown="ab", clicks="z")
    log.search(shown="", clicks="y")
    log.search(text=" ")
    defects = to_sessions(log.batches()).health.defects
    assert query_id == "q0"
    assert defects == {
        "clicks on documents not shown": 1,
        "clicks without position": 2,
        "queries without hit ids": 1,
        "queries without text": 1,
    }


@pytest.mark.parametrize(
    ("client", "days", "back_after_s", "tier"),
    [("", 10, 100, 2), ("c", 2, 100, 2), ("c", 10, None, 3), ("c", 10, 100, 4)],
)
def test_the_tier_climbs_with_what_the_log_holds(log, client, days, back_after_s, tier):
    for day in range(days):
        name = client and f"{client}{day}"
        log.search(clicks="a", client=name, after_s=day * DAY)
        if back_after_s:
            log.search("other", client=name, after_s=day * DAY + back_after_s)
    assert to_sessions(log.batches()).health.tier == tier


def test_a_query_of_too_few_clients_is_left_out_and_warned_of_before(log):
    for client in ("ann", "bob", "cid"):
        log.search("coffee", clicks="a", client=client)
    log.search("my own name", clicks="a")
    assert (
        "1 queries come from fewer than 3 clients" in to_sessions(log.batches()).health.warnings[0]
    )
    strict = to_sessions(log.batches(), SessionConfig(min_clients=3))
    assert set(strict.frame["query"]) == {"coffee"}
    assert not strict.health.warnings


def test_a_wrong_setting_is_refused_by_name():
    with pytest.raises(ValidationError, match="min_clients"):
        SessionConfig(min_clients=0)


def test_text_is_folded_once_for_all():
    assert normalise("  ﬁne\tＣＯＦＦＥＥ  Straße ") == "fine coffee strasse"


def to_at():
    from datetime import UTC, datetime

    return datetime(2025, 1, 1, tzinfo=UTC)


def query(query_id, at):
    from desireline.connectors.events import Query

    return Query(query_id=query_id, text="coffee", at=at, client="ann")
