"""One factor for each channel."""

import keras
from keras import ops

from compactnet.layers.arguments import check_data_format


@keras.saving.register_keras_serializable(package="compactnet")
class ChannelScale(keras.layers.Layer):
    """Multiplies each channel by a learned factor.

    Args:
        scale_initializer: Initializer of the factors.
        data_format: "channels_last" or None. "channels_first" is not supported.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, ..., channels)`, of rank 2 or more.

    Output shape:
        Same as the input shape.

    Raises:
        ValueError: An argument is invalid, or the rank is below 2.

    Examples:
        >>> import numpy as np
        >>> np.asarray(ChannelScale(keras.initializers.Constant(2))(np.array([[1.0, 3.0]], "float32"))).tolist()
        [[2.0, 6.0]]

    Source: the weights of the components of a CP decomposition, see `FactorizedConv2D`.
    """

    def __init__(self, scale_initializer="ones", data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(min_ndim=2)
        self.scale_initializer = keras.initializers.get(scale_initializer)
        self.data_format = check_data_format(data_format)

    def build(self, input_shape):
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: input_shape[-1]})
        self.scale = self.add_weight(name="scale", shape=(input_shape[-1],), initializer=self.scale_initializer)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def call(self, inputs):
        return inputs * ops.cast(self.scale, self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "scale_initializer": keras.initializers.serialize(self.scale_initializer),
            "data_format": self.data_format,
        }
