"""Queries are encoded once, and vectors that are not surely the encoder's are never taken."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from desireline.trainer.encoders.fake import FakeEncoder
from desireline.trainer.errors import QueryVectorsError
from desireline.trainer.query_vectors import QueryVectors, RememberingEncoder

QUERIES = ["red shoe", "Ünïcode ✓", "half \ud83d surrogate", ""]


class Counting(FakeEncoder):
    """Keeps every query it was asked for."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def encode_queries(self, texts):
        self.asked.extend(texts)
        return super().encode_queries(texts)


@pytest.fixture
def encoder():
    return Counting()


@pytest.fixture
def written(encoder, tmp_path):
    path = tmp_path / "queries.safetensors"
    QueryVectors.of(encoder.fingerprint, QUERIES, encoder.encode_queries(QUERIES)).write(path)
    encoder.asked.clear()
    return path


def read(path, encoder, **other):
    usual = {"encoder": encoder.fingerprint, "dimension": encoder.dimension, "unit": True}
    return QueryVectors.read(path, **usual | other)


def test_a_query_is_encoded_once_however_often_it_is_asked_for(encoder):
    remembering = RememberingEncoder(encoder)
    first = remembering.encode_queries(["a", "b", "a"])
    again = remembering.encode_queries(["b", "c"])
    assert encoder.asked == ["a", "b", "c"]
    np.testing.assert_array_equal(first, encoder.encode_queries(["a", "b", "a"]))
    np.testing.assert_array_equal(again, encoder.encode_queries(["b", "c"]))
    assert remembering.encode_queries([]).shape == (0, encoder.dimension)


def test_what_was_asked_for_is_remembered_under_the_encoders_fingerprint(encoder):
    remembering = RememberingEncoder(encoder)
    remembering.encode_queries(["a", "b"])
    known = remembering.remembered(["b", "never asked", "b"])
    assert (known.encoder, len(known.digests)) == (encoder.fingerprint, 1)
    np.testing.assert_array_equal(known.vectors, encoder.encode_queries(["b"]))
    assert remembering.remembered([]).vectors.shape == (0, encoder.dimension)


def test_what_was_written_is_read_to_the_digit_in_any_order(encoder, written):
    found = read(written, encoder).complete(QUERIES[::-1], encoder.encode_queries)
    assert encoder.asked == []
    np.testing.assert_array_equal(found, encoder.encode_queries(QUERIES[::-1]))


def test_only_what_is_missing_is_encoded(encoder, written):
    asked = ["new", *QUERIES, "newer"]
    found = read(written, encoder).complete(asked, encoder.encode_queries)
    assert encoder.asked == ["new", "newer"]
    np.testing.assert_array_equal(found, encoder.encode_queries(asked))


def test_the_file_holds_no_query_text(written):
    assert b"red shoe" not in written.read_bytes()


def test_vectors_of_another_encoder_are_refused_by_both_names(encoder, written):
    other = FakeEncoder(seed=1)
    said = f"made by encoder {encoder.fingerprint[:12]}, not {other.fingerprint[:12]}"
    with pytest.raises(QueryVectorsError, match=said):
        read(written, other)


@pytest.mark.parametrize(
    ("name", "spoil", "said"),
    [
        ("vectors", lambda vectors: vectors[:, :-1], "of 32 numbers each"),
        ("vectors", lambda vectors: vectors[:-1], "for 4 queries"),
        ("vectors", lambda vectors: vectors.astype(np.float64), "float64"),
        ("vectors", lambda vectors: np.where(vectors > 0, np.nan, vectors), "no finite number"),
        ("vectors", lambda vectors: vectors * 2, "not all of length 1"),
        ("digests", lambda digests: digests[:, :-1], "not float32"),
    ],
)
def test_spoiled_vectors_are_refused_with_a_reason(encoder, written, name, spoil, said):
    tensors = load_file(written)
    tensors[name] = np.ascontiguousarray(spoil(tensors[name]))
    save_file(tensors, written, metadata={"encoder": encoder.fingerprint})
    with pytest.raises(QueryVectorsError, match=said):
        read(written, encoder)


@pytest.mark.parametrize("content", [None, b"", b"no safetensors at all"])
def test_a_file_that_cannot_be_read_is_refused_with_a_reason(encoder, written, content):
    written.unlink()
    if content is not None:
        written.write_bytes(content)
    with pytest.raises(QueryVectorsError, match=r"cannot be read.*none of them was taken"):
        read(written, encoder)


def test_a_file_of_other_tensors_is_refused_with_a_reason(encoder, written):
    save_file({"other": np.zeros(3, np.float32)}, written)
    with pytest.raises(QueryVectorsError, match="cannot be read"):
        read(written, encoder)


def test_a_query_of_unknown_words_may_have_length_0(encoder, written):
    vectors = np.zeros((1, encoder.dimension), np.float32)
    QueryVectors.of(encoder.fingerprint, ["?"], vectors).write(written)
    assert read(written, encoder).complete(["?"], encoder.encode_queries).tolist() == [
        [0.0] * encoder.dimension
    ]


def test_a_file_that_cannot_be_written_is_told(encoder, tmp_path):
    known = QueryVectors.of(encoder.fingerprint, QUERIES, encoder.encode_queries(QUERIES))
    with pytest.raises(QueryVectorsError, match=r"cannot be written.*nothing was trained"):
        known.write(tmp_path / "missing" / "queries.safetensors")
