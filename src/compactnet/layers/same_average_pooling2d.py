"""Average pooling with 'same' padding that means the same on every backend."""

import keras
from keras import ops

from compactnet.layers.arguments import checked_data_format, checked_positive_integer


@keras.saving.register_keras_serializable(package="compactnet")
class SameAveragePooling2D(keras.layers.Layer):
    """`keras.layers.AveragePooling2D` with padding "same", whose windows average what lies inside the input alone.

    On PyTorch, Keras 3.15 repeats the last row and column where the padding is uneven and counts them in; there this
    layer averages by two poolings. On other backends it is Keras' own operation.

    Args:
        pool_size: Integer of at least 1, height and width of a window.
        strides: Integer of at least 1, the step between windows.
        data_format: "channels_last" or None; nothing else is supported.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        `(batch, ceil(height / strides), ceil(width / strides), channels)`.

    Raises:
        ValueError: an argument out of its range, channels first, or a rank other than 4.

    Example:

    >>> import numpy as np
    >>> np.asarray(SameAveragePooling2D(3, 2)(np.arange(16.0).reshape(1, 4, 4, 1)))[0, :, :, 0].tolist()
    [[5.0, 6.5], [11.0, 12.5]]

    Source: the shortcut of a ShuffleNet unit with stride 2: Zhang, Zhou, Lin, Sun, "ShuffleNet", CVPR 2018, Fig. 2c.
    """

    def __init__(self, pool_size, strides, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.pool_size = checked_positive_integer("pool_size", pool_size)
        self.strides = checked_positive_integer("strides", strides)
        self.data_format = checked_data_format(data_format)

    def build(self, input_shape):
        self.compute_output_shape(input_shape)

    def compute_output_shape(self, input_shape):
        if len(input_shape) != 4:
            raise ValueError(
                "SameAveragePooling2D takes a tensor of rank 4, (batch, height, width, channels). "
                f"Received: input_shape={tuple(input_shape)}"
            )
        batch, *extents, channels = input_shape
        return (batch, *(None if extent is None else -(-extent // self.strides) for extent in extents), channels)

    def call(self, inputs):
        if keras.config.backend() != "torch":
            return ops.average_pool(inputs, self.pool_size, self.strides, "same")
        padding = [(0, 0), *(self._padding(extent) for extent in inputs.shape[1:3]), (0, 0)]
        inside = ops.pad(ops.ones_like(inputs[:1, :, :, :1]), padding)
        averages, shares = (
            ops.average_pool(values, self.pool_size, self.strides, "valid")
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
