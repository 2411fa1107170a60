"""Every state of a cycle on the pages: its reason, what it means for searches, what comes next."""

import pytest
from html_reading import EVIL, Page, assert_no_injection

from desireline.sidecar.http.run_page import RunPage
from desireline.sidecar.steering.run_status import Pulse

PROGRESS = {"name": "fit", "done": 40, "total": 97, "eta_s": 12.0}


def ended(cycle, outcome, reason, **more):
    """Let a cycle end so, before anything was measured."""
    nothing = {"measures": {}, "gain": {}, "parts": {}, "clicks": None, "changes": None}
    return cycle | nothing | {"ladder": None, "outcome": outcome, "reason": reason, **more}


@pytest.fixture
def running(sidecar, cycle):
    sidecar.cycle = ended(cycle, "running", "", ended_at=None, beat=3, progress=dict(PROGRESS))
    return sidecar.cycle


@pytest.mark.parametrize(
    ("outcome", "reason", "said"),
    [
        ("kept incumbent", "lower bound is not above .010", "not proved better than what serves"),
        ("nothing to do", "too few clicks to learn from, 0 of 50 needed", "Nothing was trained."),
        ("failed", "no log file matches", "The next cycle tries again."),
        ("cancelled", "the operator gave it up", "The next cycle begins anew."),
        ("interrupted", "stopped by the user", "The next cycle goes on where it can."),
    ],
)
def test_an_end_is_told_with_its_reason_and_what_it_means(
    browser, sidecar, cycle, outcome, reason, said
) -> None:
    sidecar.cycle = ended(cycle, outcome, reason)
    words = Page(browser("read").get("/").text).words
    for told in ("Last cycle", outcome, reason, said):
        assert told in words, told
    assert "Next: " not in words


def test_what_failed_is_told_with_the_next_step(browser, sidecar, cycle) -> None:
    sidecar.cycle = ended(cycle, "failed", "it broke", next_step="correct `path` under logs")
    text = browser("read").get("/").text
    assert "Next: correct <code>path</code> under logs." in text


def test_a_cycle_under_way_tells_what_it_is_at_and_how_long_that_takes(browser, running) -> None:
    signed_in = browser("read")
    home, run = (signed_in.get(where).text for where in ("/", "/targets/products/run"))
    for text in (home, run):
        assert '<progress max="97" value="40" aria-label="fit">' in text
        assert "fit: 40 of 97, 12 s left" in Page(text).words
        assert '<span class="state running">running</span>' in text
    assert "Watch it go" in home
    assert 'http-equiv="refresh"' in run
    assert 'http-equiv="refresh"' not in home, "it would take away what is typed"
    running["progress"] = None
    assert "<progress" not in signed_in.get("/").text


def test_one_bar_is_enough_while_a_run_shows_its_own(browser, sidecar, running) -> None:
    sidecar.go()
    for where in ("/", "/targets/products/run"):
        text = browser("read").get(where).text
        assert text.count("<progress") == 1
        assert "fit: 40 of 97" not in text


def test_a_cycle_that_nobody_owns_any_more_is_not_called_running(browser, running) -> None:
    running["beat"] = None
    signed_in = browser("read")
    home = signed_in.get("/").text
    assert '<span class="state lost">lost</span>' in home
    assert "ended without saying so; the next cycle goes on where it can" in home
    assert "<progress" not in home
    assert 'http-equiv="refresh"' not in signed_in.get("/targets/products/run").text


def test_an_owner_that_shows_no_life_is_told_after_a_while(sidecar) -> None:
    now = [0.0]
    page = RunPage(sidecar, threads=None, pulse=lambda: Pulse(monotonic=lambda: now[0]))
    told = []
    for at, beat in ((0, 1), (50, 1), (75, 1), (80, 2)):
        now[0] = at
        cycle = {"outcome": "running", "beat": beat}
        told.append(str(page.silence(sidecar.run("products"), cycle) or ""))
    assert [bool(each) for each in told] == [False, False, True, False]
    assert "no sign of life for 1 min 15 s" in told[2]


def test_what_a_cycle_put_live_and_was_reverted_is_not_told_as_live(
    browser, sidecar, cycle
) -> None:
    sidecar.cycle = cycle
    signed_in = browser("read")
    assert "does not serve now" not in signed_in.get("/").text
    sidecar.live_number = 6
    words = Page(signed_in.get("/").text).words
    assert "Generation 7, which it put live, does not serve now; generation 6 does." in words


@pytest.mark.parametrize(
    ("live", "kept", "said"),
    [
        (7, 6, "For a revert generation 6 stays ready until 2026-05-08 02:00 UTC."),
        (6, 7, "Reverted from generation 7 at 2026-05-07 09:00 UTC; generation 7 stays ready"),
        (6, None, None),
    ],
)
def test_the_way_back_is_told_and_that_it_was_gone(browser, sidecar, live, kept, said) -> None:
    sidecar.pointer = {
        "generation": live,
        "previous": kept,
        "changed_at": "2026-05-07T09:00:00+00:00",
        "hold_until": "2026-05-08T02:00:00+00:00",
    }
    words = Page(browser("read").get("/").text).words
    assert said in words if said else "stays ready" not in words


def test_the_way_forward_again_is_not_called_a_revert(browser, sidecar, monkeypatch) -> None:
    told = [
        each | {"state": state}
        for each, state in zip(sidecar.generations("products"), ("retained", "live"), strict=True)
    ]
    monkeypatch.setattr(sidecar, "generations", lambda _target: told)
    signed_in = browser("admin")
    assert "Go forward again to generation 7" in signed_in.get("/").text
    asked = signed_in.get("/targets/products/revert").text
    assert "Go forward again with products?" in asked
    assert "Revert" not in Page(asked).words.replace("Revert · desireline", "")


def test_where_nothing_serves_the_next_step_stands_there_and_no_query_can_be_tried(
    browser, sidecar, monkeypatch
) -> None:
    sidecar.live_number = None
    monkeypatch.setattr(sidecar, "generations", lambda _target: [])
    text = browser("read").get("/").text
    assert 'type="search"' not in text
    assert "no generation of" in text


def test_what_a_store_says_of_a_cycle_cannot_write_into_the_page(browser, running) -> None:
    running |= {"next_step": EVIL, "reason": EVIL}
    running["progress"] |= {"name": EVIL}
    for where in ("/", "/targets/products/run"):
        assert_no_injection(browser("read").get(where).text)
