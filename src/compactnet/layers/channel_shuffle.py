"""The channel shuffle of ShuffleNet."""

import keras
from keras import ops

from compactnet.checks import check_integer
from compactnet.layers.arguments import check_data_format, check_divides


@keras.saving.register_keras_serializable(package="compactnet")
class ChannelShuffle(keras.layers.Layer):
    """Interleaves groups of channels: the first channel of each group, then the second of each, and so on.

    Args:
        groups: Integer of at least 1, the number of groups of consecutive channels in the input. It must divide the
            channel count. 1 leaves the input unchanged.
        data_format: "channels_last" or None. "channels_first" is not supported.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, ..., channels)`, of rank 2 or more.

    Output shape:
        Same as the input shape.

    Raises:
        ValueError: An argument is invalid, the rank is below 2, or `groups` does not divide the channel count.

    Examples:
        >>> import numpy as np
        >>> np.asarray(ChannelShuffle(2)(np.array([[1.0, 2.0, 3.0, 10.0, 20.0, 30.0]]))).tolist()
        [[1.0, 10.0, 2.0, 20.0, 3.0, 30.0]]

    Source: Zhang, Zhou, Lin, Sun, "ShuffleNet", CVPR 2018, Fig. 1.
    """

    def __init__(self, groups, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.groups = check_integer("groups", groups)
        self.data_format = check_data_format(data_format)
        self.input_spec = keras.layers.InputSpec(min_ndim=2)

    def build(self, input_shape):
        self.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape):
        check_divides("groups", self.groups, input_shape[-1])
        return tuple(input_shape)

    def call(self, inputs):
        if self.groups == 1:
            return inputs
        outer, channels = ops.shape(inputs)[:-1], inputs.shape[-1]
        grouped = ops.reshape(inputs, (*outer, self.groups, channels // self.groups))
        return ops.reshape(ops.swapaxes(grouped, -1, -2), (*outer, channels))

    def get_config(self):
        return {**super().get_config(), "groups": self.groups, "data_format": self.data_format}
