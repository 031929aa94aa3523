"""Decoupled convolution in the style of BDSC (Xie et al., 2018)."""

import keras
from keras import ops

from compactnet.checks import check_integer
from compactnet.layers.arguments import check_pair, convolved_extents
from compactnet.layers.composite_conv2d import CompositeConv2D, build_chain


@keras.saving.register_keras_serializable(package="compactnet")
class DecoupledConv2D(CompositeConv2D):
    """A 1x1 convolution to D maps for each filter, then a spatial convolution of these D maps alone.

    For N input channels, F filters and a k x k kernel it has N D F + F D k^2 weights and no bias. With D = k^2 it can
    compute any `keras.layers.Conv2D`; with D = 1 it is a separable convolution in reverse order (BSConv).

    Only the definition is taken from the paper's abstract: its D, its normalizations and its accuracies are not known
    here. Nothing is normalized or activated inside.

    Args:
        filters: Integer F, the number of output channels.
        kernel_size: Integer or pair of integers, the size of the spatial kernels.
        depth: Integer D of at least 1, the maps for each filter.
        strides: Integer or pair of integers, the strides of the spatial convolution. On a processor without oneDNN,
            TensorFlow computes equal strides alone, as of `keras.layers.DepthwiseConv2D`.
        padding: "valid" or "same", the padding of the spatial convolution.
        kernel_initializer: Initializer of both kernels.
        kernel_regularizer: Regularizer of both kernels, or None.
        kernel_constraint: Constraint of both kernels, or None.
        data_format: "channels_last" or None. "channels_first" is not supported.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, N)`.

    Output shape:
        `(batch, new_height, new_width, filters)`.

    Raises:
        ValueError: An argument is invalid, or the rank is not 4.

    Examples:
        >>> import numpy as np
        >>> layer = DecoupledConv2D(64, 3, depth=4, padding="same")
        >>> keras.ops.shape(layer(np.zeros((1, 8, 8, 64), dtype="float32")))
        (1, 8, 8, 64)
        >>> layer.count_params()
        18688

    Source: Xie, Zhang, Yang, Lai, Wang, "Decoupled Convolutions for CNNs", AAAI 2018, abstract.
    """

    ARGUMENTS = ("filters", "kernel_size", "depth")

    def __init__(
        self,
        filters,
        kernel_size,
        depth=4,
        strides=1,
        padding="valid",
        *,
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
        self.depth = check_integer("depth", depth)
        # Filter f owns the maps f, f + F, f + 2F, ...: a depthwise convolution and a sum of D blocks are its spatial
        # convolution, and faster than a convolution in F groups.
        self.expand = self._conv2d("expand", self.depth * self.filters)
        self.spatial = self._depthwise("spatial", self.kernel_size, strides=self.strides, padding=self.padding)

    def build(self, input_shape):
        build_chain((self.expand, self.spatial), input_shape)

    def compute_output_shape(self, input_shape):
        batch, *extents, _ = input_shape
        return (batch, *convolved_extents(extents, self.kernel_size, self.strides, self.padding), self.filters)

    def call(self, inputs):
        maps = self.spatial(self.expand(inputs))
        if self.depth == 1:
            return maps
        outer = ops.shape(maps)[:-1]
        return ops.sum(ops.reshape(maps, (*outer, self.depth, self.filters)), -2)
