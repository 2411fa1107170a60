"""What every encoder promises, over every family."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desireline.connectors.documents import TextTemplate
from desireline.sidecar.writing.embedding_cache import CachedEncoder, EmbeddingCache
from desireline.trainer.encoders.base import Encoder
from desireline.trainer.encoders.fake import FakeEncoder
from desireline.trainer.encoders.onnx import OnnxEncoder
from desireline.trainer.encoders.settings import EncoderSettings, Prompts
from desireline.trainer.encoders.two_tower import TwoTowerEncoder
from desireline.trainer.models.manifest import Provenance
from desireline.trainer.query_vectors import RememberingEncoder
from desireline.trainer.registry import Registry

TEXTS = [
    "red shoe",
    "blue running shoe for the garden",
    "Software ENGINEER",
    "a",
    "nurse " * 200,
    "café 東京 🙂 مرحبا",
    "42 cm",
    "half a pair \ud83d and a zero \x00 byte",
]


def _fake(_: pytest.FixtureRequest) -> Encoder:
    return FakeEncoder(dimension=24, seed=3)


def _onnx_bert(request: pytest.FixtureRequest) -> Encoder:
    return OnnxEncoder(request.getfixturevalue("exported_bert"), threads=2)


def _onnx_static(request: pytest.FixtureRequest) -> Encoder:
    return OnnxEncoder(request.getfixturevalue("exported_static"), threads=1)


def _sentence_transformers(request: pytest.FixtureRequest) -> Encoder:
    folder = request.getfixturevalue("tiny_bert")
    from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder

    return SentenceTransformerEncoder(folder)


def _two_tower(request: pytest.FixtureRequest) -> Encoder:
    folder: Path = request.getfixturevalue("exported_bert")
    made = request.getfixturevalue("tmp_path_factory").mktemp("two-tower")
    registry = Registry(made / "models")

    def add(folder: Path, documents: str | None) -> str:
        return registry.add(
            folder,
            template=TextTemplate(fields=("title",)),
            similarity="cosine",
            provenance=Provenance(base_model="tiny"),
            documents=documents,
        ).fingerprint

    shutil.copytree(folder, made / "queries")
    settings = EncoderSettings.read(folder)
    prompted = settings.model_copy(update={"prompts": Prompts(query="what the user typed: ")})
    prompted.write(made / "queries")
    return registry.load(add(made / "queries", add(folder, None)), threads=2)


def _remembering(_: pytest.FixtureRequest) -> Encoder:
    return RememberingEncoder(FakeEncoder(dimension=24, seed=3))


def _cached(request: pytest.FixtureRequest) -> Encoder:
    folder: Path = request.getfixturevalue("tmp_path_factory").mktemp("cache")
    return CachedEncoder(FakeEncoder(dimension=24, seed=3), EmbeddingCache(folder))


FAMILIES: dict[str, Callable[[pytest.FixtureRequest], Encoder]] = {
    "fake": _fake,
    "onnx-bert": _onnx_bert,
    "onnx-static": _onnx_static,
    "two-tower": _two_tower,
    "fake, remembering": _remembering,
    "fake, cached": _cached,
    "sentence-transformers": _sentence_transformers,
}


@pytest.fixture(params=FAMILIES, scope="module")
def encoder(request: pytest.FixtureRequest) -> Encoder:
    return FAMILIES[request.param](request)


def test_rows_come_back_in_the_order_of_the_texts(encoder: Encoder) -> None:
    together = encoder.encode_documents(TEXTS)
    alone = np.vstack([encoder.encode_documents([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_vectors_are_float32_of_the_stated_dimension_and_of_unit_length(encoder: Encoder) -> None:
    for vectors in (encoder.encode_queries(TEXTS), encoder.encode_documents(TEXTS)):
        assert vectors.dtype == np.float32
        assert vectors.shape == (len(TEXTS), encoder.dimension)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert encoder.similarity == "cosine"


def test_no_texts_give_no_rows(encoder: Encoder) -> None:
    assert encoder.encode_queries([]).shape == (0, encoder.dimension)
    assert encoder.encode_documents([]).shape == (0, encoder.dimension)


def test_an_empty_text_gives_a_finite_row(encoder: Encoder) -> None:
    assert np.isfinite(encoder.encode_documents(["", "red shoe"])).all()


def test_equal_texts_get_equal_vectors_and_other_texts_others(encoder: Encoder) -> None:
    first, second, other = encoder.encode_documents(["red shoe", "red shoe", "software engineer"])
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert first @ other < 0.999


def test_the_fingerprint_is_64_hexadecimal_digits_and_stays(encoder: Encoder) -> None:
    before = encoder.fingerprint
    encoder.encode_queries(["red shoe"])
    assert encoder.fingerprint == before
    assert len(before) == 64
    assert int(before, 16) >= 0


def test_the_space_is_that_of_whoever_encodes_the_documents(encoder: Encoder) -> None:
    """Its own for all but the query-side ones, and 64 digits for those, too."""
    assert (encoder.space == encoder.fingerprint) is not isinstance(encoder, TwoTowerEncoder)
    assert len(encoder.space) == 64
    assert int(encoder.space, 16) >= 0


@pytest.mark.parametrize("wrapped", [_remembering, _cached])
def test_one_that_wraps_another_goes_by_its_name_and_gives_its_vectors(
    wrapped: Callable[[pytest.FixtureRequest], Encoder], request: pytest.FixtureRequest
) -> None:
    own, other = FakeEncoder(dimension=24, seed=3), wrapped(request)
    for name in ("fingerprint", "space", "dimension", "similarity"):
        assert getattr(other, name) == getattr(own, name)
    for _ in range(2):
        np.testing.assert_array_equal(other.encode_queries(TEXTS), own.encode_queries(TEXTS))
        np.testing.assert_array_equal(other.encode_documents(TEXTS), own.encode_documents(TEXTS))


def test_it_can_be_called_from_several_threads(encoder: Encoder) -> None:
    expected = encoder.encode_documents(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(lambda _: encoder.encode_documents(TEXTS), range(8)):
            np.testing.assert_allclose(vectors, expected, atol=1e-5)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(texts=st.lists(st.text(st.characters(), max_size=60), max_size=12))
def test_any_text_at_all_is_encoded(encoder: Encoder, texts: list[str]) -> None:
    vectors = encoder.encode_documents(texts)
    assert vectors.shape == (len(texts), encoder.dimension)
    assert np.isfinite(vectors).all()


def test_fake_texts_that_share_words_are_nearer() -> None:
    shoe, boot, tea = FakeEncoder().encode_documents(["red leather shoe", "red shoe", "green tea"])
    assert shoe @ boot > 0.6 > shoe @ tea


def test_fake_fingerprints_tell_dimension_and_seed_apart() -> None:
    encoders = [FakeEncoder(8, 0), FakeEncoder(8, 1), FakeEncoder(16, 0), FakeEncoder(8, 0)]
    assert len({encoder.fingerprint for encoder in encoders}) == 3
