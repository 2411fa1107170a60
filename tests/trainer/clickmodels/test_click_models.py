import numpy as np
import polars as pl
import pytest

from desireline.trainer.clickmodels.base import ClickLog, surprise
from desireline.trainer.clickmodels.ctr import ClickThroughRate, ClickThroughRateConfig
from desireline.trainer.clickmodels.latent_relevance import LatentRelevance
from desireline.trainer.clickmodels.position_based import (
    PositionBased,
    PositionBasedConfig,
    sample_clicks,
)

SCHEMA = {
    "query": pl.String,
    "document_id": pl.String,
    "position": pl.Int32,
    "shown": pl.Boolean,
    "impressions": pl.Int64,
    "clicks": pl.Int64,
}
MODELS = [ClickThroughRate, PositionBased, LatentRelevance]


def counts(*rows):
    return pl.DataFrame(
        [
            (query, document, position, position is not None, n, c)
            for query, document, position, n, c in rows
        ],
        schema=SCHEMA,
        orient="row",
    )


def sampled(attraction, examination, searches, random):
    """Show the documents of each query in a new order each time and count what is clicked."""
    queries, documents = attraction.shape
    rows = {}
    for query in range(queries):
        orders = np.array([random.permutation(documents) for _ in range(searches)])
        clicked = sample_clicks(examination, attraction[query][orders], random)
        for place in range(documents):
            for document in range(documents):
                there = orders[:, place] == document
                rows[query, document, place] = (there.sum(), clicked[there, place].sum())
    return counts(
        *(
            (f"q{query}", f"d{document}", place + 1, int(n), int(c))
            for (query, document, place), (n, c) in rows.items()
            if n
        )
    )


def grades(model, frame):
    found = model.fit(ClickLog.of_counts(frame)).attractiveness
    return {
        (query, document): grade
        for query, document, grade in found.select("query", "document_id", "attraction").iter_rows()
    }


def test_the_position_based_model_recovers_what_it_sampled():
    random = np.random.default_rng(7)
    attraction = random.uniform(0.05, 0.95, (6, 5))
    examination = np.array([1.0, 0.7, 0.5, 0.35, 0.25])
    model = PositionBased(PositionBasedConfig(iterations=200))
    found = model.fit(ClickLog.of_counts(sampled(attraction, examination, 3_000, random)))
    np.testing.assert_allclose(list(found.examination.values()), examination, atol=0.03)
    np.testing.assert_allclose(
        found.attractiveness["attraction"].to_numpy().reshape(6, 5), attraction, atol=0.06
    )


def test_one_step_is_the_textbook_update_for_every_single_impression():
    """The updates of Chuklin et al. (2015), impression by impression, with a Beta prior."""
    frame = counts(
        ("q", "a", 1, 4, 1), ("q", "a", 2, 3, 2), ("q", "b", 2, 5, 0), ("r", "a", 1, 2, 2)
    )
    arrays = ClickLog.of_counts(frame).arrays
    theta, alpha = np.array([1.0, 0.6]), np.array([0.3, 0.4, 0.8])
    new_theta, new_alpha = PositionBased(
        PositionBasedConfig(prior_strength=2, prior_mean=0.25)
    ).step(arrays, theta, alpha)
    pairs = [("q", "a"), ("q", "b"), ("r", "a")]
    attracted, seen = dict.fromkeys(pairs, 0.0), dict.fromkeys(pairs, 0)
    looked, shown = {1: 0.0, 2: 0.0}, {1: 0, 2: 0}
    for query, document, position, _, impressions, clicks in frame.iter_rows():
        pair = (query, document)
        a, t = alpha[pairs.index(pair)], theta[position - 1]
        for number in range(impressions):
            click = number < clicks
            attracted[pair] += 1 if click else a * (1 - t) / (1 - a * t)
            looked[position] += 1 if click else t * (1 - a) / (1 - a * t)
            seen[pair] += 1
            shown[position] += 1
    np.testing.assert_allclose(
        new_alpha, [(attracted[pair] + 0.5) / (seen[pair] + 2) for pair in pairs]
    )
    np.testing.assert_allclose(new_theta, [1.0, looked[2] / shown[2]])


def test_every_turn_makes_the_clicks_likelier():
    random = np.random.default_rng(3)
    frame = sampled(random.uniform(0.1, 0.9, (3, 4)), np.array([1.0, 0.6, 0.4, 0.2]), 60, random)
    arrays = ClickLog.of_counts(frame).arrays
    model = PositionBased(PositionBasedConfig(prior_strength=1e-9))
    theta, alpha = np.full(4, 0.5), np.full(arrays.pairs.height, 0.3)
    theta[0] = 1.0
    surprises = []
    for _ in range(15):
        surprises.append(
            surprise(
                theta[arrays.place] * alpha[arrays.pair],
                arrays.clicks / arrays.impressions,
                arrays.impressions,
            )
        )
        theta, alpha = model.step(arrays, theta, alpha)
    assert surprises == sorted(surprises, reverse=True)
    assert surprises[-1] < surprises[0]


