"""The lowest point of a smooth function of many numbers, by L-BFGS (Liu and Nocedal 1989).

Without chance: the same function and start give the same point. torch has one too, but a head is
a few matrix products, and the seconds that torch takes to be imported are more than they take.
"""

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Point = NDArray[np.float64]
Function = Callable[[Point], tuple[float, Point]]
"""Returns the value and the gradient at a point."""

_MEMORY = 10
_HALVINGS = 20
#: A step must lower the value by this share of what the slope promises (Armijo).
_LEAST_GAIN = 1e-4


def lowest(function: Function, start: Point, *, steps: int, tolerance: float = 1e-5) -> Point:
    """Return where the function is lowest, as far as so many steps come.

    Args:
        function: smooth; of a convex one the point is the lowest of all.
        start: shape (numbers,).
        steps: at most.
        tolerance: ends when a step lowers the value by no more than this share of it.

    """
    point = start
    value, slope = function(point)
    past: deque[tuple[Point, Point, float]] = deque(maxlen=_MEMORY)
    for _ in range(steps):
        direction = _direction(slope, past)
        found = _step(function, point, value, slope, direction)
        if found is None:
            break
        new_point, new_value, new_slope = found
        moved, turned = new_point - point, new_slope - slope
        if (curvature := float(moved @ turned)) > 0:
            past.append((moved, turned, curvature))
        done = value - new_value <= tolerance * max(abs(value), 1e-12)
        point, value, slope = new_point, new_value, new_slope
        if done:
            break
    return point


def _direction(slope: Point, past: deque[tuple[Point, Point, float]]) -> Point:
    """Return the way down, bent by what past steps tell of the curvature."""
    bent = slope.copy()
    shares = []
    for moved, turned, curvature in reversed(past):
        share = float(moved @ bent) / curvature
        shares.append(share)
        bent -= share * turned
    if past:
        moved, turned, curvature = past[-1]
        bent *= curvature / float(turned @ turned)
    else:
        bent /= max(1.0, float(np.linalg.norm(bent)))
    for (moved, turned, curvature), share in zip(past, reversed(shares), strict=True):
        bent += moved * (share - float(turned @ bent) / curvature)
    return -bent


def _step(
    function: Function, point: Point, value: float, slope: Point, direction: Point
) -> tuple[Point, float, Point] | None:
    """Go as far as lowers the value well enough; None where no step does."""
    promised = float(slope @ direction)
    if promised >= 0:
        return None
    length = 1.0
    for _ in range(_HALVINGS):
        new_point = point + length * direction
        new_value, new_slope = function(new_point)
        if new_value <= value + _LEAST_GAIN * length * promised:
            return new_point, new_value, new_slope
        length /= 2
    return None
