import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import compactnet
from compactnet.compression import CompressionReport
from compactnet.errors import InputError
from compactnet.layers import CompactConv2D, GroupedConv2D, InterchannelPooling
from compactnet.networks import build
from compactnet.networks.complexity import complexity
from compactnet.networks.graph import JOINT

SHAPE = (16, 16, 3)


def small(*, between=(), filters=64):
    """A network of a stem, a pooling, a 3x3 convolution "middle" and a classifier."""
    inputs = keras.Input(SHAPE)
    outputs = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name="stem")(inputs)
    outputs = keras.layers.MaxPooling2D()(outputs)
    outputs = keras.layers.Conv2D(filters, 3, padding="same", name="middle")(outputs)
    for layer in between:
        outputs = layer(outputs)
    outputs = keras.layers.Conv2D(filters, 3, activation="relu", name="last")(outputs)
    outputs = keras.layers.GlobalAveragePooling2D()(outputs)
    return keras.Model(inputs, keras.layers.Dense(4, activation="softmax")(outputs))


def samples(count=4, shape=SHAPE, seed=0):
    return np.random.default_rng(seed).random((count, *shape), dtype="float32")


def values(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


def reasons(report):
    return {row.name: row.reason for row in report.skipped}


def replaced(report):
    return [row.name for row in report.replaced]


@pytest.fixture(scope="module")
def compressed():
    """A small network, its compressed model and the report."""
    model = small()
    return model, *compactnet.compress(model, 4)


@pytest.mark.parametrize("operation", ["sum", "max"])
@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("base", ["vgg8", "xvgg8"])
def test_vgg8_becomes_the_network_of_table_1(untimed, base, factor, operation):
    model, report = compactnet.compress(build(base), factor, operation)
    expected = complexity(build(f"compact_vgg_{operation}_c{factor}"))
    assert model.count_params() == report.params_after == expected.params
    assert report.flops_after == expected.flops
    assert replaced(report) == [f"conv{pair}_{layer}" for pair in (2, 3, 4) for layer in (1, 2)]


@pytest.mark.parametrize("factor", [2, *(pytest.param(factor, marks=pytest.mark.slow) for factor in (4, 8))])
def test_mobilenet_becomes_the_network_of_table_1(untimed, factor):
    model, report = compactnet.compress(build("mobilenet_v1_100"), factor)
    expected = complexity(build(f"compact_mobilenet_sum_c{factor}"))
    assert model.count_params() == report.params_after == expected.params
    assert report.flops_after == expected.flops
    assert replaced(report) == [f"block{number}_pointwise" for number in range(1, 14)]


def test_the_rows_count_as_complexity_does(compressed):
    model, smaller, report = compressed
    before, after = complexity(model), complexity(smaller)
    assert (report.flops_before, report.flops_after) == (before.flops, after.flops)
    assert report.params_before == model.count_params()
    assert replaced(report) == ["middle", "last"]
    for row in report.replaced:
        assert row.macs_after < row.macs_before
        assert 2 * row.macs_before == sum(layer.flops for layer in before.layers if layer.name == row.name)
        parts = [layer for layer in after.layers if layer.name.startswith(row.name + JOINT)]
        assert 2 * row.macs_after == sum(part.flops for part in parts if part.kind != "InterchannelPooling")
        assert row.params_after == sum(part.params for part in parts)


# The fixture has no state.
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kernel=st.sampled_from([(3, 3), (1, 5), (5, 5)]),
    stride=st.integers(1, 2),
    padding=st.sampled_from(["valid", "same"]),
    use_bias=st.booleans(),
    separable=st.booleans(),
    factor=st.sampled_from([2, 4]),
    grouping=st.sampled_from(["adjacent", "strided"]),
)
def test_a_compact_layer_takes_over_the_arguments(
    untimed, kernel, stride, padding, use_bias, separable, factor, grouping
):
    layer = keras.layers.SeparableConv2D if separable else keras.layers.Conv2D
    inputs = keras.Input((12, 12, 8))
    outputs = layer(6, kernel, stride, padding, use_bias=use_bias, activation="tanh", name="x")(inputs)
    model = keras.Model(inputs, outputs)
    smaller, report = compactnet.compress(model, factor, "max", grouping=grouping, skip_first=False, min_channels=1)
    compact = smaller.get_layer("x")
    assert isinstance(compact, CompactConv2D)
    assert replaced(report) == ["x"]
    assert smaller.output_shape == model.output_shape
    assert (compact.compact_factor, compact.operation, compact.grouping) == (factor, "max", grouping)
    assert compact.use_bias == use_bias
    assert compact.activation is keras.activations.tanh
    assert compact.depthwise_activation is keras.activations.relu


