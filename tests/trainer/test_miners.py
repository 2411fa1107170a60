import pytest

from desireline.connectors.documents import TextTemplate
from desireline.connectors.search_engine import Hit
from desireline.trainer.clickmodels.ctr import ClickThroughRate
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.judgments import judge
from desireline.trainer.miners.base import Material, mine_all, related
from desireline.trainer.miners.clicked import Clicked, ClickedConfig
from desireline.trainer.miners.engine_negatives import EngineNegatives, EngineNegativesConfig
from desireline.trainer.miners.self_supervised import SelfSupervised
from desireline.trainer.miners.skipped_above import SkippedAbove, SkippedAboveConfig
from desireline.trainer.pairs import Pair, Passage, merge
from desireline.trainer.sessions import to_sessions

TEXTS = {name: DocumentText((f"Title {name}", f"text {name}")) for name in "abcdef"}


@pytest.fixture
def material(log):
    log.search("coffee", "abcde", "d", client="ann")
    log.search("coffee", "abcde", "d", client="bob")
    log.search("coffee", "abcde", "b", client="cid")
    sessions = to_sessions(log.batches())
    return Material(
        sessions=sessions, judgments=judge(sessions, ClickThroughRate()), documents=TEXTS
    )


def found(material, *miners):
    return {
        pair.positive.document_id: [negative.document_id for negative in pair.negatives]
        for pair in mine_all(material, miners).pairs
    }


def test_what_was_chosen_is_a_positive_weighted_by_its_grade(material):
    pairs = mine_all(material, [Clicked(ClickedConfig(min_grade=0.2))]).pairs
    assert [(pair.anchor, pair.positive.text) for pair in pairs] == [
        ("coffee", "Title b. text b"),
        ("coffee", "Title d. text d"),
    ]
    assert 0.2 <= pairs[0].weight < pairs[1].weight <= 1


def test_a_purchase_weighs_more_than_a_click(log):
    for client in ("ann", "bob"):
        query_id = log.search("coffee", "abc", "ab", client=client)
        log.act(query_id, "b", kind="purchase", client=client, after_s=25)
    sessions = to_sessions(log.batches())
    material = Material(
        sessions=sessions, judgments=judge(sessions, ClickThroughRate()), documents=TEXTS
    )
    weights = {
        pair.positive.document_id: pair.weight
        for pair in mine_all(material, [Clicked(ClickedConfig(min_grade=0))]).pairs
    }
    assert weights["b"] == pytest.approx(3 * weights["a"])


def test_what_was_skipped_above_a_click_is_a_negative_and_what_lies_below_is_not(material):
    strict = SkippedAbove(SkippedAboveConfig(min_grade=0.2))
    doubtful = related(material.judgments, doubt=1.1)
    assert doubtful == {"coffee": frozenset("bd")}
    ready = Material(
        sessions=material.sessions,
        judgments=material.judgments,
        documents=TEXTS,
        related=doubtful,
    )
    pairs = {pair.positive.document_id: pair.negatives for pair in strict.mine(ready)}
    assert {k: [n.document_id for n in v] for k, v in pairs.items()} == {
        "b": ["a"],
        "d": ["a", "c"],
    }


def test_answers_that_nobody_wants_are_hard_negatives(material):
    asked = []

    def search(text, k):
        asked.append((text, k))
        return [Hit(document_id=name, score=1.0, fields={}) for name in "fabcdex"]

    with_engine = Material(
        sessions=material.sessions,
        judgments=material.judgments,
        documents=TEXTS,
        search=search,
    )
    miner = EngineNegatives(EngineNegativesConfig(min_grade=0.2, skip_top=1, max_negatives=2))
    assert found(with_engine, miner) == {"b": ["a", "c"], "d": ["a", "c"]}
    assert asked == [("coffee", 30)]


def test_without_an_engine_there_are_no_engine_negatives(material):
    assert found(material, EngineNegatives()) == {}


def test_a_documents_own_fields_belong_together():
    texts = {"a": DocumentText(("Only a title",)), "b": DocumentText(("Red  SHOE", "runs", "far"))}
    material = Material(sessions=None, judgments=None, documents=texts)
    assert [(pair.anchor, pair.positive) for pair in SelfSupervised().mine(material)] == [
        ("red shoe", Passage("b", "runs. far"))
    ]


def test_a_document_that_is_gone_is_no_lesson(log):
    log.search("coffee", "xy", "x")
    sessions = to_sessions(log.batches())
    material = Material(
        sessions=sessions, judgments=judge(sessions, ClickThroughRate()), documents=TEXTS
    )
    assert found(material, Clicked(ClickedConfig(min_grade=0))) == {}


def test_what_two_miners_find_is_one_pair_with_the_greater_weight_and_all_negatives():
    positive, one, two = (Passage(name, f"text {name}") for name in "pab")
    pairs = merge(
        [
            Pair(anchor="q", positive=positive, negatives=(one,), weight=0.5, source="clicked"),
            Pair(anchor="q", positive=positive, negatives=(two, one), weight=0.7, source="other"),
            Pair(anchor="q", positive=Passage("e", ""), source="clicked"),
            Pair(anchor="", positive=positive, source="clicked"),
            Pair(anchor="q", positive=one, weight=0.0, source="clicked"),
        ],
        {"q": frozenset("b")},
    )
    assert pairs.pairs == (
        Pair(anchor="q", positive=positive, negatives=(one,), weight=0.7, source="clicked+other"),
    )


def test_the_parts_of_a_document_render_as_its_template_does():
    template = TextTemplate(fields=("title", "none", "tags", "text"))
    fields = {"title": " Red  shoe ", "tags": ["a", "b"], "text": "runs far"}
    document = DocumentText.of(fields, template)
    assert document.text == template.render(fields)
    assert (document.title, document.rest) == ("Red shoe", "a b. runs far")
    assert DocumentText.of({}, template).text == ""
