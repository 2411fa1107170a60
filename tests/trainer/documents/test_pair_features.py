import numpy as np
import polars as pl
import pytest

from desireline.trainer.clickmodels.click_log import ClickLog
from desireline.trainer.clickmodels.latent_relevance import LatentRelevance
from desireline.trainer.documents.pair_features import describe_pairs
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.encoders.fake import FakeEncoder

DOCUMENTS = {
    "a": DocumentText(("Registered Nurses", "care for patients")),
    "b": DocumentText(("Gardeners", "care for plants")),
    "c": DocumentText(("Software Developers", "write programs")),
}
NAMES = ("cosine", "square", "to_best", "to_mean", "title", "text", "of_title")


def pairs(*rows):
    return pl.DataFrame(rows, schema={"query": pl.String, "document_id": pl.String}, orient="row")


@pytest.fixture(scope="module")
def described():
    frame = pairs(
        ("nurse care", "a"), ("nurse care", "b"), ("garden work", "b"), ("garden work", "c")
    )
    return describe_pairs(frame, DOCUMENTS, FakeEncoder())


def features(described, query, document_id):
    row = described.of(pairs((query, document_id)))[0]
    return dict(zip(NAMES, row.tolist(), strict=True))


def test_likeness_is_the_cosine_and_its_distance_to_the_querys_others(described):
    encoder = FakeEncoder()
    query = encoder.encode_queries(["nurse care"])[0]
    a, b = encoder.encode_documents([DOCUMENTS[name].text for name in "ab"]) @ query
    found = features(described, "nurse care", "b")
    assert found["cosine"] == pytest.approx(b, abs=1e-5)
    assert found["square"] == pytest.approx(b * b, abs=1e-5)
    assert found["to_best"] == pytest.approx(b - max(a, b), abs=1e-5)
    assert found["to_mean"] == pytest.approx(b - (a + b) / 2, abs=1e-5)


def test_shared_words_are_told_by_their_first_letters_and_their_rarity(described):
    title, only_text = (
        features(described, "nurse care", "a"),
        features(described, "nurse care", "b"),
    )
    assert title["title"] > 0.5
    assert title["text"] == pytest.approx(1.0)
    assert title["of_title"] == pytest.approx(0.5)
    assert (only_text["title"], only_text["of_title"]) == (0.0, 0.0)
    assert 0 < only_text["text"] < 0.5
    assert features(described, "garden work", "c")["text"] == 0.0


def test_unknown_pairs_have_no_features(described):
    assert not described.of(pairs(("nurse care", "z"))).any()


def test_gone_documents_and_repeats_are_left_out():
    frame = pairs(("q", "a"), ("q", "a"), ("q", "gone"))
    assert describe_pairs(frame, DOCUMENTS, FakeEncoder()).pairs.rows() == [("q", "a")]
    assert describe_pairs(pairs(), DOCUMENTS, FakeEncoder()).pairs.is_empty()


def test_links_join_the_same_document_under_like_queries_and_never_a_pair_to_itself(described):
    frame = described.pairs
    links = described.links(frame)
    rows = frame.rows()
    for of, to in zip(links.of, links.to, strict=True):
        assert rows[of][0] != rows[to][0]
        assert rows[of][1] == rows[to][1]
    pooled = links.pool(np.arange(1.0, 5.0))
    shared = {row for row, (_, document_id) in enumerate(rows) if document_id == "b"}
    assert {int(row) for row in np.flatnonzero(pooled)} == shared


def counts(rows):
    return pl.DataFrame(
        [(query, document_id, 1 + place, True, n, c) for query, document_id, place, n, c in rows],
        schema={
            "query": pl.String,
            "document_id": pl.String,
            "position": pl.Int32,
            "shown": pl.Boolean,
            "impressions": pl.Int64,
            "clicks": pl.Int64,
        },
        orient="row",
    )


def test_queries_that_are_alike_vouch_for_each_other():
    random = np.random.default_rng(0)
    rows = []
    for number in range(120):
        right = "a" if number % 2 else "b"
        word = "nurse" if number % 2 else "garden"
        for place, document_id in enumerate("abc"):
            chance = (0.9 if document_id == right else 0.05) * (1 + place) ** -0.6
            rows.append((f"{word} x{number}", document_id, place, 1, int(random.random() < chance)))
    rows += [("nurse new", document_id, place, 1, 0) for place, document_id in enumerate("cba")]
    frame = counts(rows)
    features = describe_pairs(frame, DOCUMENTS, FakeEncoder())
    found = (
        LatentRelevance()
        .fit(ClickLog.of_counts(frame), features)
        .attractiveness.filter(pl.col("query") == "nurse new")
    )
    grade = dict(found.select("document_id", "attraction").iter_rows())
    assert grade["a"] > 2 * max(grade["b"], grade["c"])
