import keras
import numpy as np
import pytest

from compactnet.layers import GhostConv2D


@pytest.mark.parametrize(("filters", "ratio", "primary"), [(8, 2, 4), (7, 2, 4), (8, 3, 3)])
def test_cheap_channels_follow_the_primary_ones(filters, ratio, primary):
    values = np.random.default_rng(0).normal(size=(2, 5, 5, 6)).astype("float32")
    layer = GhostConv2D(filters, ratio=ratio, epsilon=1e-7)
    outputs = keras.ops.convert_to_numpy(layer(values))
    expected = keras.ops.relu(keras.ops.conv(values, layer.primary.kernel))
    assert expected.shape[-1] == primary
    cheap = keras.ops.depthwise_conv(expected, layer.depthwise.kernel, padding="same")
    both = np.concatenate([keras.ops.convert_to_numpy(part) for part in (expected, cheap)], -1)
    np.testing.assert_allclose(outputs, both[..., :filters], rtol=1e-4, atol=1e-5)


def test_a_ratio_of_one_is_refused():
    with pytest.raises(ValueError, match="`ratio` must be an integer of at least 2"):
        GhostConv2D(8, ratio=1)
