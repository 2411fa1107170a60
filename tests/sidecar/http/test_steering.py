"""Invariants 35 and 36: the hand on a run over HTTP is guarded, safe to repeat, and never a 5xx."""

import json
from datetime import UTC, datetime

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desireline.sidecar.errors import HookRefusedError

WISHES = ["pause", "resume", "throttle", "postpone", "cut-over", "cancel"]
ALL = [*WISHES, "revert", "reindex", "erase"]
BODIES = {"throttle": {"documents_a_second": 200}, "erase": {"client_id": "ann"}}


@pytest.fixture
def admin(client):
    """One caller for many requests."""
    return client("admin")


def at(name: str) -> str:
    return f"/v1/targets/products/{name}"


@pytest.mark.parametrize("name", ALL)
def test_without_a_key_or_with_a_smaller_one_nothing_is_asked(
    anyone, client, sidecar, name: str
) -> None:
    before = sidecar.controls.read()
    body = BODIES.get(name)
    assert anyone.post(at(name), json=body).status_code == 401
    for scope in ("read", "search", "embed"):
        assert client(scope).post(at(name), json=body).status_code == 403
    assert sidecar.controls.read() == before
    assert sidecar.live_number == 7
    assert sidecar.reindexes == []
    assert sidecar.erased == []


@pytest.mark.parametrize("name", ALL)
def test_a_target_that_does_not_exist_is_named(client, name: str) -> None:
    answer = client("admin").post(f"/v1/targets/shoes/{name}", json=BODIES.get(name))
    assert answer.status_code == 404
    assert "name one of products" in answer.json()["error"]["message"]


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_changed_by_looking(client, name: str) -> None:
    assert client("admin").get(at(name)).status_code == 405


@pytest.mark.parametrize("name", WISHES)
def test_a_wish_that_is_repeated_changes_nothing_and_is_answered_the_same(
    client, sidecar, name: str
) -> None:
    sidecar.go()
    caller = client("admin")
    caller.post(at(name), json=BODIES.get(name))
    once = sidecar.controls.read()
    second, third = (caller.post(at(name), json=BODIES.get(name)).json() for _ in range(2))
    assert second == third
    assert second["changed"] is False
    assert sidecar.controls.read() == once


def test_wishes_reach_the_run_and_say_whose_they_were(client, sidecar) -> None:
    sidecar.go()
    caller = client("admin")
    for name in ("pause", "postpone"):
        assert caller.post(at(name)).json()["changed"] is True
    caller.post(at("throttle"), json={"documents_a_second": 12.5})
    found = client("read").get(at("run")).json()
    assert found["state"] == "paused"
    assert found["control"]["documents_a_second"] == 12.5
    assert "paused by the key 'a test' at 2026-05-07 12:00:00 UTC" in found["sentence"]
    assert "postponed" in found["why_postponed"]
    assert found["run"]["done"] == 12_050


def test_before_the_first_run_there_is_none(client) -> None:
    found = client("read").get(at("run")).json()
    assert found["run"] is None
    assert found["state"] == "none"


def test_a_limit_is_lifted_by_saying_so_and_not_by_silence(client, sidecar) -> None:
    caller = client("admin")
    caller.post(at("throttle"), json={"documents_a_second": 5})
    assert caller.post(at("throttle")).status_code == 400
    assert sidecar.controls.read().documents_a_second == 5
    caller.post(at("throttle"), json={"documents_a_second": None})
    assert sidecar.controls.read().documents_a_second is None


def test_a_cancel_may_name_its_run(client, sidecar) -> None:
    sidecar.go()
    caller = client("admin")
    assert caller.post(at("cancel"), json={"run": "run 0"}).json()["changed"] is False
    assert not sidecar.controls.read().cancelled
    assert caller.post(at("cancel"), json={"run": "run 1"}).json()["changed"] is True


def test_a_revert_that_names_its_generation_is_safe_to_repeat(client, sidecar) -> None:
    caller = client("admin")
    said = [caller.post(at("revert"), json={"generation": 6}).json()["message"] for _ in range(3)]
    assert said == ["generation 6 is live again", *["generation 6 is live already"] * 2]
    assert sidecar.live_number == 6


def test_what_a_hook_refuses_is_a_conflict_with_its_reason(client, sidecar, monkeypatch) -> None:
    def refused(target: str, to: int | None = None) -> str:
        raise HookRefusedError("the hook './may-we' said no: freeze until Monday")

    monkeypatch.setattr(sidecar, "revert", refused)
    answer = client("admin").post(at("revert"))
    assert answer.status_code == 409
    assert "freeze until Monday" in answer.json()["error"]["reason"]
    assert answer.json()["error"]["code"] == "hook_refused"


