import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compactnet.deploy import FORMS, fold
from compactnet.deploy.folding import candidate_forms, random_samples
from compactnet.errors import InputError
from compactnet.layers import CompactConv2D, InterchannelPooling, SlimConv2D
from compactnet.networks import build
from compactnet.networks.graph import flatten
from tests.deploy.networks import FOLDED, features_of, small, with_statistics

TYPES = {"reduce": "InterchannelPooling", "slices": "SlicedInterchannelPooling", "pooling": "PooledInterchannelPooling"}


def outputs_of(model, samples):
    return keras.ops.convert_to_numpy(model(samples, training=False))


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("operation", ["sum", "max", "average", "first"])
@pytest.mark.parametrize("grouping", ["strided", "adjacent"])
def test_every_form_gives_the_same_outputs(form, operation, grouping):
    model = features_of(small(operation, grouping))
    before = [weight.copy() for weight in model.get_weights()]
    folded = fold(model, interchannel=form)
    samples = np.random.default_rng(1).normal(size=(3, 12, 12, 3)).astype("float32")
    np.testing.assert_allclose(outputs_of(folded, samples), outputs_of(model, samples), rtol=1e-4, atol=1e-5)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not {"BatchNormalization", "Dropout", "CompactConv2D"} & set(kinds(folded))
    strided = [layer for layer in folded.layers if isinstance(layer, InterchannelPooling)]
    assert all(layer.grouping == "strided" for layer in strided)


@pytest.mark.parametrize(("form", "kind"), TYPES.items())
def test_a_form_is_the_layer_that_it_names(form, kind):
    assert kinds(fold(small(), interchannel=form)).count(kind) == 2


def test_branches_have_no_slices_and_tied_has_no_operation():
    branches, tied = (fold(small(), interchannel=form) for form in ("branches", "tied"))
    assert not any("Interchannel" in kind for kind in kinds(branches) + kinds(tied))
    assert kinds(branches).count("Add") == 2
    stems = [layer for layer in branches.layers if layer.name.startswith("stem-part")]
    assert [layer.filters for layer in stems if isinstance(layer, keras.layers.Conv2D)] == [4] * 4
    pointwise = [layer for layer in tied.layers if layer.name == "compact1-pointwise"]
    assert pointwise[0].kernel.shape == (1, 1, 16, 32)


@given(
    factor=st.sampled_from([1, 2, 4, 8]),
    operation=st.sampled_from(["sum", "max", "average", "first"]),
    grouping=st.sampled_from(["strided", "adjacent"]),
    form=st.sampled_from(sorted(FORMS)),
    strides=st.sampled_from([1, 2]),
    activation=st.sampled_from(["relu", None]),
    use_bias=st.booleans(),
)
@settings(max_examples=12)
def test_any_compact_convolution_folds(factor, operation, grouping, form, strides, activation, use_bias):
    inputs = keras.Input((9, 7, 3))
    outputs = keras.layers.Conv2D(16, 1)(inputs)
    outputs = CompactConv2D(
        6,
        3,
        factor,
        operation,
        strides,
        "same",
        grouping=grouping,
        depthwise_activation=activation,
        use_bias=use_bias,
    )(outputs)
    fold(with_statistics(keras.Model(inputs, outputs)), interchannel=form)


def test_auto_takes_one_of_the_forms_that_can_stand():
    model = small("max")
    assert candidate_forms(model) == ["reduce", "slices", "pooling", "branches"]
    folded = fold(model)
    assert "BatchNormalization" not in kinds(folded)


def test_channels_that_two_layers_use_stay_in_order():
    inputs = keras.Input((8, 8, 3))
    first = keras.layers.Conv2D(8, 1, name="first")(inputs)
    compact = CompactConv2D(8, 3, 2, padding="same", grouping="adjacent", name="compact")(first)
    model = with_statistics(keras.Model(inputs, keras.layers.Add()([first, compact])))
    for form in FORMS:
        folded = fold(model, interchannel=form)
        (pooling,) = [layer for layer in folded.layers if isinstance(layer, InterchannelPooling)]
        assert pooling.grouping == "adjacent"


