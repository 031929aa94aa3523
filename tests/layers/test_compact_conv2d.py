import keras
import numpy as np
import pytest
from keras.src.testing import TestCase

from compactnet.layers import CompactConv2D, InterchannelPooling
from compactnet.layers.arguments import GROUPINGS, OPERATIONS
from tests.layers import oracle
from tests.layers.strides import depthwise_strides_must_be_equal

# run_layer_test itself hands fit() a generator and leaves shuffle at its default.
run_layer_test_warning = pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")
SUBLAYERS = ("depthwise", "normalization", "depthwise_activation_layer", "interchannel", "pointwise")
NO_DEFAULT = {
    "filters": 6,
    "kernel_size": (3, 5),
    "compact_factor": 4,
    "operation": "max",
    "strides": (2, 2),
    "padding": "same",
    "grouping": "strided",
    "depthwise_activation": "relu6",
    "activation": "tanh",
    "use_bias": False,
    "dilation_rate": (1, 1),
    "momentum": 0.9,
    "epsilon": 0.01,
    "depthwise_initializer": "he_normal",
    "pointwise_initializer": "he_uniform",
    "bias_initializer": "ones",
    "depthwise_regularizer": keras.regularizers.L1(0.1),
    "pointwise_regularizer": keras.regularizers.L2(0.2),
    "data_format": "channels_last",
    "name": "compact",
}


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def images(shape=(2, 7, 6, 8), seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def randomize(layer, seed=1):
    """Give every weight random values, positive ones where a variance must be."""
    source = np.random.default_rng(seed)
    for weight in layer.weights:
        spread = source.uniform(0.5, 1.5, weight.shape)
        weight.assign(spread if "variance" in weight.path else spread * source.choice([-1, 1], weight.shape))


def built(shape=(2, 7, 6, 8), **arguments):
    layer = CompactConv2D(**{"filters": 5, "kernel_size": 3, **arguments})
    layer.build(shape)
    randomize(layer)
    return layer


def by_hand(layer, inputs, mean=None, variance=None, **arguments):
    """The five steps of a compact convolution with the weights of `layer`, the inner ones in NumPy.

    Everything but the weights comes from the arguments of the layer, not from its attributes.
    """
    depthwise = keras.layers.DepthwiseConv2D(
        arguments.get("kernel_size", 3),
        strides=arguments.get("strides", 1),
        padding=arguments.get("padding", "valid"),
        dilation_rate=arguments.get("dilation_rate", 1),
        use_bias=arguments.get("use_bias", True),
    )
    depthwise.build(inputs.shape)
    depthwise.set_weights(layer.depthwise.get_weights())
    spatial = array(depthwise(inputs))
    gamma, beta, moving_mean, moving_variance = layer.normalization.get_weights()
    mean = moving_mean if mean is None else mean(spatial)
    variance = moving_variance if variance is None else variance(spatial)
    normalized = gamma * (spatial - mean) / np.sqrt(variance + arguments.get("epsilon", 0.001)) + beta
    if arguments.get("depthwise_activation", "relu") == "relu":
        normalized = np.maximum(normalized, 0)
    squeezed = oracle.forward(
        normalized,
        arguments.get("compact_factor", 2),
        arguments.get("operation", "sum"),
        arguments.get("grouping", "adjacent"),
    )
    kernel, *bias = layer.pointwise.get_weights()
    assert len(bias) == arguments.get("use_bias", True)
    return squeezed @ kernel[0, 0] + (bias[0] if bias else 0)


@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_it_is_the_composition_of_its_five_steps(operation, grouping):
    arguments = {"compact_factor": 4, "operation": operation, "grouping": grouping, "padding": "same"}
    layer = built(**arguments)
    outputs = array(layer(images()))
    np.testing.assert_allclose(outputs, by_hand(layer, images(), **arguments), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "arguments",
    [
        {"depthwise_activation": None},
        {"use_bias": False},
        {"strides": 2},
        pytest.param(
            {"strides": (1, 2)},
            marks=pytest.mark.skipif(depthwise_strides_must_be_equal(), reason="TensorFlow without oneDNN has no such"),
        ),
        {"strides": (2, 2), "padding": "same"},
        {"kernel_size": (3, 5)},
        {"dilation_rate": 2},
        {"compact_factor": 1},
        {"compact_factor": 8},
        {"epsilon": 0.5},
    ],
    ids=str,
)
def test_every_argument_of_the_composition_reaches_its_step(arguments):
    layer = built(**arguments)
    outputs = array(layer(images()))
    np.testing.assert_allclose(outputs, by_hand(layer, images(), **arguments), rtol=1e-4, atol=1e-4)
    assert outputs.shape == layer.compute_output_shape((2, 7, 6, 8))


def test_the_defaults_are_the_sum_of_two_adjacent_channels_after_a_relu():
    layer = CompactConv2D(4, 3)
    assert (layer.compact_factor, layer.operation, layer.grouping) == (2, "sum", "adjacent")
    assert layer.depthwise_activation is keras.activations.relu
    assert layer.activation is keras.activations.linear
    assert (layer.strides, layer.padding) == ((1, 1), "valid")


def test_other_defaults_are_those_of_keras_layers():
    layer, serialized = CompactConv2D(4, 3), keras.saving.serialize_keras_object
    depthwise, normalization = keras.layers.DepthwiseConv2D(3), keras.layers.BatchNormalization()
    pointwise = keras.layers.Conv2D(4, 1)
    assert (layer.momentum, layer.epsilon) == (normalization.momentum, normalization.epsilon)
    for name in ("beta", "gamma", "moving_mean", "moving_variance"):
        own, given = (getattr(one, f"{name}_initializer") for one in (layer, normalization))
        assert serialized(own) == serialized(given)
    assert type(layer.depthwise_initializer) is type(depthwise.depthwise_initializer)
    assert type(layer.pointwise_initializer) is type(pointwise.kernel_initializer)
    assert type(layer.bias_initializer) is type(pointwise.bias_initializer)


def test_factor_one_is_a_depthwise_separable_convolution():
    layer = built(compact_factor=1)
    inputs = images()
    normalized = layer.normalization(layer.depthwise(inputs))
    np.testing.assert_allclose(array(layer(inputs)), array(layer.pointwise(keras.ops.relu(normalized))), rtol=1e-5)
    assert layer.pointwise.kernel.shape == (1, 1, 8, 5)


@pytest.mark.parametrize("training", [False, True])
def test_depthwise_features_are_what_the_interchannel_operation_receives(training):
    layer = built(compact_factor=4, operation="max")
    before = layer.get_weights()
    features = layer.depthwise_features(images(), training=training)
    layer.set_weights(before)
    assert features.shape == (2, 5, 4, 8)
    assert array(features).min() == 0
    outputs = layer.pointwise(layer.interchannel(features))
    np.testing.assert_array_equal(array(outputs), array(layer(images(), training=training)))


def test_depthwise_features_build_the_layer():
    layer = CompactConv2D(5, 3, name="compact")
    features = layer.depthwise_features(images())
    assert layer.weights[0].path == "compact/depthwise/kernel"
    assert (layer.built, len(layer.weights)) == (True, 8)
    assert layer(images()).shape == (*features.shape[:-1], 5)
    assert len(layer.weights) == 8


def test_the_activation_is_applied_to_the_output():
    plain, activated = built(), built(activation="relu")
    activated.set_weights(plain.get_weights())
    outputs = array(plain(images()))
    assert outputs.min() < 0
    np.testing.assert_allclose(array(activated(images())), np.maximum(outputs, 0), rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "depthwise_shape", "pointwise_shape"),
    [
        ({}, (3, 3, 8, 1), (1, 1, 4, 5)),
        ({"compact_factor": 8}, (3, 3, 8, 1), (1, 1, 1, 5)),
        ({"kernel_size": (3, 5), "compact_factor": 4}, (3, 5, 8, 1), (1, 1, 2, 5)),
    ],
)
def test_the_kernels_hold_n_k_squared_plus_nf_over_c_weights(arguments, depthwise_shape, pointwise_shape):
    layer = built(**arguments)
    assert layer.depthwise.kernel.shape == depthwise_shape
    assert layer.pointwise.kernel.shape == pointwise_shape


