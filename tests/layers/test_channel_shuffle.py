import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras.src import testing

from compactnet.layers import ChannelShuffle


@settings(deadline=None, max_examples=25)
@given(groups=st.integers(1, 5), each=st.integers(1, 5), outer=st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_channel_i_of_group_g_goes_to_place_i_times_groups_plus_g(groups, each, outer):
    values = np.random.default_rng(0).normal(size=(*outer, groups * each)).astype("float32")
    shuffled = np.asarray(ChannelShuffle(groups)(values))
    assert shuffled.shape == values.shape
    for group in range(groups):
        for index in range(each):
            np.testing.assert_array_equal(shuffled[..., index * groups + group], values[..., group * each + index])


def test_a_shuffle_with_the_other_count_undoes_it():
    values = np.arange(24, dtype="float32").reshape(2, 12)
    np.testing.assert_array_equal(np.asarray(ChannelShuffle(4)(ChannelShuffle(3)(values))), values)


def test_the_layer_passes_the_checks_of_keras_itself():
    testing.TestCase().run_layer_test(
        ChannelShuffle,
        init_kwargs={"groups": 3},
        input_shape=(2, 5, 4, 12),
        expected_output_shape=(2, 5, 4, 12),
        expected_num_trainable_weights=0,
        expected_num_non_trainable_weights=0,
        expected_num_losses=0,
        # Without weights there is nothing to train.
        run_training_check=False,
    )


@pytest.mark.parametrize(
    ("groups", "shape", "reason"),
    [
        (0, (1, 4), "`groups` must be an integer of at least 1"),
        (3, (1, 4), "`groups` must divide the channel count. Received: groups=3"),
        (2, (4,), "expected min_ndim=2, found ndim=1"),
    ],
)
def test_invalid_groups_and_ranks_are_refused(groups, shape, reason):
    with pytest.raises(ValueError, match=reason):
        ChannelShuffle(groups)(np.zeros(shape, "float32"))