def test_what_is_not_replaced_keeps_its_weights(compressed):
    model, smaller, _ = compressed
    assert not smaller.compiled
    for name in ("stem", "dense"):
        ours = next(layer for layer in smaller.layers if layer.name.startswith(name))
        theirs = next(layer for layer in model.layers if layer.name.startswith(name))
        for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_it_saves_loads_and_trains(compressed, tmp_path):
    _, smaller, _ = compressed
    x = samples()
    smaller.save(tmp_path / "smaller.keras")
    loaded = keras.models.load_model(tmp_path / "smaller.keras")
    np.testing.assert_allclose(values(loaded, x), values(smaller, x), rtol=1e-6)
    loaded.compile("adam", "sparse_categorical_crossentropy")
    before = loaded.get_layer("middle").pointwise.get_weights()[0]
    assert np.isfinite(loaded.train_on_batch(x, np.arange(4)))
    assert np.any(before != loaded.get_layer("middle").pointwise.get_weights()[0])


def test_a_mobile_chain_gets_an_interchannel_operation(untimed):
    depthwise = keras.layers.DepthwiseConv2D(3, name="depthwise")
    normalization, activation = keras.layers.BatchNormalization(), keras.layers.ReLU(6.0)
    pointwise = keras.layers.Conv2D(32, 1, activation="relu6", name="pointwise")
    model = small(between=[depthwise, normalization, activation, pointwise])
    smaller, report = compactnet.compress(model, 2, filters="pointwise")
    pooling = smaller.get_layer("pointwise_interchannel")
    assert isinstance(pooling, InterchannelPooling)
    assert smaller.get_layer("pointwise").kernel.shape == (1, 1, 32, 32)
    np.testing.assert_array_equal(smaller.get_layer("depthwise").get_weights()[0], depthwise.get_weights()[0])
    assert "was" in str(report)


def test_the_inner_activation_and_normalization_are_those_that_follow(untimed):
    between = [keras.layers.BatchNormalization(momentum=0.7, epsilon=0.01), keras.layers.ReLU(6.0)]
    smaller, _ = compactnet.compress(small(between=between))
    middle, last = smaller.get_layer("middle"), smaller.get_layer("last")
    assert middle.depthwise_activation is keras.activations.relu6
    assert (middle.momentum, middle.epsilon) == (0.7, 0.01)
    assert last.depthwise_activation is keras.activations.relu
    assert (last.momentum, last.epsilon) == (0.99, 0.001)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("midd", ["middle"]),
        (["^mid", "^la"], ["middle", "last"]),
        (("nothing",), []),
        (lambda layer: layer.name == "last", ["last"]),
    ],
    ids=["regex", "list", "tuple", "function"],
)
def test_filters_select_layers(untimed, filters, expected):
    _, report = compactnet.compress(small(), filters=filters)
    assert replaced(report) == expected
    assert {name for name, reason in reasons(report).items() if "filters" in reason} == {
        "stem",
        "middle",
        "last",
    } - set(expected)


def test_factors_override_the_compact_factor(untimed):
    smaller, report = compactnet.compress(small(), 2, factors={"middle": 8, "last": 1})
    assert smaller.get_layer("middle").compact_factor == 8
    assert reasons(report)["last"] == "its compact factor is 1"


