"""The pages as HTML: what they show, and what cannot be done to them."""

import re

import httpx
import pytest
from html_reading import EVIL, Page, assert_no_injection
from hypothesis import given
from hypothesis import strategies as st

from desireline.connectors.documents import Document
from desireline.sidecar.http.markup import Markup, element
from desireline.sidecar.http.settings import HttpSettings


def token_of(text: str) -> str:
    return re.search(r'name="token" value="([0-9a-f]{64})"', text).group(1)


def test_the_page_says_whose_vectors_a_query_encoder_searches(browser, sidecar) -> None:
    assert "the vectors of generation" not in Page(browser("read").get("/").text).words
    sidecar.vectors_of = 3
    words = Page(browser("read").get("/targets/products").text).words
    assert "with the vectors of generation 3" in words


def test_the_page_shows_what_serves_and_what_the_last_cycle_did(browser, sidecar, cycle) -> None:
    sidecar.cycle = cycle
    text = browser("read").get("/").text
    words = Page(text).words
    for said in (
        "Generation 7 is live",
        "embedding__b",
        "retained",
        "4 of 4",
        cycle["reason"],
        "41,208 searches",
        "0.461",
        "[0.431, 0.491]",
        "+0.030",
        "[+0.011, +0.049]",
        "Gain over incumbent",
        "2026-05-07 02:00 UTC, took 41 min",
    ):
        assert said in words, said
    assert "mrr@20: bm25 0.312, base 0.402, incumbent 0.431, candidate 0.461" in text


def test_a_gain_is_only_green_when_its_interval_is_above_zero(browser, sidecar, cycle) -> None:
    sidecar.cycle = cycle
    text = browser("read").get("/").text
    before_after = text[text.index('<table class="measures">') :].split("</table>")[0]
    found = re.findall(r'<span class="gain (\w+)">', before_after)
    assert found == ["up", "up", "up", "open"]


def test_while_the_base_serves_it_is_not_shown_twice(browser, sidecar, cycle) -> None:
    cycle["measures"]["incumbent"] = cycle["measures"]["base"]
    del cycle["gain"]
    sidecar.cycle = cycle
    words = Page(browser("read").get("/").text).words
    assert "Gain over base" in words
    assert "Incumbent" not in words
    assert "+0.059" in words


def test_before_the_first_cycle_the_page_says_how_to_begin(browser, sidecar) -> None:
    sidecar.live_number = None
    text = browser("read").get("/").text
    assert "desireline tune products" in Page(text).words
    assert "no generation of" in text


def test_a_query_is_answered_by_both_generations_side_by_side(browser) -> None:
    signed_in = browser("read")
    token = token_of(signed_in.get("/").text)
    text = signed_in.post(
        "/targets/products/try", data={"token": token, "text": "red running shoes"}
    ).text
    words = Page(text).words
    assert words.index("generation 7") < words.index("generation 6")
    assert words.count("red running shoes") == 2
    assert 'value="red running shoes"' in text


@pytest.mark.parametrize("evil", [EVIL, "javascript:alert(1)", "\u202e\x00'\"`", "{{7*7}}"])
def test_a_query_cannot_write_into_the_page(browser, sidecar, evil: str) -> None:
    sidecar.engine.index_documents(
        "shop", [Document(document_id=f"id{evil}", fields={"title": evil})]
    )
    signed_in = browser("read")
    token = token_of(signed_in.get("/").text)
    answer = signed_in.post("/targets/products/try", data={"token": token, "text": evil})
    assert answer.status_code == 200
    assert_no_injection(answer.text)
    shown = [value for name, value in Page(answer.text).attributes if name == "value"]
    assert evil in shown


def test_names_and_reasons_cannot_write_into_the_page(browser, sidecar) -> None:
    sidecar.target = f"t/../{EVIL}"
    interval = {"value": 0.5, "low": 0.4, "high": 0.6}
    sidecar.cycle = {
        "outcome": EVIL,
        "reason": EVIL,
        "started_at": EVIL,
        "ended_at": EVIL,
        "steps": [{"name": EVIL, "sentence": EVIL}],
        "measures": {EVIL: {EVIL: interval}, "candidate": {EVIL: interval}},
        "gain": {EVIL: interval},
    }
    assert_no_injection(browser("admin").get("/").text)


