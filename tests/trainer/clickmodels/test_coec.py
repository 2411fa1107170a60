"""Clicks over expected clicks, ours and the search-relevance plugin's."""

import gzip
import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from desireline.trainer.clickmodels.coec import CoecConfig, CoecPerImpression
from desireline.trainer.clickmodels.search_relevance_coec import (
    SearchRelevanceCoec,
    SearchRelevanceCoecConfig,
    ratings,
)

SAMPLE = Path(__file__).parents[2] / "data" / "esci_ubi" / "ubi_queries_events.ndjson.gz"
COLUMNS = {
    "user_query": pl.String,
    "object_id": pl.String,
    "action_name": pl.String,
    "ordinal": pl.Int64,
}


def events(*rows):
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def rated(frame, max_rank):
    return {
        (query, document): rating
        for query, document, rating in ratings(frame, max_rank=max_rank).iter_rows()
    }


def sample():
    rows = []
    with gzip.open(SAMPLE, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if "action_name" in record:
                attributes = record.get("event_attributes") or {}
                rows.append(
                    (
                        record.get("user_query"),
                        (attributes.get("object") or {}).get("object_id"),
                        record["action_name"],
                        (attributes.get("position") or {}).get("ordinal"),
                    )
                )
    return rows


def as_the_plugin_does(rows, max_rank):
    """Follow the plugin's own steps, event by event, from its published source."""
    kept = [row for row in rows if row[3] is not None and row[3] <= max_rank]
    buckets = defaultdict(Counter)
    for _, _, action, ordinal in kept:
        buckets[action][ordinal] += 1
    ten = sorted(buckets.items(), key=lambda each: (-sum(each[1].values()), each[0]))[:10]
    seen = {"click": {}, "impression": {}}
    for action, at in ten:
        if action.lower() in seen:
            most = sorted(at.items(), key=lambda each: (-each[1], each[0]))[:max_rank]
            seen[action.lower()] |= dict(most)
    rates = {
        rank: seen["click"].get(rank, 0) / seen["impression"][rank]
        for rank in range(max_rank)
        if rank in seen["impression"]
    }
    clicks, impressions, least = Counter(), Counter(), {}
    pairs = set()
    for query, document, action, ordinal in kept:
        if query is None or document is None:
            continue
        pair = (query, document)
        pairs.add(pair)
        if action.lower() in seen:
            (clicks if action.lower() == "click" else impressions)[pair] += 1
            least[pair] = min(least.get(pair, ordinal), ordinal)
    found = {}
    for pair in pairs:
        expected = rates.get(least.get(pair), 0.0) * impressions[pair]
        found[pair] = clicks[pair] / expected if expected > 0 else 0.0
    return found


@pytest.mark.parametrize("max_rank", [5, 20, 50])
def test_the_ubi_sample_is_rated_as_the_plugin_rates_it(max_rank):
    rows = sample()
    expected = as_the_plugin_does(rows, max_rank)
    found = rated(events(*rows), max_rank)
    assert len(found) > 100
    assert found.keys() == expected.keys()
    for pair, rating in found.items():
        assert float(rating) == pytest.approx(expected[pair], abs=0.00051)
        assert len(rating.partition(".")[2]) == 3


def test_all_impressions_are_billed_at_the_best_ordinal_and_raw_texts_are_apart():
    found = rated(
        events(
            ("Tea", "a", "impression", 0),
            ("Tea", "a", "impression", 3),
            ("Tea", "a", "Click", 3),
            ("tea", "b", "impression", 0),
            ("tea", "b", "click", 0),
            ("tea", "c", "impression", 3),
            ("tea", "d", "add_to_cart", 1),
            (None, "e", "click", 0),
        ),
        max_rank=4,
    )
    # Ordinal 0: 2 clicks of 2 impressions, one of them without a query. Ordinal 3: 1 of 2.
    assert found == {
        ("Tea", "a"): "0.500",
        ("tea", "b"): "1.000",
        ("tea", "c"): "0.000",
        ("tea", "d"): "0.000",
    }


def test_what_was_seen_at_the_deepest_rank_only_is_rated_zero():
    frame = events(("q", "a", "impression", 5), ("q", "a", "click", 5))
    assert rated(frame, 5) == {("q", "a"): "0.000"}
    assert rated(frame, 6) == {("q", "a"): "1.000"}


def test_clicks_are_lost_behind_ten_more_frequent_actions():
    noise = [("q", "x", f"hover{kind}", 0) for kind in range(9) for _ in range(5)]
    seen = [("q", "a", "impression", 0)] * 5 + [("q", "a", "click", 0)] * 2
    assert rated(events(*seen, *noise[:-5]), 3)["q", "a"] == "1.000"
    assert rated(events(*seen, *noise), 3)["q", "a"] == "0.000"


def test_halves_are_rounded_up_as_java_rounds_them():
    """Clicks 2001 over 2000 expected: 1.0005, which is a little less in binary."""
    seen = [("q", "a", "impression", 0)] * 2_000 + [("q", "a", "click", 0)] * 2_001
    seen += [("r", "b", "impression", 0)] * 2_001 + [("r", "b", "click", 0)] * 2_000
    assert f"{2001 / 2000:.3f}" == "1.000"
    assert rated(events(*seen), 3)["q", "a"] == "1.001"


def test_the_model_and_the_ratings_agree(log_of):
    views = [("q", "abc", "a"), ("q", "bac", "c"), ("r", "cab", "ca"), ("r", "cba", "")]
    log = log_of(*views)
    raw = []
    for query, documents, clicks in views:
        for place, document in enumerate(documents, 1):
            raw.append((query, document, "impression", place))
            raw += [(query, document, "click", place)] * (document in clicks)
    found = SearchRelevanceCoec(SearchRelevanceCoecConfig(max_rank=3)).fit(log).attractiveness
    expected = rated(events(*raw), 3)
    for query, document, attraction in found.select(
        "query", "document_id", "attraction"
    ).iter_rows():
        rating = float(expected[query, document])
        assert attraction == pytest.approx(rating / (1 + rating), abs=1e-3)


def test_per_impression_every_place_is_billed(log_of):
    log = log_of(("q", "ab", "a"), ("q", "ba", "a"), ("q", "ab", ""), ("r", "ab", "b"))
    found = CoecPerImpression(CoecConfig(prior_strength=0)).fit(log)
    first, second = 1 / 4, 2 / 4
    expected = {
        ("q", "a"): 2 / (2 * first + second),
        ("q", "b"): 0.0,
        ("r", "a"): 0.0,
        ("r", "b"): 1 / second,
    }
    rows = found.attractiveness.select("query", "document_id", "attraction").iter_rows()
    assert {(q, d): a / (1 - a) for q, d, a in rows} == pytest.approx(expected)
    chance = found.click_probability(log)
    assert chance.max() < 1
    np.testing.assert_allclose(found.users.click_through, [first, second])
