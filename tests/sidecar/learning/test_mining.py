"""What may be told of where a query's pairs come from."""

import json

import pytest

from desireline.sidecar.configuration.tune import TuneConfig
from desireline.sidecar.learning.mining import Mining, explain, make_miner
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.miners.base import Material
from desireline.trainer.miners.voting import Found
from desireline.trainer.pairs import Pair, PairSet, Passage

TEXTS = {name: DocumentText((f"Title {name}",)) for name in "abc"}


def pair(document_id, source="clicked", negatives=""):
    return Pair(
        anchor="latte",
        positive=Passage(document_id, TEXTS[document_id].text),
        negatives=tuple(Passage(name, TEXTS[name].text) for name in negatives),
        weight=0.5,
        source=source,
        why=f"{source} says so",
    )


def mining(found, kept):
    return Mining(
        material=Material(sessions=None, judgments=None, documents=TEXTS),
        found=tuple(Found(pair=each, judged=True) for each in found),
        pairs=PairSet(pairs=tuple(kept), related={}),
        sources={},
        left_out=len(found) - len(kept),
    )


def test_a_pair_is_told_with_every_miner_that_found_it_and_its_negatives():
    found = [pair("a"), pair("a", "skipped_above", "c")]
    told = explain(mining(found, [pair("a", "clicked+skipped_above", "c")]), "  LATTE ")
    assert told["query"] == "latte"
    (only,) = told["pairs"]
    assert [each["miner"] for each in only["found_by"]] == ["clicked", "skipped_above"]
    assert [each["why"] for each in only["found_by"]] == [
        "clicked says so",
        "skipped_above says so",
    ]
    assert only["negatives"] == [{"document_id": "c", "title": "Title c"}]


def test_what_too_few_people_stand_behind_is_counted_and_not_named():
    told = explain(mining([pair("a"), pair("b")], [pair("a")]), "latte")
    assert told["left_out"] == 1
    assert "1 more are left out" in told["sentence"]
    assert "Title b" not in json.dumps(told)


def test_a_query_that_too_few_typed_is_as_unknown_as_one_that_nobody_did():
    told = explain(mining([], []), "my own secret")
    assert told["pairs"] == []
    assert "typed by too few" in told["sentence"]


def test_a_miner_is_made_with_its_settings():
    assert make_miner("clicked", {"min_grade": 0.9})._config.min_grade == 0.9
    assert make_miner("clicked", {})._config.min_grade == 0.5


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"crops": {"keep": 0.5}}, "does not name"),
        ({"clicked": {"min_grad": 0.5}}, "min_grad"),
        ({"clicked": {"min_grade": 5}}, "less than or equal to 1"),
    ],
)
def test_settings_that_no_miner_understands_are_refused_at_once(settings, said):
    with pytest.raises(ValueError, match=said):
        TuneConfig(miner_settings=settings)
