"""The compact convolution of Sec. III-B."""

import keras

from compactnet.layers.arguments import checked_data_format
from compactnet.layers.interchannel_pooling import InterchannelPooling


@keras.saving.register_keras_serializable(package="compactnet")
class CompactConv2D(keras.layers.Layer):
    """Depthwise convolution, batch normalization, activation, interchannel operation, 1x1 convolution.

    It takes the place of a `keras.layers.Conv2D` with the same filters, kernel size, strides and padding. For N input
    channels, F filters and a k x k kernel it carries N k^2 + NF/C kernel weights instead of N k^2 F.

    The paper's text asks for a ReLU after every normalization; its counts prove the depthwise bias and normalization,
    but cannot see the ReLU between them and the interchannel operation. `depthwise_activation=None` leaves it out.

    Args:
        filters: Integer, the number of output channels.
        kernel_size: Integer or pair of integers, the size of the depthwise kernel.
        compact_factor: Integer C of at least 1 that divides the number of input channels.
        operation: "sum", "max" or "average", see `InterchannelPooling`.
        strides: Integer or pair of equal integers, the strides of the depthwise convolution.
        padding: "valid" or "same", of the depthwise convolution.
        grouping: "adjacent" (Eq. 1) or "strided" (faster), see `InterchannelPooling`.
        depthwise_activation: Activation between the normalization and the interchannel operation, or None.
        activation: Activation of the output, or None.
        use_bias: Whether the depthwise and the 1x1 convolution have a bias.
        dilation_rate: Integer or pair of integers, the dilation of the depthwise convolution.
        momentum: Momentum of the moving statistics of the normalization.
        epsilon: Constant added to the variance in the normalization.
        depthwise_initializer: Initializer of the depthwise kernel.
        pointwise_initializer: Initializer of the 1x1 kernel.
        bias_initializer: Initializer of both biases.
        depthwise_regularizer: Regularizer of the depthwise kernel, or None.
        pointwise_regularizer: Regularizer of the 1x1 kernel, or None.
        data_format: "channels_last" or None; nothing else is supported.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, N)`; batch, height and width may be unknown.

    Output shape:
        `(batch, new_height, new_width, filters)`.

    Raises:
        ValueError: an argument out of its range, channels first, or a channel count that `compact_factor` does not
            divide.

    Example:

    >>> import numpy as np
    >>> layer = CompactConv2D(64, 3, compact_factor=4, padding="same")
    >>> keras.ops.shape(layer(np.zeros((1, 8, 8, 32), dtype="float32")))
    (1, 8, 8, 64)

    Source: Liang, Zhang, Feng, "Channel Compression", IEEE Access 2020, Sec. III-B and Fig. 2.
    """

    def __init__(
        self,
        filters,
        kernel_size,
        compact_factor=2,
        operation="sum",
        strides=1,
        padding="valid",
        *,
        grouping="adjacent",
        depthwise_activation="relu",
        activation=None,
        use_bias=True,
        dilation_rate=1,
        momentum=0.99,
        epsilon=0.001,
        depthwise_initializer="glorot_uniform",
        pointwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        pointwise_regularizer=None,
        data_format=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.data_format = checked_data_format(data_format)
        # Sublayers follow this layer's dtype policy, so that mixed precision reaches all of them.
        policy = self.dtype_policy
        self.depthwise = keras.layers.DepthwiseConv2D(
            kernel_size,
            strides=strides,
            padding=padding,
            dilation_rate=dilation_rate,
            use_bias=use_bias,
            depthwise_initializer=depthwise_initializer,
            bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer,
            data_format=self.data_format,
            dtype=policy,
            name="depthwise",
        )
        self.normalization = keras.layers.BatchNormalization(
            momentum=momentum, epsilon=epsilon, dtype=policy, name="normalization"
        )
        self.depthwise_activation = keras.layers.Activation(
            depthwise_activation, dtype=policy, name="depthwise_activation"
        )
        self.interchannel = InterchannelPooling(
            compact_factor, operation, grouping, data_format=self.data_format, dtype=policy, name="interchannel"
        )
        self.pointwise = keras.layers.Conv2D(
            filters,
            1,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=pointwise_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=pointwise_regularizer,
            data_format=self.data_format,
            dtype=policy,
            name="pointwise",
        )

    @property
    def _parts(self):
        return (self.depthwise, self.normalization, self.depthwise_activation, self.interchannel, self.pointwise)

    def build(self, input_shape):
        # Here and not in the interchannel operation alone, so that a refusal leaves no weight behind.
        self.interchannel.compute_output_shape(input_shape)
        shape = input_shape
        for part in self._parts:
            part.build(shape)
            shape = part.compute_output_shape(shape)

    def compute_output_shape(self, input_shape):
        shape = input_shape
        for part in self._parts:
            shape = part.compute_output_shape(shape)
        return shape

    def call(self, inputs, training=None):
        outputs = self.normalization(self.depthwise(inputs), training=training)
        return self.pointwise(self.interchannel(self.depthwise_activation(outputs)))

    def get_config(self):
        depthwise, pointwise = self.depthwise.get_config(), self.pointwise.get_config()
        return {
            **super().get_config(),
            "filters": self.pointwise.filters,
            "kernel_size": self.depthwise.kernel_size,
            "compact_factor": self.interchannel.compact_factor,
            "operation": self.interchannel.operation,
            "strides": self.depthwise.strides,
            "padding": self.depthwise.padding,
            "grouping": self.interchannel.grouping,
            "depthwise_activation": keras.activations.serialize(self.depthwise_activation.activation),
            "activation": pointwise["activation"],
            "use_bias": self.pointwise.use_bias,
            "dilation_rate": self.depthwise.dilation_rate,
            "momentum": self.normalization.momentum,
            "epsilon": self.normalization.epsilon,
            "depthwise_initializer": depthwise["depthwise_initializer"],
            "pointwise_initializer": pointwise["kernel_initializer"],
            "bias_initializer": pointwise["bias_initializer"],
            "depthwise_regularizer": depthwise["depthwise_regularizer"],
            "pointwise_regularizer": pointwise["kernel_regularizer"],
            "data_format": self.data_format,
        }
