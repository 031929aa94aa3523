import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compactnet.layers import FactorizedConv2D


def images(channels):
    return np.random.default_rng(0).normal(size=(2, 8, 7, channels)).astype("float32")


@settings(deadline=None, max_examples=8)
@given(
    channels=st.integers(1, 6),
    filters=st.integers(1, 6),
    strides=st.sampled_from([1, 2]),
    padding=st.sampled_from(["valid", "same"]),
)
def test_it_equals_a_convolution_with_the_full_kernel(channels, filters, strides, padding):
    layer = FactorizedConv2D(filters, (3, 2), strides=strides, padding=padding, use_bias=False)
    values = images(channels)
    layer.build(values.shape)
    layer.scale.scale.assign(np.random.default_rng(1).normal(size=layer.scale.scale.shape))
    outputs = keras.ops.convert_to_numpy(layer(values))
    expected = keras.ops.conv(values, layer.full_kernel(), strides=strides, padding=padding)
    np.testing.assert_allclose(outputs, keras.ops.convert_to_numpy(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("channels", "filters", "bound"), [(4, 6, 36), (6, 4, 36), (2, 2, 12)])
def test_a_convolution_at_full_rank_is_reproduced(channels, filters, bound):
    convolution = keras.layers.Conv2D(filters, 3, 2, "same", bias_initializer="uniform")
    values = images(channels)
    expected = keras.ops.convert_to_numpy(convolution(values))
    layer = FactorizedConv2D.from_conv(convolution, rank=bound, name="factorized")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(values)), expected, rtol=1e-4, atol=1e-5)
    assert layer.name == "factorized"


def test_a_kernel_of_low_rank_is_found():
    pytest.importorskip("tensorly", reason="TensorLy is not installed")
    convolution = keras.layers.Conv2D(8, 3)
    convolution.build((None, 8, 8, 6))
    factors = [np.random.default_rng(axis).normal(size=(size, 2)) for axis, size in enumerate((3, 3, 6, 8))]
    kernel = np.einsum("hr,wr,ir,or->hwio", *factors).astype("float32")
    convolution.kernel.assign(kernel)
    layer = FactorizedConv2D.from_conv(convolution, rank=2)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer.full_kernel()), kernel, rtol=1e-2, atol=1e-2)


def test_features_do_not_vanish_at_first():
    layer = FactorizedConv2D(128, 3, fraction=0.5, padding="same", use_bias=False)
    values = np.random.default_rng(0).normal(size=(4, 8, 8, 128)).astype("float32")
    # Two depthwise kernels with Keras' own initializer would leave a variance of 0.0001.
    assert 0.1 < keras.ops.convert_to_numpy(layer(values)).var() < 3


def test_a_rank_above_its_bound_is_refused():
    layer = FactorizedConv2D(6, 3, rank=37)
    with pytest.raises(ValueError, match=r"`rank` must be at most 36, which suffices.*Received: rank=37"):
        layer.build((None, 8, 8, 4))


@pytest.mark.parametrize("fraction", [0, -1, True, "1", float("nan"), float("inf")])
def test_a_fraction_that_is_no_number_above_zero_is_refused(fraction):
    with pytest.raises(ValueError, match=r"`fraction` must be a number above 0"):
        FactorizedConv2D(6, 3, fraction)


def test_what_is_no_plain_convolution_is_refused():
    with pytest.raises(ValueError, match=r"must be a built keras.layers.Conv2D. Received: Dense"):
        FactorizedConv2D.from_conv(keras.layers.Dense(3))
    dilated = keras.layers.Conv2D(3, 3, dilation_rate=2)
    dilated.build((None, 8, 8, 4))
    with pytest.raises(ValueError, match=r"neither groups nor dilation"):
        FactorizedConv2D.from_conv(dilated)
