import keras
import numpy as np
import pytest

from compactnet.networks.channels import channel_path, permute_channels
from compactnet.networks.graph import nodes


def network(*after, before=None):
    """Return a model: a convolution of 6 filters, layers, and a 1x1 convolution of 2."""
    inputs = keras.Input((8, 8, 3))
    outputs = (before or keras.layers.Conv2D(6, 3, name="first"))(inputs)
    for layer in after:
        outputs = layer(outputs)
    end = keras.layers.Conv2D(2, 1, name="end")
    return keras.Model(inputs, end(outputs)), outputs


CHAINS = {
    "nothing": [],
    "normalization and pooling": [keras.layers.BatchNormalization(), keras.layers.MaxPooling2D()],
    "depthwise": [keras.layers.ReLU(6), keras.layers.DepthwiseConv2D(3), keras.layers.Activation("silu")],
}
NO_CHAINS = {
    "softmax": [keras.layers.Activation("softmax")],
    "own function": [keras.layers.Activation(lambda values: values[..., ::-1])],
    "two maps a channel": [keras.layers.DepthwiseConv2D(3, depth_multiplier=2)],
    "another axis": [keras.layers.BatchNormalization(axis=1)],
    "a view": [keras.layers.Reshape((6, 6, 6))],
}


@pytest.mark.parametrize("name", CHAINS)
def test_reordering_the_channels_changes_nothing_else(name):
    model, tensor = network(*CHAINS[name])
    features = keras.Model(model.input, tensor)
    values = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    for layer in model.layers:
        layer.set_weights(
            [weight + np.random.default_rng(1).uniform(0, 1, weight.shape) for weight in layer.get_weights()]
        )
    before = np.asarray(features(values))
    path = channel_path(list(nodes(model)), tensor)
    assert path[0].name == "first"
    order = np.array([3, 1, 0, 5, 4, 2])
    permute_channels(path, order)
    np.testing.assert_allclose(features(values), before[..., order], rtol=1e-5)


@pytest.mark.parametrize("name", NO_CHAINS)
def test_layers_that_mix_channels_end_the_path(name):
    model, tensor = network(*NO_CHAINS[name])
    assert channel_path(list(nodes(model)), tensor) is None


def test_the_input_groups_and_other_users_have_no_path():
    model, tensor = network(before=keras.layers.Activation("relu"))
    assert channel_path(list(nodes(model)), tensor) is None
    inputs = keras.Input((8, 8, 4))
    first = keras.layers.Conv2D(6, 1)(inputs)
    second = keras.layers.ReLU()(first)
    model = keras.Model(inputs, keras.layers.Add()([first, second]))
    assert channel_path(list(nodes(model)), second) is None
    shared = keras.layers.Conv2D(4, 1)
    twice = shared(shared(inputs))
    model = keras.Model(inputs, keras.layers.ReLU()(twice))
    assert channel_path(list(nodes(model)), twice) is None
