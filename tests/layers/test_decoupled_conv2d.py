import keras
import numpy as np
import pytest

from compactnet.layers import DecoupledConv2D


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_with_one_hot_kernels_it_is_any_convolution(strides, padding):
    values = np.random.default_rng(0).normal(size=(2, 8, 7, 5)).astype("float32")
    convolution = keras.layers.Conv2D(4, 3, strides, padding, use_bias=False)
    expected = keras.ops.convert_to_numpy(convolution(values))
    layer = DecoupledConv2D(4, 3, 9, strides, padding)
    layer.build(values.shape)
    # Map d of a filter is the input seen through the weight at place d, and its kernel looks at this place alone.
    kernel = keras.ops.convert_to_numpy(convolution.kernel)
    layer.expand.kernel.assign(kernel.reshape(9, 5, 4).transpose(1, 0, 2).reshape(1, 1, 5, 36))
    layer.spatial.kernel.assign(np.repeat(np.eye(9), 4, axis=1).reshape(3, 3, 36, 1))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(values)), expected, rtol=1e-4, atol=1e-5)