def test_click_through_rates_are_drawn_to_the_rate_of_their_position():
    frame = counts(("q", "a", 1, 100, 50), ("q", "b", 2, 100, 10), ("r", "a", 2, 1, 1))
    model = ClickThroughRate(ClickThroughRateConfig(prior_strength=5))
    rate = 11 / 101
    assert grades(model, frame) == pytest.approx(
        {
            ("q", "a"): (50 + 5 * 0.5) / 105,
            ("q", "b"): (10 + 5 * rate) / 105,
            ("r", "a"): (1 + 5 * rate) / 6,
        }
    )


def two_classes(random, *, queries=300, documents=6):
    """Draw a log of rare queries in which accidents happen, and its truth."""
    relevant = random.random((queries, documents)) < 0.2
    examination = np.arange(1.0, documents + 1) ** -0.6
    rows = []
    for query in range(queries):
        for _ in range(int(random.integers(1, 8))):
            order = random.permutation(documents)
            clicked = sample_clicks(
                examination, np.where(relevant[query][order], 0.85, 0.05), random
            )
            rows += [
                (f"q{query:03}", f"d{document}", place + 1, 1, int(clicked[place]))
                for place, document in enumerate(order)
            ]
    frame = counts(*rows).group_by("query", "document_id", "position", "shown").sum()
    return frame, relevant, examination


def test_latent_relevance_recovers_the_classes_and_is_calibrated():
    frame, relevant, examination = two_classes(np.random.default_rng(5))
    found = LatentRelevance().fit(ClickLog.of_counts(frame))
    truth = np.array(
        [
            relevant[int(query[1:]), int(document[1:])]
            for query, document in found.attractiveness.select("query", "document_id").iter_rows()
        ]
    )
    grade = found.attractiveness["attraction"].to_numpy()
    np.testing.assert_allclose(list(found.examination.values()), examination, atol=0.12)
    assert truth[grade >= 0.5].mean() > 0.8
    assert grade.mean() == pytest.approx(truth.mean(), abs=0.04)
    assert truth[(grade > 0.2) & (grade < 0.8)].mean() == pytest.approx(0.5, abs=0.2)


def test_a_click_counts_the_more_the_fewer_skips_there_are():
    frame, _, _ = two_classes(np.random.default_rng(5))
    more = counts(
        ("x", "clicked", 2, 1, 1),
        ("x", "often skipped", 3, 8, 1),
        ("x", "skipped", 1, 3, 0),
        ("x", "below", 6, 3, 0),
    )
    grade = grades(
        LatentRelevance(),
        pl.concat([frame.select(list(SCHEMA)), more.cast(frame.select(list(SCHEMA)).schema)]),
    )
    x = {document: value for (query, document), value in grade.items() if query == "x"}
    assert x["clicked"] > x["often skipped"] > x["below"] > x["skipped"]


@pytest.mark.parametrize("model", MODELS)
def test_an_empty_log_has_no_attractions(model):
    found = model().fit(ClickLog.of_counts(counts()))
    assert found.attractiveness.is_empty()
    assert found.perplexity(ClickLog.of_counts(counts())) == 1.0


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "frame",
    [
        counts(("q", "a", None, 1, 1)),
        counts(("q", "a", 1, 1, 0)),
        counts(("q", "a", 1, 1, 1)),
        counts(("q", "a", 3, 50, 50), ("q", "b", None, 2, 2), ("q", "b", 1, 50, 0)),
    ],
)
def test_every_model_stays_between_zero_and_one_on_odd_logs(model, frame):
    found = model().fit(ClickLog.of_counts(frame))
    for column in ("attraction", "confidence"):
        values = found.attractiveness[column].to_numpy()
        assert np.isfinite(values).all()
        assert ((values >= 0) & (values <= 1)).all()
    assert np.isfinite(found.perplexity(ClickLog.of_counts(frame)))


@pytest.mark.parametrize("model", [PositionBased, LatentRelevance])
def test_a_click_without_position_is_worth_a_click(model):
    frame = counts(("q", "a", None, 2, 2), ("q", "b", 1, 2, 0), ("r", "a", 1, 2, 1))
    grade = grades(model(), frame)
    assert grade["q", "a"] > grade["r", "a"] > grade["q", "b"]