def test_a_page_allows_nothing_but_its_own_style(browser) -> None:
    headers = browser("read").get("/").headers
    policy = headers["content-security-policy"]
    for rule in ("default-src 'none'", "style-src 'self'", "frame-ancestors 'none'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


def test_a_revert_asks_first_and_is_then_done(browser, sidecar) -> None:
    signed_in = browser("admin")
    asked = signed_in.get("/targets/products/revert").text
    assert "Revert to generation 6" in asked
    assert sidecar.live_number == 7
    done = signed_in.post(
        "/targets/products/revert", data={"token": token_of(asked), "generation": "6"}
    )
    assert sidecar.live_number == 6
    assert "generation 6 is live again" in done.text
    again = signed_in.get("/targets/products/revert").text
    assert "keeps no earlier generation" in again


def test_a_revert_confirmed_for_another_generation_does_nothing(browser, sidecar) -> None:
    signed_in = browser("admin")
    token = token_of(signed_in.get("/targets/products/revert").text)
    answer = signed_in.post("/targets/products/revert", data={"token": token, "generation": "5"})
    assert answer.status_code == 400
    assert sidecar.live_number == 7


def test_a_form_of_another_site_changes_nothing(browser, sidecar) -> None:
    signed_in, other = browser("admin"), browser("admin")
    mine = token_of(signed_in.get("/").text)
    foreign = token_of(other.get("/").text)
    address = "/targets/products/revert"
    for data, headers in (
        ({"generation": "6"}, {}),
        ({"generation": "6", "token": ""}, {}),
        ({"generation": "6", "token": foreign}, {}),
        ({"generation": "6", "token": "\N{GRINNING FACE}"}, {}),
        ({"generation": "6", "token": mine}, {"Sec-Fetch-Site": "cross-site"}),
        ({"generation": "6", "token": mine}, {"Sec-Fetch-Site": "same-site"}),
    ):
        assert signed_in.post(address, data=data, headers=headers).status_code == 403
    assert sidecar.live_number == 7


def test_a_reader_sees_no_button_and_cannot_revert(browser, sidecar) -> None:
    signed_in = browser("read")
    home = signed_in.get("/").text
    assert "Revert" not in home
    data = {"generation": "6", "token": token_of(home)}
    assert signed_in.post("/targets/products/revert", data=data).status_code == 403
    assert signed_in.get("/targets/products/revert").status_code == 403
    assert sidecar.live_number == 7


def test_a_wrong_key_is_told_so_and_gets_no_cookie(anyone, keys) -> None:
    for plaintext, said in (
        ("dl_00_wrong", "unknown or was revoked"),
        ("", "unknown or was revoked"),
        (keys.create("shop", ["search"]), "may not read"),
    ):
        answer = anyone.post("/login", data={"key": plaintext})
        assert answer.status_code == 403
        assert said in answer.text
        assert "set-cookie" not in answer.headers
        assert not plaintext or plaintext not in answer.text


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(anyone, keys) -> None:
    plaintext = keys.create("Ada", ["read"])
    cookie = anyone.post("/login", data={"key": plaintext}).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert plaintext not in cookie


def test_a_sign_in_from_another_site_is_refused(anyone, keys) -> None:
    data = {"key": keys.create("Ada", ["read"])}
    answer = anyone.post("/login", data=data, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


def test_signing_out_ends_the_sign_in_for_every_copy_of_the_cookie(browser) -> None:
    signed_in = browser("read")
    copy = httpx.Client(base_url=signed_in.base_url, cookies=signed_in.cookies, timeout=60)
    assert copy.get("/").status_code == 200
    signed_in.post("/logout", data={"token": token_of(signed_in.get("/").text)})
    assert copy.get("/").status_code == 303
    copy.close()


def test_a_sign_in_ends_when_its_key_is_revoked(browser, keys) -> None:
    signed_in = browser("read")
    assert signed_in.get("/").status_code == 200
    keys.revoke(keys.list()[0].key_id)
    assert signed_in.get("/").status_code == 303


def test_a_target_that_does_not_exist_is_told_on_a_page(browser) -> None:
    answer = browser("read").get("/targets/%3Cscript%3E")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert_no_injection(answer.text)


class TestBehindHttps:
    @pytest.fixture
    def settings(self) -> HttpSettings:
        return HttpSettings(https=True)

    def test_the_cookie_is_bound_to_the_host_and_to_https(self, anyone, keys) -> None:
        answer = anyone.post("/login", data={"key": keys.create("Ada", ["read"])})
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-desireline=")
        assert "Secure" in cookie
        assert "Path=/" in cookie
        assert "Domain" not in cookie
        assert "max-age" in answer.headers["strict-transport-security"]


@given(st.text(), st.text())
def test_no_text_leaves_its_element(inside: str, attribute: str) -> None:
    page = Page(element("p", inside, title=attribute))
    assert page.tags == ["p"]
    assert page.attributes == [("title", attribute)] or "\r" in attribute or "\x00" in attribute
    assert Page(Markup("<b>") + element("i", inside)).tags == ["b", "i"]
