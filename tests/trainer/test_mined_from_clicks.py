"""Miners that look at what people typed next, at the click graph, and at the engine's answers."""

import numpy as np
import pytest

from desireline.connectors.search_engine import Hit
from desireline.trainer.clickmodels.ctr import ClickThroughRate
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.encoders.fake import FakeEncoder
from desireline.trainer.judgments import judge
from desireline.trainer.miners.base import Material, mine, mine_all
from desireline.trainer.miners.clicked import Clicked, ClickedConfig
from desireline.trainer.miners.co_clicked import CoClicked, CoClickedConfig
from desireline.trainer.miners.engine_negatives import EngineNegatives, EngineNegativesConfig
from desireline.trainer.miners.likeness import Likeness
from desireline.trainer.miners.reformulated import Reformulated, ReformulatedConfig
from desireline.trainer.miners.skipped_above import SkippedAbove, SkippedAboveConfig
from desireline.trainer.miners.unanswered import Unanswered, UnansweredConfig
from desireline.trainer.sessions import to_sessions

TEXTS = {name: DocumentText((f"Title {name}", f"text {name}")) for name in "abcdef"}
RETRIED = Reformulated(ReformulatedConfig(min_grade=0.1))
RESCUED = Unanswered(UnansweredConfig(min_grade=0.1))


def material(log, **more):
    sessions = to_sessions(log.batches())
    return Material(
        sessions=sessions,
        judgments=judge(sessions, ClickThroughRate()),
        documents=TEXTS,
        **more,
    )


def keys(pairs):
    return [(pair.anchor, pair.positive.document_id) for pair in pairs]


def hits(answers):
    return lambda _, k: [Hit(document_id=name, score=1.0, fields={}) for name in answers[:k]]


def test_what_the_retry_found_answers_the_query_that_nobody_clicked_for(log):
    log.search("latte", "abc", "", client="ann")
    log.search("coffee with milk", "cde", "d", client="ann", after_s=60)
    (pair,) = RETRIED.mine(material(log))
    assert keys([pair]) == [("latte", "d")]
    assert pair.why == "1 typed “coffee with milk” next and clicked it"


@pytest.mark.parametrize(
    ("first_clicks", "client", "after_s", "text"),
    [
        ("a", "ann", 60, "coffee with milk"),
        ("", "bob", 60, "coffee with milk"),
        ("", "ann", 6000, "coffee with milk"),
        ("", "ann", 60, "latte"),
        ("", "", 60, "coffee with milk"),
    ],
    ids=["was clicked", "someone else", "too late", "the same words", "nobody's name"],
)
def test_what_is_no_retry_teaches_nothing(log, first_clicks, client, after_s, text):
    log.search("latte", "abc", first_clicks, client=client and "ann")
    log.search(text, "cde", "d", client=client, after_s=after_s)
    assert list(RETRIED.mine(material(log))) == []


def test_a_click_between_ends_the_want(log):
    log.search("latte", "abc", "", client="ann")
    log.search("cup", "abc", "b", client="ann", after_s=60)
    log.search("saucer", "cde", "d", client="ann", after_s=120)
    assert keys(RETRIED.mine(material(log))) == [("latte", "b")]


def test_a_retry_in_quite_other_words_is_another_want(log):
    log.search("latte", "abc", "", client="ann")
    log.search("coffee with milk", "cde", "d", client="ann", after_s=60)
    unlike = Likeness(FakeEncoder(64), TEXTS)
    strict = Reformulated(ReformulatedConfig(min_grade=0.1, min_likeness=0.99))
    assert list(strict.mine(material(log, likeness=unlike))) == []


def test_a_query_that_found_nothing_is_answered_by_its_retry(log):
    log.search("caffe latte", "", "", client="ann")
    log.search("coffee", "abc", "b", client="ann", after_s=30)
    found = material(log)
    (pair,) = RESCUED.mine(found)
    assert keys([pair]) == [("caffe latte", "b")]
    assert list(RETRIED.mine(found)) == []
    assert found.sessions.unanswered.get_column("query").to_list() == ["caffe latte"]


def test_a_query_that_is_held_out_is_no_lesson_even_if_it_found_nothing(log):
    import polars as pl

    log.search("caffe latte", "", "", client="ann")
    log.search("coffee", "abc", "b", client="ann", after_s=30)
    sessions = to_sessions(log.batches()).only(pl.col("query") != "caffe latte")
    assert sessions.unanswered.height == 0
    assert sessions.frame.height == 3


def test_the_click_graph_leads_to_what_like_queries_found(log):
    for client in ("ann", "bob"):
        log.search("latte", "abc", "a", client=client)
        log.search("coffee", "abc", "ac", client=client)
    walker = CoClicked(CoClickedConfig(min_grade=0.5, min_share=0.01))
    (pair,) = walker.mine(material(log))
    assert keys([pair]) == [("latte", "c")]
    assert 0 < pair.weight < 0.5


