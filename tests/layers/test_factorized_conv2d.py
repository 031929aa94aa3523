import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compactnet.layers import FactorizedConv2D
from compactnet.layers.factorized_conv2d import UnequalStridesDepthwiseConv2D


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


@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "float32"])
@pytest.mark.parametrize("rank", [1, 36])
def test_a_decomposed_convolution_keeps_its_precision(policy, rank):
    if rank == 1:
        pytest.importorskip("tensorly", reason="TensorLy is not installed")
    convolution = keras.layers.Conv2D(6, 3, dtype=policy)
    convolution.build((None, 8, 8, 4))
    layer = FactorizedConv2D.from_conv(convolution, rank=rank)
    assert layer.dtype_policy.name == policy
    assert {weight.dtype for weight in layer.weights} == {convolution.kernel.dtype}
    assert FactorizedConv2D.from_conv(convolution, rank=36, dtype="float32").dtype_policy.name == "float32"


def test_a_fraction_of_numpy_is_taken():
    assert FactorizedConv2D(6, 3, np.float32(0.5)).fraction == 0.5


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ({"use_bias": True}, "use_bias=True"),
        ({"activation": "relu"}, "activation='relu'"),
        ({"depth_multiplier": 2}, "depth_multiplier=2"),
        ({"strides": (1, 1), "dilation_rate": (2, 1)}, "strides=(1, 1)"),
        ({"strides": (2, 2)}, "strides=(2, 2)"),
        ({"kernel_size": 3}, "kernel_size=(3, 3)"),
        ({"data_format": "channels_first"}, "data_format='channels_first'"),
    ],
)
def test_what_the_convolution_along_one_axis_does_not_compute_is_refused(arguments, received):
    with pytest.raises(ValueError) as caught:
        UnequalStridesDepthwiseConv2D(**{"kernel_size": (3, 1), "strides": (2, 1), **arguments})
    assert received in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("extents", [(8, 7), (7, 8)])
def test_the_convolution_along_one_axis_is_that_of_keras_without_the_places_between(padding, extents):
    layer = UnequalStridesDepthwiseConv2D((3, 1), (2, 1), padding)
    values = np.random.default_rng(0).normal(size=(2, *extents, 4)).astype("float32")
    outputs = keras.ops.convert_to_numpy(layer(values))
    again = UnequalStridesDepthwiseConv2D.from_config(layer.get_config())
    assert (again.kernel_size, again.strides, again.padding) == ((3, 1), (2, 1), padding)
    dense = keras.ops.convert_to_numpy(
        keras.ops.depthwise_conv(np.pad(values, [(0, 0), (1, 1), (0, 0), (0, 0)]), layer.kernel, padding="valid")
    )
    first = 0 if padding == "same" and extents[0] % 2 else 1  # "same" pads an even map at its end alone
    np.testing.assert_allclose(outputs, dense[:, first::2][:, : outputs.shape[1]], rtol=1e-5, atol=1e-6)


def test_an_unknown_channel_count_is_refused():
    with pytest.raises(ValueError, match=r"channel count .* must be known"):
        FactorizedConv2D(8, 3)(keras.Input((8, 8, None)))


@pytest.mark.parametrize("iterations", [0, -1, 1.5])
def test_iterations_of_a_decomposition_are_at_least_one(iterations):
    convolution = keras.layers.Conv2D(4, 3)
    convolution.build((None, 8, 8, 4))
    with pytest.raises(ValueError, match=r"`iterations` must be an integer of at least 1"):
        FactorizedConv2D.from_conv(convolution, rank=2, iterations=iterations)
