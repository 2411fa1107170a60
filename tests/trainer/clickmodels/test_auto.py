import numpy as np
import pytest

from desireline.connectors import plugins
from desireline.trainer.clickmodels.auto import (
    CANDIDATES,
    Auto,
    AutoConfig,
    Score,
    best_of,
    cut,
    split,
)
from desireline.trainer.clickmodels.click_log import ClickLog
from desireline.trainer.clickmodels.dynamic_bayesian import DynamicBayesian
from desireline.trainer.clickmodels.users import (
    BrowseFromLastClick,
    LookByPosition,
    ReadFromTop,
)

EVERY = AutoConfig(candidates=tuple(CANDIDATES))
TABLE = np.random.default_rng(5).uniform(0.2, 1.0, (5, 6))
TABLE[0, 0] = 1.0
WAYS = {
    "cascade": ReadFromTop(),
    "dcm": ReadFromTop(stop_by_place=np.array([0.1, 0.5, 0.2, 0.8, 0.5])),
    "sdbn": ReadFromTop(),
    "dbn": ReadFromTop(perseverance=0.7),
    "ubm": BrowseFromLastClick(examination=TABLE),
    "pbm": LookByPosition(examination=np.array([1, 0.7, 0.5, 0.4, 0.3])),
}


@pytest.fixture(scope="module")
def log(show, known):
    def draw(name, searches=800):
        random = np.random.default_rng(3)
        shown = show(random, searches=searches)
        attraction = random.uniform(0.1, 0.8, shown.pairs.height)
        tells = name in {"sdbn", "dbn"}
        satisfaction = random.uniform(0.1, 0.9, shown.pairs.height) if tells else None
        return known(shown, WAYS[name], attraction, satisfaction).sample(shown, random)

    return draw


@pytest.mark.parametrize("name", WAYS)
def test_the_model_that_users_follow_is_chosen(log, name):
    found = Auto(EVERY).fit(log(name))
    assert found.sentence.startswith(f"{name} was chosen for its perplexity of ")
    assert all(each in found.sentence for each in CANDIDATES)


def test_what_is_chosen_is_fitted_to_the_whole_log(log):
    whole = log("dbn")
    found = Auto(EVERY).fit(whole)
    expected = DynamicBayesian().fit(whole)
    assert found.attractiveness.equals(expected.attractiveness)


def test_held_out_clicks_are_unknown_but_their_documents_are_not(log_of):
    views = [("q", "ab", "a")] * 8 + [("rare", "xy", "y")]
    known, held_out = split(log_of(*views), 3)
    assert held_out.rows.get_column("view").unique().to_list() == [2, 5, 8]
    assert known.pairs.select("query", "document_id").rows() == [
        ("q", "a"),
        ("q", "b"),
        ("rare", "x"),
        ("rare", "y"),
    ]
    rare = known.pairs.filter(known.pairs.get_column("query") == "rare")
    assert rare.get_column("clicks").to_list() == [0, 0]
    assert rare.get_column("impressions").to_list() == pytest.approx([0, 0], abs=1e-8)
    for model in CANDIDATES.values():
        chance = model().fit(known).click_probability(held_out)
        assert np.isfinite(chance).all()


def test_of_two_that_foretell_equally_well_the_simpler_is_taken():
    scores = [Score(name="a", perplexity=1.5), Score(name="b", perplexity=1.4)]
    scores += [Score(name="c", perplexity=1.3995), Score(name="d", perplexity=1.39)]
    assert best_of(scores).name == "d"
    assert best_of(scores[:3]).name == "b"


def test_a_small_log_is_not_compared_on_and_a_log_without_positions_cannot_be(log_of):
    small = Auto().fit(log_of(("q", "ab", "a")))
    assert small.sentence.startswith("latent was taken without a comparison: the log shows 2 ")
    many = log_of(*[("q", "abc", "b")] * 300)
    blind = ClickLog(many.rows.with_columns(position=None))
    assert Auto().fit(blind).sentence.startswith("latent was taken without a comparison")


def test_a_long_log_is_compared_on_a_part_of_it(log):
    whole = log("pbm")
    part = cut(whole, whole.rows.height // 4)
    assert part.rows.height == whole.rows.height // 4
    assert cut(whole, whole.rows.height) is whole
    config = AutoConfig(candidates=("ctr", "pbm"), max_impressions=3_000)
    assert Auto(config).fit(whole).sentence.startswith("pbm was chosen")


def test_every_candidate_is_an_installed_click_model():
    installed = set(plugins.names("clickmodels"))
    assert set(CANDIDATES) | {"auto", "coec_search_relevance"} == installed
