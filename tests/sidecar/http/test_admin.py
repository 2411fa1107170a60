from desireline.connectors.errors import EngineUnavailableError


def test_a_target_tells_where_it_stands(client) -> None:
    caller = client("read")
    assert caller.get("/v1/targets").json() == {"targets": ["products"]}
    assert caller.get("/v1/targets/products").json() == {
        "target": "products",
        "generation": 7,
        "state": "idle",
    }
    found = caller.get("/v1/targets/products/generations").json()["generations"]
    assert [generation["state"] for generation in found] == ["live", "retained"]


def test_a_cycle_that_never_ran_is_not_found(client, sidecar) -> None:
    caller = client("read")
    assert caller.get("/v1/targets/products/cycle").status_code == 404
    sidecar.cycle = {"outcome": "went live", "reason": "the lower bound is above 0"}
    assert caller.get("/v1/targets/products/cycle").json()["cycle"] == sidecar.cycle


def test_a_target_that_does_not_exist_is_named(client) -> None:
    for method, path in (("GET", ""), ("GET", "/cycle"), ("POST", "/revert"), ("POST", "/tune")):
        answer = client("admin").request(method, f"/v1/targets/shoes{path}")
        assert answer.status_code == 404
        assert "name one of products" in answer.json()["error"]["message"]


def test_a_revert_is_done_once_and_then_refused_with_its_reason(client, sidecar) -> None:
    caller = client("admin")
    first = caller.post("/v1/targets/products/revert")
    assert first.json()["message"] == "generation 6 is live again"
    second = caller.post("/v1/targets/products/revert")
    assert second.status_code == 409
    assert second.json()["error"]["reason"] == "there is no generation to go back to"
    assert sidecar.live_number == 6


def test_a_cycle_may_be_asked_for_twice(client) -> None:
    caller = client("admin")
    said = [caller.post("/v1/targets/products/tune").json()["message"] for _ in range(2)]
    assert said == ["a cycle was started", "a cycle runs already"]


def test_an_engine_that_does_not_answer_is_told_as_such(client, sidecar, monkeypatch) -> None:
    def silent(target: str) -> dict:
        raise EngineUnavailableError("no answer from OpenSearch", next_step="start it")

    monkeypatch.setattr(sidecar, "status", silent)
    answer = client("read").get("/v1/targets/products")
    assert answer.status_code == 503
    assert answer.json()["error"]["message"] == "no answer from OpenSearch: start it"


def test_a_failure_nobody_foresaw_leaks_nothing(client, sidecar, monkeypatch, capsys) -> None:
    def broken(target: str) -> dict:
        raise RuntimeError("s3cret at /root/path")

    monkeypatch.setattr(sidecar, "status", broken)
    answer = client("read").get("/v1/targets/products")
    assert answer.status_code == 500
    assert "s3cret" not in answer.text
    assert "Traceback" not in answer.text
    log = "".join(capsys.readouterr())
    assert "RuntimeError" in log
    assert "s3cret" not in log


def test_health_follows_what_can_be_served(anyone, sidecar) -> None:
    assert anyone.get("/healthz").json() == {
        "status": "ok",
        "targets": {"products": {"generation": 7}},
    }
    sidecar.live_number = None
    answer = anyone.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["status"] == "unavailable"
    assert "no generation" in answer.json()["targets"]["products"]["reason"]


def test_requests_are_counted_by_route_and_never_by_what_a_caller_chose(client, anyone) -> None:
    caller = client("search", "embed")
    caller.post("/shop/_search", json={"query": {"match": {"title": "kettle"}}})
    caller.post("/secret-index/_search", json={})
    caller.post("/v1/embeddings", json={"model": "products", "input": ["tea", "pot"]})
    told = anyone.get("/metrics").text
    assert 'desireline_http_requests_total{route="search",status="200"} 1.0' in told
    assert 'desireline_http_requests_total{route="search",status="404"} 1.0' in told
    assert 'desireline_texts_encoded_total{kind="query"} 2.0' in told
    assert 'desireline_live_generation{target="products"} 7.0' in told
    assert "secret-index" not in told
    assert "kettle" not in told
