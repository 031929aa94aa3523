"""Convolution with a Max-Feature-Map (Wu et al., 2018)."""

import keras

from compactnet.checks import check_integer
from compactnet.layers.arguments import check_pair
from compactnet.layers.composite_conv2d import CompositeConv2D
from compactnet.layers.interchannel_pooling import InterchannelPooling


@keras.saving.register_keras_serializable(package="compactnet")
class MaxFeatureMapConv2D(CompositeConv2D):
    """A convolution to twice the filters, of whose two halves the maximum is kept.

    Args:
        filters: Integer, the number of output channels.
        kernel_size: Integer or pair of integers, the size of the kernel.
        strides: Integer or pair of integers, the strides.
        padding: "valid" or "same".
        use_bias: Whether the convolution has a bias.
        kernel_initializer: Initializer of the kernel.
        kernel_regularizer: Regularizer of the kernel, or None.
        kernel_constraint: Constraint of the kernel, or None.
        data_format: "channels_last" or None. "channels_first" is not supported.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        `(batch, new_height, new_width, filters)`.

    Raises:
        ValueError: An argument is invalid, or the rank is not 4.

    Examples:
        >>> import numpy as np
        >>> keras.ops.shape(MaxFeatureMapConv2D(64, 3)(np.zeros((1, 8, 8, 16), dtype="float32")))
        (1, 6, 6, 64)

    Source: Wu, He, Sun, Tan, "A Light CNN for Deep Face Representation with Noisy Labels", IEEE Transactions on
    Information Forensics and Security 2018, Eq. (1).
    """

    ARGUMENTS = ("filters", "kernel_size", "use_bias")

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        *,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        kernel_regularizer=None,
        kernel_constraint=None,
        data_format=None,
        **kwargs,
    ):
        super().__init__(
            strides, padding, kernel_initializer, kernel_regularizer, kernel_constraint, data_format, **kwargs
        )
        self.filters = check_integer("filters", filters)
        self.kernel_size = check_pair("kernel_size", kernel_size)
        self.use_bias = use_bias
        self.convolution = self._conv2d(
            "convolution",
            2 * self.filters,
            self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            use_bias=use_bias,
        )
        self.maximum = InterchannelPooling(
            2, "max", "strided", self.data_format, name="maximum", dtype=self.dtype_policy
        )

    @property
    def _parts(self):
        return (self.convolution, self.maximum)
