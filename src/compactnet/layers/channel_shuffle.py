"""The channel shuffle of ShuffleNet."""

import keras
from keras import ops

from compactnet.layers.arguments import checked_data_format, checked_group_count, checked_positive_integer


@keras.saving.register_keras_serializable(package="compactnet")
class ChannelShuffle(keras.layers.Layer):
    """Puts the channels of several groups in turn: the first of each group, then the second of each, and so on.

    Args:
        groups: Integer of at least 1, the number of groups that stand one behind the other in the input. It must
            divide the channel count. 1 leaves the input as it is.
        data_format: "channels_last" or None; nothing else is supported.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        A tensor of rank 2 or more with the channels on the last axis: `(batch, ..., channels)`.

    Output shape:
        That of the input.

    Raises:
        ValueError: an argument out of its range, channels first, a rank below 2, or a channel count that `groups` does
            not divide.

    Example:

    >>> import numpy as np
    >>> np.asarray(ChannelShuffle(2)(np.array([[1.0, 2.0, 3.0, 10.0, 20.0, 30.0]]))).tolist()
    [[1.0, 10.0, 2.0, 20.0, 3.0, 30.0]]

    Source: Zhang, Zhou, Lin, Sun, "ShuffleNet", CVPR 2018, Fig. 1.
    """

    def __init__(self, groups, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.groups = checked_positive_integer("groups", groups)
        self.data_format = checked_data_format(data_format)

    def build(self, input_shape):
        self.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape):
        if len(input_shape) < 2:
            raise ValueError(
                "ChannelShuffle takes a tensor of rank 2 or more, (batch, ..., channels). "
                f"Received: input_shape={tuple(input_shape)}"
            )
        checked_group_count(input_shape[-1], self.groups, "groups")
        return tuple(input_shape)

    def call(self, inputs):
        if self.groups == 1:
            return inputs
        outer, channels = ops.shape(inputs)[:-1], inputs.shape[-1]
        apart = ops.reshape(inputs, (*outer, self.groups, channels // self.groups))
        return ops.reshape(ops.swapaxes(apart, -1, -2), (*outer, channels))

    def get_config(self):
        return {**super().get_config(), "groups": self.groups, "data_format": self.data_format}