def test_a_reindex_under_one_key_is_begun_once(client, sidecar) -> None:
    caller = client("admin")
    body = {"model": "known", "way": "slot", "end_hold": True}
    said = {
        caller.post(at("reindex"), json=body, headers={"Idempotency-Key": "night 1"}).json()[
            "message"
        ]
        for _ in range(4)
    }
    assert said == {"the re-embedding of products has begun"}
    assert sidecar.reindexes == [
        ("products", "known", "the key 'a test'", {"way": "slot", "end_hold": True})
    ]
    other = caller.post(at("reindex"), json={}, headers={"Idempotency-Key": "night 1"})
    assert other.status_code == 409
    assert "another request" in other.json()["error"]["reason"]
    caller.post(at("reindex"), json=body, headers={"Idempotency-Key": "night 2"})
    assert len(sidecar.reindexes) == 2


def test_two_callers_with_the_same_idempotency_key_do_not_meet(client, sidecar) -> None:
    for _ in range(2):
        client("admin").post(at("reindex"), headers={"Idempotency-Key": "k"})
    assert len(sidecar.reindexes) == 2


def test_a_reindex_that_was_refused_may_be_tried_again_under_its_key(client, sidecar) -> None:
    caller, headers = client("admin"), {"Idempotency-Key": "k"}
    for _ in range(2):
        answer = caller.post(at("reindex"), json={"model": "unknown"}, headers=headers)
        assert answer.status_code == 404
    assert caller.post(at("reindex"), json={"model": "known"}, headers=headers).status_code == 200


@pytest.mark.parametrize("key", ["", "k" * 201])
def test_an_idempotency_key_that_is_none_is_refused(client, sidecar, key: str) -> None:
    answer = client("admin").post(at("reindex"), headers={"Idempotency-Key": key})
    assert answer.status_code == 400
    assert sidecar.reindexes == []


@pytest.mark.parametrize(
    ("body", "what", "named"),
    [({"client_id": "ann"}, "client", "ann"), ({"query": "her own name"}, "query", "her own name")],
)
def test_an_erasure_proves_itself_is_safe_to_repeat_and_is_not_logged_by_name(
    client, sidecar, body, what, named
) -> None:
    caller = client("admin")
    with structlog.testing.capture_logs() as logs:
        first, again = (caller.post(at("erase"), json=body).json() for _ in range(2))
    assert (first["found"], again["found"]) == (3, 0)
    assert first["places"] == [{"place": "event archive", "found": 3, "left": 0}]
    assert first["models"] == ["f" * 64]
    assert first["message"] == first["sentence"]
    assert sidecar.erased == [("products", what, named, "the key 'a test'")] * 2
    assert logs
    assert named not in str(logs)


@pytest.mark.parametrize(
    "body", [{}, {"client_id": "a", "query": "b"}, {"query": ""}, {"query": " "}]
)
def test_an_erasure_must_name_one_thing(client, sidecar, body) -> None:
    assert client("admin").post(at("erase"), json=body).status_code == 400
    assert sidecar.erased == []


WRONG = [
    b"{",
    b"[]",
    b"null",
    b"7",
    b'"pause"',
    b"\xff\xfe",
    b'{"surprise": 1}',
    b"[" * 5_000,
    b'{"documents_a_second": "200"}',
    b'{"documents_a_second": true}',
    b'{"documents_a_second": 0}',
    b'{"documents_a_second": -1}',
    b'{"documents_a_second": 1e999}',
    b'{"documents_a_second": ' + b"9" * 400 + b"}",
    b'{"run": 7}',
    b'{"run": ""}',
    b'{"generation": "6"}',
    b'{"generation": 6.5}',
    b'{"generation": 0}',
    b'{"generation": 99999999999999999999}',
    b'{"model": 1}',
    b'{"model": "\\ud800"}',
    b'{"way": "sideways"}',
    b'{"end_hold": "yes"}',
]


@pytest.mark.parametrize("name", ALL)
def test_a_body_that_cannot_be_meant_is_refused_and_changes_nothing(
    client, sidecar, name: str
) -> None:
    before, caller = sidecar.controls.read(), client("admin")
    for body in WRONG:
        answer = caller.post(at(name), content=body)
        assert answer.status_code == 400, (body, answer.text)
        assert answer.json()["error"]["message"]
    assert sidecar.controls.read() == before
    assert sidecar.live_number == 7
    assert sidecar.reindexes == []


