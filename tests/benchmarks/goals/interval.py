"""How sure a mean over queries is, by drawing the queries again."""

import numpy as np
from numpy.typing import NDArray

#: A figure of each query.
Values = NDArray[np.float64]


def interval(gain: Values) -> tuple[float, float, float]:
    """Return the mean, and where it lies in 95 % of the draws."""
    low, high = np.quantile(gain[draws(len(gain))].mean(axis=1), [0.025, 0.975])
    return float(gain.mean()), float(low), float(high)


def draws(queries: int) -> NDArray[np.int64]:
    """Draw as many queries as there are, a thousand times; always the same ones."""
    return np.random.default_rng(0).integers(0, queries, (1_000, queries))
