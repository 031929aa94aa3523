"""What holds for every layer that squeezes channels in another way than the paper's: counts, Keras' checks, saving."""

import keras
import numpy as np
import pytest
from keras.src import testing

from compactnet import layers
from compactnet.networks.complexity import complexity
from tests.layers.strides import depthwise_strides_must_be_equal


def slim(folds):
    squares, linear = {2: (3, 3.0625), 4: (51 / 64, 2.0625)}[folds]
    return lambda channels, filters: squares * channels**2 + linear * channels


# A layer, its arguments, the trainable weights (RIVALS' formula of the input channels and the filters), and where the
# multiply-accumulates at a position of the output are not the kernel weights, their formula.
CASES = {
    "slim, k=4/3": (layers.SlimConv2D, {"folds": 2}, slim(2)),
    "slim, k=8/3": (layers.SlimConv2D, {"folds": 4}, slim(4)),
    "channelwise": (layers.ChannelwiseConv, {"kernel_size": 64}, lambda channels, filters: 64),
    "group channelwise": (
        layers.ChannelwiseConv,
        {"kernel_size": 8, "filters": 2, "strides": 2},
        lambda channels, filters: 2 * 8,
    ),
    "classifier": (
        layers.ConvolutionalClassifier,
        {"classes": 10},
        lambda channels, filters: 6 * 6 * (channels - 10 + 1),
    ),
    "factorized": (
        layers.FactorizedConv2D,
        {"rank": 20, "padding": "same"},
        lambda channels, filters: 20 * (channels + filters + 2 * 3) + 20 + filters,
    ),
    "decoupled": (
        layers.DecoupledConv2D,
        {"depth": 9, "padding": "same"},
        lambda channels, filters: channels * 9 * filters + filters * 9 * 9,
    ),
    "ghost": (
        layers.GhostConv2D,
        {},
        lambda channels, filters: channels * filters // 2 + filters // 2 * 9 + 2 * (filters // 2),
    ),
    "partial": (
        layers.PartialConv2D,
        {"use_bias": False, "padding": "same"},
        lambda channels, filters: 9 * (channels // 4) ** 2,
    ),
    "max feature map": (
        layers.MaxFeatureMapConv2D,
        {"padding": "same"},
        lambda channels, filters: 9 * channels * 2 * filters + 2 * filters,
    ),
}
WITH_FILTERS = (layers.FactorizedConv2D, layers.DecoupledConv2D, layers.GhostConv2D, layers.MaxFeatureMapConv2D)
every_case = pytest.mark.parametrize("case", CASES)
# run_layer_test itself hands fit() a generator and leaves shuffle at its default.
run_layer_test_warning = pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")


def arguments_of(case, filters):
    layer_class, arguments, _ = CASES[case]
    if layer_class in WITH_FILTERS:
        kernel = {} if layer_class is layers.GhostConv2D else {"kernel_size": 3}
        return {"filters": filters, **kernel, **arguments}
    return arguments


def make(case, filters=32, **more):
    return CASES[case][0](**arguments_of(case, filters), **more)


def model_of(layer, channels):
    inputs = keras.Input((6, 6, channels))
    return keras.Model(inputs, layer(inputs))


@every_case
@pytest.mark.parametrize(("channels", "filters"), [(32, 32), (64, 64), (64, 96)])
def test_the_trainable_weights_are_those_of_the_formula(case, channels, filters):
    layer = make(case, filters)
    layer.build((None, 6, 6, channels))
    assert sum(int(np.prod(weight.shape)) for weight in layer.trainable_weights) == CASES[case][2](channels, filters)


def test_the_figures_of_the_papers_at_64_channels():
    def trainable(case, **arguments):
        layer = CASES[case][0](**{**arguments_of(case, 64), **arguments})
        layer.build((None, 8, 8, 64))
        return sum(int(np.prod(weight.shape)) for weight in layer.trainable_weights)

    assert trainable("slim, k=4/3") == 12_484
    assert trainable("slim, k=8/3") == 3_396
    assert trainable("factorized", rank=None, use_bias=False) == 37_125
    assert trainable("factorized", rank=None, fraction=0.5, use_bias=False) == 18_630
    assert [trainable("decoupled", depth=depth) for depth in (9, 4, 1)] == [42_048, 18_688, 4_672]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("slim, k=4/3", 2 * 64 * 2 + 36 * (9 * 32 * 32 + 32 * 16 + 9 * 16 * 16)),
        ("channelwise", 36 * 64 * 64),
        ("group channelwise", 36 * 8 * 64),
        ("classifier", 36 * (64 - 10 + 1) * 10),
        ("factorized", 36 * 20 * (64 + 3 + 3 + 96)),
        ("decoupled", 36 * (64 * 9 * 96 + 96 * 9 * 9)),
        ("ghost", 36 * (64 * 48 + 48 * 9)),
        ("partial", 36 * 9 * 16 * 16),
        ("max feature map", 36 * 9 * 64 * 192),
    ],
)
def test_the_multiply_accumulates_are_those_of_the_formula(case, expected):
    counted = complexity(model_of(make(case, 96), 64), count_dense=True)
    additions = sum(row.flops for row in counted.layers if row.kind == "InterchannelPooling")
    assert counted.flops - additions == 2 * expected
    assert counted.unknown == ()