def test_a_layer_called_twice_is_folded_once():
    inputs = keras.Input((8, 8, 16))
    model = with_statistics(keras.Model(inputs, SlimConv2D(3, 2, padding="same")(inputs)))
    folded = fold(model, interchannel="slices")
    assert len([layer for layer in folded.layers if isinstance(layer, InterchannelPooling)]) == len(
        [layer for layer in flatten(model).layers if isinstance(layer, InterchannelPooling)]
    )


def test_layers_with_automatic_names_split(tmp_path):
    keras.backend.clear_session()
    inputs = keras.Input((8, 8, 3))
    outputs = inputs
    for _ in range(3):
        outputs = keras.layers.ReLU()(
            keras.layers.BatchNormalization()(keras.layers.Conv2D(8, 3, padding="same")(outputs))
        )
        outputs = CompactConv2D(8, 3, 2, padding="same")(outputs)
    fold(with_statistics(keras.Model(inputs, outputs)), interchannel="branches")


def test_a_tensor_that_is_an_output_keeps_its_channels():
    inputs = keras.Input((8, 8, 3))
    first = keras.layers.Conv2D(8, 3, name="first")(inputs)
    pooled = InterchannelPooling(2)(first)
    model = keras.Model(inputs, [first, keras.layers.Conv2D(2, 1)(pooled)])
    for form in FORMS:
        fold(model, interchannel=form)
    fold(model)


