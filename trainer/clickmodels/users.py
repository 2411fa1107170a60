"""How users go through a page of answers: one class a way, each exact in its assumptions.

A click needs a look and appeal: P(click | what was done above) = examination x appeal. The ways
differ only in the examination of the next answer, so that one walk from the top down gives the
chance of each click, the likelihood of a page and a draw of new clicks, for every one of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Indices = NDArray[np.intp]
Booleans = NDArray[np.bool_]

#: Place of the last click of who has not clicked.
NO_CLICK = -1
_ALMOST_ONE = 1 - 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is known of users on the way to the next answer; arrays of shape (pages,)."""

    #: Number of the next answer's position; 0 is the top-most.
    place: Indices
    #: P(the answer above was looked at | the clicks so far).
    looked: Numbers
    #: Whether the answer above was clicked.
    clicked: Booleans
    #: P(a click on the answer above satisfies).
    satisfaction: Numbers
    #: Place of the last click, `NO_CLICK` without.
    last_click: Indices


class Users(Protocol):
    """A way to go through a page."""

    def begin(self, place: Indices) -> Numbers:
        """P(look at the first answer of each page)."""
        ...

    def go_on(self, step: Step) -> Numbers:
        """P(look at the next answer of each page | the clicks above)."""
        ...

    def appeal(self, attraction: Numbers) -> Numbers:
        """P(click | look), from what the model calls the attraction."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LookByPosition:
    """The position alone decides on the look, whatever was clicked (Craswell et al. 2008)."""

    #: By place.
    examination: Numbers

    def begin(self, place: Indices) -> Numbers:
        """Look as the place says."""
        return self.examination[place]

    def go_on(self, step: Step) -> Numbers:
        """Look as the place says."""
        return self.examination[step.place]

    def appeal(self, attraction: Numbers) -> Numbers:
        """Return the attraction itself."""
        return attraction


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowseFromLastClick:
    """The position and the last click above decide on the look (Dupret & Piwowarski 2008)."""

    #: By place and 1 + place of the last click above; column 0: no click yet.
    examination: Numbers

    def begin(self, place: Indices) -> Numbers:
        """Look as the place says of users who have not clicked."""
        return np.asarray(self.examination[place, 0], dtype=np.float64)

    def go_on(self, step: Step) -> Numbers:
        """Look as the place and the last click say."""
        at = self.examination[step.place, step.last_click + 1]
        return np.asarray(at, dtype=np.float64)

    def appeal(self, attraction: Numbers) -> Numbers:
        """Return the attraction itself."""
        return attraction


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFromTop:
    """Users read from the top and may stop; the cascade, DCM, SDBN and DBN are its cases.

    Below an answer that was not clicked they go on with probability `perseverance`; below a click,
    with (1 - its satisfaction) x perseverance, and where `stop_by_place` is given, that in place
    of the satisfaction. Cascade: stop always. DCM: stop by place, perseverance 1. SDBN:
    perseverance 1.
    """

    perseverance: float = 1.0
    #: P(stop after a click) by place of the click.
    stop_by_place: Numbers | None = None

    def begin(self, place: Indices) -> Numbers:
        """Look for certain."""
        return np.ones(place.shape)

    def go_on(self, step: Step) -> Numbers:
        """Go on unless satisfied or tired."""
        stop = step.satisfaction
        if self.stop_by_place is not None:
            stop = self.stop_by_place[np.maximum(step.last_click, 0)]
        stay = np.where(step.clicked, 1 - stop, step.looked)
        return np.asarray(stay * self.perseverance, dtype=np.float64)

    def appeal(self, attraction: Numbers) -> Numbers:
        """Return the attraction itself."""
        return attraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What pages show; arrays of shape (pages, ranks), rank 0 on top."""

    #: Number of each answer's position.
    place: Indices
    #: P(click | look).
    appeal: Numbers
    #: P(a click satisfies); 0 where the way of the users has no such thing.
    satisfaction: Numbers
    #: False where a page is shorter than the longest.
    there: Booleans = field(default_factory=lambda: np.ones((1, 1), dtype=np.bool_))


def click_probability(users: Users, layout: Layout, clicked: Booleans) -> Numbers:
    """P(click on each answer | the clicks above it). Shape (pages, ranks); 0 where none is."""
    return _walk(users, layout, lambda rank, _: clicked[:, rank])[0]


def sample(users: Users, layout: Layout, random: np.random.Generator) -> Booleans:
    """Draw what users of each page click. Shape (pages, ranks)."""
    return _walk(users, layout, lambda _, chance: random.random(len(chance)) < chance)[1]


def _walk(
    users: Users, layout: Layout, decide: Callable[[int, Numbers], Booleans]
) -> tuple[Numbers, Booleans]:
    """Go down all pages at once; return the chances of the clicks, and the clicks."""
    chances = np.zeros(layout.place.shape)
    clicks = np.zeros(layout.place.shape, dtype=np.bool_)
    there = np.broadcast_to(layout.there, layout.place.shape)
    looked = np.ones(len(chances))
    last_click = np.full(len(chances), NO_CLICK, dtype=np.intp)
    for rank in range(layout.place.shape[1]):
        place, appeal = layout.place[:, rank], layout.appeal[:, rank]
        if rank:
            examination = users.go_on(
                Step(
                    place=place,
                    looked=looked,
                    clicked=clicks[:, rank - 1],
                    satisfaction=layout.satisfaction[:, rank - 1],
                    last_click=last_click,
                )
            )
        else:
            examination = users.begin(place)
        chance = np.clip(examination * appeal, 0.0, _ALMOST_ONE) * there[:, rank]
        click = decide(rank, chance) & there[:, rank]
        unclicked = examination * np.maximum(1 - appeal, 0.0) / (1 - chance)
        looked = np.where(click, 1.0, unclicked)
        last_click = np.where(click, place, last_click)
        chances[:, rank], clicks[:, rank] = chance, click
    return chances, clicks
