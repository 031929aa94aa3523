import keras
import numpy as np

from compactnet.layers import MaxFeatureMapConv2D


def test_the_maximum_of_the_two_halves_is_kept():
    values = np.random.default_rng(0).normal(size=(2, 6, 7, 4)).astype("float32")
    layer = MaxFeatureMapConv2D(5, 3, 2, "same", use_bias=False)
    outputs = keras.ops.convert_to_numpy(layer(values))
    whole = keras.ops.convert_to_numpy(keras.ops.conv(values, layer.convolution.kernel, strides=2, padding="same"))
    np.testing.assert_allclose(outputs, np.maximum(whole[..., :5], whole[..., 5:]), rtol=1e-4, atol=1e-5)
