"""What reaches the disk of a click log: nobody's name, nobody's number."""

from datetime import UTC, datetime, timedelta

import pytest

from desireline.connectors.events import Action, Impression, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.sidecar.configuration.privacy import PrivacyConfig
from desireline.sidecar.privacy.promises import Privacy
from desireline.trainer.sessions import to_sessions

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def privacy(tmp_path):
    return Privacy(tmp_path, target="shop", config=PrivacyConfig(), clock=lambda: NOW)


def batch(text="red shoes", client="ann", at=NOW, **attributes) -> LogBatch:
    return LogBatch(
        cursor=Cursor("c"),
        queries=(
            Query(
                query_id="q1",
                text=text,
                at=at,
                client=client,
                shown=("a", "b"),
                attributes=attributes,
            ),
        ),
        impressions=(Impression(query_id="q1", document_id="a", position=1, at=at, client=client),),
        actions=(
            Action(query_id="q1", document_id="a", kind="click", at=at, client=client, text=text),
        ),
        defects={"action without object_id": 2},
    )


def test_names_are_hashed_alike_in_all_events_and_nothing_else_changes(privacy):
    before = batch()
    after = privacy.anonymise(before)
    events = (*after.queries, *after.impressions, *after.actions)
    assert len({event.client for event in events}) == 1
    assert events[0].client.startswith("salt-")
    assert after.cursor == before.cursor
    assert after.defects == before.defects
    assert (after.queries[0].text, after.queries[0].shown) == ("red shoes", ("a", "b"))


def test_a_query_with_personal_data_is_left_out_with_what_was_done_and_only_counted(privacy):
    after = privacy.anonymise(batch(text="Invoice of Jane@Example.com"))
    assert (after.queries, after.impressions, after.actions) == ((), (), ())
    assert after.defects["query with an e-mail address"] == 1
    assert "jane" not in str(after).lower()


def test_an_action_whose_text_is_personal_is_left_out_though_its_query_is_unknown(privacy):
    lone = LogBatch(cursor=Cursor(""), actions=batch(text="4111 1111 1111 1111").actions)
    assert privacy.anonymise(lone).actions == ()


def test_of_the_attributes_only_the_subnet_stays_and_it_is_hashed(privacy):
    one, same, other = (
        privacy.anonymise(batch(ip=ip, user_id="U-4711")).queries[0].attributes
        for ip in ("203.0.113.7", "203.0.113.9", "198.51.100.1")
    )
    assert set(one) == {"subnet"}
    assert one == same != other
    assert "203.0.113" not in one["subnet"]


def test_an_erased_client_stays_out_until_then_and_may_come_again(privacy):
    privacy.anonymise(batch())
    privacy.erased.add("client", "ann", NOW)
    gone = privacy.anonymise(batch(at=NOW - timedelta(days=3)))
    assert (gone.queries, gone.impressions, gone.actions) == ((), (), ())
    assert privacy.anonymise(batch(at=NOW + timedelta(seconds=1))).queries
    assert privacy.anonymise(batch(client="bob")).queries


def test_an_erased_query_stays_out_for_good_however_it_is_written(privacy):
    privacy.erased.add("query", "My  Own NAME", NOW)
    assert privacy.anonymise(batch(text="my own name", at=NOW + timedelta(days=9))).queries == ()
    assert privacy.anonymise(batch()).queries


def test_the_list_of_the_erased_names_nobody(privacy, tmp_path):
    privacy.erased.add("client", "ann-of-green-gables", NOW)
    privacy.erased.add("query", "green gables", NOW)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"gables" not in path.read_bytes()


def test_a_line_that_a_crash_cut_short_is_passed_over(privacy, tmp_path):
    privacy.erased.add("client", "ann", NOW)
    with (tmp_path / "privacy" / "shop" / "erased.ndjson").open("ab") as file:
        file.write(b'{"what": "cli')
    assert privacy.anonymise(batch()).queries == ()


def test_sessions_and_dwell_are_those_of_the_names_as_they_were(privacy):
    """One client is one name, so whatever a session is joined by still joins it."""

    def busy(n: int) -> LogBatch:
        at = NOW - timedelta(minutes=n)
        who = f"person {n % 7}"
        return LogBatch(
            cursor=Cursor(""),
            queries=(
                Query(query_id=str(n), text=f"shoe {n % 3}", at=at, client=who, shown=("a", "b")),
            ),
            actions=(Action(query_id=str(n), document_id="a", kind="click", at=at, client=who),),
        )

    batches = [busy(n) for n in range(100)]
    plain = to_sessions(batches).frame
    private = to_sessions(map(privacy.anonymise, batches)).frame
    assert plain.drop("client").equals(private.drop("client"))
    assert plain["client"].n_unique() == private["client"].n_unique() == 7
    assert not set(plain["client"]) & set(private["client"])
