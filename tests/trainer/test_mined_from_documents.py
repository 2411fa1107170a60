"""Miners that need no log: they look at documents alone."""

from types import SimpleNamespace

import polars as pl

from desireline.trainer.documents.text import DocumentText
from desireline.trainer.encoders.fake import FakeEncoder
from desireline.trainer.miners.base import Material
from desireline.trainer.miners.categories import Categories, CategoriesConfig
from desireline.trainer.miners.crops import Crops, CropsConfig
from desireline.trainer.miners.likeness import Likeness
from desireline.trainer.miners.pseudo_queries import PseudoQueries, PseudoQueriesConfig
from desireline.trainer.miners.synthetic import Synthetic, SyntheticConfig

SENTENCE = "one two three four five six seven eight nine ten eleven twelve"


def of_documents(documents, **more):
    nobody = SimpleNamespace(
        frame=pl.DataFrame(
            {"document_id": ["known"], "clicked": [True]},
        )
    )
    return Material(sessions=nobody, judgments=None, documents=documents, **more)


def test_a_pseudo_query_is_made_of_the_titles_words_alone():
    documents = {
        "a": DocumentText(("Senior Red Shoe Maker", "makes shoes")),
        "b": DocumentText(("Cup",)),
    }
    pairs = list(PseudoQueries(PseudoQueriesConfig(a_document=9)).mine(of_documents(documents)))
    assert {pair.positive.document_id for pair in pairs} == {"a"}
    cuts = [pair.anchor for pair in pairs]
    assert len(set(cuts)) == len(cuts) > 2
    assert all(set(cut.split()) <= {"senior", "red", "shoe", "maker"} for cut in cuts)
    assert any(cut not in "senior red shoe maker" for cut in cuts)
    assert pairs[0].positive.text == documents["a"].text


def test_the_same_title_is_cut_alike_whatever_else_there_is():
    one = {"a": DocumentText(("Senior Red Shoe Maker",))}
    two = {**one, "b": DocumentText(("Junior Blue Cap Maker",))}
    miner = PseudoQueries()
    alone = [pair.anchor for pair in miner.mine(of_documents(one))]
    beside = [
        pair.anchor for pair in miner.mine(of_documents(two)) if pair.positive.document_id == "a"
    ]
    assert alone == beside


def test_a_crop_is_taken_out_of_the_text_around_it():
    documents = {"a": DocumentText(("Title", SENTENCE)), "b": DocumentText(("Short", "too short"))}
    (pair,) = Crops(CropsConfig(keep=0)).mine(of_documents(documents))
    assert pair.anchor in SENTENCE
    assert 3 <= len(pair.anchor.split()) <= 10
    assert pair.anchor not in pair.positive.text
    assert pair.positive.text.startswith("Title")
    (kept,) = Crops(CropsConfig(keep=1)).mine(of_documents(documents))
    assert kept.positive.text == documents["a"].text


def test_what_several_documents_say_of_themselves_is_their_label():
    documents = {
        name: DocumentText(
            (f"Title {name}", f"text of {name}", "Linux" if name in "abc" else "Mac")
        )
        for name in "abcdefgh"
    }
    documents["x"] = DocumentText(("Linux", "the kernel"))
    pairs = list(Categories(CategoriesConfig(most_share=0.4)).mine(of_documents(documents)))
    assert [(pair.anchor, pair.positive.document_id) for pair in pairs] == [
        ("linux", "a"),
        ("linux", "b"),
        ("linux", "c"),
    ]


def test_a_written_query_counts_only_if_it_leads_back_to_its_document():
    documents = {name: DocumentText((f"word{name} thing",)) for name in "abcd"}
    asked = []

    def generate(texts, most):
        asked.append((tuple(texts), most))
        return [[text, "zzz qqq unrelated"] for text in texts]

    material = of_documents(
        documents, generate=generate, likeness=Likeness(FakeEncoder(256), documents)
    )
    pairs = list(Synthetic(SyntheticConfig(found_within=1)).mine(material))
    own = {(pair.anchor, pair.positive.document_id) for pair in pairs}
    assert {(f"word{name} thing", name) for name in "abcd"} <= own
    assert len(own) <= 5
    assert asked == [(tuple(d.text for d in documents.values()), 2)]


def test_what_was_never_clicked_is_written_for_first():
    documents = {name: DocumentText((f"{name} thing",)) for name in ("known", "other")}
    asked = []

    def generate(texts, _):
        asked.extend(texts)
        return [[] for _ in texts]

    material = of_documents(
        documents, generate=generate, likeness=Likeness(FakeEncoder(64), documents)
    )
    assert list(Synthetic(SyntheticConfig(documents=1)).mine(material)) == []
    assert asked == ["other thing"]


def test_without_a_generator_nothing_is_written():
    assert list(Synthetic().mine(of_documents({"a": DocumentText(("thing",))}))) == []
