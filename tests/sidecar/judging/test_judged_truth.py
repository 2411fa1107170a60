"""Judgments of people judge candidates, or teach them; never the same ones both."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from desireline.connectors.events import Action, Query
from desireline.connectors.judgment_files import write_judgment_list
from desireline.connectors.log_source import Cursor, LogBatch
from desireline.connectors.relevance_judgments import JudgmentList, Rating
from desireline.sidecar.config import parse_config
from desireline.sidecar.configuration.errors import ConfigError
from desireline.sidecar.judging.judged_truth import truth_of_people
from desireline.sidecar.learning.from_clicks import held_out_truth
from desireline.trainer.clickmodels.ctr import ClickThroughRate
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.judging.judgment_exchange import read_ratings
from desireline.trainer.judgments import judge
from desireline.trainer.miners.base import Material
from desireline.trainer.miners.rated import Rated, RatedConfig
from desireline.trainer.sessions import SessionConfig, to_sessions
from desireline.trainer.splits import split_forward

START = datetime(2025, 3, 3, tzinfo=UTC)


@pytest.fixture
def ratings(tmp_path):
    path = tmp_path / "ratings.json"
    write_judgment_list(
        JudgmentList(
            name="people",
            ratings={
                "Red  SHOE": (
                    Rating(document_id="d1", rating=4),
                    Rating(document_id="d2", rating=1),
                    Rating(document_id="gone", rating=4),
                ),
                "sea": (Rating(document_id="d3", rating=2),),
            },
        ),
        path,
    )
    return path


@pytest.fixture
def sessions():
    """Twenty searches for red shoes, one a day."""
    queries = [
        Query(
            query_id=f"q{n}",
            text="red shoe",
            at=START + timedelta(days=n),
            client=f"c{n}",
            shown=("d1", "d2"),
        )
        for n in range(20)
    ]
    clicks = [
        Action(query_id=q.query_id, document_id="d1", kind="click", at=q.at, client=q.client)
        for q in queries
    ]
    batch = LogBatch(cursor=Cursor("1"), queries=tuple(queries), actions=tuple(clicks))
    return to_sessions([batch])


def test_the_truth_is_what_people_judged_and_its_segments_are_the_logs(ratings, sessions):
    enough = SessionConfig(min_clients=5)
    truth = truth_of_people(ratings, split_forward(sessions, seed=1), enough=enough)
    assert truth.qrels == {"red shoe": {"d1": 1.0, "d2": 0.25, "gone": 1.0}, "sea": {"d3": 0.5}}
    assert truth.segments == {"red shoe": "head", "sea": "tail"}
    assert truth.queries == ["red shoe", "sea"]
    assert set(truth.presentable) == {"red shoe"}, "nobody typed the other one"


def test_where_a_target_names_judgments_the_gate_asks_people_and_not_clicks(
    ratings, sessions, tmp_path
):
    split = split_forward(sessions, seed=1)
    by_people = parse_config(
        config(gate={"judgments": str(ratings)}), source="the file", folder=tmp_path
    )
    target = SimpleNamespace(config=by_people.target("shop"))
    enough = target.config.session_config
    assert held_out_truth(target, split) == truth_of_people(ratings, split, enough=enough)
    by_clicks = parse_config(config(), source="the file", folder=tmp_path)
    target = SimpleNamespace(config=by_clicks.target("shop"))
    assert "sea" not in held_out_truth(target, split).qrels


def test_good_ratings_are_lessons_weighted_by_their_grade(ratings, sessions):
    material = Material(
        sessions=sessions,
        judgments=judge(sessions, ClickThroughRate()),
        documents={key: DocumentText(parts=(f"text of {key}",)) for key in ("d1", "d2", "d3")},
        ratings=read_ratings(ratings),
    )
    found = [(p.anchor, p.positive.document_id, p.weight) for p in Rated().mine(material)]
    assert found == [("red shoe", "d1", 1.0), ("sea", "d3", 0.5)]
    lenient = Rated(RatedConfig(min_grade=0.2)).mine(material)
    assert ("red shoe", "d2", 0.25) in [
        (p.anchor, p.positive.document_id, p.weight) for p in lenient
    ]


def config(**target):
    return {
        "cluster": {"engine": "lancedb"},
        "targets": {"shop": {"index": "shop", "text": ["title"], **target}},
    }


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (
            {"tune": {"judgments": "a.json"}, "gate": {"judgments": "a.json"}},
            "what is learned from must not judge",
        ),
        ({"tune": {"miners": ["clicked", "rated"]}}, "tune.judgments names no file"),
    ],
)
def test_a_configuration_in_which_judges_teach_is_refused(tmp_path, target, said):
    with pytest.raises(ConfigError, match=said):
        parse_config(config(**target), source="the file", folder=tmp_path)


def test_both_may_be_named_if_they_differ(tmp_path):
    target = {
        "tune": {"judgments": "a.json", "miners": ["clicked", "rated"]},
        "gate": {"judgments": "b.json"},
    }
    parsed = parse_config(config(**target), source="the file", folder=tmp_path)
    shop = parsed.target("shop")
    assert shop.tune.judgments == tmp_path / "a.json"
    assert shop.gate.judgments == tmp_path / "b.json"
