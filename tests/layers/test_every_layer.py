"""What holds for every public layer: its arguments, its config and its data format."""

import inspect

import keras
import numpy as np
import pytest
from keras import constraints, initializers, regularizers

from compactnet import layers

# For each layer, a value of every constructor argument, none of them the default (but for the only data format). Values
# of the same kind differ from each other, so that no two can be mixed up.
KERNEL = {
    "kernel_initializer": initializers.Constant(1),
    "kernel_regularizer": regularizers.L1(0.1),
    "kernel_constraint": constraints.MaxNorm(1),
    "data_format": "channels_last",
}
SPATIAL = {"strides": (2, 1), **KERNEL}
ARGUMENTS = {
    layers.ChannelScale: {"scale_initializer": initializers.Constant(2), "data_format": "channels_last"},
    layers.ChannelwiseConv: {"kernel_size": 5, "filters": 2, "strides": 3, **KERNEL},
    layers.ConvolutionalClassifier: {"classes": 3, "activation": keras.activations.softmax, **KERNEL},
    layers.DecoupledConv2D: {"filters": 6, "kernel_size": (3, 5), "depth": 2, "padding": "same", **SPATIAL},
    layers.FactorizedConv2D: {
        "filters": 6,
        "kernel_size": (3, 5),
        "fraction": 0.5,
        "rank": 4,
        "padding": "same",
        "use_bias": False,
        **SPATIAL,
    },
    layers.GhostConv2D: {
        "filters": 6,
        "kernel_size": (3, 5),
        "ratio": 3,
        "depthwise_kernel_size": (5, 7),
        "padding": "same",
        "activation": keras.activations.tanh,
        "momentum": 0.9,
        "epsilon": 0.01,
        **SPATIAL,
    },
    layers.MaxFeatureMapConv2D: {
        "filters": 6,
        "kernel_size": (3, 5),
        "padding": "same",
        "use_bias": False,
        **SPATIAL,
    },
    layers.PartialConv2D: {"kernel_size": (3, 5), "ratio": 2, "padding": "same", "use_bias": False, **SPATIAL},
    layers.SlimConv2D: {
        "kernel_size": (3, 5),
        "folds": 4,
        "padding": "valid",
        "reduction": 8,
        "activation": keras.activations.tanh,
        "momentum": 0.9,
        "epsilon": 0.01,
        **SPATIAL,
    },
    layers.ChannelShuffle: {"groups": 3, "data_format": "channels_last"},
    layers.CompactConv2D: {
        "filters": 6,
        "kernel_size": (3, 5),
        "compact_factor": 4,
        "operation": "max",
        "strides": (2, 1),
        "padding": "same",
        "grouping": "strided",
        "depthwise_activation": keras.activations.relu6,
        "activation": keras.activations.tanh,
        "use_bias": False,
        "dilation_rate": (1, 2),
        "momentum": 0.9,
        "epsilon": 0.01,
        "depthwise_initializer": initializers.Constant(1),
        "pointwise_initializer": initializers.Constant(2),
        "bias_initializer": initializers.Constant(3),
        "beta_initializer": initializers.Constant(4),
        "gamma_initializer": initializers.Constant(5),
        "moving_mean_initializer": initializers.Constant(6),
        "moving_variance_initializer": initializers.Constant(7),
        "depthwise_regularizer": regularizers.L1(0.1),
        "pointwise_regularizer": regularizers.L1(0.2),
        "bias_regularizer": regularizers.L1(0.3),
        "beta_regularizer": regularizers.L1(0.4),
        "gamma_regularizer": regularizers.L1(0.5),
        "depthwise_constraint": constraints.MaxNorm(1),
        "pointwise_constraint": constraints.MaxNorm(2),
        "bias_constraint": constraints.MaxNorm(3),
        "beta_constraint": constraints.MaxNorm(4),
        "gamma_constraint": constraints.MaxNorm(5),
        "data_format": "channels_last",
    },
    layers.GroupedConv2D: {
        "filters": 6,
        "kernel_size": (3, 5),
        "strides": (2, 1),
        "padding": "same",
        "data_format": "channels_last",
        "dilation_rate": (1, 1),
        "groups": 2,
        "activation": keras.activations.tanh,
        "use_bias": False,
        "kernel_initializer": initializers.Constant(1),
        "bias_initializer": initializers.Constant(2),
        "kernel_regularizer": regularizers.L1(0.1),
        "bias_regularizer": regularizers.L1(0.2),
        "activity_regularizer": regularizers.L1(0.3),
        "kernel_constraint": constraints.MaxNorm(1),
        "bias_constraint": constraints.MaxNorm(2),
    },
    layers.InterchannelPooling: {
        "compact_factor": 4,
        "operation": "max",
        "grouping": "strided",
        "data_format": "channels_last",
    },
    layers.SameAveragePooling2D: {"pool_size": 3, "strides": 2, "data_format": "channels_last"},
}
every_layer = pytest.mark.parametrize("layer_class", ARGUMENTS, ids=lambda layer_class: layer_class.__name__)


