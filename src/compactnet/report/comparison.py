"""Accuracies of runs, and differences of their means with confidence intervals."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

CONFIDENCE = 0.95
POWER = 0.8
"""Probability with which the detectable difference is found."""
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
    """A difference of means. All but its value is None if a mean has fewer than two runs, or the runs have no spread.

    Attributes:
        value: The difference.
        low: Lower end of its confidence interval.
        high: Upper end.
        p_value: Probability of a difference at least as far from 0 if the true one is 0.
        error: Its standard error.
        degrees: Degrees of freedom of the standard error.
        confidence: Confidence of the interval.
    """

    value: float
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    error: float | None = None
    degrees: float | None = None
    confidence: float = CONFIDENCE

    @property
    def detectable(self):
        """The smallest true difference that as many runs, spread as these are, find with the probability `POWER`, or
        None: the interval then excludes 0. With three runs a mean, Welch's test finds it a little less often."""
        if self.error is None:
            return None
        quantile = float(stats.t.ppf((1 + self.confidence) / 2, self.degrees))
        # The noncentral t distribution has no inverse in its shift; the root is between these for any degrees.
        shift = optimize.brentq(
            lambda shift: stats.nct.sf(quantile, self.degrees, shift) - POWER, 0, quantile * 10 + 10
        )
        return shift * self.error


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


def sampling_std(accuracy_percent, samples):
    """Return the standard deviation, in percentage points, of an accuracy over many test sets of the same size.

    A fixed network classifies each sample right or wrong, so that its accuracy on other samples is binomial.

    Args:
        accuracy_percent: The accuracy in percent.
        samples: Number of test samples.
    """
    return math.sqrt(accuracy_percent * (100 - accuracy_percent) / samples)


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
        # Equal runs, such as those of networks that predict one class, say nothing of how far others would be apart.
        return Difference(value)
    shares = [(square / variance) ** 2 / (of.runs - 1) for square, (_, of) in zip(squares, terms, strict=True)]
    return _student(value, math.sqrt(variance), 1 / sum(shares), confidence)


def paired(first, second, confidence=CONFIDENCE):
    """Return the `Difference` of the means of values that come in pairs, such as runs with the same seed.

    Args:
        first: Values.
        second: As many values, in the same order.
        confidence: Confidence of the interval, by Student's t test of the differences.
    """
    of = sample(np.subtract(first, second))
    return combination([(1.0, of)], confidence)


def holm(p_values):
    """Return p-values adjusted for their number by Holm (Scandinavian Journal of Statistics 6, 1979).

    If all that are at most 0.05 are called significant, the probability of one false call or more is at most 0.05.

    Args:
        p_values: Numbers, or None for a test that is still to be made: it is counted, so that its result, whatever
            it is, makes no other p-value larger.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted, largest = [None] * len(p_values), 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p))
        adjusted[place] = largest
    return adjusted


def _student(value, error, degrees, confidence):
    """Return the `Difference` of a value whose standard error has some degrees of freedom."""
    half = float(stats.t.ppf((1 + confidence) / 2, degrees)) * error
    p_value = 2 * float(stats.t.sf(abs(value) / error, degrees))
    return Difference(value, value - half, value + half, p_value, error, degrees, confidence)
