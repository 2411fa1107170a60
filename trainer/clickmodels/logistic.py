"""Ridge logistic regression by Newton's method, for soft labels."""

from dataclasses import dataclass

import numpy as np

from desireline.trainer.clickmodels.base import Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Standardised:
    """Columns with mean 0 and deviation 1; the first column is the constant 1."""

    matrix: Numbers

    @classmethod
    def of(cls, columns: Numbers) -> "Standardised":
        """Standardise columns of shape (rows, features); constant ones become 0."""
        deviation = columns.std(axis=0)
        scaled = (columns - columns.mean(axis=0)) / np.where(deviation > 1e-9, deviation, np.inf)  # noqa: PLR2004 - rounding
        return cls(matrix=np.concatenate([np.ones((len(columns), 1)), scaled], axis=1))


def sigmoid(values: Numbers) -> Numbers:
    """1 / (1 + e^-x), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * values))


def newton_step(x: Standardised, labels: Numbers, beta: Numbers, *, ridge: float) -> Numbers:
    """Move the coefficients one Newton step towards the labels (between 0 and 1)."""
    predicted = sigmoid(x.matrix @ beta)
    gradient = x.matrix.T @ (labels - predicted) - ridge * beta
    curvature = predicted * (1 - predicted) + 1e-9
    hessian = (x.matrix * curvature[:, None]).T @ x.matrix + ridge * np.eye(len(beta))
    return beta + np.asarray(np.linalg.solve(hessian, gradient))