def test_layers_that_stay_are_named_with_the_reason(untimed):
    inputs = keras.Input((16, 16, 3))
    stem = keras.layers.Conv2D(36, 3, 2, name="stem")(inputs)
    shared = keras.layers.Conv2D(36, 3, padding="same", name="shared")
    outputs = shared(shared(stem))
    outputs = keras.layers.Conv2D(36, 3, padding="same", groups=2, name="grouped")(outputs)
    outputs = GroupedConv2D(36, 3, groups=2, padding="same", name="subclass")(outputs)
    outputs = keras.layers.Conv2D(16, 3, padding="same", name="indivisible")(outputs)
    outputs = keras.layers.Conv2D(32, 3, padding="same", name="few")(outputs)
    outputs = keras.layers.Conv2D(32, 1, name="plain")(outputs)
    outputs = CompactConv2D(32, 3, padding="same", name="compact")(outputs)
    outputs = keras.layers.SeparableConv2D(32, 3, depth_multiplier=2, padding="same", name="multiplied")(outputs)
    outputs = keras.layers.Conv2D(32, 3, (1, 2), padding="same", name="uneven")(outputs)
    outputs = keras.layers.Conv2D(1, 3, padding="same", name="one_filter")(outputs)
    model = keras.Model(inputs, outputs)
    smaller, report = compactnet.compress(model, 8)
    assert not report.replaced
    found = reasons(report)
    for name, words in {
        "stem": "skip_first",
        "shared": "called 2 times",
        "grouped": "2 groups",
        "subclass": "GroupedConv2D",
        "indivisible": "C=8 does not divide its 36",
        "few": "fewer than 32",
        "plain": "does not directly follow",
        "compact": "compact already",
        "multiplied": "multiplier",
        "uneven": "strides",
        "one_filter": "multiply-accumulates",
    }.items():
        assert words in found[name], name
    x = samples()
    np.testing.assert_array_equal(values(smaller, x), values(model, x))
    assert "No convolution was replaced" in str(report)
    assert "copy of the original" in str(report)


def test_a_branch_after_a_depthwise_convolution_is_no_chain(untimed):
    inputs = keras.Input((8, 8, 32))
    outputs = keras.layers.DepthwiseConv2D(3, 2, padding="same")(inputs)
    gate = keras.layers.Conv2D(32, 1, activation="sigmoid", name="gate")(outputs)
    outputs = keras.layers.Conv2D(32, 1, name="project")(outputs * gate)
    _, report = compactnet.compress(keras.Model(inputs, outputs))
    assert set(reasons(report)) == {"gate", "project"}


def test_nested_models_are_opened(untimed):
    inner = small()
    inputs = keras.Input(SHAPE)
    outputs = keras.layers.Conv2D(3, 1, name="stem")(inputs)
    outputs = keras.Sequential([keras.Input(SHAPE), inner], name="outer")(outputs, training=False)
    model = keras.Model(inputs, outputs)
    same, _ = compactnet.compress(model, filters="nothing")
    x = samples()
    np.testing.assert_allclose(values(same, x), values(model, x), rtol=1e-6)
    smaller, report = compactnet.compress(model)
    assert replaced(report) == ["middle", "last"]
    assert isinstance(smaller.get_layer("middle"), CompactConv2D)
    names = [layer.name for layer in smaller.layers]
    assert "stem" in names
    assert f"{inner.name}{JOINT}stem" in names
    assert smaller.count_params() < model.count_params()


def test_a_normalization_that_was_adapted_stays_adapted(untimed):
    normalization = keras.layers.Normalization()
    normalization.adapt(3 + 2 * samples(8))
    model = keras.Sequential([keras.Input(SHAPE), normalization, keras.layers.Conv2D(4, 3)])
    same, _ = compactnet.compress(model)
    np.testing.assert_allclose(values(same, samples()), values(model, samples()), rtol=1e-6)


