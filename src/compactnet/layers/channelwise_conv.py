"""The channel-wise convolution of ChannelNets (Gao, Wang, Ji, 2018)."""

import keras
from keras import ops

from compactnet.checks import check_integer
from compactnet.layers.arguments import check_data_format, check_divides

FEW_CHANNELS = 128
"""Up to so many channels, one product with a matrix that is mostly zeros takes less time than one for each block."""

SMALLEST_BLOCK = 16
"""Channels of a filter's outputs that are computed together, at least."""


@keras.saving.register_keras_serializable(package="compactnet")
class ChannelwiseConv(keras.layers.Layer):
    """Convolves along the channel axis, with the same small kernel at every position.

    Each filter slides along the N channels with padding "same" and gives N / strides channels; the channels of the
    filters are concatenated filter by filter. It has kernel_size x filters weights and no bias.

    With one filter and strides 1, after a depthwise convolution, it is the channel-wise convolution of the paper, in
    place of a 1x1 convolution. With g filters and strides g, after a 1x1 convolution in g groups, it is the paper's
    group channel-wise convolution, which lets the groups exchange information.

    Args:
        kernel_size: Integer, the channels that an output channel depends on.
        filters: Integer, the number of kernels.
        strides: Integer, the step along the channels. It must divide the number of input channels.
        kernel_initializer: Initializer of the kernel.
        kernel_regularizer: Regularizer of the kernel, or None.
        kernel_constraint: Constraint of the kernel, or None.
        data_format: "channels_last" or None. "channels_first" is not supported.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, ..., N)`, of rank 2 or more.

    Output shape:
        `(batch, ..., filters * N / strides)`.

    Raises:
        ValueError: An argument is invalid, the rank is below 2, or `strides` does not divide the channel count.

    Examples:
        >>> import numpy as np
        >>> layer = ChannelwiseConv(3, kernel_initializer="ones")
        >>> np.asarray(layer(np.array([[1.0, 2.0, 3.0, 4.0]], dtype="float32"))).tolist()
        [[3.0, 6.0, 9.0, 7.0]]

    Source: Gao, Wang, Ji, "ChannelNets: Compact and Efficient Convolutional Neural Networks via Channel-Wise
    Convolutions", NeurIPS 2018, Secs. 3.2 to 3.4.
    """

    def __init__(
        self,
        kernel_size,
        filters=1,
        strides=1,
        *,
        kernel_initializer="glorot_uniform",
        kernel_regularizer=None,
        kernel_constraint=None,
        data_format=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(min_ndim=2)
        self.kernel_size = check_integer("kernel_size", kernel_size)
        self.filters = check_integer("filters", filters)
        self.strides = check_integer("strides", strides)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.data_format = check_data_format(data_format)

    def build(self, input_shape):
        self.compute_output_shape(input_shape)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.kernel_size, 1, self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )

    def compute_output_shape(self, input_shape):
        each = check_divides("strides", self.strides, input_shape[-1])
        return (*input_shape[:-1], self.filters * each)

    def call(self, inputs):
        # A convolution of one channel with one kernel is slow everywhere. As blocks of channels it is a matrix product:
        # a block of outputs depends on two blocks of inputs, through one matrix for all blocks.
        channels, outer = inputs.shape[-1], ops.shape(inputs)[:-1]
        each = channels // self.strides
        block = max(-(-self.kernel_size // self.strides), min(SMALLEST_BLOCK, each))
        before = max(self.kernel_size - self.strides, 0) // 2
        if channels <= FEW_CHANNELS:
            matrix = self._matrix(max(block, each))[before : before + channels]
            matrix = ops.reshape(matrix, (channels, self.filters, -1))[..., :each]
            return ops.matmul(inputs, ops.reshape(matrix, (channels, -1)))
        blocks, width = -(-each // block), block * self.strides
        padded = (blocks + 1) * width
        zeros = [(0, 0)] * (len(inputs.shape) - 1)
        rows = ops.pad(inputs, [*zeros, (before, padded - before - channels)])
        rows = ops.reshape(rows, (-1, blocks + 1, width))
        windows = ops.concatenate([rows[:, :-1], rows[:, 1:]], -1)
        products = ops.matmul(windows, self._matrix(block))
        if self.filters > 1:
            products = ops.reshape(products, (-1, blocks, self.filters, block))
            products = ops.swapaxes(products, 1, 2)
        outputs = ops.reshape(products, (-1, self.filters, blocks * block))[..., :each]
        return ops.reshape(outputs, (*outer, self.filters * each))

    def _matrix(self, block):
        """Return the matrix (2 * block * strides, filters * block) from two blocks of inputs to one of outputs."""
        rows = 2 * block * self.strides
        kernel = ops.reshape(ops.cast(self.kernel, self.compute_dtype), (self.kernel_size, self.filters))
        # Each column is the kernel moved down by the strides: one long column of kernels and zeros, cut anew.
        column = ops.pad(kernel, [(0, rows + self.strides - self.kernel_size), (0, 0)])
        columns = ops.reshape(ops.tile(column, (block, 1)), (-1, self.filters))[: block * rows]
        return ops.reshape(ops.transpose(ops.reshape(columns, (block, rows, self.filters)), (1, 2, 0)), (rows, -1))

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "filters": self.filters,
            "strides": self.strides,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "data_format": self.data_format,
        }
