import pytest
from pydantic import ValidationError

from desireline.trainer.errors import GoldenQueriesError
from desireline.trainer.evaluation import Comparison, Difference, Interval
from desireline.trainer.gate import (
    GateConfig,
    GateEvidence,
    Golden,
    broken_golden,
    decide,
    read_golden,
)
from desireline.trainer.judging.sanity import OwnTitles, Push
from desireline.trainer.measures.ndcg import Ndcg


def difference(low, high, *, segment="", queries=400):
    middle = (low + high) / 2
    return Difference(
        measure=Ndcg(10),
        segment=segment,
        queries=queries,
        incumbent=0.412,
        candidate=0.412 + middle,
        gain=Interval(mean=middle, low=low, high=high),
    )


def evidence(*differences, **more):
    return GateEvidence(comparison=Comparison(differences=differences), **more)


def test_a_proven_gain_is_promoted_with_its_numbers():
    verdict = decide(evidence(difference(0.031, 0.055)))
    assert verdict.promote
    assert verdict.reason == (
        "nDCG@10 .412 -> .455 [+.031, +.055]: lower bound above the margin .010, no segment fell"
    )


@pytest.mark.parametrize(
    ("low", "high", "margin", "reason"),
    [
        (-0.001, 0.02, 0.0, "lower bound is not above 0"),
        (0.0, 0.0, 0.0, "lower bound is not above 0"),
        (0.009, 0.03, 0.01, "lower bound is not above .010"),
    ],
)
def test_an_unproven_gain_is_refused(low, high, margin, reason):
    verdict = decide(evidence(difference(low, high)), GateConfig(margin=margin))
    assert not verdict.promote
    assert verdict.reason.endswith(reason)


@pytest.mark.parametrize(
    ("low", "margin", "promote", "said"),
    [
        (
            0.006,
            0.01,
            True,
            "above the margin .005 (a query encoder, for which nothing is embedded)",
        ),
        (0.005, 0.01, False, "not above .005 (a query encoder, for which nothing is embedded)"),
        (0.001, 0.0, True, "lower bound above 0 (a query encoder"),
        (-0.01, -0.02, True, "lower bound above the margin -.020 (a query encoder"),
    ],
)
def test_a_query_encoder_needs_less_because_nothing_is_embedded(low, margin, promote, said):
    config = GateConfig().model_copy(update={"margin": margin})
    verdict = decide(evidence(difference(low, 0.03), embeds=False), config)
    assert verdict.promote is promote
    assert said in verdict.reason
    assert decide(evidence(difference(0.006, 0.03))).promote is False


def test_too_few_queries_prove_nothing():
    verdict = decide(evidence(difference(0.1, 0.2, queries=29)))
    assert not verdict.promote
    assert "29 held-out queries are too few" in verdict.reason


def test_a_fallen_segment_is_refused_by_name():
    verdict = decide(evidence(difference(0.02, 0.04), difference(-0.05, -0.01, segment="head")))
    assert not verdict.promote
    assert "the head segment fell" in verdict.reason


@pytest.mark.parametrize(
    "part",
    [
        difference(-0.05, -0.01, segment="head", queries=5),
        difference(-0.02, 0.01, segment="head"),
        difference(-0.5, -0.4, segment="unguarded"),
    ],
)
def test_a_fall_by_chance_or_unguarded_does_not_hold_a_candidate_back(part):
    assert decide(evidence(difference(0.02, 0.04), part)).promote


def test_a_broken_golden_query_is_refused_without_its_words():
    pin = Golden(query="secret words", document_id="d7")
    verdict = decide(evidence(difference(0.02, 0.04), broken=(pin,)))
    assert not verdict.promote
    assert "document d7" in verdict.reason
    assert "secret" not in verdict.reason


GOOD = difference(0.02, 0.04)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"unsound": "3 of 9 vectors hold what is no number"}, "3 of 9 vectors"),
        (
            {"titles": OwnTitles(found=400, lost=9)},
            "9 of 400 documents are not among the first 10 answers to their own titles any more",
        ),
        (
            {"push": Push(document_id="d7", before=0.01, after=0.07), "documents": 10_000},
            "document d7 pushes itself among the first 10 answers of 7% of the queries (1% before)",
        ),
        ({"newest": difference(-0.05, -0.01)}, "the newest searches fell"),
        (
            {"topics": (difference(-0.05, -0.01, segment="topic 3 of 8"),)},
            "queries of one kind (topic 3 of 8) fell",
        ),
        (
            {"general": (difference(-0.05, 0.009, segment="titles"),)},
            "general ability fell below the base encoder's, part titles",
        ),
    ],
)
def test_a_gain_does_not_excuse_what_broke(more, sentence):
    verdict = decide(evidence(GOOD, **more))
    assert not verdict.promote
    assert sentence in verdict.reason
    assert len(verdict.obstacles) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"titles": OwnTitles(found=400, lost=8)},
        {"titles": OwnTitles(found=0, lost=0)},
        {"push": Push(document_id="d7", before=0.01, after=0.06), "documents": 10_000},
        {"push": Push(document_id="d7", before=0.3, after=0.6), "documents": 40},
        {"newest": difference(-0.05, 0.01)},
        {"newest": difference(-0.05, -0.01, queries=19)},
        {"topics": (difference(-0.05, 0.01, segment="topic 3 of 8"),)},
        {"topics": (difference(-0.05, -0.01, segment="topic 3 of 8", queries=19),)},
        {"general": (difference(-0.05, 0.011, segment="titles"),)},
    ],
)
def test_what_chance_explains_or_the_configuration_allows_holds_nobody_back(more):
    assert decide(evidence(GOOD, **more)).promote


