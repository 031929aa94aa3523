"""The Ghost module of GhostNet (Han et al., 2020)."""

import keras
from keras import ops

from compactnet.checks import check_integer
from compactnet.layers.arguments import check_pair, convolved_extents
from compactnet.layers.composite_conv2d import CompositeConv2D, call_chain


@keras.saving.register_keras_serializable(package="compactnet")
class GhostConv2D(CompositeConv2D):
    """A convolution to few channels, and a depthwise convolution that makes the others of them.

    The primary convolution gives ceil(F / s) of the F filters, which are normalized and activated. A depthwise
    convolution makes s - 1 more channels of each. All are concatenated, and the first F kept. For N input channels, a k
    x k primary and a d x d depthwise kernel it has N k^2 F/s + (s - 1) (F/s) d^2 kernel weights, if s divides F. It has
    no biases.

    Args:
        filters: Integer F, the number of output channels.
        kernel_size: Integer or pair of integers, the size of the primary kernel.
        ratio: Integer s of at least 2.
        depthwise_kernel_size: Integer or pair of integers, the size of the depthwise kernel.
        strides: Integer or pair of integers, the strides of the primary convolution.
        padding: "valid" or "same", the padding of the primary convolution.
        activation: Activation after the normalization of the primary convolution, or None.
        momentum: Momentum of the moving statistics of the normalization.
        epsilon: Constant added to the variance in the normalization.
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
        >>> keras.ops.shape(GhostConv2D(64)(np.zeros((1, 8, 8, 16), dtype="float32")))
        (1, 8, 8, 64)

    Source: Han et al., "GhostNet: More Features from Cheap Operations", CVPR 2020, Sec. 3.1.
    """

    ARGUMENTS = ("filters", "kernel_size", "ratio", "depthwise_kernel_size", "momentum", "epsilon")

    def __init__(
        self,
        filters,
        kernel_size=1,
        ratio=2,
        depthwise_kernel_size=3,
        strides=1,
        padding="valid",
        *,
        activation="relu",
        momentum=0.99,
        epsilon=0.001,
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
        self.ratio = check_integer("ratio", ratio, 2)
        self.depthwise_kernel_size = check_pair("depthwise_kernel_size", depthwise_kernel_size)
        self.activation = keras.activations.get(activation)
        self.momentum, self.epsilon = momentum, epsilon
        primary = -(-self.filters // self.ratio)
        self.primary = self._conv2d("primary", primary, self.kernel_size, strides=self.strides, padding=self.padding)
        self.normalization = self._normalization("normalization", momentum, epsilon)
        self.activation_layer = self._activation("activation", self.activation)
        self.depthwise = self._depthwise(
            "depthwise", self.depthwise_kernel_size, padding="same", depth_multiplier=self.ratio - 1
        )

    @property
    def _parts(self):
        return (self.primary, self.normalization, self.activation_layer, self.depthwise)

    def compute_output_shape(self, input_shape):
        batch, *extents, _ = input_shape
        return (batch, *convolved_extents(extents, self.kernel_size, self.strides, self.padding), self.filters)

    def call(self, inputs):
        primary = call_chain(self._parts[:-1], inputs)
        return ops.concatenate([primary, self.depthwise(primary)], -1)[..., : self.filters]

    def get_config(self):
        return {**super().get_config(), "activation": keras.activations.serialize(self.activation)}
