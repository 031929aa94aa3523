"""Grouped convolution (Krizhevsky et al., 2012; Xie et al., 2017)."""

import keras
from keras import ops

from compactnet.layers.arguments import check_data_format


@keras.saving.register_keras_serializable(package="compactnet")
class GroupedConv2D(keras.layers.Conv2D):
    """A `keras.layers.Conv2D` with groups, computed as one convolution per group.

    It has the arguments, weights and results of `keras.layers.Conv2D`. On TensorFlow, Keras compiles a convolution
    with groups by XLA, which on a CPU is tens of times slower than the convolutions it consists of. Split, they take
    about as long as one convolution with the same FLOPs.

    Args:
        filters: Integer, the number of output channels. `groups` must divide it.
        kernel_size: Integer or pair of integers, the size of the kernel.
        strides: Integer or pair of integers, the strides.
        padding: "valid" or "same".
        data_format: "channels_last" or None. "channels_first" is not supported.
        dilation_rate: Integer or pair of integers, the dilation. It cannot be combined with strides above 1.
        groups: Integer of at least 1, the number of groups. It must divide the number of input channels.
        activation: Activation of the output, or None.
        use_bias: Whether the convolution has a bias.
        kernel_initializer: Initializer of the kernel.
        bias_initializer: Initializer of the bias.
        kernel_regularizer: Regularizer of the kernel, or None.
        bias_regularizer: Regularizer of the bias, or None.
        activity_regularizer: Regularizer of the output, or None.
        kernel_constraint: Constraint of the kernel, or None.
        bias_constraint: Constraint of the bias, or None.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        `(batch, new_height, new_width, filters)`.

    Raises:
        ValueError: An argument is invalid, or `groups` does not divide the number of input channels or of filters.

    Examples:
        >>> import numpy as np
        >>> GroupedConv2D(6, 1, groups=3)(np.ones((1, 4, 4, 12), "float32")).shape[-1]
        6

    Source: Zhang, Zhou, Lin, Sun, "ShuffleNet", CVPR 2018, Sec. 3.1.
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1),
        padding="valid",
        data_format=None,
        dilation_rate=(1, 1),
        groups=1,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            data_format=check_data_format(data_format),
            dilation_rate=dilation_rate,
            groups=groups,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            **kwargs,
        )

    def convolution_op(self, inputs, kernel):
        if self.groups == 1:
            return super().convolution_op(inputs, kernel)
        pairs = zip(ops.split(inputs, self.groups, axis=-1), ops.split(kernel, self.groups, axis=-1), strict=True)
        return ops.concatenate([super(GroupedConv2D, self).convolution_op(*pair) for pair in pairs], axis=-1)
