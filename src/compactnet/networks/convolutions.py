"""The convolutions that a skeleton can carry: standard, separable and compact.

Each is a frozen description that is called with a tensor and returns a tensor. The skeleton decides how its
convolutions are padded, whether they have a bias and which activation it uses (`Style`); the convolution decides what
happens inside. What follows the convolution (normalization, activation, addition) is the skeleton's.
"""

from dataclasses import dataclass
from typing import Literal

import keras

from compactnet.layers import CompactConv2D
from compactnet.layers.arguments import GROUPINGS, OPERATIONS, checked_choice, checked_positive_integer


@dataclass(frozen=True)
class Style:
    """What a skeleton asks of every convolution in it.

    Attributes:
        padding: "valid" or "same".
        use_bias: Whether convolutions have a bias.
        activation: Name of the Keras activation after a normalization.
        momentum: Momentum of the moving statistics of every normalization.
        epsilon: Constant added to the variance in every normalization.
        normalize_inside: Whether a separable convolution is normalized and activated between its two halves, as in
            MobileNet, or not, as in Xception and in the paper's XVGG-8.
        activate_inside: Whether the activation follows that normalization, or not, as in ShuffleNet.
    """

    padding: str
    use_bias: bool
    activation: str
    momentum: float
    epsilon: float
    normalize_inside: bool = False
    activate_inside: bool = True


@dataclass(frozen=True)
class Standard:
    """A standard 3x3 convolution, Eq. (6)."""

    kind: Literal["standard"] = "standard"

    def __call__(self, inputs, filters, style, strides=1, name=None):
        return keras.layers.Conv2D(
            filters, 3, strides=strides, padding=style.padding, use_bias=style.use_bias, name=name
        )(inputs)


@dataclass(frozen=True)
class Separable:
    """A depthwise 3x3 convolution followed by a 1x1 convolution."""

    kind: Literal["separable"] = "separable"

    def __call__(self, inputs, filters, style, strides=1, name=None):
        if not style.normalize_inside:
            return keras.layers.SeparableConv2D(
                filters, 3, strides=strides, padding=style.padding, use_bias=style.use_bias, name=name
            )(inputs)
        outputs = keras.layers.DepthwiseConv2D(
            3, strides=strides, padding=style.padding, use_bias=style.use_bias, name=f"{name}_depthwise"
        )(inputs)
        outputs = normalized(outputs, style, name=f"{name}_depthwise", activate=style.activate_inside)
        return keras.layers.Conv2D(filters, 1, use_bias=style.use_bias, name=f"{name}_pointwise")(outputs)


@dataclass(frozen=True)
class Compact:
    """The paper's compact convolution, Sec. III-B.

    Attributes:
        compact_factor: C, the number of channels squeezed into one.
        operation: "sum", "max" or "average".
        grouping: "strided" or "adjacent"; the same network up to a permutation of the preceding filters, the first
            being faster.
        depthwise_activation: Whether the skeleton's activation follows the normalization of the depthwise
            convolution. The paper's text says so, its counts cannot tell.
    """

    compact_factor: int = 2
    operation: Literal["sum", "max", "average"] = "sum"
    grouping: Literal["strided", "adjacent"] = "strided"
    depthwise_activation: bool = True
    kind: Literal["compact"] = "compact"

    def __post_init__(self):
        checked_positive_integer("compact_factor", self.compact_factor)
        checked_choice("operation", self.operation, OPERATIONS)
        checked_choice("grouping", self.grouping, GROUPINGS)

    def __call__(self, inputs, filters, style, strides=1, name=None):
        return CompactConv2D(
            filters,
            3,
            compact_factor=self.compact_factor,
            operation=self.operation,
            strides=strides,
            padding=style.padding,
            grouping=self.grouping,
            depthwise_activation=style.activation if self.depthwise_activation else None,
            use_bias=style.use_bias,
            momentum=style.momentum,
            epsilon=style.epsilon,
            name=name,
        )(inputs)


Convolution = Standard | Separable | Compact


def normalized(inputs, style, name, activate=True):
    """Return `inputs` after the batch normalization and, unless `activate` is False, the activation of `style`."""
    outputs = keras.layers.BatchNormalization(
        momentum=style.momentum, epsilon=style.epsilon, name=f"{name}_normalization"
    )(inputs)
    if not activate:
        return outputs
    return keras.layers.Activation(style.activation, name=f"{name}_activation")(outputs)
