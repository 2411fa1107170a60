"""The health of a click log over HTTP: as a page for people, as JSON for programs."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from desireline.connectors.events import Action, Query
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.sidecar.reports.log_reports import report_of
from desireline.trainer.logs.figures import SHOWN_FROM_CLIENTS
from desireline.trainer.sessions import to_sessions

NOON = datetime(2026, 5, 7, 12, 0, tzinfo=UTC)
LOGS = "/targets/products/logs"
EVIL = """"><script>alert(1)</script><img src=x onerror='alert(2)'>"""


def report_on(queries=(), actions=()):
    """The report on a log, as the page gets it."""
    batch = LogBatch(cursor=Cursor(""), queries=tuple(queries), actions=tuple(actions))
    health = to_sessions([batch]).health
    report = report_of("products", health, at=NOON, tune_from_clicks=50)
    return json.loads(json.dumps(report))


def search(number, text, *, client, shown=("a", "b")):
    at = NOON + timedelta(minutes=number)
    return Query(query_id=f"q{number}", text=text, at=at, client=client, shown=shown)


def words(text: str) -> str:
    return re.sub(r"<[^>]+>", " ", text)


def test_before_the_first_reading_the_page_says_how_to_read_it(browser) -> None:
    text = words(browser("read").get(LOGS).text)
    assert "has not been read yet" in text
    assert "desireline logs products" in text


def test_the_page_tells_tier_figures_defects_and_how_to_mend_them(
    browser, sidecar, log_report
) -> None:
    sidecar.logs = log_report
    answer = browser("read").get(LOGS).text
    text = words(answer)
    for said in (
        "tier 3 of 4",
        "Add dwell times",
        "the fields of a document teach each other (self-supervised",
        "89.9% of the actions that count find their search",
        "96 of 144 queries (66.7%) never got a click",
        "782 of those shown (89.2%)",
        "events of unknown queries",
        "Log every search",
        "wireless earbuds",
        "The words of 139 queries are not shown",
    ):
        assert said in text, said
    assert "position 1 12.4%, position 2 7.3%" in answer


def test_the_target_s_page_tells_the_tier_and_leads_to_the_report(
    browser, sidecar, log_report
) -> None:
    sidecar.logs = log_report
    answer = browser("read").get("/targets/products").text
    assert "tier 3 of 4" in answer
    assert f'href="{LOGS}"' in answer


def test_only_an_administrator_can_have_the_log_read_and_twice_is_once(browser, sidecar) -> None:
    reader, admin = browser("read"), browser("admin")
    assert "Read the log now" not in reader.get(LOGS).text
    token = re.search(r'name="token" value="([0-9a-f]{64})"', reader.get(LOGS).text).group(1)
    assert reader.post(LOGS, data={"token": token}).status_code == 403
    token = re.search(r'name="token" value="([0-9a-f]{64})"', admin.get(LOGS).text).group(1)
    assert "is being read." in admin.post(LOGS, data={"token": token}).text
    assert "is read already." in admin.post(LOGS, data={"token": token}).text
    assert "Read the log now" not in admin.get(LOGS).text


def test_a_page_loads_itself_again_only_while_the_log_is_read(browser, sidecar) -> None:
    caller = browser("read")
    assert "http-equiv" not in caller.get(LOGS).text
    sidecar.reading = True
    assert f'content="3; url={LOGS}"' in caller.get(LOGS).text


def test_a_reading_that_failed_is_told(browser, sidecar) -> None:
    sidecar.failed = "cannot read clicks.ndjson: it is cut short"
    assert "The last reading failed: cannot read clicks.ndjson" in browser("read").get(LOGS).text


def test_a_query_that_too_few_clients_typed_is_nowhere(browser, client, sidecar) -> None:
    few = SHOWN_FROM_CLIENTS - 1
    secret = [search(n, "canary of four", client=f"c{n}") for n in range(few)]
    alone = [search(10 + n, "canary of one", client="c1") for n in range(40)]
    nobody = [search(60 + n, "canary of nobody", client="") for n in range(40)]
    common = [search(200 + n, "tea pot", client=f"c{n}") for n in range(SHOWN_FROM_CLIENTS)]
    sidecar.logs = report_on([*secret, *alone, *nobody, *common])
    for text in (
        browser("read").get(LOGS).text,
        browser("read").get("/targets/products").text,
        client("read").get("/v1/targets/products/logs").text,
    ):
        assert "canary" not in text
    assert "tea pot" in browser("read").get(LOGS).text


@pytest.mark.parametrize(
    "log",
    [
        {},
        {"actions": [Action(query_id="q1", document_id="a", kind="click", at=NOON)]},
        {"actions": [Action(query_id="", document_id="a", kind="click", at=NOON, text="茶")]},
        {"queries": [search(1, "tea", client="")]},
        {"queries": [search(1, "tea", client="ann", shown=())]},
    ],
    ids=["empty", "one click", "a click and its text", "no client", "nothing shown"],
)
def test_a_log_with_hardly_anything_has_a_page_too(browser, sidecar, log) -> None:
    sidecar.logs = report_on(**log)
    answer = browser("read").get(LOGS)
    assert answer.status_code == 200
    assert "tier " in words(answer.text)
    assert "nan" not in words(answer.text).lower().split()


def test_what_strangers_wrote_cannot_write_into_the_page(browser, sidecar) -> None:
    queries = [search(n, EVIL, client=f"c{n}", shown=(EVIL,)) for n in range(6)]
    actions = [Action(query_id="q1", document_id="b", kind=EVIL, at=NOON)]
    sidecar.logs = report_on(queries, actions)
    text = browser("read").get(LOGS).text
    assert "<script" not in text
    assert "<img src=x" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_programs_get_the_report_or_are_told_how_to_get_one(client, sidecar, log_report) -> None:
    caller = client("admin")
    missing = caller.get("/v1/targets/products/logs")
    assert missing.status_code == 404
    assert "POST /v1/targets/products/logs" in missing.json()["error"]["message"]
    said = caller.post("/v1/targets/products/logs").json()["message"]
    assert said == "the click log of products is being read"
    sidecar.logs = log_report
    body = caller.get("/v1/targets/products/logs").json()
    assert body["logs"] == log_report
    assert body["reading"] is True
    assert body["logs"]["figures"]["places"][0]["click_through"] == pytest.approx(30 / 242)
