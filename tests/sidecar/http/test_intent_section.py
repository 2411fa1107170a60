"""What the page of a target says of what queries mean."""

from copy import deepcopy

import pytest
from html_reading import EVIL, Page, assert_no_injection
from sample_models import INTENT, figure


@pytest.fixture
def view(sidecar):
    sidecar.intent = deepcopy(INTENT)
    return sidecar.intent


def test_where_no_intent_is_learned_nothing_is_said_of_it(browser, client) -> None:
    assert "<h2>Intent" not in browser("read").get("/").text
    answer = client("read").get("/v1/targets/products/intent")
    assert answer.status_code == 404
    assert 'set category = "FIELD"' in answer.json()["error"]["next_step"]


def test_a_head_is_told_with_intervals_overall_and_on_the_long_tail(browser, client, view) -> None:
    words = Page(browser("read").get("/").text).words
    for said in (
        "serves",
        "learned 2026-05-07 02:20 UTC",
        "A new head serves: better.",
        "0.532",
        "[0.482, 0.582]",
        "Queries typed least",
        "0.549",
        "Calibration error",
        "0.158",
        "filter: where at most 3 categories are together right with confidence 0.9",
        "1,572 queries and 1,016 titles of 23 categories",
    ):
        assert said in words, said
    assert "Rare categories" not in words, "there was no such query"
    assert words.count("A new head serves: better.") == 1
    assert client("read").get("/v1/targets/products/intent").json()["intent"] == view


def test_a_head_that_a_later_cycle_refused_to_replace_says_so(browser, view) -> None:
    view["last"] = {
        "cycle": "20260508T02Z",
        "at": "2026-05-08T02:20:00+00:00",
        "sentence": "the new head is not used: it is worse",
    }
    words = Page(browser("read").get("/").text).words
    assert "The cycle of 2026-05-08 02:20 UTC said: the new head is not used: it is worse." in words


@pytest.mark.parametrize(
    ("use", "said"),
    [("boost", "by at most 0.1 of a cosine"), ("off", "off: searches make nothing of it")],
)
def test_without_a_head_the_reason_stands_there_and_what_searches_would_do(
    browser, view, use, said
) -> None:
    view |= {"use": use, "head": None, "verdict": None, "missing": "no head was appointed"}
    view["last"] = {"cycle": "x", "at": "2026-05-08T02:20:00+00:00", "sentence": "no head was made"}
    words = Page(browser("read").get("/").text).words
    for told in ("no head", "No head was appointed.", said, "said: no head was made."):
        assert told in words, told
    assert "Accuracy" not in words


def test_words_of_a_head_cannot_write_into_the_page(browser, view) -> None:
    view |= {"field": EVIL, "missing": EVIL, "last": {"cycle": EVIL, "at": EVIL, "sentence": EVIL}}
    view["head"]["learned_at"] = EVIL
    view["head"]["figures"] |= {EVIL: {EVIL: figure(0.5)}}
    view["verdict"] = {"cycle": EVIL, "at": EVIL, "sentence": EVIL}
    assert_no_injection(browser("read").get("/").text)
