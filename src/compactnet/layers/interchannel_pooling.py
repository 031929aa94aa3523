"""The point-wise interchannel operation of Sec. III-A, Eqs. (1)-(5)."""

import math

import keras
from keras import ops

from compactnet.checks import check_choice, check_integer
from compactnet.layers.arguments import GROUPINGS, OPERATIONS, check_data_format, check_divides


@keras.saving.register_keras_serializable(package="compactnet")
class InterchannelPooling(keras.layers.Layer):
    """Reduces every group of C channels to one channel: their sum, maximum or average, or the first of them. It has no
    weights.

    With `grouping="adjacent"`, output channel n reduces the input channels nC to (n+1)C-1, as in Eq. (1) of the paper.
    With `grouping="strided"`, it reduces the channels n, n+N', n+2N', ..., where N' = N/C is the number of output
    channels. The two differ by a fixed permutation of the input channels, so a network can learn the same functions
    with either. "strided" is faster because it reduces contiguous rows of N' channels.

    If several channels of a group share the maximum, exactly one of them receives the gradient: the first of the group
    on the TensorFlow, JAX and PyTorch backends on CPU. Eq. (3) leaves this case open. TensorFlow's maximum ignores NaN
    (of NaN alone it is the lowest number), where those of JAX and PyTorch are NaN.

    Args:
        compact_factor: Integer C of at least 1, the number of channels per group. It must divide the channel count. 1
            leaves the input unchanged.
        operation: "sum" (Eq. 4 with m = 1), "max" (Eq. 2) or "average" (Eq. 4 with m = C); or "first", which keeps the
            first channel of a group and drops the others. The paper does not have "first": it is a control that tells
            what the operation adds to the smaller 1x1 convolution after it.
        grouping: "adjacent" (Eq. 1) or "strided".
        data_format: "channels_last" or None. "channels_first" is not supported.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, ..., N)`, of rank 2 or more.

    Output shape:
        `(batch, ..., N / compact_factor)`.

    Raises:
        ValueError: An argument is invalid, the rank is below 2, or `compact_factor` does not divide the channel count.

    Examples:
        >>> import numpy as np
        >>> channels = np.array([[1.0, 2.0, 30.0, 40.0]], dtype="float32")
        >>> np.asarray(InterchannelPooling(2)(channels)).tolist()
        [[3.0, 70.0]]
        >>> np.asarray(InterchannelPooling(2, grouping="strided")(channels)).tolist()
        [[31.0, 42.0]]

    Source: Liang, Zhang, Feng, "Channel Compression", IEEE Access 2020, Sec. III-A.
    """

    def __init__(self, compact_factor, operation="sum", grouping="adjacent", data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.compact_factor = check_integer("compact_factor", compact_factor)
        self.operation = check_choice("operation", operation, OPERATIONS)
        self.grouping = check_choice("grouping", grouping, GROUPINGS)
        self.data_format = check_data_format(data_format)
        self.input_spec = keras.layers.InputSpec(min_ndim=2)

    def build(self, input_shape):
        self.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], check_divides("compact_factor", self.compact_factor, input_shape[-1]))

    def call(self, inputs):
        if self.compact_factor == 1:
            return inputs
        factor = self.compact_factor
        groups = check_divides("compact_factor", factor, inputs.shape[-1])
        if self.operation == "first":
            return inputs[..., :groups] if self.grouping == "strided" else inputs[..., ::factor]
        outer = ops.shape(inputs)[:-1]
        batch, positions = outer[0], math.prod(outer[1:])
        # One layout for both groupings, (batch, positions, C, N'): reducing a middle axis is contiguous and fast.
        if self.grouping == "strided":
            grouped = ops.reshape(inputs, (batch, positions, factor, groups))
        else:
            grouped = ops.swapaxes(ops.reshape(inputs, (batch, positions, groups, factor)), 2, 3)
        return ops.reshape(self._reduce(grouped), (*outer, groups))

    def _reduce(self, grouped):
        if self.operation == "sum":
            return ops.sum(grouped, axis=2)
        if self.operation == "average":
            return ops.mean(grouped, axis=2)
        # The gradient of a max pooling goes to a single channel, as in Eq. (3), and is faster than that of ops.max.
        window = (1, self.compact_factor)
        return ops.max_pool(grouped, pool_size=window, strides=window, data_format="channels_last")

    def get_config(self):
        return {
            **super().get_config(),
            "compact_factor": self.compact_factor,
            "operation": self.operation,
            "grouping": self.grouping,
            "data_format": self.data_format,
        }