def test_training_normalizes_with_the_statistics_of_the_batch():
    layer = built()
    expected = by_hand(layer, images(), mean=lambda x: x.mean((0, 1, 2)), variance=lambda x: x.var((0, 1, 2)))
    np.testing.assert_allclose(array(layer(images(), training=True)), expected, rtol=1e-3, atol=1e-3)


def test_inference_normalizes_with_the_moving_statistics_and_leaves_them():
    layer = built()
    before = layer.get_weights()
    outputs = array(layer(images(), training=False))
    np.testing.assert_allclose(outputs, by_hand(layer, images()), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(array(layer(images())), outputs)
    for was, now in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(now, was)


def test_training_moves_the_statistics_by_the_momentum():
    layer = built(momentum=0.75)
    spatial = array(layer.depthwise(images()))
    before = layer.normalization.moving_mean.numpy()
    layer(images(), training=True)
    expected = 0.75 * before + 0.25 * spatial.mean((0, 1, 2))
    np.testing.assert_allclose(layer.normalization.moving_mean.numpy(), expected, rtol=1e-4, atol=1e-5)


@run_layer_test_warning
@pytest.mark.parametrize(
    ("arguments", "output_shape", "trainable_weights"),
    [
        ({}, (2, 5, 4, 4), 6),
        ({"operation": "max", "padding": "same"}, (2, 7, 6, 4), 6),
        ({"operation": "average", "grouping": "strided", "strides": 2}, (2, 3, 2, 4), 6),
        ({"operation": "max", "grouping": "strided", "strides": 2, "padding": "same"}, (2, 4, 3, 4), 6),
        ({"use_bias": False, "compact_factor": 4}, (2, 5, 4, 4), 4),
        ({"depthwise_activation": None, "activation": "relu"}, (2, 5, 4, 4), 6),
        (NO_DEFAULT, (2, 4, 3, 6), 4),
    ],
)
def test_the_layer_passes_the_checks_of_keras_itself(arguments, output_shape, trainable_weights):
    TestCase().run_layer_test(
        CompactConv2D,
        init_kwargs={"filters": 4, "kernel_size": 3, **arguments},
        input_shape=(2, 7, 6, 8),
        expected_output_shape=output_shape,
        expected_num_trainable_weights=trainable_weights,
        expected_num_non_trainable_weights=2,
        expected_num_losses=2 if arguments is NO_DEFAULT else 0,
    )


@pytest.mark.parametrize("depthwise_activation", ["relu", "relu6", None])
def test_a_saved_model_comes_back_with_the_same_outputs(depthwise_activation, tmp_path):
    inputs = keras.Input((7, 6, 8))
    layer = CompactConv2D(4, 3, 4, "max", depthwise_activation=depthwise_activation, name="compact")
    model = keras.Model(inputs, layer(inputs))
    randomize(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("compact").get_config() == layer.get_config()
    np.testing.assert_array_equal(array(loaded(images())), array(model(images())))


def test_batch_and_spatial_sizes_may_be_unknown():
    arguments = {"compact_factor": 4, "operation": "max", "strides": 2, "padding": "same"}
    inputs = keras.Input((None, None, 8))
    layer = CompactConv2D(5, 3, **arguments)
    outputs = layer(inputs)
    assert outputs.shape == (None, None, None, 5)
    model = keras.Model(inputs, outputs)
    randomize(model)
    for shape in ((1, 4, 5, 8), (3, 7, 2, 8)):
        expected = by_hand(layer, images(shape), **arguments)
        np.testing.assert_allclose(array(model(images(shape))), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(
    keras.config.backend() == "tensorflow", reason="TensorFlow's oneDNN convolutions give an empty batch a wrong shape"
)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_empty_batch_gives_an_empty_batch(operation):
    assert CompactConv2D(5, 3, operation=operation)(np.zeros((0, 7, 6, 8), "float32")).shape == (0, 5, 4, 5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_mixed_policy_reaches_every_sublayer(policy):
    layer = built(dtype=policy)
    for name in SUBLAYERS:
        sublayer = getattr(layer, name)
        assert (sublayer.compute_dtype, sublayer.variable_dtype) == (policy.removeprefix("mixed_"), "float32"), name
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in layer.weights} == {"float32"}


def test_a_mixed_policy_set_globally_reaches_every_sublayer():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        layer = CompactConv2D(5, 3)
        outputs = layer(keras.Input((7, 6, 8)))
    finally:
        keras.config.set_dtype_policy(before)
    assert {getattr(layer, name).compute_dtype for name in SUBLAYERS} == {"float16"}
    assert outputs.dtype == "float16"


@pytest.mark.skipif(keras.config.backend() == "torch", reason="Keras does not support float16 for PyTorch on CPU")
def test_a_mixed_policy_computes_what_full_precision_computes():
    half, full = built(dtype="mixed_float16"), built()
    half.set_weights(full.get_weights())
    outputs = half(images())
    assert keras.backend.standardize_dtype(outputs.dtype) == "float16"
    np.testing.assert_allclose(array(outputs), array(full(images())), rtol=0.05, atol=0.5)


def refusal(build):
    with pytest.raises(ValueError) as caught:
        build()
    return str(caught.value)


@pytest.mark.parametrize("value", [0, -1, 2.0, True])
@pytest.mark.parametrize("argument", ["filters", "compact_factor"])
def test_a_number_that_is_no_positive_integer_is_refused(argument, value):
    message = refusal(lambda: CompactConv2D(**{"filters": 4, "kernel_size": 3, argument: value}))
    assert f"`{argument}`" in message
    assert f"{argument}={value!r}" in message
    assert "integer of at least 1" in message


@pytest.mark.parametrize(
    ("argument", "allowed"), [("operation", OPERATIONS), ("grouping", GROUPINGS), ("padding", ("valid", "same"))]
)
def test_an_unknown_choice_is_refused(argument, allowed):
    message = refusal(lambda: CompactConv2D(4, 3, **{argument: "other"}))
    assert f"`{argument}`" in message
    assert f"{argument}='other'" in message
    assert all(repr(name) in message for name in allowed)


@pytest.mark.parametrize("channels", [6, None])
def test_channels_that_do_not_split_into_groups_are_refused_before_any_weight_is_made(channels):
    layer = CompactConv2D(4, 3, 4)
    message = refusal(lambda: layer(keras.Input((7, 6, channels))))
    expected = ("compact_factor=4", "6 channels", "1, 2, 3, 6") if channels else ("channel count", "Received: None")
    assert all(words in message for words in expected)
    assert layer.weights == []


def test_inputs_that_are_no_images_are_refused():
    message = refusal(lambda: CompactConv2D(4, 3)(keras.Input((6, 8))))
    assert "expected ndim=4, found ndim=3" in message


@pytest.mark.parametrize("trainable", [True, False])
def test_a_frozen_layer_keeps_its_statistics_also_when_made_from_a_config(trainable):
    layer = CompactConv2D(5, 3)
    layer.trainable = trainable
    again = CompactConv2D.from_config(layer.get_config())
    again.build((2, 7, 6, 8))
    before = array(again.normalization.moving_mean)
    again(images(), training=True)
    assert np.array_equal(array(again.normalization.moving_mean), before) is not trainable


def test_the_interchannel_operation_is_the_public_layer():
    assert type(CompactConv2D(4, 3).interchannel) is InterchannelPooling