@run_layer_test_warning
@every_case
def test_the_layer_passes_the_checks_of_keras_itself(case):
    layer = make(case)
    layer.build((2, 6, 6, 64))
    testing.TestCase().run_layer_test(
        CASES[case][0],
        init_kwargs=arguments_of(case, 32),
        input_shape=(2, 6, 6, 64),
        expected_output_shape=layer.compute_output_shape((2, 6, 6, 64)),
        expected_num_trainable_weights=len(layer.trainable_weights),
        expected_num_non_trainable_weights=len(layer.non_trainable_weights),
        expected_num_losses=0,
        supports_masking=False,
        custom_objects={},
    )


@every_case
def test_a_saved_model_comes_back_with_the_same_outputs(case, tmp_path):
    values = np.random.default_rng(0).normal(size=(2, 6, 6, 64)).astype("float32")
    model = model_of(make(case), 64)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    ours, theirs = (keras.ops.convert_to_numpy(one(values)) for one in (model, again))
    np.testing.assert_array_equal(ours, theirs)


@every_case
@pytest.mark.parametrize("strides", [1, 2, (2, 1)])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_the_output_has_the_announced_shape(case, strides, padding):
    if CASES[case][0] in (layers.ChannelwiseConv, layers.ConvolutionalClassifier):
        pytest.skip("it has no spatial strides")
    if case == "decoupled" and strides == (2, 1) and depthwise_strides_must_be_equal():
        pytest.skip("TensorFlow without oneDNN has no such depthwise convolution")
    layer = CASES[case][0](**{**arguments_of(case, 32), "strides": strides, "padding": padding})
    assert tuple(layer(np.zeros((2, 7, 6, 64), "float32")).shape) == layer.compute_output_shape((2, 7, 6, 64))
    assert layer.compute_output_shape((None, None, None, 64))[:3] == (None, None, None)


@every_case
def test_a_mixed_policy_reaches_every_sublayer_and_trains(case):
    layer = make(case, dtype="mixed_bfloat16")
    model = model_of(layer, 64)
    assert {part.compute_dtype for part in layer._flatten_layers()} == {"bfloat16"}
    assert {weight.dtype for weight in layer.weights} == {"float32"}
    model.compile("sgd", "mse")
    samples = np.random.default_rng(0).normal(size=(2, 6, 6, 64)).astype("float32")
    before = [weight.copy() for weight in model.get_weights()]
    loss = model.train_on_batch(samples, np.ones((2, *model.output_shape[1:]), "float32"))
    assert np.isfinite(loss)
    assert any((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))


@every_case
def test_kernels_of_one_layer_start_with_values_of_their_own(case):
    layer = make(case, kernel_initializer="he_normal")
    layer.build((None, 6, 6, 64))
    kernels = [
        tuple(keras.ops.convert_to_numpy(weight).ravel()[:3]) for weight in layer.weights if "kernel" in weight.path
    ]
    assert kernels
    assert len(set(kernels)) == len(kernels)


@every_case
def test_a_regularizer_reaches_every_kernel(case):
    layer = make(case, kernel_regularizer=keras.regularizers.L1(0.5))
    layer.build((None, 6, 6, 64))
    kernels = [weight for weight in layer.weights if "kernel" in weight.path]
    expected = sum(0.5 * np.abs(keras.ops.convert_to_numpy(kernel)).sum() for kernel in kernels)
    assert sum(float(keras.ops.convert_to_numpy(loss)) for loss in layer.losses) == pytest.approx(expected, rel=1e-4)