def required(layer_class):
    """The arguments that a layer cannot be made without."""
    parameters = inspect.signature(layer_class).parameters
    return {
        name: value
        for name, value in ARGUMENTS[layer_class].items()
        if parameters[name].default is inspect.Parameter.empty
    }


def test_every_public_layer_is_tested_here():
    assert {layer_class.__name__ for layer_class in ARGUMENTS} == set(layers.__all__)


@every_layer
def test_every_constructor_argument_is_documented(layer_class):
    *names, kwargs = inspect.signature(layer_class).parameters
    assert (set(names), kwargs) == (set(ARGUMENTS[layer_class]), "kwargs")
    described = inspect.getdoc(layer_class).split("Args:")[1].split("Input shape:")[0]
    assert [line.split(":")[0].strip() for line in described.splitlines() if line[4:5].strip()] == [*names, "**kwargs"]


@every_layer
def test_every_constructor_argument_is_an_attribute_and_survives_the_config(layer_class):
    layer = layer_class(**ARGUMENTS[layer_class], name="layer")
    config = layer.get_config()
    again = layer_class.from_config(config)
    for name, value in ARGUMENTS[layer_class].items():
        assert getattr(layer, name) == value, name
        serialize = keras.saving.serialize_keras_object
        assert serialize(getattr(again, name)) == serialize(value), name
    assert set(ARGUMENTS[layer_class]) <= set(config)
    assert again.get_config() == config
    assert again.name == "layer"


@pytest.mark.parametrize("layer_class", [layers.CompactConv2D, layers.GroupedConv2D])
def test_arguments_are_resolved_as_in_the_layers_of_keras(layer_class):
    layer = layer_class(
        4, 3, activation="relu", bias_initializer="ones", bias_regularizer="l1", bias_constraint="unit_norm"
    )
    assert (layer.kernel_size, layer.strides, layer.dilation_rate) == ((3, 3), (1, 1), (1, 1))
    assert layer.activation is keras.activations.relu
    assert type(layer.bias_initializer) is initializers.Ones
    assert type(layer.bias_regularizer) is regularizers.L1
    assert type(layer.bias_constraint) is constraints.UnitNorm


@pytest.mark.parametrize("layer_class", [layers.CompactConv2D, layers.GroupedConv2D])
def test_a_changed_attribute_is_in_the_config(layer_class):
    layer = layer_class(4, 3)
    layer.bias_regularizer = regularizers.L2(0.5)
    assert layer_class.from_config(layer.get_config()).bias_regularizer.l2 == 0.5


@pytest.mark.parametrize(
    ("layer_class", "weights"),
    [
        (
            layers.CompactConv2D,
            {
                "depthwise/kernel": "depthwise",
                "depthwise/bias": "bias",
                "normalization/gamma": "gamma",
                "normalization/beta": "beta",
                "normalization/moving_mean": "moving_mean",
                "normalization/moving_variance": "moving_variance",
                "pointwise/kernel": "pointwise",
                "pointwise/bias": "bias",
            },
        ),
        (layers.GroupedConv2D, {"kernel": "kernel", "bias": "bias"}),
    ],
)
def test_initializer_regularizer_and_constraint_reach_every_weight(layer_class, weights):
    arguments = ARGUMENTS[layer_class]
    layer = layer_class(**{**arguments, "use_bias": True}, name="layer")
    layer.build((2, 7, 6, 8))
    assert [weight.path for weight in layer.weights] == [f"layer/{path}" for path in weights]
    for weight, argument in zip(layer.weights, weights.values(), strict=True):
        assert (keras.ops.convert_to_numpy(weight) == arguments[f"{argument}_initializer"].value).all(), weight.path
        assert weight.regularizer is arguments.get(f"{argument}_regularizer"), weight.path
        assert weight.constraint is arguments.get(f"{argument}_constraint"), weight.path
    expected = [
        weight.regularizer.l1 * np.abs(keras.ops.convert_to_numpy(weight)).sum() for weight in layer.trainable_weights
    ]
    np.testing.assert_allclose([float(keras.ops.convert_to_numpy(loss)) for loss in layer.losses], expected, rtol=1e-5)


