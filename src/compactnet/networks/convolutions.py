"""The convolutions that a skeleton can carry: standard, separable and compact.

A convolution is a frozen spec that is called with a tensor and returns a tensor. The skeleton decides the padding, the
bias and the activation (`LayerDefaults`); the convolution decides what happens inside. The normalization, activation or
addition after the convolution belongs to the skeleton.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import keras
from pydantic import Field, SerializeAsAny, WrapValidator

from compactnet.layers import CompactConv2D, GroupedConv2D
from compactnet.validation import Count, StrictModel


@dataclass(frozen=True)
class LayerDefaults:
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
        pointwise_groups: Groups of the 1x1 half of a separable convolution, as in ShuffleNet v1.
    """

    padding: str
    use_bias: bool
    activation: str
    momentum: float
    epsilon: float
    normalize_inside: bool = False
    activate_inside: bool = True
    pointwise_groups: int = 1


class Convolution(StrictModel):
    """Base class of convolutions.

    Attributes:
        kind: Name of the convolution in a YAML file.
    """

    kind: str

    ends_in_pointwise: ClassVar[bool] = True
    """Whether the last operation is a 1x1 convolution, so that a skeleton need not add one (Sec. III-C)."""

    def __call__(self, inputs, filters, defaults, strides=1, name=None):
        """Return the convolution of a tensor.

        Args:
            inputs: Tensor of shape `(batch, height, width, channels)`.
            filters: Number of output channels.
            defaults: The skeleton's `LayerDefaults`.
            strides: Strides along both axes.
            name: Name of the layer, or the beginning of its layers' names.
        """
        raise NotImplementedError


class Standard(Convolution):
    """A standard 3x3 convolution, Eq. (6)."""

    kind: Literal["standard"] = "standard"

    ends_in_pointwise: ClassVar[bool] = False

    def __call__(self, inputs, filters, defaults, strides=1, name=None):
        return keras.layers.Conv2D(
            filters, 3, strides=strides, padding=defaults.padding, use_bias=defaults.use_bias, name=name
        )(inputs)


class Separable(Convolution):
    """A depthwise 3x3 convolution followed by a 1x1 convolution."""

    kind: Literal["separable"] = "separable"

    def __call__(self, inputs, filters, defaults, strides=1, name=None):
        shared = {"strides": strides, "padding": defaults.padding, "use_bias": defaults.use_bias}
        if not defaults.normalize_inside:
            return keras.layers.SeparableConv2D(filters, 3, **shared, name=name)(inputs)
        outputs = keras.layers.DepthwiseConv2D(3, **shared, name=f"{name}_depthwise")(inputs)
        outputs = batch_norm_activation(outputs, defaults, name=f"{name}_depthwise", activate=defaults.activate_inside)
        return pointwise(outputs, filters, defaults, defaults.pointwise_groups, name=f"{name}_pointwise")


class Compact(Convolution):
    """The paper's compact convolution, Sec. III-B.

    Attributes:
        compact_factor: C, the number of channels squeezed into one.
        operation: "sum", "max" or "average".
        grouping: "strided" or "adjacent": the same network up to a permutation of the preceding filters; "strided" is
            faster.
        depthwise_activation: Whether the skeleton's activation follows the normalization of the depthwise
            convolution. The paper's text says so; its counts cannot tell.
    """

    kind: Literal["compact"] = "compact"
    compact_factor: Count = 2
    operation: Literal["sum", "max", "average"] = "sum"
    grouping: Literal["strided", "adjacent"] = "strided"
    depthwise_activation: bool = True

    def __call__(self, inputs, filters, defaults, strides=1, name=None):
        return CompactConv2D(
            filters,
            3,
            compact_factor=self.compact_factor,
            operation=self.operation,
            strides=strides,
            padding=defaults.padding,
            grouping=self.grouping,
            depthwise_activation=defaults.activation if self.depthwise_activation else None,
            use_bias=defaults.use_bias,
            momentum=defaults.momentum,
            epsilon=defaults.epsilon,
            name=name,
        )(inputs)


def or_instance_of(base):
    """Return a validator that also takes instances of `base` that the union does not name, from a user's own code."""
    return WrapValidator(lambda value, handler: value if isinstance(value, base) else handler(value))


AnyConvolution = Annotated[
    SerializeAsAny[Standard | Separable | Compact], Field(discriminator="kind"), or_instance_of(Convolution)
]
"""The convolutions that a YAML file can name by their `kind`."""


def batch_norm_activation(inputs, defaults, name, activate=True):
    """Return `inputs` after batch normalization and, unless `activate` is False, the activation of `defaults`."""
    outputs = keras.layers.BatchNormalization(
        momentum=defaults.momentum, epsilon=defaults.epsilon, name=f"{name}_normalization"
    )(inputs)
    if not activate:
        return outputs
    return keras.layers.Activation(defaults.activation, name=f"{name}_activation")(outputs)


def pointwise(inputs, filters, defaults, groups, name):
    """Return a 1x1 convolution of `inputs`, in groups where `groups` is above 1."""
    if groups == 1:
        return keras.layers.Conv2D(filters, 1, use_bias=defaults.use_bias, name=name)(inputs)
    return GroupedConv2D(filters, 1, groups=groups, use_bias=defaults.use_bias, name=name)(inputs)
