import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compactnet.layers import ChannelwiseConv


@settings(deadline=None, max_examples=25)
@given(
    taps=st.integers(1, 70),
    filters=st.integers(1, 3),
    strides=st.integers(1, 4),
    each=st.integers(1, 70),
)
def test_it_is_a_convolution_along_the_channels(taps, filters, strides, each):
    channels = each * strides
    values = np.random.default_rng(taps).normal(size=(2, 3, channels)).astype("float32")
    layer = ChannelwiseConv(taps, filters, strides)
    outputs = keras.ops.convert_to_numpy(layer(values))
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    assert kernel.shape == (taps, 1, filters)
    # As a depth axis of one channel; the outputs of a filter stand together.
    expected = keras.ops.conv(values.reshape(6, channels, 1), kernel, strides=strides, padding="same")
    expected = keras.ops.convert_to_numpy(expected).transpose(0, 2, 1).reshape(2, 3, filters * each)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


def test_strides_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(ValueError, match=r"`strides` must divide the channel count. Received: strides=4 for an input"):
        ChannelwiseConv(8, 1, 4)(np.zeros((1, 6), "float32"))
