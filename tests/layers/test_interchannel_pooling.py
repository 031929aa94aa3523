import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras.src.testing import TestCase

from compactnet.layers import InterchannelPooling
from compactnet.layers.arguments import GROUPINGS, OPERATIONS
from tests.layers import oracle
from tests.layers.gradients import gradient


def distinct(shape, seed=0):
    """An array without ties whose values every float32 sum of a group holds exactly."""
    size = int(np.prod(shape))
    values = np.random.default_rng(seed).permutation(size) - size // 2
    return (values / 4).astype("float32").reshape(shape)


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("rank", [2, 3, 4, 5])
@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize("operation", OPERATIONS)
@settings(deadline=None, max_examples=6)
@given(data=st.data())
def test_outputs_and_gradients_are_those_of_the_equations(operation, grouping, rank, data):
    factor, groups = data.draw(st.sampled_from([1, 2, 3, 4, 8])), data.draw(st.integers(1, 4))
    outer = data.draw(st.tuples(*[st.integers(1, 3)] * (rank - 1)))
    inputs = distinct((*outer, factor * groups), seed=data.draw(st.integers(0, 99)))
    upstream = distinct((*outer, groups), seed=1)
    layer = InterchannelPooling(factor, operation, grouping)

    outputs = array(layer(inputs))
    inputs_gradient = gradient(layer, inputs, upstream)

    np.testing.assert_allclose(outputs, oracle.forward(inputs, factor, operation, grouping), rtol=1e-6)
    expected = oracle.gradient(inputs, upstream, factor, operation, grouping)
    np.testing.assert_allclose(inputs_gradient, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("operation", "grouping", "expected"),
    [
        ("sum", "adjacent", [3.0, 11.0, -2.0]),
        ("sum", "strided", [8.0, -3.0, 7.0]),
        ("max", "adjacent", [2.0, 7.0, 3.0]),
        ("max", "strided", [7.0, 2.0, 4.0]),
        ("average", "adjacent", [1.5, 5.5, -1.0]),
        ("average", "strided", [4.0, -1.5, 3.5]),
    ],
)
def test_groups_of_two_out_of_six_channels_worked_out_by_hand(operation, grouping, expected):
    # Adjacent pairs: (1 2) (4 7) (-5 3). Strided pairs, with N' = 3: (1 7) (2 -5) (4 3).
    outputs = InterchannelPooling(2, operation, grouping)(np.array([[1, 2, 4, 7, -5, 3]], dtype="float32"))
    assert array(outputs).tolist() == [expected]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_two_groupings_differ_by_a_permutation_of_the_input_channels(operation):
    inputs = distinct((2, 3, 12))
    strided = array(InterchannelPooling(3, operation, "strided")(inputs))
    order = np.arange(12).reshape(3, 4).T.ravel()
    adjacent = array(InterchannelPooling(3, operation, "adjacent")(inputs[..., order]))
    np.testing.assert_allclose(adjacent, strided, rtol=1e-6)
    assert not np.allclose(array(InterchannelPooling(3, operation, "adjacent")(inputs)), strided)


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_of_tied_maxima_the_first_of_the_group_alone_receives_the_gradient(grouping):
    # Every way in which four channels can hold the values 0 and 1, so all places and numbers of ties.
    patterns = np.array(list(np.ndindex(2, 2, 2, 2)), dtype="float32").reshape(4, 4, 4)
    groups = np.stack([patterns, patterns[::-1], -patterns], axis=-2)
    inputs = (groups if grouping == "adjacent" else groups.swapaxes(-1, -2)).reshape(4, 4, 12)
    upstream = distinct((4, 4, 3), seed=2) + 100

    inputs_gradient = gradient(InterchannelPooling(4, "max", grouping), inputs, upstream)

    assert (np.count_nonzero(inputs_gradient, axis=-1) == 3).all()
    np.testing.assert_array_equal(inputs_gradient, oracle.gradient(inputs, upstream, 4, "max", grouping))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_factor_one_returns_the_input_as_it_is(operation):
    inputs = distinct((2, 3, 5))
    np.testing.assert_array_equal(array(InterchannelPooling(1, operation)(inputs)), inputs)


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_a_factor_of_all_channels_leaves_one(grouping):
    inputs = distinct((2, 3, 6))
    np.testing.assert_array_equal(array(InterchannelPooling(6, "max", grouping)(inputs)), inputs.max(-1, keepdims=True))


def test_the_defaults_are_the_sum_of_adjacent_channels():
    layer = InterchannelPooling(2)
    assert (layer.operation, layer.grouping, layer.data_format) == ("sum", "adjacent", "channels_last")


