"""Average pooling with "same" padding that gives the same results on every backend."""

import keras
from keras import ops

from compactnet.checks import check_integer
from compactnet.layers.arguments import check_data_format


@keras.saving.register_keras_serializable(package="compactnet")
class SameAveragePooling2D(keras.layers.Layer):
    """A `keras.layers.AveragePooling2D` with padding "same" whose averages never include the padding.

    On PyTorch, Keras 3.15 repeats the last row and column where the padding is uneven and includes them in the average.
    There, this layer divides the average with zeros as padding by the share of the window inside the input. On other
    backends it calls `keras.ops.average_pool`.

    Args:
        pool_size: Integer of at least 1, the height and width of the window.
        strides: Integer of at least 1, the step between windows along both axes.
        data_format: "channels_last" or None. "channels_first" is not supported.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        `(batch, ceil(height / strides), ceil(width / strides), channels)`.

    Raises:
        ValueError: An argument is invalid, or the rank is not 4.

    Examples:
        >>> import numpy as np
        >>> np.asarray(SameAveragePooling2D(3, 2)(np.arange(16.0).reshape(1, 4, 4, 1)))[0, :, :, 0].tolist()
        [[5.0, 6.5], [11.0, 12.5]]

    Source: Zhang, Zhou, Lin, Sun, "ShuffleNet", CVPR 2018, Fig. 2c: the shortcut of a unit with stride 2.
    """

    def __init__(self, pool_size, strides, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.pool_size = check_integer("pool_size", pool_size)
        self.strides = check_integer("strides", strides)
        self.data_format = check_data_format(data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def compute_output_shape(self, input_shape):
        batch, *extents, channels = input_shape
        return (batch, *(None if extent is None else -(-extent // self.strides) for extent in extents), channels)

    def call(self, inputs):
        if keras.config.backend() != "torch":
            return ops.average_pool(inputs, self.pool_size, self.strides, "same", self.data_format)
        padding = [(0, 0), *(self._padding(extent) for extent in inputs.shape[1:3]), (0, 0)]
        inside = ops.pad(ops.ones_like(inputs[:1, :, :, :1]), padding)
        averages, shares = (
            ops.average_pool(values, self.pool_size, self.strides, "valid", self.data_format)
            for values in (ops.pad(inputs, padding), inside)
        )
        return averages / shares

    def _padding(self, extent):
        missing = max((-(-extent // self.strides) - 1) * self.strides + self.pool_size - extent, 0)
        return missing // 2, missing - missing // 2

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "data_format": self.data_format,
        }