def test_a_document_under_too_many_queries_leads_nowhere(log):
    for client in ("ann", "bob"):
        log.search("latte", "abc", "a", client=client)
        log.search("coffee", "abc", "ac", client=client)
    walker = CoClicked(CoClickedConfig(min_grade=0.5, min_share=0.01, most_queries=1))
    assert list(walker.mine(material(log))) == []


def test_words_and_vectors_answer_in_turn_and_neither_ones_best_is_a_negative(log):
    log.search("coffee", "abcdef", "f", client="ann")
    found = material(log, search=hits("abcd"), lexical=hits("edcf"))
    miner = EngineNegatives(EngineNegativesConfig(min_grade=0.1, skip_top=1))
    (pair,) = miner.mine(found)
    assert [negative.document_id for negative in pair.negatives] == ["d", "b", "c"]


def test_a_double_of_the_right_document_is_no_negative(log):
    log.search("coffee", "abc", "a", client="ann")
    texts = {**TEXTS, "b": TEXTS["a"]}
    sessions = to_sessions(log.batches())
    found = Material(
        sessions=sessions,
        judgments=judge(sessions, ClickThroughRate()),
        documents=texts,
        search=hits("abc"),
        likeness=Likeness(FakeEncoder(64), texts),
    )
    miner = EngineNegatives(EngineNegativesConfig(min_grade=0.1, skip_top=0, margin=2))
    (pair,) = miner.mine(found)
    assert [negative.document_id for negative in pair.negatives] == ["c"]


def test_what_the_incumbent_holds_for_much_better_is_no_negative(log):
    log.search("coffee", "abcdef", "a", client="ann")
    likeness = Likeness(FakeEncoder(64), TEXTS)
    cosines = dict(zip("abcdef", likeness.to_query("coffee", list("abcdef")), strict=True))
    found = material(log, search=hits("bcdef"), likeness=likeness)
    miner = EngineNegatives(
        EngineNegativesConfig(min_grade=0.1, skip_top=0, margin=0, max_negatives=9)
    )
    (pair,) = miner.mine(found)
    fair = {name for name in "bcdef" if cosines[name] <= cosines["a"]}
    assert {negative.document_id for negative in pair.negatives} == fair


def test_what_a_cross_encoder_holds_for_right_is_no_negative(log):
    log.search("coffee", "abcd", "a", client="ann")

    def rerank(asked):
        return np.array([0.9 if text.endswith("text c") else 0.1 for _, text in asked])

    found = material(log, search=hits("abcd"), rerank=rerank)
    miner = EngineNegatives(EngineNegativesConfig(min_grade=0.1, skip_top=0))
    (pair,) = miner.mine(found)
    assert [negative.document_id for negative in pair.negatives] == ["b", "d"]


def test_what_hardly_anyone_looked_at_was_not_passed_over(log):
    log.search("coffee", "abcdef", "f", client="ann")
    strict = SkippedAbove(SkippedAboveConfig(min_grade=0.1, min_looks=1.5))
    found = material(log)
    assert mine_all(found, [strict]).pairs == ()
    once = SkippedAbove(SkippedAboveConfig(min_grade=0.1, min_looks=0.5, max_negatives=9))
    (pair,) = once.mine(found)
    assert {negative.document_id for negative in pair.negatives} == set("abcde")


def test_a_miner_that_contradicts_the_judgments_is_believed_less(log):
    for number in range(40):
        log.search("coffee", "abcdef", "a", client=f"c{number}")
        log.search("latte", "abcdef", "b", client=f"c{number}")
        log.search("cup", "abcdef", "c", client=f"c{number}")

    class Guesses:
        judged = False

        def __init__(self, source, guesses):
            self.source, self.guesses = source, guesses

        def mine(self, material):
            from desireline.trainer.pairs import Pair

            for query, document_id in self.guesses:
                yield Pair(anchor=query, positive=material.passage(document_id), source=self.source)

    right = Guesses("right", [("coffee", "a"), ("latte", "b"), ("cup", "c")])
    wrong = Guesses("wrong", [("coffee", "f"), ("latte", "e"), ("cup", "d")])
    mined = mine(material(log), [Clicked(ClickedConfig(min_grade=0.5)), right, wrong])
    assert mined.sources["right"].accuracy > mined.sources["wrong"].accuracy
    weights = {(p.anchor, p.positive.document_id): p.weight for p in mined.pairs.pairs}
    assert weights["coffee", "a"] > 10 * weights["coffee", "f"]
    assert mined.counts == {"clicked": 3, "right": 3, "wrong": 3}
    assert mined.pairs.related["coffee"] >= {"a", "f"}
