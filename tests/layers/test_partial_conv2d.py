import keras
import numpy as np
import pytest

from compactnet.layers import PartialConv2D


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_the_first_channels_are_convolved_and_the_others_passed_on(padding):
    values = np.random.default_rng(0).normal(size=(2, 6, 7, 8)).astype("float32")
    layer = PartialConv2D(3, 4, padding=padding)
    outputs = keras.ops.convert_to_numpy(layer(values))
    expected = keras.ops.convert_to_numpy(keras.ops.conv(values[..., :2], layer.convolution.kernel, padding=padding))
    np.testing.assert_allclose(outputs[..., :2], expected, rtol=1e-4, atol=1e-5)
    passed = values[..., 2:] if padding == "same" else values[:, 1:-1, 1:-1, 2:]
    np.testing.assert_array_equal(outputs[..., 2:], passed)


def test_strides_keep_every_other_row_and_column_of_what_is_passed_on():
    values = np.random.default_rng(0).normal(size=(2, 6, 7, 8)).astype("float32")
    outputs = keras.ops.convert_to_numpy(PartialConv2D(3, 4, strides=2, padding="same")(values))
    np.testing.assert_array_equal(outputs[..., 2:], values[:, ::2, ::2, 2:])


def test_strides_on_even_maps_pass_on_the_row_before_the_centre_of_the_kernel():
    values = np.zeros((1, 6, 6, 4), "float32")
    values[...] = np.arange(6)[:, None, None]
    layer = PartialConv2D(3, 4, strides=2, padding="same", use_bias=False)
    layer.build(values.shape)
    centre = np.zeros((3, 3, 1, 1))
    centre[1, 1] = 1
    layer.convolution.kernel.assign(centre)
    outputs = keras.ops.convert_to_numpy(layer(values))
    assert outputs[0, :, 0, 0].tolist() == [1, 3, 5]
    assert outputs[0, :, 0, 1].tolist() == [0, 2, 4]


def test_a_ratio_that_does_not_divide_the_channels_is_refused():
    with pytest.raises(
        ValueError, match=r"`ratio` must divide the channel count. Received: ratio=4 for an input with 6"
    ):
        PartialConv2D(3, 4).build((None, 5, 5, 6))
