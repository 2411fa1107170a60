import base64
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from desireline.sidecar.http.settings import HttpSettings


@pytest.fixture
def settings() -> HttpSettings:
    return HttpSettings(max_texts=40, max_text_characters=100, max_body_bytes=10_000)


def ask(caller, **body):
    return caller.post("/v1/embeddings", json={"model": "products", "input": "tea", **body})


def test_vectors_come_from_the_live_generation_and_name_it(client, sidecar) -> None:
    answer = ask(client("embed"), input=["red shoes", "tea pot"])
    body = answer.json()
    assert answer.status_code == 200
    assert body["object"] == "list"
    assert [row["index"] for row in body["data"]] == [0, 1]
    assert body["generation"] == 7
    assert body["field"] == "embedding__b"
    assert body["model"] == "products"
    assert body["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
    assert answer.headers["x-desireline-generation"] == "7"
    expected = sidecar.encoders[7].encode_queries(["red shoes", "tea pot"])
    np.testing.assert_array_equal(
        np.array([row["embedding"] for row in body["data"]], dtype=np.float32), expected
    )


def test_they_name_the_stamp_that_documents_must_bear(client, sidecar) -> None:
    """A query encoder is compared with the vectors of the generation that embedded them."""
    own = ask(client("embed"))
    assert (own.json()["stamp"], own.headers["x-desireline-stamp"]) == (7, "7")
    sidecar.vectors_of = 3
    borrowed = ask(client("embed"))
    assert (borrowed.json()["generation"], borrowed.json()["stamp"]) == (7, 3)
    assert borrowed.headers["x-desireline-generation"] == "7"
    assert borrowed.headers["x-desireline-stamp"] == "3"


def test_base64_holds_the_same_floats(client) -> None:
    caller = client("embed")
    plain = ask(caller).json()["data"][0]["embedding"]
    packed = ask(caller, encoding_format="base64").json()["data"][0]["embedding"]
    unpacked = np.frombuffer(base64.b64decode(packed), dtype="<f4")
    np.testing.assert_array_equal(unpacked, np.array(plain, dtype=np.float32))


def test_a_live_fingerprint_may_stand_for_the_target(client, sidecar) -> None:
    body = ask(client("embed"), model=sidecar.encoders[7].fingerprint).json()
    assert body["generation"] == 7


def test_an_encoder_that_is_not_live_conflicts_and_gives_no_vector(client, sidecar) -> None:
    answer = ask(client("embed"), model=sidecar.encoders[6].fingerprint)
    assert answer.status_code == 409
    assert "data" not in answer.json()
    assert "not live" in answer.json()["error"]["message"]


def test_documents_may_be_encoded_too(client) -> None:
    assert ask(client("embed"), input_type="document").status_code == 200


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({"input": []}, 400, "a text or a list"),
        ({"input": None}, 400, "a text or a list"),
        ({"input": 7}, 400, "a text or a list"),
        ({"input": ["tea", "  "]}, 400, "input[1] holds no word"),
        ({"input": [[1, 2, 3]]}, 400, "check_embedding_ctx_length=False"),
        ({"input": ["tea"] * 41}, 413, "more than 40"),
        ({"input": "t" * 101}, 413, "longer than 100"),
        ({"input": ["tea" * 5000]}, 413, "10,000 bytes"),
        ({"model": "shoes"}, 404, "name one of products"),
        ({"model": None}, 400, "model must name"),
        ({"model": "<script>"}, 404, "no target"),
        ({"encoding_format": "hex"}, 400, "float or base64"),
        ({"encoding_format": ["float"]}, 400, "float or base64"),
        ({"dimensions": 128}, 400, "cannot be shortened"),
        ({"input_type": "image"}, 400, "query or document"),
        ({"input_type": []}, 400, "query or document"),
        ({"temperature": 1}, 400, "'temperature'"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_openais_shape(
    client, changed: dict, status: int, said: str
) -> None:
    answer = ask(client("embed"), **changed)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert said in error["message"]
    assert error["type"] == "invalid_request_error"
    assert {"param", "code"} <= error.keys()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'"tea"', b"[" * 5000, b"NaN"])
def test_a_body_that_is_no_json_object_is_refused(client, body: bytes) -> None:
    assert client("embed").post("/v1/embeddings", content=body).status_code == 400


def test_a_body_too_large_is_refused_even_when_its_length_is_not_declared(client) -> None:
    def chunks():
        for _ in range(100):
            yield b" " * 1000

    assert client("embed").post("/v1/embeddings", content=chunks()).status_code == 413


def test_nothing_live_is_told_as_unavailable(client, sidecar) -> None:
    sidecar.live_number = None
    answer = ask(client("embed"))
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "no_generation"


def test_callers_at_once_each_get_their_own_vectors(client, sidecar) -> None:
    caller = client("embed")
    texts = [f"word{number}" for number in range(60)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda text: ask(caller, input=[text, text + "x"]).json(), texts))
    for text, answer in zip(texts, answers, strict=True):
        expected = sidecar.encoders[7].encode_queries([text, text + "x"])
        got = np.array([row["embedding"] for row in answer["data"]], dtype=np.float32)
        np.testing.assert_array_equal(got, expected)