@pytest.mark.parametrize(
    ("arguments", "input_shape", "output_shape"),
    [
        ({"compact_factor": 2}, (2, 8), (2, 4)),
        ({"compact_factor": 4, "operation": "max"}, (2, 3, 3, 8), (2, 3, 3, 2)),
        ({"compact_factor": 3, "operation": "average", "grouping": "strided"}, (2, 3, 6), (2, 3, 2)),
        ({"compact_factor": 2, "operation": "max", "grouping": "strided"}, (2, 2, 3, 2, 4), (2, 2, 3, 2, 2)),
        ({"compact_factor": 1, "data_format": "channels_last"}, (2, 3, 3, 5), (2, 3, 3, 5)),
    ],
)
def test_the_layer_passes_the_checks_of_keras_itself(arguments, input_shape, output_shape):
    TestCase().run_layer_test(
        InterchannelPooling,
        init_kwargs=arguments,
        input_shape=input_shape,
        expected_output_shape=output_shape,
        expected_num_trainable_weights=0,
        expected_num_non_trainable_weights=0,
        expected_num_seed_generators=0,
        expected_num_losses=0,
        # Without weights there is nothing to train.
        run_training_check=False,
    )


def refusal(build):
    with pytest.raises(ValueError) as caught:
        build()
    return str(caught.value)


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "2", None])
def test_a_factor_that_is_no_positive_integer_is_refused(value):
    message = refusal(lambda: InterchannelPooling(value))
    assert "`compact_factor`" in message
    assert f"compact_factor={value!r}" in message
    assert "integer of at least 1" in message


def test_a_factor_from_numpy_is_taken_and_becomes_a_plain_integer():
    assert type(InterchannelPooling(np.int64(2)).compact_factor) is int


@pytest.mark.parametrize(
    ("argument", "value", "allowed"),
    [
        ("operation", "mean", OPERATIONS),
        ("operation", None, OPERATIONS),
        ("operation", ["sum"], OPERATIONS),
        ("grouping", "random", GROUPINGS),
        ("grouping", 1, GROUPINGS),
    ],
)
def test_an_unknown_choice_is_refused(argument, value, allowed):
    message = refusal(lambda: InterchannelPooling(2, **{argument: value}))
    assert f"`{argument}`" in message
    assert f"{argument}={value!r}" in message
    assert all(repr(name) in message for name in allowed)


def test_a_factor_that_does_not_divide_the_channels_is_refused():
    message = refusal(lambda: InterchannelPooling(5)(np.zeros((2, 3, 12), dtype="float32")))
    assert "`compact_factor` must divide" in message
    assert "compact_factor=5" in message
    assert "12 channels" in message
    assert "1, 2, 3, 4, 6, 12" in message


def test_a_tensor_of_rank_one_is_refused():
    message = refusal(lambda: InterchannelPooling(2)(np.zeros(4, dtype="float32")))
    assert "expected min_ndim=2, found ndim=1" in message
    assert "(4,)" in message


def test_an_unknown_channel_count_is_refused():
    message = refusal(lambda: InterchannelPooling(2)(keras.Input((4, None))))
    assert "channel count" in message
    assert "Received: None" in message


@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_batch_and_spatial_sizes_may_be_unknown(operation, grouping):
    inputs = keras.Input((None, None, 8))
    outputs = InterchannelPooling(4, operation, grouping)(inputs)
    assert outputs.shape == (None, None, None, 2)
    model = keras.Model(inputs, outputs)
    for shape in ((1, 2, 3, 8), (2, 3, 1, 8)):
        values = distinct(shape)
        np.testing.assert_allclose(array(model(values)), oracle.forward(values, 4, operation, grouping), rtol=1e-6)


@pytest.mark.parametrize("grouping", GROUPINGS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_empty_batch_gives_an_empty_batch(operation, grouping):
    outputs = InterchannelPooling(2, operation, grouping)(np.zeros((0, 3, 3, 4), dtype="float32"))
    assert outputs.shape == (0, 3, 3, 2)


def test_the_compute_type_of_a_mixed_policy_is_that_of_the_outputs():
    layer = InterchannelPooling(2, dtype="mixed_float16")
    assert (layer.compute_dtype, layer.variable_dtype) == ("float16", "float32")
    assert keras.backend.standardize_dtype(layer(distinct((2, 4))).dtype) == "float16"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_saved_model_comes_back_with_the_same_outputs(operation, tmp_path):
    inputs = keras.Input((3, 8))
    model = keras.Model(inputs, InterchannelPooling(4, operation, "strided", name="squeeze")(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("squeeze").get_config() == model.get_layer("squeeze").get_config()
    values = distinct((2, 3, 8))
    np.testing.assert_array_equal(array(loaded(values)), array(model(values)))
