"""What simulated users click, by the click model they follow."""

import numpy as np

from desireline.trainer.clickmodels.position_based import sample_clicks
from desireline.trainer.clickmodels.users import (
    Booleans,
    BrowseFromLastClick,
    Layout,
    LookByPosition,
    Numbers,
    ReadFromTop,
    Users,
    sample,
)
from desireline.trainer.simulation.config import SimulationConfig


def draw_clicks(grades: Numbers, config: SimulationConfig, random: np.random.Generator) -> Booleans:
    """Let people look at pages and click.

    Args:
        grades: of what each search shows, between 0 and 1, shape (searches, positions); NaN
            where there is nothing.
        config: the users.
        random: where the dice come from.

    """
    attraction = _between(grades, config.attraction_other, config.attraction_relevant)
    if config.click_model == "pbm":
        # Looks and appeal are drawn apart: the same seed has always given this log.
        return sample_clicks(examination(config), attraction, random)
    layout = Layout(
        place=np.broadcast_to(np.arange(config.shown, dtype=np.intp), grades.shape),
        appeal=attraction,
        satisfaction=_satisfaction(grades, config),
        there=~np.isnan(grades),
    )
    return sample(users_of(config), layout, random)


def users_of(config: SimulationConfig) -> Users:
    """Return how these users go through a page."""
    if config.click_model == "pbm":
        return LookByPosition(examination=examination(config))
    if config.click_model == "ubm":
        return BrowseFromLastClick(examination=_from_last_click(config))
    if config.click_model == "dcm":
        return ReadFromTop(stop_by_place=np.full(config.shown, 1 - config.continuation))
    return ReadFromTop(perseverance=config.perseverance if config.click_model == "dbn" else 1.0)


def examination(config: SimulationConfig) -> Numbers:
    """How likely each position is looked at by users of the position-based model."""
    looked: Numbers = np.arange(1.0, config.shown + 1) ** -config.examination_power
    return looked


def _from_last_click(config: SimulationConfig) -> Numbers:
    """Look as users look that far from the top. Shape (places, places + 1)."""
    far = np.arange(1, config.shown + 1)[:, None] - np.arange(config.shown + 1)
    looked: Numbers = np.maximum(far, 1).astype(np.float64) ** -config.examination_power
    return looked


def _satisfaction(grades: Numbers, config: SimulationConfig) -> Numbers:
    """P(a click ends the search): always in a cascade, by the document in SDBN and DBN."""
    if config.click_model == "cascade":
        return np.ones(grades.shape)
    if config.click_model in {"sdbn", "dbn"}:
        return _between(grades, config.satisfaction_other, config.satisfaction_relevant)
    return np.zeros(grades.shape)


def _between(grades: Numbers, other: float, relevant: float) -> Numbers:
    """Grade 1 is as good as a right document, grade 0 as a wrong one; 0 where nothing is."""
    graded = np.where(grades >= 1, relevant, other + (relevant - other) * grades)
    return np.nan_to_num(graded, nan=0.0)
