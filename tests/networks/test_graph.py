import keras
import numpy as np
import pytest

from compactnet.errors import InputError
from compactnet.layers import CompactConv2D
from compactnet.networks import VGG8, Compact, MobileNetV1, NetworkSpec, ResNet50, Separable, build
from compactnet.networks.graph import JOINT, flatten, nodes

PARTS = ["depthwise", "normalization", "depthwise_activation", "interchannel", "pointwise"]


class Residual(keras.layers.Layer):
    """A user's composite layer around a compact convolution, itself composite."""

    def __init__(self, filters, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.convolution = CompactConv2D(filters, 3, padding="same", name="convolution")
        self.relu = keras.layers.ReLU(name="relu")

    def build(self, input_shape):
        self.convolution.build(input_shape)

    def call(self, inputs, training=None):
        return inputs + self.relu(self.convolution(inputs, training=training))

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


class WithoutBuild(Residual):
    """The same, with the default build() of Keras, which runs call()."""

    build = keras.layers.Layer.build


class BuiltLate(keras.layers.Layer):
    """A composite layer that makes its sublayer in build()."""

    def build(self, input_shape):
        self.dense = keras.layers.Dense(4, name="dense")
        self.dense.build(input_shape)

    def call(self, inputs):
        return self.dense(inputs)


class WithItsOwnWeight(keras.layers.Layer):
    """A composite layer that has a weight besides those of its sublayer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(4, name="dense")

    def build(self, input_shape):
        self.dense.build(input_shape)
        self.scale = self.add_weight(shape=(4,), name="scale")

    def call(self, inputs):
        return self.dense(inputs) * self.scale


class CalledInAnotherOrder(keras.layers.Layer):
    """A composite layer whose sublayers of one shape are made in another order than they are called in."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.second = keras.layers.Dense(4, name="second")
        self.first = keras.layers.Dense(4, activation="relu", name="first")

    def build(self, input_shape):
        self.second.build(input_shape)
        self.first.build(input_shape)

    def call(self, inputs):
        return self.second(self.first(inputs))


class ReadsValues(keras.layers.Layer):
    """A composite layer whose call() needs numbers, which a symbolic tensor does not have."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(4)

    def build(self, input_shape):
        self.dense.build(input_shape)

    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, inputs):
        return self.dense(inputs) if keras.ops.max(inputs) > 0 else inputs


class RaisesWithoutMessage(ReadsValues):
    def call(self, inputs):
        raise ValueError


class WithoutConfig(Residual):
    """A composite layer that cannot be copied: it takes a function and has no get_config()."""

    def __init__(self, function, **kwargs):
        super().__init__(4, **kwargs)
        self.function = function

    get_config = keras.layers.Layer.get_config


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def around(layer, shape=(6, 6, 4)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, layer(inputs))


def randomize(model, seed=0):
    source = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(source.uniform(0.2, 1.0, weight.shape) / np.sqrt(max(1, weight.shape[0])))


def samples_for(model):
    return np.random.default_rng(1).normal(size=(2, *model.input_shape[1:])).astype("float32")


def innermost(layer, name=None):
    """Yield (name in the flat model, layer) for each layer inside `layer` that holds no other."""
    for part in layer._layers:
        path = part.name if name is None else f"{name}{JOINT}{part.name}"
        if part._layers:
            yield from innermost(part, path)
        else:
            yield path, part


def assert_computes_the_same(flat, model, **arguments):
    # By name: a flat model lists its weights in the order of its graph, which need not be that of the model.
    randomize(model)
    given = dict(innermost(model))
    assert {name for name, layer in given.items() if layer.weights} == {
        layer.name for layer in flat.layers if layer.weights
    }
    for layer in flat.layers:
        if layer.weights:
            layer.set_weights(given[layer.name].get_weights())
    samples = samples_for(model)
    np.testing.assert_allclose(
        array(flat(samples, **arguments)), array(model(samples, **arguments)), rtol=1e-4, atol=1e-4
    )


def names(model):
    return [operation.name for operation in model.operations]


def composites(flat):
    return [
        operation.name
        for operation in flat.operations
        if isinstance(operation, keras.layers.Layer) and list(operation._flatten_layers(include_self=False))
    ]


def nested_model():
    """Functional and Sequential models in one another, a shared layer, shared models, an operation, a composite."""
    inputs = keras.Input((6, 6, 4))
    inner = keras.Model(inputs, CompactConv2D(4, 3, padding="same")(keras.layers.Dense(4)(inputs)), name="inner")
    sequence = keras.Sequential([keras.Input((6, 6, 4)), inner, keras.layers.ReLU(name="relu")], name="sequence")
    shared = keras.layers.Conv2D(4, 1, name="shared")
    samples = keras.Input((6, 6, 4), name="samples")
    outputs = shared(sequence(samples)) + 1
    outputs = Residual(4, name="residual")(outputs)
    outputs = keras.layers.Add(name="total")([shared(outputs), sequence(outputs)])
    return keras.Model(samples, outputs, name="nested")


def test_a_compact_convolution_is_opened_part_by_part():
    flat = flatten(around(CompactConv2D(4, 3, name="compact")))
    assert names(flat)[1:] == [f"compact{JOINT}{part}" for part in PARTS]


@pytest.mark.parametrize(
    "spec",
    [
        NetworkSpec(
            title="test",
            skeleton=VGG8(width=0.125, padding="same"),
            convolution=Compact(compact_factor=4, operation="max"),
        ),
        NetworkSpec(title="test", skeleton=ResNet50(width=0.125), convolution=Compact(compact_factor=4)),
        NetworkSpec(
            title="test", skeleton=MobileNetV1(width=0.125), convolution=Compact(compact_factor=4, operation="average")
        ),
        NetworkSpec(title="test", skeleton=VGG8(width=0.125, padding="same"), convolution=Separable()),
    ],
    ids=lambda spec: f"{spec.skeleton.kind}-{spec.convolution.kind}",
)
def test_a_flat_network_holds_no_composite_and_computes_the_same(spec):
    model = build(spec, (32, 32, 2))
    flat = flatten(model)
    assert composites(flat) == []
    assert flat.count_params() == model.count_params()
    assert_computes_the_same(flat, model)


@pytest.mark.parametrize("training", [False, True])
def test_a_flat_nested_model_holds_no_composite_and_computes_the_same(training):
    model = nested_model()
    flat = flatten(model)
    assert composites(flat) == []
    assert flat.count_params() == model.count_params()
    assert_computes_the_same(flat, model, training=training)


def test_a_shared_layer_stays_one_layer_with_two_calls():
    flat = flatten(nested_model())
    called = [operation.name for operation, _, _ in nodes(flat)]
    assert called.count("shared") == 2
    assert sum(name.endswith("pointwise") for name in called) == 3
    assert names(flat).count("shared") == 1


def test_the_model_given_is_left_as_it_was():
    model = nested_model()
    randomize(model)
    weights, config = model.get_weights(), model.get_config()
    before = [layer.name for layer in model._flatten_layers()]
    expected = array(model(samples_for(model)))

    flatten(model)

    assert [layer.name for layer in model._flatten_layers()] == before
    assert model.get_config() == config
    assert [part.name for part in model.get_layer("residual").convolution._parts] == PARTS
    for was, now in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(now, was)
    np.testing.assert_array_equal(array(model(samples_for(model))), expected)
    features = keras.Model(model.input, model.get_layer("residual").output)
    assert features(samples_for(model)).shape == (2, 6, 6, 4)
    assert model.get_layer("sequence").layers[0].output.shape == (None, 6, 6, 4)


def test_a_flat_model_can_be_flattened_again():
    flat = flatten(around(CompactConv2D(4, 3, name="compact")))
    assert names(flatten(flat))[1:] == names(flat)[1:]


def test_two_composites_of_one_class_do_not_clash():
    inputs = keras.Input((6, 6, 4))
    outputs = CompactConv2D(4, 3, name="second")(CompactConv2D(4, 3, name="first")(inputs))
    flat = flatten(keras.Model(inputs, outputs))
    assert names(flat)[1:] == [f"{name}{JOINT}{part}" for name in ("first", "second") for part in PARTS]


def test_several_inputs_and_outputs_keep_their_structure():
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    dense = keras.layers.Dense(4, name="dense")
    model = keras.Model(
        {"left": left, "right": right}, {"sum": dense(left) + right, "both": keras.layers.Concatenate()([left, right])}
    )
    flat = flatten(model)
    flat.set_weights(model.get_weights())
    samples = {"left": np.ones((2, 4), "float32"), "right": np.full((2, 4), 2, "float32")}
    outputs, expected = flat(samples), model(samples)
    assert set(outputs) == {"sum", "both"}
    for name in outputs:
        np.testing.assert_array_equal(array(outputs[name]), array(expected[name]))


def test_parts_keep_the_precision_of_their_composite():
    flat = flatten(around(CompactConv2D(4, 3, dtype="mixed_float16", name="compact")))
    assert {flat.get_layer(f"compact{JOINT}{part}").compute_dtype for part in PARTS} == {"float16"}
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in flat.weights} == {"float32"}


def test_nodes_come_in_an_order_in_which_they_can_be_computed():
    flat = flatten(nested_model())
    known = {id(tensor) for tensor in flat.inputs}
    for operation, inputs, outputs in nodes(flat):
        assert all(id(tensor) in known for tensor in inputs), operation.name
        known |= {id(tensor) for tensor in outputs}
    assert all(id(tensor) in known for tensor in flat.outputs)


def test_parts_called_in_another_order_than_they_were_made_are_told_apart_by_their_names():
    model = around(CalledInAnotherOrder(name="both"))
    flat = flatten(model)
    assert names(flat)[1:] == [f"both{JOINT}first", f"both{JOINT}second"]
    assert_computes_the_same(flat, model)


def test_a_sequential_model_is_opened():
    layers = [keras.Input((6, 6, 4)), CompactConv2D(4, 3, name="compact"), keras.layers.ReLU(name="relu")]
    flat = flatten(keras.Sequential(layers))
    assert names(flat)[1:] == [*(f"compact{JOINT}{part}" for part in PARTS), "relu"]


def test_a_flat_sequential_model_is_called_as_the_model_is():
    model = keras.Sequential([keras.Input((6, 6, 4)), CompactConv2D(4, 3), keras.layers.ReLU()])
    assert_computes_the_same(flatten(model), model)


def test_a_composite_without_a_build_method_is_opened():
    model = around(WithoutBuild(4))
    flat = flatten(model)
    assert composites(flat) == []
    assert_computes_the_same(flat, model)


def test_a_composite_that_makes_its_sublayers_in_build_is_opened(monkeypatch):
    passes, clone_model = [], keras.models.clone_model

    def counted(*args, **kwargs):
        passes.append(1)
        assert len(passes) < 10
        return clone_model(*args, **kwargs)

    monkeypatch.setattr(keras.models, "clone_model", counted)
    model = around(BuiltLate())
    flat = flatten(model)
    assert composites(flat) == []
    assert_computes_the_same(flat, model)


def test_a_composite_called_by_keyword_is_opened():
    inputs = keras.Input((6, 6, 4))
    model = keras.Model(inputs, CompactConv2D(4, 3)(inputs=inputs))
    assert_computes_the_same(flatten(model), model)


def test_a_composite_with_weights_of_its_own_stays_closed_so_that_none_is_lost():
    model = around(WithItsOwnWeight(name="scaled"))
    flat = flatten(model)
    assert names(flat)[1:] == ["scaled"]
    assert flat.count_params() == model.count_params()


@pytest.mark.parametrize(
    "layer",
    [keras.layers.TimeDistributed(keras.layers.Dense(3)), keras.layers.SpectralNormalization(keras.layers.Dense(3))],
    ids=lambda layer: type(layer).__name__,
)
def test_no_wrapper_loses_a_weight(layer):
    model = around(layer, (5, 4))
    assert flatten(model).count_params() == model.count_params()


@pytest.mark.parametrize(("length", "stays_closed"), [(5, True), (None, False)])
def test_attention_stays_closed_where_it_would_lose_a_known_size(length, stays_closed):
    inputs = keras.Input((length, 4))
    model = keras.Model(inputs, keras.layers.MultiHeadAttention(2, 3, name="attention")(inputs, inputs))
    flat = flatten(model)
    assert flat.count_params() == model.count_params()
    assert composites(flat) == ["attention"] * stays_closed


def test_a_wrapper_that_moves_the_batch_axis_stays_closed():
    model = around(keras.layers.TimeDistributed(CompactConv2D(6, 3), name="each"), (2, 6, 6, 4))
    flat = flatten(model, copy_weights=True)
    assert names(flat)[1:] == ["each"]
    samples = samples_for(model)
    np.testing.assert_allclose(array(flat(samples)), array(model(samples)), rtol=1e-5, atol=1e-6)


def test_a_model_of_open_sizes_is_opened_though_its_outputs_have_none():
    inner = [keras.Input((None, None, 4)), CompactConv2D(4, 3), keras.layers.GlobalAveragePooling2D()]
    flat = flatten(around(keras.Sequential(inner), (None, None, 4)))
    assert composites(flat) == []


@pytest.mark.parametrize("layer", [ReadsValues(), RaisesWithoutMessage()], ids=lambda layer: type(layer).__name__)
def test_a_composite_whose_call_cannot_take_symbolic_tensors_stays_closed(layer):
    model = around(layer)
    assert names(flatten(model))[1:] == [layer.name]


def test_a_recurrent_layer_stays_closed():
    model = around(keras.layers.LSTM(3, name="memory"), (5, 4))
    assert names(flatten(model))[1:] == ["memory"]


def refusal(model):
    with pytest.raises(InputError) as caught:
        flatten(model)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_an_unbuilt_sequential_model_is_refused():
    message = refusal(keras.Sequential([keras.layers.Dense(2)]))
    assert "no input shape" in message
    assert "keras.Input" in message


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(2)

    def call(self, inputs):
        return self.dense(inputs)


@pytest.mark.parametrize("other", [Subclassed(), keras.layers.Dense(2), None], ids=lambda other: type(other).__name__)
def test_a_model_that_is_not_functional_is_refused(other):
    message = refusal(other)
    assert f"Received: {type(other).__name__}" in message
    assert "functional" in message


def test_a_layer_that_two_nested_models_share_is_refused():
    shared, inputs = keras.layers.Dense(4, name="shared"), keras.Input((4,))
    left = keras.Model(inputs, shared(inputs), name="left")
    right = keras.Model(inputs, keras.ops.relu(shared(inputs)), name="right")
    message = refusal(keras.Model(inputs, left(inputs) + right(inputs), name="both"))
    assert "'both' would have 40 parameters instead of 20" in message
    assert "share a layer" in message


def test_a_model_that_cannot_be_copied_is_refused():
    assert "cannot be copied" in refusal(around(WithoutConfig(lambda inputs: inputs)))
    assert "cannot be copied" in refusal(around(keras.layers.Lambda(lambda inputs: 2 * inputs)))


def test_a_copy_has_the_weights_of_the_model_if_asked():
    inputs = keras.Input((8, 8, 3))
    normalization = keras.layers.Normalization()
    normalization.adapt(np.random.default_rng(0).normal(5, 2, (20, 8, 8, 3)))
    outputs = Residual(4)(keras.layers.Conv2D(4, 1)(normalization(inputs)))
    model = keras.Model(inputs, keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])(outputs))
    values = np.random.default_rng(1).normal(5, 2, (2, 8, 8, 3)).astype("float32")
    copy, new = flatten(model, copy_weights=True), flatten(model)
    expected, copied, other = (keras.ops.convert_to_numpy(network(values)) for network in (model, copy, new))
    np.testing.assert_allclose(copied, expected, rtol=1e-5, atol=1e-6)
    assert not np.allclose(other, expected, atol=1e-3)


def test_a_model_compiled_with_a_loss_of_ones_own_is_copied():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs))
    model.compile(loss=lambda y, predicted: keras.ops.mean(y - predicted))
    assert flatten(model, copy_weights=True).count_params() == model.count_params()
