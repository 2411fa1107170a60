"""Where a model has a closed form, counted page by page; and what more turns make of it."""

from collections import Counter

import numpy as np
import pytest

from desireline.trainer.clickmodels.backing_off import BackingOff, BackingOffConfig
from desireline.trainer.clickmodels.cascade import Cascade, CascadeConfig
from desireline.trainer.clickmodels.dependent import Dependent, DependentConfig
from desireline.trainer.clickmodels.dynamic_bayesian import DynamicBayesian, DynamicBayesianConfig
from desireline.trainer.clickmodels.examination_em import settled
from desireline.trainer.clickmodels.simplified_bayesian import (
    SimplifiedBayesian,
    SimplifiedBayesianConfig,
)
from desireline.trainer.clickmodels.user_browsing import UserBrowsing, UserBrowsingConfig
from desireline.trainer.clickmodels.users import ReadFromTop

FLAT = BackingOffConfig(strength=1e-9)


@pytest.fixture(scope="module")
def log(show, known):
    random = np.random.default_rng(11)
    shown = show(random, queries=2, documents=4, searches=300)
    truth = known(
        shown, ReadFromTop(perseverance=0.8), random.uniform(0.2, 0.7, 8), np.full(8, 0.5)
    )
    return truth.sample(shown, random)


def pages(log):
    """Yield (query, documents from the top, clicks) for each execution of a query."""
    for (_, query), rows in log.rows.sort("view", "position").group_by(
        "view", "query", maintain_order=True
    ):
        yield query, rows["document_id"].to_list(), rows["clicked"].to_list()


def shares(found, name):
    rows = found.attractiveness.select("query", "document_id", name).iter_rows()
    return {(query, document): share for query, document, share in rows}


def ratio(hits, tries):
    return {key: hits[key] / tries[key] for key in tries}


def counted(log):
    """Count as published: nothing below the last click was looked at, which satisfied."""
    clicks, looks, ends, by_rank, last_by_rank = (Counter() for _ in range(5))
    for query, documents, clicked in pages(log):
        last = max((rank for rank, click in enumerate(clicked) if click), default=None)
        for rank, (document, click) in enumerate(zip(documents, clicked, strict=True)):
            if last is None or rank <= last:
                looks[query, document] += 1
            if click:
                clicks[query, document] += 1
                by_rank[rank] += 1
            if rank == last:
                ends[query, document] += 1
                last_by_rank[rank] += 1
    return clicks, looks, ends, by_rank, last_by_rank


def test_the_cascade_counts_down_to_the_first_click(log):
    clicks, looks = Counter(), Counter()
    for query, documents, clicked in pages(log):
        for document, click in zip(documents, clicked, strict=True):
            looks[query, document] += 1
            clicks[query, document] += click
            if click:
                break
    found = Cascade(CascadeConfig(prior=FLAT)).fit(log)
    assert shares(found, "attraction") == pytest.approx(ratio(clicks, looks))
    assert {
        pair: found.attractiveness["confidence"][n] for n, pair in enumerate(sorted(looks))
    } == (pytest.approx({pair: n / (n + 2) for pair, n in looks.items()}))


def test_without_a_turn_the_simplified_dbn_is_the_published_count(log):
    clicks, looks, ends, _, _ = counted(log)
    found = SimplifiedBayesian(
        SimplifiedBayesianConfig(prior=FLAT, satisfaction_strength=1e-9, iterations=0)
    ).fit(log)
    assert shares(found, "attraction") == pytest.approx(ratio(clicks, looks))
    assert shares(found, "satisfaction") == pytest.approx(ratio(ends, clicks))
    assert found.users.perseverance == 1


def test_without_a_turn_the_dependent_click_model_is_the_published_count(log):
    clicks, looks, _, by_rank, last_by_rank = counted(log)
    found = Dependent(DependentConfig(prior=FLAT, iterations=0, stop_strength=2)).fit(log)
    assert shares(found, "attraction") == pytest.approx(ratio(clicks, looks))
    np.testing.assert_allclose(
        found.users.stop_by_place,
        [(last_by_rank[rank] + 1) / (by_rank[rank] + 2) for rank in range(4)],
    )


@pytest.mark.parametrize(
    "fit",
    [
        lambda n: SimplifiedBayesian(
            SimplifiedBayesianConfig(prior=FLAT, satisfaction_strength=1e-9, iterations=n)
        ),
        lambda n: DynamicBayesian(
            DynamicBayesianConfig(prior=FLAT, satisfaction_strength=1e-9, iterations=n)
        ),
        lambda n: Dependent(DependentConfig(prior=FLAT, iterations=n, stop_strength=0)),
        lambda n: UserBrowsing(
            UserBrowsingConfig(prior=FLAT, iterations=n + 1, examination_strength=0)
        ),
    ],
    ids=["sdbn", "dbn", "dcm", "ubm"],
)
def test_every_turn_makes_the_log_likelier(log, fit):
    surprise = [fit(turns).fit(log).perplexity(log) for turns in (0, 1, 2, 4, 8, 16, 32)]
    assert surprise == sorted(surprise, reverse=True)
    assert surprise[-1] < surprise[0] - 1e-4


def test_one_turn_of_user_browsing_is_the_textbook_update_page_by_page(log):
    """Dupret & Piwowarski (2008), with the last click above kept in a dictionary."""
    alpha, gamma = {}, {}

    def of(table, key, usual):
        return table.get(key, usual)

    looks, clicks_in_all = 0.0, 0
    for _, documents, clicked in pages(log):
        looks += sum(1 / np.sqrt(place) for place in range(1, len(documents) + 1))
        clicks_in_all += sum(clicked)
    usual = clicks_in_all / looks
    for _ in range(3):
        hits, seen, looked, shown = Counter(), Counter(), Counter(), Counter()
        for query, documents, clicked in pages(log):
            last = 0
            for place, (document, click) in enumerate(zip(documents, clicked, strict=True), 1):
                a = of(alpha, (query, document), usual)
                g = of(gamma, (place, last), 1.0 if (place, last) == (1, 0) else 0.5)
                hits[query, document] += 1 if click else a * (1 - g) / (1 - a * g)
                seen[query, document] += 1
                looked[place, last] += 1 if click else g * (1 - a) / (1 - a * g)
                shown[place, last] += 1
                last = place if click else last
        alpha, gamma = ratio(hits, seen), {**ratio(looked, shown), (1, 0): 1.0}
    config = UserBrowsingConfig(prior=FLAT, iterations=3, examination_strength=0)
    found = UserBrowsing(config).fit(log)
    for (place, last), value in gamma.items():
        assert found.users.examination[place - 1, last] == pytest.approx(value)


def test_settled_attraction_is_clicks_over_looks_under_the_same_examination(log):
    """A fixed point, checked impression by impression."""
    arrays, theta = log.arrays, np.array([1.0, 0.7, 0.5, 0.4])
    prior = BackingOff(config=FLAT, links=None)
    found = np.full(8, 0.3)
    for _ in range(5):
        found = settled(arrays, theta, found, prior)
    names = log.pairs.select("query", "document_id").rows()
    looks, clicks = Counter(), Counter()
    for query, documents, clicked in pages(log):
        for place, (document, click) in enumerate(zip(documents, clicked, strict=True)):
            a, t = found[names.index((query, document))], theta[place]
            looks[query, document] += 1 if click else t * (1 - a) / (1 - a * t)
            clicks[query, document] += click
    np.testing.assert_allclose(found, [clicks[pair] / looks[pair] for pair in names], rtol=1e-4)
