"""Accuracies of runs, and differences of their means with confidence intervals."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
PAPER_RUNS = 5
"""Runs behind each accuracy of the paper. It does not say how many; this is inferred.

Every mean is an even number of hundredths, as the mean of five accuracies with one decimal is. Five such accuracies can
have each of the 61 printed standard deviations with n - 1, but not all with n.
"""


@dataclass(frozen=True)
class Sample:
    """The accuracies of some runs.

    Attributes:
        mean: Their mean.
        std: Their standard deviation with n - 1; None with fewer than two runs.
        runs: Number of runs.
    """

    mean: float
    std: float | None
    runs: int


@dataclass(frozen=True)
class Difference:
    """A difference of means.

    Attributes:
        value: The difference.
        low: Lower end of its confidence interval; None if a mean has fewer than two runs.
        high: Upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None


def sample(values):
    """Return the `Sample` of one number or more."""
    values = np.asarray(values, dtype=float)
    return Sample(float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None, len(values))


def accuracy(records, epoch="last"):
    """Return the `Sample` of the test accuracies of runs in percent, or None without runs.

    Args:
        records: `RunRecord`s.
        epoch: "last" or "best".
    """
    return sample([100 * getattr(record, epoch).test_accuracy for record in records]) if records else None


def difference(first: Sample, second: Sample, confidence=CONFIDENCE):
    """Return the `Difference` of two means, first minus second, with the interval of `combination`."""
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
    shares = [(square / variance) ** 2 / (of.runs - 1) for square, (_, of) in zip(squares, terms, strict=True)]
    half = float(stats.t.ppf((1 + confidence) / 2, 1 / sum(shares))) * math.sqrt(variance)
    return Difference(value, value - half, value + half)
