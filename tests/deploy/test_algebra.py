import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compactnet.deploy import tied_kernel, untied_kernel
from compactnet.errors import InputError
from compactnet.layers import CompactConv2D, GroupedConv2D, InterchannelPooling

CASES = {
    "factor": st.integers(1, 5),
    "groups": st.integers(1, 6),
    "filters": st.integers(1, 7),
    "operation": st.sampled_from(["sum", "average"]),
    "grouping": st.sampled_from(["strided", "adjacent"]),
}


@given(**CASES)
@settings(max_examples=25)
def test_operation_and_1x1_are_a_tied_1x1_and_back(factor, groups, filters, operation, grouping):
    generator = np.random.default_rng(0)
    kernel = generator.normal(size=(groups, filters)).astype("float32")
    values = generator.normal(size=(3, groups * factor)).astype("float32")
    tied = tied_kernel(kernel, factor, operation, grouping)
    squeezed = keras.ops.convert_to_numpy(InterchannelPooling(factor, operation, grouping)(values))
    np.testing.assert_allclose(values @ tied, squeezed @ kernel, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(untied_kernel(tied, factor, operation, grouping), kernel, rtol=1e-5)


@pytest.mark.parametrize("operation", ["sum", "average"])
def test_a_compact_convolution_is_a_separable_one_with_tied_rows(operation):
    # Without normalization and activation between, and with kernels alone.
    compact = CompactConv2D(6, 3, 4, operation, depthwise_activation=None, epsilon=0.0)
    values = np.random.default_rng(1).normal(size=(2, 7, 7, 8)).astype("float32")
    expected = compact(values)
    separable = keras.layers.SeparableConv2D(6, 3)
    separable.build(values.shape)
    pointwise, bias = compact.pointwise.get_weights()
    tied = tied_kernel(pointwise, 4, operation, "adjacent")
    separable.set_weights([compact.depthwise.get_weights()[0], tied, bias])
    np.testing.assert_allclose(separable(values), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("grouping", ["adjacent", "strided"])
def test_without_an_activation_depthwise_convolution_and_sum_are_a_grouped_convolution(grouping):
    generator = np.random.default_rng(2)
    values = generator.normal(size=(2, 7, 7, 8)).astype("float32")
    compact = CompactConv2D(6, 3, 4, depthwise_activation=None, grouping=grouping)
    compact.build(values.shape)
    gamma, beta, mean, variance = statistics = generator.uniform(0.5, 2, (4, 8))
    compact.normalization.set_weights(statistics)
    scale = gamma / np.sqrt(variance + compact.epsilon)
    kernel = compact.depthwise.get_weights()[0][..., 0] * scale
    members = np.arange(8).reshape(2, 4) if grouping == "adjacent" else np.arange(8).reshape(4, 2).T
    grouped = GroupedConv2D(2, 3, groups=2)
    grouped.build(values.shape)
    grouped.set_weights([kernel[:, :, members.T], (beta - mean * scale)[members].sum(1)])
    outputs = compact.pointwise(grouped(values[..., members.ravel()]))
    np.testing.assert_allclose(outputs, compact(values), rtol=1e-4, atol=1e-4)


def losses(operation, epsilon, steps=3):
    """Return the losses of training steps of a compact network whose 1x1 convolution is normalized."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 8))
    outputs = CompactConv2D(12, 3, 4, operation, use_bias=False, grouping="strided")(inputs)
    outputs = keras.layers.BatchNormalization(epsilon=epsilon)(outputs)
    outputs = keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(outputs)))
    model = keras.Model(inputs, outputs)
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(32, 8, 8, 8)).astype("float32"), generator.integers(0, 4, 32)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), loss)
    return [float(model.train_on_batch(x, y)) for _ in range(steps)]


def test_before_normalization_sum_and_average_train_alike_but_for_epsilon():
    np.testing.assert_allclose(losses("sum", 1e-9), losses("average", 1e-9), rtol=1e-5)
    assert not np.allclose(losses("sum", 1e-3), losses("average", 1e-3), rtol=1e-5)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (tied_kernel, (np.ones((2, 2)), 2, "max"), "`operation` must be one of 'sum', 'average'"),
        (tied_kernel, (np.ones((2, 2)), 0), "`compact_factor` must be an integer of at least 1"),
        (
            tied_kernel,
            (np.ones(4), 2),
            r"`kernel` must be an array of numbers .* Received: float64 array of shape \(4,\)",
        ),
        (untied_kernel, ("kernel", 2), "`kernel` must be an array of numbers"),
        (untied_kernel, (np.ones((3, 2)), 2), "`compact_factor` must divide the 3 rows"),
        (untied_kernel, (np.array([[1.0], [2.0]]), 2), r"The rows of a group differ by up to 1\.0e\+00"),
        (untied_kernel, (np.ones((2, 2)), 2, "sum", "strided", float("nan")), "`tolerance` must be a number"),
        (untied_kernel, (np.ones((2, 2)), 2, "sum", "strided", None), "`tolerance` must be a number"),
    ],
)
def test_bad_input(function, arguments, message):
    with pytest.raises(InputError, match=message):
        function(*arguments)