@keras.saving.register_keras_serializable("tests")
class Standardized(keras.layers.Layer):
    """A layer with a `Normalization` inside."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = keras.layers.Normalization(name="inner")

    def build(self, shape):
        self.inner.build(shape)
        super().build(shape)

    def call(self, inputs):
        return self.inner(inputs)


@pytest.mark.parametrize("kind", ["nested", "custom"])
def test_so_does_one_inside_another_layer(untimed, kind):
    inputs = keras.Input(SHAPE)
    if kind == "nested":
        adapted = keras.layers.Normalization()
        adapted.adapt(3 + 2 * samples(8))
        outer = keras.Sequential([keras.Input(SHAPE), adapted], name="scaling")
    else:
        outer = Standardized(name="scaling")
        outer.build((None, *SHAPE))
        outer.inner.adapt(3 + 2 * samples(8))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 3)(outer(inputs)))
    same, _ = compactnet.compress(model)
    np.testing.assert_allclose(values(same, samples()), values(model, samples()), rtol=1e-5, atol=1e-6)


@keras.saving.register_keras_serializable("tests")
class Nameless(keras.layers.Layer):
    """A layer whose config has no name."""

    def __init__(self, **settings):
        super().__init__(**settings)

    def build(self, shape):
        self.factors = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, inputs):
        return inputs * self.factors

    def get_config(self):
        return {}


def test_a_layer_whose_config_has_no_name_keeps_its_weights(untimed):
    inputs = keras.Input(SHAPE)
    layer = Nameless()
    model = keras.Model(inputs, keras.layers.Conv2D(4, 3)(layer(inputs)))
    layer.set_weights([np.array([1.0, 5.0, 9.0])])
    same, _ = compactnet.compress(model)
    np.testing.assert_allclose(values(same, samples()), values(model, samples()), rtol=1e-5, atol=1e-6)


def test_a_frozen_1x1_convolution_with_new_weights_is_trained(untimed):
    inputs = keras.Input((8, 8, 32))
    outputs = keras.layers.DepthwiseConv2D(3, trainable=False)(inputs)
    model = keras.Model(inputs, keras.layers.Conv2D(64, 1, trainable=False, name="x")(outputs))
    smaller, _ = compactnet.compress(model, skip_first=False)
    assert smaller.get_layer("x").trainable_weights
    assert len(smaller.trainable_weights) == 2
    warm, _ = compactnet.compress(model, skip_first=False, warm_start=True, calibration_data=samples(4, (8, 8, 32)))
    assert not warm.trainable_weights


def test_attention_does_not_stop_it(untimed):
    inputs = keras.Input(SHAPE)
    outputs = keras.layers.MaxPooling2D()(keras.layers.Conv2D(32, 3)(inputs))
    outputs = keras.layers.Reshape((-1, 32))(keras.layers.Conv2D(32, 3, name="x")(outputs))
    model = keras.Model(inputs, keras.layers.MultiHeadAttention(2, 4)(outputs, outputs))
    _, report = compactnet.compress(model)
    assert replaced(report) == ["x"]
    # Attention has no rule, so the sum of the others is no total.
    assert report.flops_before is None and "FLOPs" not in str(report)


def test_a_lambda_layer_is_refused_in_one_line(untimed):
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(inputs))
    with pytest.raises(InputError, match="cannot be copied") as error:
        compactnet.compress(model)
    assert "\n" not in str(error.value)


def test_several_inputs_and_outputs_are_kept_and_not_timed():
    first, second = keras.Input(SHAPE, name="first"), keras.Input(SHAPE, name="second")
    outputs = keras.layers.Conv2D(32, 3, 2, padding="same")(first + second)
    outputs = keras.layers.Conv2D(32, 3, name="x")(outputs)
    model = keras.Model({"first": first, "second": second}, [outputs, keras.layers.GlobalAveragePooling2D()(outputs)])
    smaller, report = compactnet.compress(model)
    assert replaced(report) == ["x"]
    assert "one input and one output" in str(report)
    one, other = smaller({"first": samples(2), "second": samples(2)})
    assert (one.shape, other.shape) == ((2, 6, 6, 32), (2, 32))
    with pytest.raises(InputError, match="first, second"):
        compactnet.compress(model, warm_start=True, calibration_data=samples())


def test_a_list_of_one_input_becomes_that_input():
    plain = small()
    model = keras.Model([plain.input], [plain.output])
    x = samples()
    smaller, report = compactnet.compress(model, calibration_data=(x, np.arange(4)))
    assert report.milliseconds_after > 0
    assert values(smaller, x).shape == (4, 4)


def test_mixed_precision_and_frozen_layers_stay_so(untimed):
    inputs = keras.Input((8, 8, 32))
    layer = keras.layers.Conv2D(32, 3, dtype="mixed_float16", trainable=False, name="x", kernel_regularizer="l2")
    smaller, _ = compactnet.compress(keras.Model(inputs, layer(inputs)), skip_first=False)
    compact = smaller.get_layer("x")
    assert compact.pointwise.dtype_policy.name == "mixed_float16"
    # Its weights are new, so they must be trained though the layer was frozen.
    assert compact.trainable_weights
    assert isinstance(compact.pointwise_regularizer, keras.regularizers.L2)
    assert isinstance(compact.depthwise_regularizer, keras.regularizers.L2)


def test_unknown_sizes_are_not_timed():
    inputs = keras.Input((None, None, 32))
    model = keras.Model(inputs, keras.layers.Conv2D(32, 3)(inputs))
    _, report = compactnet.compress(model, skip_first=False)
    assert report.milliseconds_before is None
    assert report.flops_before is None
    assert report.replaced[0].macs_before is None
    assert "leaves sizes open" in str(report)


def test_the_report_is_a_table(compressed):
    _, _, report = compressed
    assert isinstance(report, CompressionReport)
    lines = str(report).splitlines()
    table = [line for line in lines if "Conv2D" in line]
    assert len(table) == 2
    assert len({line.rindex("->") for line in table}) == 1
    assert "  stem: no pooling and no stride comes before it (skip_first, --include-first)" in lines
    assert report.milliseconds_before > 0
    assert report.milliseconds_after > 0
    assert lines[-1].startswith(f"{report.flops_before / report.flops_after:.2f}x fewer FLOPs, ")
    assert f"on {keras.config.backend()} (" in lines[-1]
    assert "ms, this machine, " in lines[-1]


def test_the_report_says_plainly_when_nothing_is_faster(compressed):
    from dataclasses import replace

    report = compressed[-1]
    slower = replace(report, times=replace(report.times, before=1.0, after=2.0))
    assert "NOT faster (0.50x as fast)" in str(slower).splitlines()[-1]
    faster = replace(report, times=replace(report.times, before=3.0, after=2.0))
    assert "1.50x as fast" in str(faster).splitlines()[-1]


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": Subclassed()}, "Subclassed"),
        ({"model": keras.Sequential([keras.layers.Conv2D(4, 3)])}, "no input shape yet"),
        ({"compact_factor": 0}, "compact_factor"),
        ({"compact_factor": 2.0}, "compact_factor"),
        ({"operation": "min"}, "operation"),
        ({"grouping": "other"}, "grouping"),
        ({"min_channels": 0}, "min_channels"),
        ({"filters": 3}, "filters"),
        ({"filters": ["a", 3]}, "filters"),
        ({"factors": {"midle": 4}}, "Did you mean 'middle'"),
        ({"factors": {"middle": 0}}, "factors"),
        ({"factors": [4]}, "dictionary"),
        ({"warm_start": True}, "calibration_data"),
        ({"calibration_data": samples(shape=(8, 8, 3))}, "(None, 16, 16, 3)"),
        ({"calibration_data": [[1.0]]}, "array"),
        ({"calibration_data": (samples(), np.zeros((4, 4)))}, "integers"),
        ({"calibration_data": (samples(), np.zeros(3, int))}, "(4,)"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(arguments, words):
    arguments = {"model": small(), **arguments}
    with pytest.raises(InputError) as error:
        compactnet.compress(**arguments)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_the_global_data_format_does_not_matter(untimed):
    inputs = keras.Input((16, 16, 32))
    outputs = keras.layers.Conv2D(64, 3, name="standard")(inputs)
    outputs = keras.layers.DepthwiseConv2D(3)(outputs)
    model = keras.Model(inputs, keras.layers.Conv2D(64, 1, name="pointwise")(outputs))
    keras.config.set_image_data_format("channels_first")
    try:
        smaller, report = compactnet.compress(model, skip_first=False)
    finally:
        keras.config.set_image_data_format("channels_last")
    assert replaced(report) == ["standard", "pointwise"]
    assert smaller.output_shape == model.output_shape


@pytest.mark.parametrize("kind", [object, str])
def test_calibration_data_that_are_no_numbers_are_refused(kind):
    data = np.zeros((2, *SHAPE)).astype(kind)
    with pytest.raises(InputError, match="must be an array of numbers"):
        compactnet.compress(small(), warm_start=True, calibration_data=data)


def test_an_accuracy_of_no_or_other_samples_is_refused(untimed):
    model = small()
    _, report = compactnet.compress(model)
    with pytest.raises(InputError, match="no samples"):
        report.fine_tuned(model, samples(0), np.zeros(0, int))
    with pytest.raises(InputError, match=r"`x` must be the one input of the model"):
        report.fine_tuned(model, samples(2)[..., :1], np.zeros(2, int))


def test_channels_first_is_refused():
    inputs = keras.Input((3, 8, 8))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 3, data_format="channels_first")(inputs))
    with pytest.raises(InputError, match="channels_first"):
        compactnet.compress(model)


def test_a_layer_that_two_nested_models_share_is_refused(untimed):
    shared = keras.layers.Conv2D(32, 3, padding="same", name="shared")

    def nested(name):
        inputs = keras.Input((16, 16, 32))
        return keras.Model(inputs, shared(inputs), name=name)

    inputs = keras.Input((16, 16, 32))
    model = keras.Model(inputs, nested("right")(nested("left")(inputs)))
    with pytest.raises(InputError, match="two models inside it share a layer"):
        compactnet.compress(model)


def test_a_nested_model_that_is_called_twice_keeps_the_names_of_its_layers(untimed):
    inner = keras.Input((16, 16, 32))
    nested = keras.Model(inner, keras.layers.Conv2D(32, 3, padding="same", name="conv")(inner), name="nested")
    inputs = keras.Input((16, 16, 32))
    smaller, report = compactnet.compress(keras.Model(inputs, nested(nested(inputs))))
    assert reasons(report) == {"conv": "it is called 2 times"}
    assert smaller.get_layer("conv").count_params() == nested.count_params()


def test_a_convolution_called_by_keyword_is_replaced(untimed):
    inputs = keras.Input(SHAPE)
    outputs = keras.layers.MaxPooling2D()(keras.layers.Conv2D(64, 3)(inputs))
    outputs = keras.layers.DepthwiseConv2D(3, name="depthwise")(outputs)
    outputs = keras.layers.Conv2D(64, 1, name="pointwise")(inputs=outputs)
    _, report = compactnet.compress(keras.Model(inputs, outputs))
    assert replaced(report) == ["pointwise"]


def test_lora_weights_stay(untimed):
    model = small()
    model.get_layer("middle").enable_lora(4)
    _, report = compactnet.compress(model, warm_start=True, calibration_data=samples())
    assert reasons(report)["middle"] == "it has LoRA weights"


@pytest.mark.usefixtures("untimed")
def test_the_report_has_the_accuracy_of_each_model():
    model, x = small(), samples(32)
    # Without it, a network with random weights finds one class in all images, and so does the smaller one.
    model.layers[-1].bias.assign(-np.log(values(model, x)).mean(0))
    labels = values(model, x).argmax(-1)
    labels[:8] = (labels[:8] + 1) % 4
    smaller, report = compactnet.compress(model, calibration_data=(x, labels))
    right = np.mean(values(smaller, x).argmax(-1) == labels)
    assert right != 0.75
    assert (report.accuracy_before, report.accuracy_after) == (0.75, right)


@pytest.mark.usefixtures("untimed")
def test_dilation_is_taken_over():
    inputs = keras.Input((12, 12, 32))
    model = keras.Model(inputs, keras.layers.Conv2D(32, 3, dilation_rate=2, padding="same", name="x")(inputs))
    assert compactnet.compress(model, skip_first=False)[0].get_layer("x").dilation_rate == (2, 2)
