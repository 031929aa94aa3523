import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from compactnet.data.dataset import Split, fingerprint, statistics


@settings(max_examples=40)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.integers(1, 5)),
    kept_axis=st.sampled_from([None, 0, 1, 2]),
    chunk=st.sampled_from([None, 1, 2, 4]),
    scattered=st.booleans(),
)
def test_statistics_are_those_of_the_whole_array_whatever_the_chunk(shape, kept_axis, chunk, scattered):
    samples = np.random.default_rng(shape[0]).normal(-40, 20, (2 * shape[0], *shape[1:])).astype(np.float32)
    indices = np.arange(0, len(samples), 2) if scattered else None
    chosen = samples[::2] if scattered else samples[: shape[0]]
    mean, std = statistics(Split(samples, np.zeros(shape[0]), indices), kept_axis, chunk)
    axes = tuple(axis for axis in range(4) if axis == 0 or axis - 1 != kept_axis)
    expected = chosen.astype(np.float64).std(axis=axes, keepdims=True)[0]
    np.testing.assert_allclose(mean, chosen.astype(np.float64).mean(axis=axes, keepdims=True)[0], rtol=1e-6)
    np.testing.assert_allclose(std, np.where(expected < 1e-4, 1, expected), rtol=1e-5)
    assert mean.dtype == std.dtype == np.float32


def test_what_never_changes_is_not_blown_up():
    constant = np.full((1_000, 4, 3, 1), -100 / 3, np.float32)
    constant[:, 1] = np.arange(1_000).reshape(-1, 1, 1)
    _, std = statistics(Split(constant, np.zeros(1_000)), kept_axis=0)
    np.testing.assert_allclose(std.ravel(), [1, constant[:, 1].std(), 1, 1], rtol=1e-5)


def test_a_split_reads_the_samples_at_its_indices():
    samples = np.arange(12).reshape(6, 2, 1, 1)
    split = Split(samples, np.array([7, 8, 9]), np.array([5, 0, 3]))
    np.testing.assert_array_equal(split.read(np.array([2, 0]))[:, 0].ravel(), [6, 10])
    np.testing.assert_array_equal(split.take(2).read(slice(0, 9))[:, 0].ravel(), [10, 0])
    assert len(split.take(2)) == len(split.take(2).labels) == 2
    assert split.take(None) is split


def test_a_split_without_indices_reads_no_other_samples():
    split = Split(np.arange(6.0).reshape(6, 1, 1, 1), np.zeros(4))
    np.testing.assert_array_equal(split.read(slice(2, 9)).ravel(), [2, 3])
    np.testing.assert_array_equal(split.read(np.array([3, 0])).ravel(), [3, 0])


def test_the_fingerprint_depends_on_the_checksums_and_not_on_their_order():
    assert fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})
    assert fingerprint({"a": "1", "b": "2"}) != fingerprint({"a": "2", "b": "1"})
