"""What tables say of a claim."""

from types import MappingProxyType

from compactnet.report.comparison import CONFIDENCE

SUPPORTED = "supported"
CONTRADICTED = "contradicted"
UNDECIDED = "undecided"
NOT_ENOUGH = "not enough runs"
UNTESTED = "no test"
"""The verdict where the runs allow no test: all equal, or of several folds, which are no repetitions."""
PROVISIONAL = "provisional: "
"""Before a verdict while planned runs are missing."""

SIGNIFICANT = 1 - CONFIDENCE
"""Largest p-value that decides."""

FEW_RUNS = "nearer 70 % with three runs a mean, 50 % with two"
"""By how much Welch's test misses that probability, in words for notes; simulated."""

STYLES = MappingProxyType(
    {SUPPORTED: "same", CONTRADICTED: "apart", UNDECIDED: "unknown", NOT_ENOUGH: "unknown", UNTESTED: "unknown"}
)
"""How the cell of a verdict looks."""


def verdict_of(row):
    """Return the verdict of a row, whether it is provisional or not."""
    return row["verdict"].removeprefix(PROVISIONAL)


def verdict_of_difference(value, p_value, runs=0):
    """Return the verdict on the claim that a difference is above 0.

    Args:
        value: The difference.
        p_value: Its p-value, adjusted for the number of claims; None where there are not enough runs, or no test.
        runs: Number of runs of the mean that has the fewest.
    """
    if p_value is None:
        return NOT_ENOUGH if runs < 2 else UNTESTED
    if p_value > SIGNIFICANT:
        return UNDECIDED
    return SUPPORTED if value > 0 else CONTRADICTED
