import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from keras.src import testing

from compactnet.layers import SameAveragePooling2D


def oracle(values, size, strides):
    """Average each window over what lies inside the input."""
    _, height, width, _ = values.shape
    starts = []
    for extent in (height, width):
        count = -(-extent // strides)
        missing = max((count - 1) * strides + size - extent, 0)
        starts.append([place * strides - missing // 2 for place in range(count)])
    rows = []
    for top in starts[0]:
        row = []
        for left in starts[1]:
            window = values[:, max(top, 0) : top + size, max(left, 0) : left + size]
            row.append(window.mean(axis=(1, 2)))
        rows.append(np.stack(row, axis=1))
    return np.stack(rows, axis=1)


@settings(deadline=None, max_examples=25)
@given(size=st.integers(1, 4), strides=st.integers(1, 3), height=st.integers(1, 9), width=st.integers(1, 9))
def test_windows_average_what_lies_inside(size, strides, height, width):
    values = np.random.default_rng(0).normal(size=(2, height, width, 3)).astype("float32")
    expected = oracle(values, size, min(strides, size))
    pooled = SameAveragePooling2D(size, min(strides, size))(values)
    assert tuple(pooled.shape) == expected.shape
    np.testing.assert_allclose(ops.convert_to_numpy(pooled), expected, atol=1e-6)


def test_the_layer_passes_the_checks_of_keras_itself():
    testing.TestCase().run_layer_test(
        SameAveragePooling2D,
        init_kwargs={"pool_size": 3, "strides": 2},
        input_shape=(2, 6, 5, 4),
        expected_output_shape=(2, 3, 3, 4),
        expected_num_trainable_weights=0,
        expected_num_non_trainable_weights=0,
        expected_num_losses=0,
        # Without weights there is nothing to train.
        run_training_check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "shape", "reason"),
    [
        ((0, 2), (1, 4, 4, 1), "`pool_size` must be an integer of at least 1"),
        ((3, 0), (1, 4, 4, 1), "`strides` must be an integer of at least 1"),
        ((3, 2), (1, 4, 4), "expected ndim=4, found ndim=3"),
    ],
)
def test_invalid_arguments_and_ranks_are_refused(arguments, shape, reason):
    with pytest.raises(ValueError, match=reason):
        SameAveragePooling2D(*arguments)(np.zeros(shape, "float32"))