def test_a_sequential_model_is_folded():
    layers = [keras.layers.Conv2D(8, 3), keras.layers.BatchNormalization(), keras.layers.ReLU()]
    model = keras.Sequential([keras.Input((12, 12, 3)), *layers])
    layers[1].set_weights([weight + 0.5 for weight in layers[1].get_weights()])
    folded = fold(model)
    assert "BatchNormalization" not in kinds(folded)
    samples = np.random.default_rng(1).normal(size=(3, 12, 12, 3)).astype("float32")
    np.testing.assert_allclose(outputs_of(folded, samples), outputs_of(model, samples), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_the_global_data_format_does_not_matter(form):
    model = small(grouping="adjacent")
    samples = np.random.default_rng(1).normal(size=(3, 12, 12, 3)).astype("float32")
    keras.config.set_image_data_format("channels_first")
    try:
        folded = fold(model, interchannel=form)
        np.testing.assert_allclose(outputs_of(folded, samples), outputs_of(model, samples), rtol=1e-4, atol=1e-5)
    finally:
        keras.config.set_image_data_format("channels_last")


def test_mixed_precision_is_folded_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = small()
    finally:
        keras.config.set_dtype_policy("float32")
    folded = fold(model, interchannel="branches")
    assert {layer.dtype_policy.compute_dtype for layer in folded.layers} == {"float32"}
    samples = np.random.default_rng(1).normal(size=(3, 12, 12, 3)).astype("float32")
    np.testing.assert_allclose(outputs_of(folded, samples), outputs_of(model, samples), atol=1e-2)


def test_nested_models_operations_and_statistics_are_folded_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        adapted = keras.layers.Normalization()
        adapted.adapt(3 + np.random.default_rng(0).normal(size=(64, 12, 12, 3)).astype("float32"))
        inputs = keras.Input((12, 12, 3))
        outputs = keras.Sequential([keras.Input((12, 12, 3)), keras.layers.Conv2D(8, 3)])(adapted(inputs))
        model = keras.Model(inputs, keras.ops.relu(outputs + 1.0))
    finally:
        keras.config.set_dtype_policy("float32")
    folded = fold(model)
    assert {layer.dtype_policy.compute_dtype for layer in folded.layers} == {"float32"}
    samples = 3 + np.random.default_rng(1).normal(size=(3, 12, 12, 3)).astype("float32")
    np.testing.assert_allclose(outputs_of(folded, samples), outputs_of(model, samples), atol=2e-2)


class Halving(keras.layers.BatchNormalization):
    """A normalization of another kind."""

    def call(self, inputs, training=None):
        return super().call(inputs, training=training) / 2


def test_a_subclass_of_batch_normalization_is_not_folded():
    inputs = keras.Input((6, 6, 4))
    model = keras.Model(inputs, Halving()(keras.layers.Conv2D(4, 3)(inputs)))
    assert "Halving" in kinds(fold(model))


class Scaled(keras.layers.Conv2D):
    """A convolution with a scalar weight."""

    def build(self, shape):
        super().build(shape)
        self.factor = self.add_weight(shape=(), initializer="ones")

    def call(self, inputs):
        return super().call(inputs) * self.factor


def test_channels_of_a_subclass_of_a_convolution_stay_in_order():
    inputs = keras.Input((6, 6, 4))
    outputs = InterchannelPooling(2, "max", "adjacent")(Scaled(8, 3)(inputs))
    folded = fold(keras.Model(inputs, outputs))
    assert [layer.grouping for layer in folded.layers if isinstance(layer, InterchannelPooling)] == ["adjacent"]


def test_an_output_that_is_no_number_is_an_error():
    inputs = keras.Input((6, 6, 4))
    good = keras.layers.Conv2D(4, 3)(inputs)
    model = keras.Model(inputs, [good, keras.ops.log(-keras.ops.abs(inputs) - 1.0)])
    with pytest.raises(InputError, match="differs by nan"):
        fold(model)


def test_several_inputs_and_outputs_and_operations_stay():
    one, two = keras.Input((6, 6, 4), name="one"), keras.Input((6, 6, 4), name="two")
    joined = keras.ops.concatenate([one, two * 2.0], axis=-1)
    joined = keras.layers.BatchNormalization()(keras.layers.Conv2D(8, 3)(joined))
    model = with_statistics(keras.Model({"one": one, "two": two}, [joined, keras.ops.mean(joined, axis=(1, 2))]))
    folded = fold(model)
    samples = {name: np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype("float32") for name in ("one", "two")}
    for expected, found in zip(model(samples), folded(samples), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_normalization_that_follows_no_convolution_stays():
    inputs = keras.Input((6, 6, 4))
    convolved = keras.layers.Conv2D(4, 3, activation="relu")(keras.layers.BatchNormalization()(inputs))
    model = with_statistics(keras.Model(inputs, keras.layers.BatchNormalization()(convolved)))
    assert kinds(fold(model)).count("BatchNormalization") == 2


def test_saved_and_loaded_a_folded_network_is_the_same(tmp_path):
    folded = fold(small(), interchannel="pooling")
    folded.save(tmp_path / "folded.keras")
    loaded = keras.models.load_model(tmp_path / "folded.keras")
    samples = np.random.default_rng(1).normal(size=(3, 12, 12, 3)).astype("float32")
    np.testing.assert_allclose(outputs_of(loaded, samples), outputs_of(folded, samples), rtol=1e-6)


@pytest.mark.parametrize("name", ["xvgg8", "compact_vgg_max_c8", "compact_mobilenet_average_c4", "shufflenet_v2_050"])
def test_networks_of_the_catalogue_fold(name):
    size = 80 if "vgg" in name else 32
    fold(features_of(with_statistics(build(name, (size, size, 3)))), interchannel="slices")


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("values", [(0.5, 4.0), ([0.1, 0.2, 0.3], [1.0, 2.0, 3.0])])
def test_a_normalization_becomes_constants(values, invert):
    inputs = keras.Input((4, 4, 3))
    axis = None if isinstance(values[0], float) else -1
    outputs = keras.layers.Normalization(axis, *values, invert=invert, name="statistics")(inputs)
    folded = fold(keras.Model(inputs, outputs))
    assert isinstance(folded.get_layer("statistics"), keras.layers.Rescaling)


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDED)
def test_networks_of_every_skeleton_fold_in_every_form(name):
    size = 80 if "vgg" in name else 48
    model = features_of(with_statistics(build(name, (size, size, 3))))
    for form in [*candidate_forms(model), "tied"]:
        fold(model, interchannel=form)


def test_a_difference_is_an_error():
    with pytest.raises(InputError, match=r"differs by .* more than tolerance=0"):
        fold(features_of(small()), interchannel="tied", tolerance=0)


def test_bad_input():
    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(InputError, match="must be a functional"):
        fold(Subclassed())
    with pytest.raises(InputError, match="`interchannel` must be one of 'auto', 'reduce'"):
        fold(small(), interchannel="fast")
    with pytest.raises(InputError, match=r"`tolerance` must be a number of at least 0\. Received: tolerance=None"):
        fold(small(), tolerance=None)


def check_same(model, form="slices", shape=(12, 12, 3)):
    samples = np.random.default_rng(1).normal(size=(2, *shape)).astype("float32")
    np.testing.assert_allclose(
        outputs_of(fold(model, interchannel=form), samples), outputs_of(model, samples), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("axis", [-1, (1, 2, 3), 1, None])
def test_a_normalization_of_any_axis_becomes_constants_also_if_it_is_shared(axis):
    normalization = keras.layers.Normalization(axis=axis)
    normalization.adapt(np.random.default_rng(0).normal(3, 2, (20, 12, 12, 3)).astype("float32"))
    inputs = keras.Input((12, 12, 3))
    outputs = keras.layers.Add()([normalization(inputs), normalization(keras.layers.ReLU()(inputs))])
    model = keras.Model(inputs, keras.layers.Conv2D(2, 3)(outputs))
    check_same(model)
    assert kinds(fold(model)).count("Rescaling") == 1
    assert "Normalization" not in kinds(fold(model))


class Standardized(keras.layers.Conv2D):
    """A convolution whose kernel has the norm 1, whatever its scale."""

    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, kernel / keras.ops.sqrt(keras.ops.sum(kernel**2)))


@pytest.mark.parametrize("form", ["slices", "reduce", "pooling", "auto"])
def test_the_kernel_of_a_subclass_is_not_scaled(form):
    inputs = keras.Input((12, 12, 3))
    outputs = InterchannelPooling(2, "average")(keras.layers.Conv2D(8, 3)(inputs))
    check_same(keras.Model(inputs, Standardized(4, 1)(outputs)), form)


def test_lora_weights_are_not_reordered():
    convolution, follower = keras.layers.Conv2D(8, 3), keras.layers.Conv2D(4, 1)
    inputs = keras.Input((12, 12, 3))
    model = keras.Model(inputs, follower(InterchannelPooling(2, "average", "adjacent")(convolution(inputs))))
    for layer in (convolution, follower):
        layer.enable_lora(2)
        layer.lora_kernel_b.assign(np.random.default_rng(0).normal(size=layer.lora_kernel_b.shape))
    check_same(model)


def test_dropout_that_is_told_to_drop_stays():
    inputs = keras.Input((12, 12, 3))
    model = keras.Model(inputs, keras.layers.Dropout(0.5)(keras.layers.Conv2D(2, 3)(inputs), training=True))
    assert "Dropout" in kinds(fold(model, tolerance=10))


def test_inputs_of_integers_are_tried_with_integers():
    pixels = keras.Input((12, 12, 3), dtype="uint8")
    model = keras.Model(pixels, keras.layers.Conv2D(2, 3)(keras.layers.Rescaling(1 / 255)(pixels)))
    (samples,) = random_samples(model, 2)
    assert set(np.unique(samples)) <= set(range(256))
    assert len(np.unique(samples)) > 100
    indices = keras.Input((4,), dtype="int32")
    model = keras.Model(indices, keras.layers.Dense(2)(keras.layers.Flatten()(keras.layers.Embedding(2, 3)(indices))))
    assert set(np.unique(random_samples(model, 2)[0])) <= {0, 1}
    fold(model)


def test_a_quantized_model_of_mixed_precision_is_refused():
    inputs = keras.Input((12, 12, 3))
    outputs = keras.layers.Flatten()(keras.layers.Conv2D(2, 3, dtype="mixed_bfloat16")(inputs))
    dense = keras.layers.Dense(4, dtype="mixed_bfloat16", name="dense")
    model = keras.Model(inputs, dense(outputs))
    dense.quantize("int8")
    with pytest.raises(InputError, match=r"'dense' is quantized in a model of mixed precision"):
        fold(model)
