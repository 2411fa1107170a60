"""Every route against every kind of caller."""

import pytest

ROUTES = [
    ("POST", "/v1/embeddings", "embed"),
    ("POST", "/shop/_search", "search"),
    ("GET", "/shop/_search", "search"),
    ("POST", "/shop/_msearch", "search"),
    ("POST", "/_msearch", "search"),
    ("GET", "/v1/targets", "read"),
    ("GET", "/v1/targets/products", "read"),
    ("GET", "/v1/targets/products/generations", "read"),
    ("GET", "/v1/targets/products/cycle", "read"),
    ("GET", "/v1/targets/products/models", "read"),
    ("GET", "/v1/targets/products/models/7", "read"),
    ("GET", "/v1/targets/products/intent", "read"),
    ("GET", "/v1/targets/products/logs", "read"),
    ("POST", "/v1/targets/products/logs", "admin"),
    ("POST", "/v1/targets/products/revert", "admin"),
    ("POST", "/v1/targets/products/tune", "admin"),
]
SCOPES = ("embed", "search", "read", "admin")
PAGES = [
    ("GET", "/"),
    ("GET", "/targets/products"),
    ("POST", "/targets/products/try"),
    ("GET", "/targets/products/revert"),
    ("POST", "/targets/products/revert"),
    ("GET", "/targets/products/models"),
    ("GET", "/targets/products/models/7"),
    ("GET", "/targets/products/logs"),
    ("POST", "/targets/products/logs"),
    ("POST", "/logout"),
]


@pytest.mark.parametrize(("method", "path", "needed"), ROUTES)
@pytest.mark.parametrize("scope", SCOPES)
def test_a_key_opens_the_routes_of_its_scope_and_no_other(
    client, method: str, path: str, needed: str, scope: str
) -> None:
    status = client(scope).request(method, path).status_code
    if scope in (needed, "admin"):
        assert status not in (401, 403)
        assert status < 500
    else:
        assert status == 403


@pytest.mark.parametrize(("method", "path", "needed"), ROUTES)
def test_without_a_key_nothing_opens(anyone, sidecar, method: str, path: str, needed: str) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer dl_00_wrong"},
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
        {"X-API-Key": "x" * 5000},
    ):
        answer = anyone.request(method, path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["error"]["code"] == "invalid_api_key"
    assert sidecar.live_number == 7
    assert sidecar.cycles_started == 0


@pytest.mark.parametrize(("method", "path"), PAGES)
def test_a_page_without_a_sign_in_leads_to_the_form(anyone, client, method, path) -> None:
    for caller in (anyone, client("admin")):
        answer = caller.request(method, path)
        assert answer.status_code == 303
        assert answer.headers["location"] == "/login"


def test_a_cookie_does_not_open_the_api(browser) -> None:
    signed_in = browser("admin")
    assert signed_in.get("/").status_code == 200
    assert signed_in.post("/v1/targets/products/revert").status_code == 401


def test_the_key_may_come_in_either_header(anyone, keys) -> None:
    plaintext = keys.create("shop", ["read"])
    for headers in ({"X-API-Key": plaintext}, {"Authorization": f"bearer {plaintext}"}):
        assert anyone.get("/v1/targets", headers=headers).json() == {"targets": ["products"]}


def test_a_revoked_key_opens_nothing(client, keys) -> None:
    caller = client("read")
    assert caller.get("/v1/targets").status_code == 200
    keys.revoke(keys.list()[0].key_id)
    assert caller.get("/v1/targets").status_code == 401


def test_what_watches_the_process_needs_no_key(anyone) -> None:
    assert anyone.get("/healthz").status_code == 200
    assert anyone.get("/metrics").status_code == 200
    assert anyone.get("/static/desireline.css").status_code == 200


@pytest.mark.parametrize(
    "path", ["/nothing", "/static/../app.py", "/static/%2e%2e%2fapp.py", "/v1/targets/x/y/z"]
)
def test_a_path_that_does_not_exist_is_not_found(client, path: str) -> None:
    assert client("admin").get(path).status_code == 404


def test_a_wrong_method_is_told_the_right_one(client) -> None:
    answer = client("admin").delete("/v1/targets")
    assert answer.status_code == 405
    assert "use GET" in answer.json()["error"]["message"]


def test_a_page_asked_for_by_head_has_no_body(browser) -> None:
    answer = browser("read").head("/")
    assert answer.status_code == 200
    assert answer.content == b""
