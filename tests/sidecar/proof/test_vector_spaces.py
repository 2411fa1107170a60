"""Of which encoder an index's vectors are, without any stamp; and when that cannot be told."""

from typing import Any

import numpy as np
import pytest

from desireline.connectors.documents import Document, TextTemplate
from desireline.sidecar.proof.vector_spaces import Sorter, Survey, Verdict
from desireline.trainer.encoders.fake import FakeEncoder

ONE, TWO = FakeEncoder(seed=0), FakeEncoder(seed=1)
TEMPLATE = TextTemplate(fields=("title",))


def documents(encoders: list[Any]) -> list[Document]:
    """One document of each encoder, in this order."""
    return [
        Document(
            document_id=f"d{number}",
            fields={"title": f"job {number}"},
            embeddings={"emb": encoder.encode_documents([f"job {number}"])[0]},
        )
        for number, encoder in enumerate(encoders)
    ]


def survey(found: list[Document], *known: Any) -> Survey:
    sorter = Sorter(
        encoders={encoder.fingerprint: encoder for encoder in known},
        template=TEMPLATE,
        vector="emb",
    )
    for start in range(0, len(found), 16):
        sorter.sort(found[start : start + 16])
    return Survey(
        index="shop",
        vector="emb",
        documents=len(found),
        with_vector=sum("emb" in document.embeddings for document in found),
        drawn=sorter.drawn,
        by_encoder=dict(sorter.by_encoder.most_common()),
        of_none=sorter.of_none,
        nearest=sorter.nearest,
        examples=sorter.examples,
    )


def test_vectors_of_one_known_encoder_are_of_one_encoder() -> None:
    found = survey(documents([ONE] * 100), TWO, ONE)
    assert found.verdict is Verdict.ONE
    assert found.by_encoder == {ONE.fingerprint: 100}
    assert found.clean
    assert found.examples == ()


@pytest.mark.parametrize("strays", [1, 30])
def test_a_mixture_of_known_encoders_is_named_with_the_strays(strays: int) -> None:
    found = survey(documents([ONE] * 70 + [TWO] * strays), ONE, TWO)
    assert found.verdict is Verdict.MIXED
    assert found.by_encoder == {ONE.fingerprint: 70, TWO.fingerprint: strays}
    assert found.examples == tuple(f"d{70 + n}" for n in range(min(strays, 10)))
    assert "mixes vector spaces" in found.sentence


def test_vectors_of_one_known_and_one_unknown_encoder_are_mixed() -> None:
    found = survey(documents([ONE] * 40 + [TWO] * 3), ONE)
    assert found.verdict is Verdict.MIXED
    assert found.of_none == 3
    assert found.examples == ("d40", "d41", "d42")


def test_vectors_of_no_known_encoder_get_no_verdict() -> None:
    found = survey(documents([TWO] * 20), ONE)
    assert found.verdict is Verdict.UNKNOWN
    assert not found.clean
    assert "cannot be told" in found.sentence
    assert found.nearest is not None
    assert found.nearest < 0.9
    assert survey(documents([TWO] * 20)).verdict is Verdict.UNKNOWN


def test_an_index_without_vectors_says_so() -> None:
    bare = [Document(document_id="a", fields={"title": "a"})]
    assert survey(bare, ONE).verdict is Verdict.EMPTY


def test_vectors_of_the_same_encoder_over_other_fields_are_not_taken_for_its_own() -> None:
    wrong = [
        Document(
            document_id=f"d{n}",
            fields={"title": f"job {n}"},
            embeddings={"emb": ONE.encode_documents([f"job {n} with a description"])[0]},
        )
        for n in range(20)
    ]
    assert survey(wrong, ONE).verdict is Verdict.UNKNOWN


def test_a_partial_sample_says_how_many_may_still_differ() -> None:
    found = survey(documents([ONE] * 100), ONE)
    partial = Survey(
        index="shop",
        vector="emb",
        documents=10_000,
        with_vector=10_000,
        drawn=100,
        by_encoder=found.by_encoder,
        of_none=0,
        nearest=None,
    )
    assert "at most 3 % of the rest are not" in partial.sentence


def test_a_vector_of_zeros_is_of_no_encoder() -> None:
    (document,) = documents([ONE])
    empty = Document(
        document_id="z", fields=document.fields, embeddings={"emb": np.zeros(32, np.float32)}
    )
    assert survey([document, empty], ONE).of_none == 1