@pytest.mark.parametrize(
    "more",
    [
        {"newest": difference(-0.05, -0.01, queries=20)},
        {"topics": (difference(-0.05, -0.01, segment="topic 3 of 8", queries=20),)},
        {"push": Push(document_id="d7", before=0.3, after=0.9), "documents": 40},
    ],
)
def test_twenty_queries_of_a_kind_are_judged_and_few_documents_excuse_no_great_push(more):
    assert not decide(evidence(GOOD, **more)).promote


@pytest.mark.parametrize(
    ("part", "promote"),
    [
        (difference(-0.05, -0.001, segment="tail", queries=20), False),
        (difference(-0.05, -0.001, segment="tail", queries=19), True),
        (difference(-0.0005, -0.0003, segment="torso"), False),
        (difference(-0.0625, 0.0, segment="head"), True),
        (difference(-0.125, 0.0, segment="head"), True),
        (difference(-0.126, 0.0, segment="head"), False),
    ],
)
def test_a_segment_falls_where_that_is_proven_or_by_more_than_the_tolerance(part, promote):
    assert decide(evidence(GOOD, part), GateConfig(segment_tolerance=0.0625)).promote == promote


def test_what_is_just_tolerated_holds_nobody_back():
    config = GateConfig(general_tolerance=0.0625, max_push=0.0625, max_lost_titles=0.0625)
    just = evidence(
        GOOD,
        general=(difference(-0.125, 0.0, segment="titles"),),
        push=Push(document_id="d7", before=0.25, after=0.3125),
        titles=OwnTitles(found=16, lost=1),
        documents=10_000,
    )
    assert decide(just, config).promote


def test_as_many_queries_as_are_asked_for_are_enough():
    assert decide(evidence(difference(0.02, 0.04, queries=30))).promote


def test_a_query_encoder_is_never_asked_for_more_than_one_that_embeds():
    config = GateConfig(margin=0.01, query_side_margin=0.5)
    assert config.margin_of(embeds=False) == config.margin_of(embeds=True) == 0.01


def test_a_cheaper_form_may_be_worse_by_its_tolerance_and_no_more():
    cheaper = GateConfig(cheaper_tolerance=0.02).for_cheaper
    assert decide(evidence(difference(-0.0199, 0.001)), cheaper).promote
    assert not decide(evidence(difference(-0.0201, 0.001)), cheaper).promote


def test_all_obstacles_stand_in_the_order_of_the_documentation():
    pin = Golden(query="q", document_id="d7")
    fallen = difference(-0.3, -0.2)
    verdict = decide(
        evidence(
            fallen,
            *(difference(-0.3, -0.2, segment=name) for name in ("tail", "head")),
            unsound="all vectors are alike",
            broken=(pin, pin),
            push=Push(document_id="d9", before=0.0, after=0.9),
            titles=OwnTitles(found=4, lost=3),
            topics=(difference(-0.3, -0.2, segment="topic 1 of 8"),),
            newest=fallen,
            general=(difference(-0.3, -0.2, segment="titles"),),
            documents=10_000,
        )
    )
    expected = (
        "all vectors are alike",
        "2 golden queries lost their document",
        "document d9 pushes itself",
        "3 of 4 documents",
        "lower bound is not above",
        "the head segment fell",
        "queries of one kind (topic 1 of 8) fell",
        "the newest searches fell",
        "general ability fell",
    )
    assert len(verdict.obstacles) == len(expected)
    assert all(
        obstacle.startswith(words)
        for words, obstacle in zip(expected, verdict.obstacles, strict=True)
    )
    assert verdict.reason.endswith(verdict.obstacles[0])


def test_all_obstacles_are_kept_and_what_certainly_broke_is_the_reason():
    verdict = decide(
        evidence(
            difference(-0.3, -0.2),
            difference(-0.3, -0.2, segment="head"),
            titles=OwnTitles(found=400, lost=300),
        )
    )
    assert "300 of 400 documents" in verdict.reason
    assert [
        words in obstacle
        for words, obstacle in zip(
            ("own titles", "lower bound", "head segment"), verdict.obstacles, strict=True
        )
    ] == [True] * 3


def test_only_what_the_incumbent_answered_can_break():
    pins = [Golden(query=query, document_id="d") for query in ("kept", "lost", "never")]
    answered, missed = ["x"] * 9 + ["d"], ["x"] * 10 + ["d"]
    broken = broken_golden(
        pins,
        incumbent={"kept": answered, "lost": answered, "never": missed},
        candidate={"kept": answered, "lost": missed, "never": missed},
    )
    assert [pin.query for pin in broken] == ["lost"]


def test_golden_queries_are_read_and_normalised(tmp_path):
    path = tmp_path / "golden.tsv"
    path.write_text("# pinned\n\n  \n Coffee  Cup\td1 \n", encoding="utf-8")
    assert read_golden(path) == (Golden(query="coffee cup", document_id="d1"),)


@pytest.mark.parametrize("text", ["coffee cup\n", "a\tb\tc\n", "a\t \n"])
def test_a_wrong_line_of_golden_queries_is_named(tmp_path, text):
    path = tmp_path / "golden.tsv"
    path.write_text(text)
    with pytest.raises(GoldenQueriesError, match="line 1 of"):
        read_golden(path)


def test_missing_golden_queries_are_named(tmp_path):
    with pytest.raises(GoldenQueriesError, match="cannot be read"):
        read_golden(tmp_path / "none.tsv")


def test_a_gate_on_an_unknown_measure_cannot_be_configured():
    with pytest.raises(ValidationError, match="is no measure"):
        GateConfig(measure="bleu@4")