@every_layer
def test_channels_first_is_refused(layer_class):
    with pytest.raises(ValueError) as caught:
        layer_class(**required(layer_class), data_format="channels_first")
    message = str(caught.value)
    assert "`data_format` must be 'channels_last'" in message
    assert "data_format='channels_first'" in message
    assert "image_data_format" not in message


@every_layer
def test_channels_first_in_the_global_setting_is_refused_and_named(layer_class):
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError) as caught:
            layer_class(**required(layer_class))
        explicit = layer_class(**required(layer_class), data_format="channels_last")
    finally:
        keras.config.set_image_data_format(before)
    assert "data_format='channels_first' (from keras.config.image_data_format())" in str(caught.value)
    sublayers = [layer for layer in explicit._flatten_layers() if hasattr(layer, "data_format")]
    assert {layer.data_format for layer in sublayers} == {"channels_last"}


# Channels that the arguments above divide.
SHAPE = (2, 9, 8, 24)


@every_layer
def test_a_frozen_layer_has_no_weights_to_train(layer_class):
    layer = layer_class(**ARGUMENTS[layer_class], trainable=False)
    inputs = keras.Input(SHAPE[1:])
    assert keras.Model(inputs, layer(inputs)).trainable_weights == []


@every_layer
def test_the_global_data_format_does_not_change_a_layer_that_was_made(layer_class):
    values = np.random.default_rng(0).normal(size=SHAPE).astype("float32")
    layer = layer_class(**ARGUMENTS[layer_class])
    before = keras.ops.convert_to_numpy(layer(values))
    keras.config.set_image_data_format("channels_first")
    try:
        again = layer_class.from_config(layer.get_config())
        again.build(SHAPE)
        again.set_weights(layer.get_weights())
        after = keras.ops.convert_to_numpy(again(values))
    finally:
        keras.config.set_image_data_format("channels_last")
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("layer", "built", "called"),
    [
        (layers.ChannelScale(), 4, 1),
        (layers.PartialConv2D(3, 4), 8, 10),
        (layers.InterchannelPooling(2, "first"), 8, 9),
        (layers.InterchannelPooling(2, "sum"), 8, 9),
    ],
)
def test_a_built_layer_refuses_other_channels(layer, built, called):
    layer(np.zeros((1, 5, 5, built), "float32"))
    with pytest.raises(ValueError, match=rf"value {built}|with {called} channels"):
        layer(np.zeros((1, 5, 5, called), "float32"))


class WithoutConfig(initializers.Initializer):
    """An initializer of the user that cannot be copied from its config."""

    def __init__(self, value):
        self.value = value

    def __call__(self, shape, dtype=None):
        return keras.ops.full(shape, self.value, dtype)


@pytest.mark.parametrize(
    "make",
    [
        lambda **arguments: layers.GhostConv2D(8, 3, **arguments),
        lambda **arguments: layers.DecoupledConv2D(8, 3, **arguments),
        lambda **arguments: layers.PartialConv2D(3, **arguments),
        lambda **arguments: layers.SlimConv2D(3, **arguments),
        lambda **arguments: layers.FactorizedConv2D(8, 3, **arguments),
        lambda **arguments: layers.MaxFeatureMapConv2D(8, 3, **arguments),
    ],
    ids=["ghost", "decoupled", "partial", "slim", "factorized", "max_feature_map"],
)
@pytest.mark.parametrize(
    "initializer",
    [WithoutConfig(3.0), lambda shape, dtype=None: keras.ops.full(shape, 3.0, dtype)],
    ids=["class", "function"],
)
def test_an_initializer_that_cannot_be_copied_is_used_as_it_is(make, initializer):
    layer = make(kernel_initializer=initializer)
    layer.build((None, 8, 8, 16))
    values = [keras.ops.convert_to_numpy(weight) for weight in layer.trainable_weights if "kernel" in weight.path]
    assert any((kernel == 3).all() for kernel in values)


def test_kernels_of_one_shape_start_with_values_of_their_own():
    # With a reduction of 1 both kernels of the gate are 1x1x16x16.
    layer = layers.SlimConv2D(3, reduction=1, kernel_initializer="glorot_uniform")
    layer.build((None, 8, 8, 16))
    kernels = [
        keras.ops.convert_to_numpy(weight) for weight in layer.trainable_weights if weight.path.endswith("kernel")
    ]
    pairs = [(one, other) for place, one in enumerate(kernels) for other in kernels[:place] if one.shape == other.shape]
    assert pairs
    assert all((one != other).any() for one, other in pairs)
