import keras
import numpy as np
import pytest

from compactnet.errors import InputError
from compactnet.layers import ConvolutionalClassifier


@pytest.mark.parametrize("classes", [1, 3, 8])
def test_each_class_is_a_place_of_one_kernel(classes):
    values = np.random.default_rng(0).normal(size=(2, 3, 2, 8)).astype("float32")
    layer = ConvolutionalClassifier(classes)
    scores = keras.ops.convert_to_numpy(layer(values))
    depth = 8 - classes + 1
    kernel = keras.ops.convert_to_numpy(layer.kernel).reshape(3, 2, depth)
    expected = [(values[..., place : place + depth] * kernel).sum((1, 2, 3)) for place in range(classes)]
    np.testing.assert_allclose(scores, np.stack(expected, -1), rtol=1e-4, atol=1e-5)


def test_the_activation_is_applied():
    layer = ConvolutionalClassifier(3, "softmax")
    scores = keras.ops.convert_to_numpy(layer(np.ones((2, 2, 2, 5), "float32")))
    np.testing.assert_allclose(scores.sum(-1), 1, rtol=1e-5)


def test_more_classes_than_channels_are_refused():
    with pytest.raises(InputError, match=r"`classes` must be at most the number of channels. Received: classes=6 for"):
        ConvolutionalClassifier(6)(np.ones((2, 2, 2, 5), "float32"))


def test_an_unknown_size_is_refused():
    with pytest.raises(InputError, match=r"The height, width and channels of the feature map must be known"):
        ConvolutionalClassifier(3)(keras.Input((None, None, 5)))


def test_maps_of_another_size_are_refused():
    layer = ConvolutionalClassifier(3)
    layer(np.ones((2, 4, 4, 5), "float32"))
    # As many values as four maps of the size that it was built for.
    with pytest.raises(ValueError, match=r"expected axis 1 of input shape to have value 4.*\(1, 8, 8, 5\)"):
        layer(np.ones((1, 8, 8, 5), "float32"))
    with pytest.raises(Exception, match=r"(?i)reshape|shape"):
        layer.call(keras.ops.ones((1, 8, 8, 5)))


def test_a_batch_of_any_size_is_taken():
    inputs = keras.Input((4, 4, 5))
    model = keras.Model(inputs, ConvolutionalClassifier(3)(inputs))
    for size in (1, 3):
        assert model.predict(np.ones((size, 4, 4, 5), "float32"), verbose=0).shape == (size, 3)
