"""Intervals of differences, against scipy's own test on the values themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from compactnet.report.comparison import POWER, Difference, Sample, combination, difference, holm, paired, sample

VALUES = st.lists(st.floats(0, 100), min_size=2, max_size=8)


@given(VALUES, VALUES, st.sampled_from([0.9, 0.95]))
def test_the_interval_is_welchs(first, second, confidence):
    found = difference(sample(first), sample(second), confidence)
    assert found.value == pytest.approx(np.mean(first) - np.mean(second), abs=1e-9)
    if np.std(first) < 1e-6 or np.std(second) < 1e-6:
        return
    test = stats.ttest_ind(first, second, equal_var=False)
    assert (found.low, found.high) == pytest.approx(tuple(test.confidence_interval(confidence)), rel=1e-6, abs=1e-6)
    assert found.p_value == pytest.approx(test.pvalue, rel=1e-6, abs=1e-9)


def test_below_two_runs_there_is_no_interval():
    paper = Sample(80.0, 1.0, 5)
    assert sample([81.0]) == Sample(81.0, None, 1)
    found = difference(sample([81.0]), paper)
    assert found == Difference(1.0)


def test_equal_runs_say_nothing_of_a_difference():
    # Networks that predict one class have equal accuracies in all their runs.
    chance, other = Sample(10.0, 0.0, 3), Sample(11.0, 0.0, 3)
    assert difference(other, chance) == Difference(1.0)
    assert difference(chance, chance) == Difference(0.0)


def test_an_average_of_differences_is_narrower_than_each():
    first, second = Sample(82.0, 1.0, 5), Sample(80.0, 1.0, 5)
    one = difference(first, second)
    four = combination([(weight / 4, of) for _ in range(4) for weight, of in ((1, first), (-1, second))])
    assert one.value == four.value == 2.0
    assert four.high - four.low < (one.high - one.low) / 1.9


def test_pairs_leave_out_what_both_share():
    shared = np.array([70.0, 75.0, 80.0])
    found = paired(shared + np.array([1.0, 1.1, 0.9]), shared)
    assert found.value == pytest.approx(1.0)
    assert 0.7 < found.low < found.high < 1.3
    assert difference(sample(shared + 1), sample(shared)).low < -5


def test_holm_adjusts_by_what_is_left():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.04, None, 0.09, 0.09])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_keeps_the_order_and_is_never_smaller(p_values):
    adjusted = holm(p_values)
    assert all(p <= of <= 1 for p, of in zip(p_values, adjusted, strict=True))
    by_p = sorted(range(len(p_values)), key=p_values.__getitem__)
    assert [adjusted[place] for place in by_p] == sorted(adjusted)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.integers(0, 6))
def test_a_test_still_to_be_made_makes_no_other_p_value_larger(p_values, known):
    before = holm([*p_values[:known], *[None] * len(p_values[known:])])
    after = holm(p_values)
    assert all(p is None or of <= p for p, of in zip(before, after, strict=True))
    assert before.count(None) == len(p_values[known:])


def simulated(shift, runs, repetitions=4_000, spreads=(1.0, 1.0)):
    """Return the differences of made-up accuracies of some runs, whose true means are `shift` apart."""
    generator = np.random.default_rng(0)
    first, second = (generator.normal(size=(repetitions, runs)) * spread for spread in spreads)
    return [difference(sample(one + shift), sample(other)) for one, other in zip(first, second, strict=True)]


@pytest.mark.parametrize("runs", [3, 6])
@pytest.mark.parametrize("spreads", [(1.0, 1.0), (1.0, 3.0)])
def test_simulated_intervals_miss_as_often_as_they_say(runs, spreads):
    found = simulated(0, runs, spreads=spreads)
    missed = np.mean([not of.low < 0 < of.high for of in found])
    # Welch's degrees of freedom are an approximation; 4,000 repetitions have a standard error of 0.35 %.
    assert 0.02 < missed < 0.065
    assert missed == np.mean([of.p_value <= 0.05 for of in found])


# Welch's degrees of freedom vary from sample to sample, which costs power where runs are few.
@pytest.mark.parametrize(("runs", "power"), [(3, 0.7), (5, 0.78), (8, POWER)])
def test_the_detectable_difference_is_detected_as_often_as_it_says(runs, power):
    known = difference(Sample(0.0, 1.0, runs), Sample(0.0, 1.0, runs)).detectable
    found = np.mean([of.low > 0 for of in simulated(known, runs)])
    assert found == pytest.approx(power, abs=0.03)


def test_five_simulated_contrasts_together_are_rarely_wrong():
    generator, wrong = np.random.default_rng(1), 0
    for _ in range(1_000):
        means = [sample(generator.normal(size=3)) for _ in range(6)]
        p_values = [difference(means[0], other).p_value for other in means[1:]]
        wrong += min(holm(p_values)) <= 0.05
    assert wrong / 1_000 < 0.06
