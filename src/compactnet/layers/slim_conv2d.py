"""The slim convolution of SlimConv (Qiu et al., 2021)."""

import keras
from keras import ops

from compactnet.checks import check_integer
from compactnet.layers.arguments import check_divides, check_pair, convolved_extents
from compactnet.layers.composite_conv2d import CompositeConv2D, build_chain, call_chain
from compactnet.layers.interchannel_pooling import InterchannelPooling


@keras.saving.register_keras_serializable(package="compactnet")
class SlimConv2D(CompositeConv2D):
    """Weighs channels, folds them in two ways, and convolves each fold to fewer channels.

    A gate z (global average pooling, 1x1 convolution, normalization, ReLU, 1x1 convolution, sigmoid) weighs the N input
    channels once as they are and once in reverse. Each result is folded: its F blocks of N/F channels are added up. The
    first is convolved to N/F channels. The second goes through a 1x1 convolution, a normalization and an activation,
    and is convolved to N/2F channels. Both are normalized and concatenated: 3N/2F channels, without an activation.

    The paper calls it by the ratio k of input to output channels: `folds=2` is its k=4/3 and `folds=4` its k=8/3. For N
    a multiple of 32 and 3x3 kernels it has 3N^2 + 3.0625N trainable weights with two folds, and 51/64 N^2 + 2.0625N
    with four.

    The convolutions have no biases, except for the last one of the gate.

    Args:
        kernel_size: Integer or pair of integers, the size of the two spatial kernels.
        folds: Integer F of at least 2; 2F must divide the number of input channels.
        strides: Integer or pair of integers, the strides of the spatial convolutions.
        padding: "valid" or "same", the padding of the spatial convolutions.
        reduction: Integer; the gate has N // `reduction` channels inside, and at least 1.
        activation: Activation after the 1x1 convolution of the second fold.
        momentum: Momentum of the moving statistics of the normalizations.
        epsilon: Constant added to the variance in the normalizations.
        kernel_initializer: Initializer of every kernel.
        kernel_regularizer: Regularizer of every kernel, or None.
        kernel_constraint: Constraint of every kernel, or None.
        data_format: "channels_last" or None. "channels_first" is not supported.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, N)`.

    Output shape:
        `(batch, new_height, new_width, 3N / 2F)`.

    Raises:
        ValueError: An argument is invalid, the rank is not 4, or 2F does not divide the channel count.

    Examples:
        >>> import numpy as np
        >>> keras.ops.shape(SlimConv2D(3)(np.zeros((1, 8, 8, 64), dtype="float32")))
        (1, 8, 8, 48)

    Source: Qiu, Chen, Liu, Zhang, Zeng, "SlimConv: Reducing Channel Redundancy in Convolutional Neural Networks by
    Features Recombining", IEEE Transactions on Image Processing 2021; https://github.com/JiaxiongQ/SlimConv.
    """

    ARGUMENTS = ("kernel_size", "folds", "reduction", "momentum", "epsilon")

    def __init__(
        self,
        kernel_size=3,
        folds=2,
        strides=1,
        padding="same",
        *,
        reduction=32,
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
        self.kernel_size = check_pair("kernel_size", kernel_size)
        self.folds = check_integer("folds", folds, 2)
        self.reduction = check_integer("reduction", reduction)
        self.activation = keras.activations.get(activation)
        self.momentum, self.epsilon = momentum, epsilon

    def build(self, input_shape):
        self.compute_output_shape(input_shape)
        batch, *extents, channels = input_shape
        wide, narrow = channels // self.folds, channels // (2 * self.folds)
        spatial = {"kernel_size": self.kernel_size, "strides": self.strides, "padding": self.padding}
        statistics = {"momentum": self.momentum, "epsilon": self.epsilon}
        # Made here and not in the constructor, because their filters follow from the input.
        self.gate_pool = keras.layers.GlobalAveragePooling2D(
            self.data_format, keepdims=True, name="gate_pool", dtype=self.dtype_policy
        )
        self.gate = [
            self._conv2d("gate_reduce", max(1, channels // self.reduction)),
            self._normalization("gate_normalization", **statistics),
            self._activation("gate_activation", "relu"),
            self._conv2d("gate_expand", channels, use_bias=True),
            self._activation("gate_sigmoid", "sigmoid"),
        ]
        self.fold = InterchannelPooling(
            self.folds, "sum", "strided", self.data_format, name="fold", dtype=self.dtype_policy
        )
        self.first = [
            self._conv2d("first", wide, **spatial),
            self._normalization("first_normalization", **statistics),
        ]
        self.second = [
            self._conv2d("second_reduce", narrow),
            self._normalization("second_reduce_normalization", **statistics),
            self._activation("second_activation", self.activation),
            self._conv2d("second", narrow, **spatial),
            self._normalization("second_normalization", **statistics),
        ]
        build_chain(self.gate, (batch, 1, 1, channels))
        build_chain(self.first, (batch, *extents, wide))
        build_chain(self.second, (batch, *extents, wide))

    def compute_output_shape(self, input_shape):
        batch, *extents, channels = input_shape
        narrow = check_divides("2 * folds", 2 * self.folds, channels)
        return (batch, *convolved_extents(extents, self.kernel_size, self.strides, self.padding), 3 * narrow)

    def call(self, inputs):
        gate = call_chain(self.gate, self.gate_pool(inputs))
        first = call_chain(self.first, self.fold(inputs * gate))
        second = call_chain(self.second, self.fold(inputs * ops.flip(gate, -1)))
        return ops.concatenate([first, second], -1)

    def get_config(self):
        return {**super().get_config(), "activation": keras.activations.serialize(self.activation)}