FIELDS = st.sampled_from(
    ["documents_a_second", "run", "generation", "model", "way", "end_hold", "x"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=3),
    max_leaves=6,
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    name=st.sampled_from(ALL),
    body=st.dictionaries(FIELDS, JSON, max_size=3).map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=50),
    key=st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
)
def test_whatever_is_sent_no_answer_is_the_servers_own_fault(
    admin, name: str, body: bytes, key: str | None
) -> None:
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = admin.post(at(name), content=body, headers=headers)
    assert answer.status_code < 500
    assert "Traceback" not in answer.text


def test_what_was_asked_is_in_the_log_with_the_name_of_the_key(client, capsys) -> None:
    client("admin").post(at("pause"))
    log = "".join(capsys.readouterr())
    assert "pause over http" in log
    assert "a test" in log


class TestPage:
    def test_a_target_without_a_run_shows_none(self, browser) -> None:
        assert 'class="run"' not in browser("admin").get("/targets/products").text

    def test_a_run_shows_step_bar_rate_and_why_it_waits(self, browser, sidecar) -> None:
        sidecar.go(throttled="CPU of node-1 at 91 %")
        for address in ("/targets/products", "/targets/products/run"):
            shown = browser("read").get(address).text
            assert '<progress max="48194" value="12050"' in shown
            assert "batch written" in shown
            assert "212 documents a second" in shown
            assert "CPU of node-1 at 91 %" in shown
            assert "2 min 50 s left" in shown

    def test_the_page_of_a_run_under_way_loads_itself_again(self, browser, sidecar) -> None:
        sidecar.go()
        reader = browser("read")
        assert '<meta http-equiv="refresh" content="3; url=/targets/products/run">' in (
            reader.get("/targets/products/run").text
        )
        assert "http-equiv" not in reader.get("/targets/products").text
        sidecar.go(ended_at=datetime(2026, 5, 7, 13, tzinfo=UTC), outcome="done", sentence="live")
        assert "http-equiv" not in reader.get("/targets/products/run").text

    def test_a_reader_sees_no_buttons_and_cannot_steer(self, browser, sidecar) -> None:
        sidecar.go()
        reader = browser("read")
        assert "<button>Pause" not in reader.get("/targets/products/run").text
        data = {"token": "x", "wish": "pause"}
        assert reader.post("/targets/products/run", data=data).status_code == 403
        assert not sidecar.controls.read().paused

    def test_a_form_of_another_site_steers_nothing(self, browser, sidecar) -> None:
        sidecar.go()
        admin = browser("admin")
        token = token_of(admin.get("/targets/products/run").text)
        for headers, data in (
            ({}, {"wish": "pause"}),
            ({}, {"wish": "pause", "token": "guess"}),
            ({"sec-fetch-site": "cross-site"}, {"wish": "pause", "token": token}),
        ):
            answer = admin.post("/targets/products/run", data=data, headers=headers)
            assert answer.status_code == 403
        assert not sidecar.controls.read().paused

    def test_a_button_that_does_not_exist_does_nothing(self, browser, sidecar) -> None:
        sidecar.go()
        admin = browser("admin")
        token = token_of(admin.get("/targets/products/run").text)
        for wish in ("throttle", "explode", ""):
            data = {"token": token, "wish": wish}
            assert admin.post("/targets/products/run", data=data).status_code == 400

    def test_the_cancel_button_is_meant_for_the_run_that_was_seen(self, browser, sidecar) -> None:
        sidecar.go()
        admin = browser("admin")
        token = token_of(admin.get("/targets/products/run").text)
        sidecar.controls.begin("run 2")
        data = {"token": token, "wish": "cancel", "run": "run 1"}
        assert "another is under way" in admin.post("/targets/products/run", data=data).text
        assert not sidecar.controls.read().cancelled

    def test_what_a_run_says_is_text_and_never_markup(self, browser, sidecar) -> None:
        sidecar.go(throttled="<script>alert(1)</script>", sentence="<b>")
        shown = browser("admin").get("/targets/products").text
        assert "<script>" not in shown
        assert "&lt;script&gt;" in shown


def token_of(page: str) -> str:
    return page.split('name="token" value="', 1)[1].split('"', 1)[0]
