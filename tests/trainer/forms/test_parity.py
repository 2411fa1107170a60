"""How near two forms of an encoder are: by their vectors, and by what they find."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desireline.trainer.encoders.fake import FakeEncoder
from desireline.trainer.forms.parity import compare

DOCUMENTS = {f"d{n}": f"text number {n}" for n in range(60)}
QUERIES = [f"query {n}" for n in range(20)]


class Shaken:
    """An encoder whose vectors are moved a little, or a lot."""

    def __init__(self, by: float, *, seed: int = 0) -> None:
        self._exact = FakeEncoder()
        self._by = by
        self._seed = seed

    def _moved(self, vectors: np.ndarray) -> np.ndarray:
        moved = vectors + self._by * np.random.default_rng(self._seed).normal(size=vectors.shape)
        return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)

    def encode_queries(self, texts):
        return self._moved(self._exact.encode_queries(texts))

    def encode_documents(self, texts):
        return self._moved(self._exact.encode_documents(texts))


def test_an_encoder_is_at_parity_with_itself() -> None:
    parity = compare(FakeEncoder(), FakeEncoder(), DOCUMENTS, QUERIES)
    assert parity.cosine == pytest.approx(1)
    assert parity.overlap == 1
    assert parity.falls_short(cosine=0.9999, overlap=1.0) == ""
    assert (parity.documents, parity.queries) == (60, 20)


def test_documents_of_one_text_may_stand_in_any_order() -> None:
    same = dict.fromkeys(DOCUMENTS, "one text")
    assert compare(FakeEncoder(), FakeEncoder(), same, QUERIES).overlap == 1


@settings(max_examples=25, deadline=None)
@given(by=st.floats(0.01, 1), seed=st.integers(0, 1000))
def test_overlap_and_cosine_are_those_of_the_slow_way(by: float, seed: int) -> None:
    exact, other = FakeEncoder(), Shaken(by, seed=seed)
    texts = list(DOCUMENTS.values())
    ours, theirs = exact.encode_documents(texts), other.encode_documents(texts)
    asked, asked_so = exact.encode_queries(QUERIES), other.encode_queries(QUERIES)
    kept, cosines = [], []
    for query, query_so in zip(asked, asked_so, strict=True):
        first = sorted(range(60), key=lambda n: -float(query @ ours[n]))[:10]
        found = sorted(range(60), key=lambda n: -float(query_so @ theirs[n]))[:10]
        kept.append(len(set(first) & set(found)) / 10)
    for left, right in [*zip(ours, theirs, strict=True), *zip(asked, asked_so, strict=True)]:
        cosines.append(float(left @ right) / float(np.linalg.norm(left) * np.linalg.norm(right)))
    parity = compare(exact, other, DOCUMENTS, QUERIES)
    assert parity.overlap == pytest.approx(np.mean(kept), abs=1e-6)
    assert parity.cosine == pytest.approx(np.percentile(cosines, 1), abs=1e-5)


def test_each_figure_that_falls_short_is_named_with_what_was_asked() -> None:
    parity = compare(FakeEncoder(), Shaken(3.0), DOCUMENTS, QUERIES)
    said = parity.falls_short(cosine=0.97, overlap=0.75)
    assert "the cosine" in said
    assert "is below 0.97" in said
    assert "the overlap of the first 10" in said
    assert "is below 0.75" in said
    assert "cosine" not in parity.falls_short(cosine=-1, overlap=0.75)


def test_vectors_that_are_no_numbers_fall_short() -> None:
    class Broken(Shaken):
        def _moved(self, vectors):
            return np.full_like(vectors, np.nan)

    parity = compare(FakeEncoder(), Broken(0), DOCUMENTS, QUERIES)
    assert parity.falls_short(cosine=-1, overlap=0.1)


def test_with_nothing_to_compare_by_there_is_no_figure() -> None:
    for documents, queries in (({}, QUERIES), (DOCUMENTS, []), ({"a": ""}, QUERIES)):
        with pytest.raises(ValueError, match="nothing to compare"):
            compare(FakeEncoder(), FakeEncoder(), documents, queries)
