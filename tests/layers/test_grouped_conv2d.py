import inspect

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras.src import testing

from compactnet.layers import GroupedConv2D


@settings(deadline=None, max_examples=25)
@given(
    groups=st.integers(1, 4),
    inputs_each=st.integers(1, 4),
    filters_each=st.integers(1, 4),
    kernel=st.sampled_from([1, 3]),
    strides=st.sampled_from([1, 2]),
    padding=st.sampled_from(["valid", "same"]),
    use_bias=st.booleans(),
)
def test_each_group_is_a_convolution_of_its_own(groups, inputs_each, filters_each, kernel, strides, padding, use_bias):
    generator = np.random.default_rng(groups)
    values = generator.normal(size=(2, 7, 6, groups * inputs_each)).astype("float32")
    layer = GroupedConv2D(
        groups * filters_each, kernel, strides=strides, padding=padding, groups=groups, use_bias=use_bias
    )
    outputs = keras.ops.convert_to_numpy(layer(values))
    kernels = keras.ops.convert_to_numpy(layer.kernel)
    assert kernels.shape == (kernel, kernel, inputs_each, groups * filters_each)
    for group in range(groups):
        inputs, filters = (slice(group * size, (group + 1) * size) for size in (inputs_each, filters_each))
        expected = keras.ops.conv(values[..., inputs], kernels[..., filters], strides=strides, padding=padding)
        np.testing.assert_allclose(outputs[..., filters], keras.ops.convert_to_numpy(expected), atol=1e-5)


def test_it_has_the_arguments_of_keras_own_layer():
    assert inspect.signature(GroupedConv2D) == inspect.signature(keras.layers.Conv2D)


def test_it_has_the_weights_and_the_results_of_keras_own_layer():
    values = np.random.default_rng(0).normal(size=(2, 5, 5, 12)).astype("float32")
    ours, theirs = GroupedConv2D(6, 1, groups=3), keras.layers.Conv2D(6, 1, groups=3)
    ours(values), theirs(values)
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(*(keras.ops.convert_to_numpy(layer(values)) for layer in (ours, theirs)), atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*shuffle.*:UserWarning")
def test_the_layer_passes_the_checks_of_keras_itself():
    testing.TestCase().run_layer_test(
        GroupedConv2D,
        init_kwargs={"filters": 6, "kernel_size": 1, "groups": 3},
        input_shape=(2, 5, 4, 12),
        expected_output_shape=(2, 5, 4, 6),
        expected_num_trainable_weights=2,
        expected_num_non_trainable_weights=0,
        expected_num_losses=0,
        supports_masking=False,
    )


@pytest.mark.parametrize(
    ("arguments", "channels", "reason"),
    [
        ({"filters": 5, "groups": 2}, 4, "filters"),
        ({"filters": 4, "groups": 2}, 5, "channels"),
        ({"filters": 4, "groups": 0}, 4, "groups"),
    ],
)
def test_groups_that_do_not_divide_are_refused(arguments, channels, reason):
    with pytest.raises(ValueError, match=reason):
        GroupedConv2D(kernel_size=1, **arguments)(np.zeros((1, 4, 4, channels), "float32"))
