"""What several miners found is joined, and each is believed as it deserves."""

import polars as pl
import pytest

from desireline.trainer.judgments import Judgments
from desireline.trainer.miners.voting import Found, weigh
from desireline.trainer.pairs import Pair, Passage


def found(query, document_id, source, *, judged=False, weight=0.5, negatives=""):
    return Found(
        pair=Pair(
            anchor=query,
            positive=Passage(document_id, f"text {document_id}"),
            negatives=tuple(Passage(name, f"text {name}") for name in negatives),
            weight=weight,
            source=source,
        ),
        judged=judged,
    )


def judgments(grades):
    rows = [(query, name, grade) for query, of in grades.items() for name, grade in of.items()]
    frame = pl.DataFrame(rows, schema=["query", "document_id", "grade"], orient="row")
    return Judgments(frame=frame, examination={}, perplexity=1.0)


def graded(queries=200):
    """Half of each query's documents are right."""
    return judgments(
        {f"q{n}": {"a": 0.95, "b": 0.95, "c": 0.05, "d": 0.05} for n in range(queries)}
    )


def weights(mined):
    return {(pair.anchor, pair.positive.document_id): pair.weight for pair in mined.pairs.pairs}


def test_judged_pairs_alone_keep_the_weights_their_miners_gave():
    pairs = [found("q1", "a", "clicked", judged=True, weight=0.7)]
    assert weights(weigh(pairs, graded(), {})) == {("q1", "a"): 0.7}


def test_a_pair_that_a_good_source_confirms_weighs_more():
    confirmed = [found(f"q{n}", "a", "good") for n in range(150)]
    judged = [
        found("q1", "a", "clicked", judged=True),
        found("q199", "a", "clicked", judged=True),
    ]
    weight = weights(weigh([*judged, *confirmed], graded(), {}))
    assert weight["q1", "a"] > weight["q199", "a"] == 0.5


def test_unjudged_finds_weigh_as_much_as_the_judged_ones_were_right():
    def mined(document_id):
        known = [found(f"q{n}", document_id, "some") for n in range(100)]
        return weigh([*known, found("new", "z", "some")], graded(), {})

    good, bad = weights(mined("a")), weights(mined("c"))
    assert good["new", "z"] > 4 * bad["new", "z"]
    assert mined("a").sources["some"].accuracy > 0.9
    assert mined("c").sources["some"].accuracy < 0.2


def test_what_two_sources_say_is_believed_more_than_what_either_says():
    both = [found("new", "z", "one"), found("new", "z", "two"), found("new", "y", "one")]
    weight = weights(weigh(both, judgments({}), {}))
    assert weight["new", "z"] > weight["new", "y"] == pytest.approx(0.5)


def test_what_is_voted_for_is_never_a_negative_of_its_query():
    pairs = [found("q1", "a", "clicked", judged=True, negatives="cz"), found("q1", "z", "other")]
    mined = weigh(pairs, graded(), {"q1": frozenset("a")})
    (judged,) = [pair for pair in mined.pairs.pairs if pair.positive.document_id == "a"]
    assert [negative.document_id for negative in judged.negatives] == ["c"]
    assert mined.pairs.related["q1"] == {"a", "z"}


def test_without_a_log_every_source_is_believed_as_usual():
    mined = weigh([found("title", "a", "self_supervised", weight=0.2)], None, {})
    assert weights(mined) == {("title", "a"): pytest.approx(0.2)}
    assert mined.counts == {"self_supervised": 1}
