"""From clicks to a category: a cycle makes a head, searches use it, a restart and erasures."""

import dataclasses
from contextlib import closing

import httpx
import pytest
from typer.testing import CliRunner

from desireline.sidecar.answering import answering
from desireline.sidecar.cli.app import app
from desireline.sidecar.demo.occupations import TEXT_FIELDS
from desireline.sidecar.errors import IntentError
from desireline.sidecar.models.intent_records import head_for, heads_of, sweep_heads
from desireline.sidecar.reports.cycle_report import Outcome
from desireline.sidecar.wiring import open_sidecar
from desireline.trainer.intent.storing import IntentManifest
from desireline.trainer.simulation.users import SimulationConfig

TARGET = "jobs"
USERS = SimulationConfig(searches=4_000, seed=3)
EXTRA = """
[targets.jobs.intent]
category = "group"
use = "filter"
min_confidence = 0.5
min_hits = 3
"""


@pytest.fixture
def product(make_product, silent):
    """Occupations with their major group, searched by the base encoder, and clicks on that."""
    made = make_product(extra=EXTRA)
    engine = made.parts.engine
    engine.create_index(made.index, list(TEXT_FIELDS))
    documents = [
        dataclasses.replace(each, fields={**each.fields, "group": f"group {each.document_id[:2]}"})
        for each in made.occupations.documents
    ]
    engine.index_documents(made.index, documents)
    made.sidecar.reindex(TARGET, None, silent)
    made.users_click(USERS)
    return made


def told(report) -> str:
    (sentence,) = [step.sentence for step in report.steps if step.name == "intent"]
    return sentence


def head_of(product) -> IntentManifest:
    live = product.parts.generations.live().fingerprint
    head, manifest = heads_of(product.parts).load(head_for(product.parts, live))
    assert head.encoder == live == manifest.encoder
    return manifest


def test_a_cycle_makes_a_head_that_serves_survives_a_restart_and_forgets(
    product, silent, monkeypatch
) -> None:
    with pytest.raises(IntentError, match="no intent head for the encoder"):
        product.sidecar.intents(TARGET).require(product.sidecar.live(TARGET))
    report = product.sidecar.tune(TARGET, silent)
    assert report.outcome in {Outcome.WENT_LIVE, Outcome.KEPT_INCUMBENT}, report.sentence
    assert told(report).startswith("a new head serves: accuracy 0."), told(report)
    product.sidecar.refresh()
    manifest = head_of(product)
    assert manifest.figures["all"]["accuracy"]["value"] > 0.3
    truth = product.occupations.reported["test"]
    right_and_filtered_on_test_queries(product, dict(list(truth.items())[:100]))
    over_http_and_the_command_line(product, monkeypatch)
    with closing(open_sidecar(product.config)) as restarted:
        served = restarted.intents(TARGET).require(restarted.live(TARGET))
        assert served.manifest == manifest
    forgets(product)


def right_and_filtered_on_test_queries(product, truth) -> None:
    """Answers of sure queries lie in the group that is named, which is mostly the right one."""
    sure = right = 0
    for query, grades in truth.items():
        answered = product.sidecar.answer(TARGET, query, 10)
        if answered.use == "filter":
            sure += 1
            named = set(answered.intent.intent.categories)
            assert {hit.fields["group"] for hit in answered.hits} <= named
            right += bool({f"group {key[:2]}" for key in grades} & named)
    assert sure > 10
    assert right / sure > 0.6


def over_http_and_the_command_line(product, monkeypatch) -> None:
    key = product.sidecar.api_keys().create("application", ["search"])
    with answering(product.sidecar, product.config.server, port=0) as server:
        asked = {"target": TARGET, "query": "registered nurse"}
        headers = {"X-API-Key": key}
        over_http = httpx.post(
            f"{server.url}/v1/intent", json=asked, headers=headers, timeout=60
        ).json()
    monkeypatch.chdir(product.folder)
    monkeypatch.setenv("COLUMNS", "200")
    printed = CliRunner().invoke(app, ["intent", TARGET, "registered nurse"])
    assert printed.exit_code == 0, printed.output
    best = over_http["data"][0]["categories"][0]
    assert best["category"] == "group 29"
    assert f"{best['category']}" in printed.output
    assert f"{best['confidence']:.3f}" in printed.output


def forgets(product) -> None:
    """A head that learned from what is erased is gone, and searches go on without it."""
    sidecar, parts = product.sidecar, product.parts
    strange = sidecar.erase(TARGET, "query", "words that nobody ever typed", by="a test")
    assert [place.found for place in strange.places if place.place == "intent heads"] == [0]
    queries = parts.privacy.trained_on
    (head,) = heads_of(parts).list()
    taught = next(
        query
        for query in product.occupations.reported["train"] | product.occupations.lay
        if queries.learned(head, queries.digests(queries=[query]))
    )
    gone = sidecar.erase(TARGET, "query", taught, by="a test")
    assert [(p.found, p.left) for p in gone.places if p.place == "intent heads"] == [(1, 0)]
    assert heads_of(parts).list() == []
    sidecar.refresh()
    with pytest.raises(IntentError, match="no intent head"):
        sidecar.intents(TARGET).require(sidecar.live(TARGET))
    assert sidecar.answer(TARGET, "registered nurse", 5).intent is None
    assert sweep_heads(parts) == []
