"""The compact convolution of Sec. III-B."""

import keras

from compactnet.checks import check_choice, check_integer
from compactnet.layers.arguments import check_data_format
from compactnet.layers.interchannel_pooling import InterchannelPooling


@keras.saving.register_keras_serializable(package="compactnet")
class CompactConv2D(keras.layers.Layer):
    """Depthwise convolution, batch normalization, activation, interchannel operation, 1x1 convolution.

    It replaces a `keras.layers.Conv2D` with the same filters, kernel size, strides and padding. For N input channels, F
    filters and a k x k kernel it has N k^2 + NF/C kernel weights instead of N k^2 F.

    The paper's text suggests a ReLU after the normalization (Sec. III-C, of its VGG-like networks). Its parameter
    counts confirm the depthwise bias and the normalization, but cannot confirm the ReLU before the interchannel
    operation; `depthwise_activation=None` omits it.

    The sublayers are the attributes `depthwise`, `normalization`, `depthwise_activation_layer`, `interchannel` and
    `pointwise`.

    Args:
        filters: Integer, the number of output channels.
        kernel_size: Integer or pair of integers, the size of the depthwise kernel.
        compact_factor: Integer C of at least 1 that divides the number of input channels.
        operation: "sum", "max" or "average", see `InterchannelPooling`.
        strides: Integer or pair of integers, the strides of the depthwise convolution. On a processor without oneDNN,
            TensorFlow computes equal strides alone, as of `keras.layers.DepthwiseConv2D`.
        padding: "valid" or "same", the padding of the depthwise convolution.
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
        beta_initializer: Initializer of the offset of the normalization.
        gamma_initializer: Initializer of the scale of the normalization.
        moving_mean_initializer: Initializer of the moving mean of the normalization.
        moving_variance_initializer: Initializer of the moving variance of the normalization.
        depthwise_regularizer: Regularizer of the depthwise kernel, or None.
        pointwise_regularizer: Regularizer of the 1x1 kernel, or None.
        bias_regularizer: Regularizer of both biases, or None.
        beta_regularizer: Regularizer of the offset of the normalization, or None.
        gamma_regularizer: Regularizer of the scale of the normalization, or None.
        depthwise_constraint: Constraint of the depthwise kernel, or None.
        pointwise_constraint: Constraint of the 1x1 kernel, or None.
        bias_constraint: Constraint of both biases, or None.
        beta_constraint: Constraint of the offset of the normalization, or None.
        gamma_constraint: Constraint of the scale of the normalization, or None.
        data_format: "channels_last" or None. "channels_first" is not supported.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, N)`; batch, height and width may be unknown.

    Output shape:
        `(batch, new_height, new_width, filters)`.

    Raises:
        ValueError: An argument is invalid, the rank is not 4, or `compact_factor` does not divide the channel count.

    Examples:
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
        beta_initializer="zeros",
        gamma_initializer="ones",
        moving_mean_initializer="zeros",
        moving_variance_initializer="ones",
        depthwise_regularizer=None,
        pointwise_regularizer=None,
        bias_regularizer=None,
        beta_regularizer=None,
        gamma_regularizer=None,
        depthwise_constraint=None,
        pointwise_constraint=None,
        bias_constraint=None,
        beta_constraint=None,
        gamma_constraint=None,
        data_format=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=4)
        self.filters = check_integer("filters", filters)
        self.padding = check_choice("padding", str(padding).lower(), ("valid", "same"))
        self.data_format = check_data_format(data_format)
        # The sublayers share the dtype policy, so that mixed precision reaches all of them.
        shared = {"dtype": self.dtype_policy, "trainable": self.trainable}
        convolution = {
            "use_bias": use_bias,
            "bias_initializer": bias_initializer,
            "bias_regularizer": bias_regularizer,
            "bias_constraint": bias_constraint,
            "data_format": self.data_format,
            **shared,
        }
        self.depthwise = keras.layers.DepthwiseConv2D(
            kernel_size,
            strides=strides,
            padding=self.padding,
            dilation_rate=dilation_rate,
            depthwise_initializer=depthwise_initializer,
            depthwise_regularizer=depthwise_regularizer,
            depthwise_constraint=depthwise_constraint,
            name="depthwise",
            **convolution,
        )
        self.normalization = keras.layers.BatchNormalization(
            momentum=momentum,
            epsilon=epsilon,
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            moving_mean_initializer=moving_mean_initializer,
            moving_variance_initializer=moving_variance_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
            name="normalization",
            **shared,
        )
        self.depthwise_activation_layer = keras.layers.Activation(
            depthwise_activation, name="depthwise_activation", **shared
        )
        self.interchannel = InterchannelPooling(
            compact_factor, operation, grouping, data_format=self.data_format, name="interchannel", **shared
        )
        self.pointwise = keras.layers.Conv2D(
            self.filters,
            1,
            activation=activation,
            kernel_initializer=pointwise_initializer,
            kernel_regularizer=pointwise_regularizer,
            kernel_constraint=pointwise_constraint,
            name="pointwise",
            **convolution,
        )
        # Every other argument as a sublayer resolved it. To resolve an initializer again would draw another seed.
        self.kernel_size = self.depthwise.kernel_size
        self.compact_factor = self.interchannel.compact_factor
        self.operation = self.interchannel.operation
        self.strides = self.depthwise.strides
        self.grouping = self.interchannel.grouping
        self.depthwise_activation = self.depthwise_activation_layer.activation
        self.activation = self.pointwise.activation
        self.use_bias = use_bias
        self.dilation_rate = self.depthwise.dilation_rate
        self.momentum = self.normalization.momentum
        self.epsilon = self.normalization.epsilon
        self.depthwise_initializer = self.depthwise.depthwise_initializer
        self.pointwise_initializer = self.pointwise.kernel_initializer
        self.bias_initializer = self.pointwise.bias_initializer
        self.beta_initializer = self.normalization.beta_initializer
        self.gamma_initializer = self.normalization.gamma_initializer
        self.moving_mean_initializer = self.normalization.moving_mean_initializer
        self.moving_variance_initializer = self.normalization.moving_variance_initializer
        self.depthwise_regularizer = self.depthwise.depthwise_regularizer
        self.pointwise_regularizer = self.pointwise.kernel_regularizer
        self.bias_regularizer = self.pointwise.bias_regularizer
        self.beta_regularizer = self.normalization.beta_regularizer
        self.gamma_regularizer = self.normalization.gamma_regularizer
        self.depthwise_constraint = self.depthwise.depthwise_constraint
        self.pointwise_constraint = self.pointwise.kernel_constraint
        self.bias_constraint = self.pointwise.bias_constraint
        self.beta_constraint = self.normalization.beta_constraint
        self.gamma_constraint = self.normalization.gamma_constraint

    @property
    def _parts(self):
        return (self.depthwise, self.normalization, self.depthwise_activation_layer, self.interchannel, self.pointwise)

    def build(self, input_shape):
        # Checked before any sublayer is built, so that an error leaves no weights behind.
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

    def depthwise_features(self, inputs, training=None):
        """Return what the interchannel operation receives: the inputs convolved depthwise, normalized and activated.

        Args:
            inputs: Tensor of shape `(batch, height, width, N)`.
            training: Whether to normalize with the statistics of the batch instead of the moving ones.

        Returns:
            A tensor of shape `(batch, new_height, new_width, N)`.
        """
        if not self.built:
            self.build(inputs.shape)
        outputs = self.normalization(self.depthwise(inputs), training=training)
        return self.depthwise_activation_layer(outputs)

    def call(self, inputs, training=None):
        return self.pointwise(self.interchannel(self.depthwise_features(inputs, training=training)))

    def get_config(self):
        plain = ("filters", "kernel_size", "compact_factor", "operation", "strides", "padding", "grouping")
        plain += ("use_bias", "dilation_rate", "momentum", "epsilon", "data_format")
        weights = ("depthwise", "pointwise", "bias", "beta", "gamma")
        serialized = {
            keras.activations: ("depthwise_activation", "activation"),
            keras.initializers: [f"{weight}_initializer" for weight in (*weights, "moving_mean", "moving_variance")],
            keras.regularizers: [f"{weight}_regularizer" for weight in weights],
            keras.constraints: [f"{weight}_constraint" for weight in weights],
        }
        config = {name: getattr(self, name) for name in plain}
        for module, names in serialized.items():
            config |= {name: module.serialize(getattr(self, name)) for name in names}
        return {**super().get_config(), **config}
