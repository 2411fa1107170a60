"""Tier 0: a target without a click learns from its documents, if its owner says so."""

import random
from dataclasses import replace

import pytest

from desireline.connectors.documents import Document
from desireline.sidecar.cycle import run_cycle
from desireline.sidecar.learning.documents_alone import learn_from_documents
from desireline.sidecar.reports.cycle_report import Outcome

TARGET = "jobs"
WORDS = ("the", "red", "blue", "shoe", "running", "garden", "nurse", "software", "engineer", "in")


class Told:
    """A diary that only listens."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def step(self, name: str, sentence: str, **_facts: object) -> None:
        self.said.append(f"{name}: {sentence}")


def documents() -> list[Document]:
    drawn = random.Random(7)
    titles = sorted({" ".join(drawn.sample(WORDS, 4)) for _ in range(400)})
    return [
        Document(
            document_id=f"d{number}",
            fields={"title": title, "description": " ".join(drawn.sample(title.split(), 3))},
        )
        for number, title in enumerate(titles)
    ]


@pytest.fixture
def product(make_product, silent, tiny_static):
    extra = f"hold = '0s'\n[targets.{TARGET}.tune]\nwithout_clicks = true\nbudget = '5m'"
    product = make_product(model=str(tiny_static), extra=extra)
    product.parts.engine.create_index(product.index, ["title", "description"])
    product.parts.engine.index_documents(product.index, documents())
    product.sidecar.reindex(TARGET, None, silent)
    (product.folder / "clicks.ndjson").write_text("")
    return product


def test_documents_teach_others_judge_and_the_gate_decides(product, silent):
    live, told = product.parts.generations.live().fingerprint, Told()
    teaching = learn_from_documents(product.parts, live, told)
    asked = {document for grades in teaching.truth.qrels.values() for document in grades}
    taught = {pair.positive.document_id for pair in teaching.pairs.pairs}
    titles = {each.document_id: set(each.fields["title"].split()) for each in documents()}
    assert not asked & taught
    assert asked | taught == set(titles)
    assert 0.05 < len(asked) / len(titles) < 0.15
    for query, grades in teaching.truth.qrels.items():
        assert all(set(query.split()) <= titles[document_id] for document_id in grades)
    assert teaching.texts is not None
    held = {str(each.fields["title"]) for each in documents() if each.document_id in asked}
    assert len(teaching.texts) == len(titles) - len(held)
    assert not any(text.startswith(title) for text in teaching.texts for title in held)
    again = learn_from_documents(product.parts, live, told)
    assert (again.truth, again.pairs.pairs) == (teaching.truth, teaching.pairs.pairs)
    assert teaching.sessions.frame.is_empty()
    assert "documents alone (self_supervised, pseudo_queries)" in told.said[0]

    report = product.sidecar.tune(TARGET, silent)
    assert report.outcome in {Outcome.WENT_LIVE, Outcome.KEPT_INCUMBENT}, report.reason
    assert "documents" in [step.name for step in report.steps]
    assert {"base", "candidate"} <= set(report.measures)
    assert product.sidecar.log_report(TARGET)["report"]["tier"] == 0


def test_documents_alone_replace_the_encoder_as_it_came_and_no_other(product, silent, tiny_bert):
    by_hand = product.sidecar.reindex(TARGET, str(tiny_bert), silent, end_hold=True)
    assert by_hand.outcome is Outcome.WENT_LIVE
    report = product.sidecar.tune(TARGET, silent)
    assert report.outcome is Outcome.NOTHING_TO_DO
    assert "the encoder that serves has learned already" in report.reason
    without_log = run_cycle(replace(product.parts, log_source=None), silent)
    assert without_log.reason == report.reason


def test_the_documents_that_may_teach_are_read_before_their_pairs(make_product, silent, tiny_bert):
    extra = f"hold = '0s'\n[targets.{TARGET}.tune]\nwithout_clicks = true\nbudget = '5m'"
    reading = "self_supervised = { objective = 'tsdae', max_steps = 3 }"
    product = make_product(model=str(tiny_bert), extra=extra, fit=reading)
    product.parts.engine.create_index(product.index, ["title", "description"])
    product.parts.engine.index_documents(product.index, documents())
    product.sidecar.reindex(TARGET, None, silent)
    (product.folder / "clicks.ndjson").write_text("")
    report = product.sidecar.tune(TARGET, silent)
    assert report.outcome in {Outcome.WENT_LIVE, Outcome.KEPT_INCUMBENT}, report.reason
    fitted = next(step.sentence for step in report.steps if step.name == "fit")
    assert "tsdae 3 steps" in fitted
    assert "then pairs: " in fitted
