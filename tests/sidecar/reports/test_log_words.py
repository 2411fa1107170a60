import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from desireline.connectors.events import Action, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.connectors.logs.files import FileLogs, FileLogsConfig
from desireline.sidecar.reports.log_reports import report_of
from desireline.sidecar.reports.log_words import headline, lacking, parts, positions_sentence, share
from desireline.trainer.sessions import SessionConfig, to_sessions

ROOT = Path(__file__).parents[3]
NOON = datetime(2026, 5, 7, 12, 0, tzinfo=UTC)


def reported(queries=(), actions=(), config=None):
    batch = LogBatch(cursor=Cursor(""), queries=tuple(queries), actions=tuple(actions))
    health = to_sessions([batch], config).health
    return report_of("products", health, at=NOON, tune_from_clicks=50)


def told(report):
    return {(part.title, line.name): line.text for part in parts(report) for line in part.lines}


@pytest.fixture(scope="module")
def sample():
    path = ROOT / "tests" / "data" / "esci_ubi" / "ubi_queries_events.ndjson.gz"
    health = to_sessions(FileLogs(FileLogsConfig(path=str(path))).pull()).health
    return report_of("products", health, at=NOON, tune_from_clicks=50)


def places(*clicks, impressions=1000):
    found = [
        {"position": at, "impressions": impressions, "clicks": each}
        for at, each in enumerate(clicks, 1)
    ]
    return {"figures": {"places": found}}


def test_the_public_sample_in_words(sample):
    lines = told(sample)
    assert headline(sample) == "Tier 4 of 4: nothing is missing."
    assert lines["Events", "searches"] == "365 logged"
    assert lines["Events", "actions"] == "527 that count: click 287, add_to_cart 234, purchase 6"
    assert lines["Events", "joined"].endswith("474; 53 are lost")
    assert lines["To learn from", "period"] == ("2024-12-10 to 2025-03-03, 17 days with searches")
    assert lines["To learn from", "bots"] == "1 client, 37 searches, 308 actions left out"
    assert lines["Queries", "head"] == "20 queries, 36.0% of the searches"
    assert lines["Documents", "never clicked"] == "782 of those shown (89.2%)"


def test_every_line_is_explained_in_the_page_on_logs(sample):
    explained = (ROOT / "docs" / "logs.md").read_text()
    for title, name in told(sample):
        assert re.search(rf"^\| `{title}: {name}` \|", explained, re.MULTILINE), (title, name)


def test_an_empty_log_is_told_in_few_words():
    lines = told(reported())
    assert lines["Events", "none"] == "the log holds no event that could be used"
    assert {title for title, _ in lines} == {"Events", "To learn from"}


def test_kinds_that_say_nothing_are_named_so_that_a_forgotten_one_is_seen():
    query = Query(query_id="q", text="tea", at=NOON, shown=("a",))
    actions = [
        Action(query_id="q", document_id="a", kind=kind, at=NOON + timedelta(seconds=n))
        for n, kind in enumerate(["click", "wishlist", "wishlist"])
    ]
    lines = told(reported([query], actions))
    assert lines["Events", "actions"] == "1 that count: click 1; not counted: wishlist 2"


def test_clicks_that_privacy_holds_back_are_told_with_the_setting():
    queries = [Query(query_id="q", text="tea", at=NOON, client="ann", shown=("a",))]
    actions = [Action(query_id="q", document_id="a", kind="click", at=NOON, client="ann")]
    report = reported(queries, actions, SessionConfig(min_clients=5))
    lines = told(report)
    assert lines["To learn from", "clicks"].startswith("0, too few: a cycle learns from 50 on")
    assert lines["To learn from", "private"].startswith("1 more clicks are not learned from")
    assert "sessions.min_clients" in lines["To learn from", "private"]
    assert report["tier"] == 2, "what the log holds sets the tier, not what may be learned"


def test_only_the_next_tier_is_told_what_it_lacks():
    report = reported([Query(query_id="q", text="tea", at=NOON, shown=("a",))])
    lacks = [len(lacking(report, tier)) for tier in report["readiness"]["tiers"]]
    assert lacks == [0, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (places(), "Too few documents"),
        (places(1, 1, 1, impressions=33), "Too few documents"),
        (places(30, 20, 10), "are clicked in 2.0% of their impressions"),
        (places(60, 60, 60, 9, 9, 9, 9, 20, 20, 20), "3.0 times as often as positions 8 to 10"),
        (places(60, 60, 60, 9, 9, 9, 9, 0, 0, 0), "nobody clicks positions 8 to 10"),
        (places(*[50] * 10), "hardly more often"),
        (places(*range(0, 100, 10)), "hardly more often"),
    ],
)
def test_what_click_through_by_position_means_is_said(report, said):
    assert said in positions_sentence(report)


def test_a_share_of_nothing_is_a_dash():
    assert (share(1, 8), share(0, 0)) == ("12.5%", "\N{EN DASH}")
