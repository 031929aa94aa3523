"""Means compared with intervals: Welch's, for runs whose variances need not be equal."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
PAPER_RUNS = 5
"""Runs behind each mean and standard deviation of the paper (its Section IV)."""


@dataclass(frozen=True)
class Sample:
    """What is known of the runs of one cell.

    Attributes:
        mean: Mean of the runs.
        std: Standard deviation over them, with n - 1; None below two runs.
        runs: How many there are.
    """

    mean: float
    std: float | None
    runs: int


@dataclass(frozen=True)
class Difference:
    """A difference of means.

    Attributes:
        value: The difference.
        low: Lower end of its interval; None where a mean has fewer than two runs.
        high: Upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None


def sample(values):
    """Return the `Sample` of some numbers, of which there is at least one."""
    values = np.asarray(values, dtype=float)
    return Sample(float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None, len(values))


def difference(first: Sample, second: Sample, confidence=CONFIDENCE):
    """Return the `Difference` of two means: of the first, less the second; as `combination`."""
    return combination([(1.0, first), (-1.0, second)], confidence)


def combination(terms, confidence=CONFIDENCE):
    """Return a weighted sum of means with Welch's interval (Biometrika 34, 1947), for unequal variances.

    Args:
        terms: Pairs (weight, `Sample`).
        confidence: Confidence of the interval.
    """
    value = sum(weight * of.mean for weight, of in terms)
    if any(of.std is None for _, of in terms):
        return Difference(value)
    squares = [weight**2 * of.std**2 / of.runs for weight, of in terms]
    variance = sum(squares)
    if variance == 0:
        return Difference(value, value, value)
    freedom = variance**2 / sum(square**2 / (of.runs - 1) for square, (_, of) in zip(squares, terms, strict=True))
    half = float(stats.t.ppf((1 + confidence) / 2, freedom)) * math.sqrt(variance)
    return Difference(value, value - half, value + half)
