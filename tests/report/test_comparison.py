"""Intervals of differences, against scipy's own test on the values themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from compactnet.report.comparison import Sample, combination, difference, sample

VALUES = st.lists(st.floats(0, 100), min_size=2, max_size=8)


@given(VALUES, VALUES, st.sampled_from([0.9, 0.95]))
def test_the_interval_is_welchs(first, second, confidence):
    found = difference(sample(first), sample(second), confidence)
    assert found.value == pytest.approx(np.mean(first) - np.mean(second), abs=1e-9)
    if np.std(first) < 1e-6 or np.std(second) < 1e-6:
        return
    interval = stats.ttest_ind(first, second, equal_var=False).confidence_interval(confidence)
    assert (found.low, found.high) == pytest.approx(tuple(interval), rel=1e-6, abs=1e-6)


def test_below_two_runs_there_is_no_interval():
    paper = Sample(80.0, 1.0, 5)
    assert sample([81.0]) == Sample(81.0, None, 1)
    found = difference(sample([81.0]), paper)
    assert (found.value, found.low, found.high) == (1.0, None, None)
    assert difference(Sample(81.0, 0.0, 2), Sample(80.0, 0.0, 2)).low == 1.0


def test_an_average_of_differences_is_narrower_than_each():
    first, second = Sample(82.0, 1.0, 5), Sample(80.0, 1.0, 5)
    one = difference(first, second)
    four = combination([(weight / 4, of) for _ in range(4) for weight, of in ((1, first), (-1, second))])
    assert one.value == four.value == 2.0
    assert four.high - four.low < (one.high - one.low) / 1.9
