import keras
import numpy as np
import pytest

from compactnet.layers import SlimConv2D


def test_it_is_what_the_paper_says_with_an_open_gate():
    values = np.random.default_rng(0).normal(size=(2, 5, 5, 8)).astype("float32")
    layer = SlimConv2D(3, 2, epsilon=1e-7)
    layer.build(values.shape)
    # The gate of channel c is the sigmoid of the bias: it weighs channel c once, and channel 7 - c of the other fold.
    bias = np.linspace(-2, 2, 8)
    layer.gate[3].bias.assign(bias)
    layer.gate[3].kernel.assign(np.zeros(layer.gate[3].kernel.shape))
    gate = 1 / (1 + np.exp(-bias))

    def fold(weighted):
        return (weighted[..., :4] + weighted[..., 4:]).astype("float32")

    first = keras.ops.conv(fold(values * gate), layer.first[0].kernel, padding="same")
    second = keras.ops.conv(fold(values * gate[::-1]), layer.second[0].kernel)
    second = keras.ops.conv(keras.ops.relu(second), layer.second[3].kernel, padding="same")
    expected = np.concatenate([keras.ops.convert_to_numpy(part) for part in (first, second)], -1)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(values)), expected, rtol=1e-3, atol=1e-4)


def test_the_gate_rectifies_inside():
    values = np.ones((1, 5, 5, 8), "float32")
    layer = SlimConv2D()
    layer.build(values.shape)

    def outputs(weight):
        layer.gate[0].kernel.assign(np.full(layer.gate[0].kernel.shape, weight))
        return keras.ops.convert_to_numpy(layer(values))

    np.testing.assert_array_equal(outputs(-1), outputs(0))
    assert np.ptp(outputs(1) - outputs(0)) > 0.01


def test_few_channels_keep_a_gate():
    layer = SlimConv2D()
    layer.build((None, 5, 5, 8))
    assert layer.gate[0].filters == 1


@pytest.mark.parametrize("channels", [6, 2])
def test_channels_that_do_not_split_are_refused(channels):
    with pytest.raises(ValueError, match=f"`2 \\* folds` must divide the channel count.*{channels} channels"):
        SlimConv2D(folds=2).build((None, 5, 5, channels))


def test_one_fold_is_refused():
    with pytest.raises(ValueError, match=r"`folds` must be an integer of at least 2"):
        SlimConv2D(folds=1)
