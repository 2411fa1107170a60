"""Whatever is judged survives the way out and back; only what the plugin drops is dropped."""

from dataclasses import replace
from datetime import UTC, datetime

import orjson
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from desireline.connectors.relevance_judgments import (
    JudgmentList,
    Rating,
    judgments_document,
    judgments_request,
    parse_judgments,
)
from desireline.trainer.judging.judgment_exchange import golden_of, to_judgment_list, to_qrels
from desireline.trainer.judgments import Judgments

_TEXT = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\x00"),
    min_size=1,
    max_size=20,
).filter(str.strip)
_SHARE = st.floats(0, 1, allow_nan=False)
_RATINGS = st.builds(
    Rating,
    document_id=_TEXT,
    rating=st.floats(-10, 1e6, allow_nan=False),
    confidence=st.none() | _SHARE,
)
_LISTS = st.builds(
    JudgmentList,
    name=_TEXT,
    ratings=st.dictionaries(
        _TEXT,
        st.lists(_RATINGS, max_size=6, unique_by=lambda each: each.document_id).map(tuple),
        min_size=1,
        max_size=6,
    ),
    judgment_id=_TEXT,
    at=st.none()
    | st.integers(0, 4_000_000_000_000).map(lambda ms: datetime.fromtimestamp(ms / 1000, UTC)),
)


def through_json(body):
    return orjson.loads(orjson.dumps(body))


@given(_LISTS)
def test_what_the_index_keeps_is_read_back_as_it_was(judgments):
    found = parse_judgments(through_json(judgments_document(judgments)), "x")
    assert found == judgments


@given(_LISTS)
def test_what_the_import_takes_is_the_same_without_confidence(judgments):
    found = parse_judgments(through_json(judgments_request(judgments)), "x")
    bare = {
        query: tuple(replace(each, confidence=None) for each in row)
        for query, row in judgments.ratings.items()
    }
    assert found.ratings == bare
    assert found.grades() == judgments.grades()


@st.composite
def _weak_labels(draw):
    """Judgments as a click model leaves them, queries normalised."""
    words = st.text("abc ", min_size=1, max_size=6).map(str.strip).filter(bool)
    pairs = draw(
        st.dictionaries(
            st.tuples(words.map(lambda t: " ".join(t.split())), st.sampled_from("defgh")),
            st.tuples(_SHARE, _SHARE),
            min_size=1,
            max_size=12,
        )
    )
    rows = [
        {"query": query, "document_id": key, "grade": grade, "confidence": confidence}
        for (query, key), (grade, confidence) in sorted(pairs.items())
    ]
    return Judgments(frame=pl.DataFrame(rows), examination={}, perplexity=1.2)


@given(_weak_labels(), _SHARE)
def test_weak_labels_keep_their_order_on_the_way_out_and_back(labels, least):
    at = datetime(2026, 1, 1, tzinfo=UTC)
    made = to_judgment_list(labels, name="ours", at=at, least_confidence=least)
    kept = labels.frame.filter(pl.col("confidence") >= least)
    if not kept.height:
        assert not made.ratings
        return
    back = parse_judgments(through_json(judgments_document(made)), "x")
    qrels = to_qrels([back])
    assert sum(map(len, qrels.values())) == kept.height
    best = kept.get_column("grade").round(4).max() or 1.0
    for query, key, grade in kept.select("query", "document_id", "grade").iter_rows():
        assert abs(qrels[query][key] * best - grade) <= 1e-4
    for row in made.ratings.values():
        assert [each.rating for each in row] == sorted((r.rating for r in row), reverse=True)


@given(_weak_labels(), st.floats(0.01, 1))
def test_a_pin_is_the_one_best_document_of_its_query(labels, least):
    at = datetime(2026, 1, 1, tzinfo=UTC)
    qrels = to_qrels([to_judgment_list(labels, name="ours", at=at)])
    pins = golden_of(qrels, least_grade=least)
    assert len({query for query, _ in pins}) == len(pins)
    for query, document_id in pins:
        others = [grade for key, grade in qrels[query].items() if key != document_id]
        assert qrels[query][document_id] >= least
        assert all(grade < qrels[query][document_id] for grade in others)
