import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from compactnet.data.dataset import channel_statistics, fingerprint


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.integers(1, 4))
def test_channel_statistics_are_those_of_the_whole_array_whatever_the_chunk(count, height, width, channels, chunk):
    samples = np.random.default_rng(count).integers(0, 256, (count, height, width, channels)).astype(np.uint8)
    mean, deviation = channel_statistics(samples, chunk)
    np.testing.assert_allclose(mean, samples.mean(axis=(0, 1, 2)), rtol=1e-6)
    expected = samples.std(axis=(0, 1, 2))
    np.testing.assert_allclose(deviation, np.where(expected < 1e-6, 1, expected), rtol=1e-5)


def test_the_fingerprint_depends_on_the_checksums_and_not_on_their_order():
    assert fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})
    assert fingerprint({"a": "1", "b": "2"}) != fingerprint({"a": "2", "b": "1"})
