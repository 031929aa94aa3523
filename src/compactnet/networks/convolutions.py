"""The convolutions that a skeleton can carry: standard, separable, compact, and others that squeeze channels.

A convolution is a frozen spec that is called with a tensor and returns a tensor. The skeleton decides the padding, the
bias and the activation (`LayerDefaults`); the convolution decides what happens inside. The normalization, activation or
addition after the convolution belongs to the skeleton.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import keras
from pydantic import Field, SerializeAsAny, WrapValidator

from compactnet.errors import InputError
from compactnet.layers import (
    ChannelwiseConv,
    CompactConv2D,
    DecoupledConv2D,
    FactorizedConv2D,
    GhostConv2D,
    GroupedConv2D,
    MaxFeatureMapConv2D,
    PartialConv2D,
    SlimConv2D,
)
from compactnet.layers.arguments import check_divides
from compactnet.validation import Count, Number, StrictModel


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
        if not defaults.normalize_inside:
            return keras.layers.SeparableConv2D(
                filters, 3, strides=strides, padding=defaults.padding, use_bias=defaults.use_bias, name=name
            )(inputs)
        outputs = depthwise(inputs, strides, defaults, name)
        return pointwise(outputs, filters, defaults, defaults.pointwise_groups, name=f"{name}_pointwise")


class Compact(Convolution):
    """The paper's compact convolution, Sec. III-B.

    Attributes:
        compact_factor: C, the number of channels squeezed into one.
        operation: "sum", "max" or "average", or "first" as a control, see `compactnet.layers.InterchannelPooling`.
        grouping: "strided" or "adjacent": the same network up to a permutation of the preceding filters; "strided" is
            faster.
        depthwise_activation: Whether the skeleton's activation follows the normalization of the depthwise
            convolution. The paper's text suggests it (Sec. III-C); its counts cannot tell.
    """

    kind: Literal["compact"] = "compact"
    compact_factor: Count = 2
    operation: Literal["sum", "max", "average", "first"] = "sum"
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


class LearnedSqueeze(Convolution):
    """A control for the compact convolution: in place of the interchannel operation, a 1x1 convolution with weights.

    A depthwise 3x3 convolution with normalization and activation, a 1x1 convolution to 1/C of the channels, and one to
    the filters.

    Attributes:
        compact_factor: C, as in `Compact`.
    """

    kind: Literal["learned_squeeze"] = "learned_squeeze"
    compact_factor: Count = 2

    def __call__(self, inputs, filters, defaults, strides=1, name=None):
        squeezed = check_divides("compact_factor", self.compact_factor, inputs.shape[-1])
        outputs = depthwise(inputs, strides, defaults, name)
        outputs = keras.layers.Conv2D(squeezed, 1, use_bias=False, name=f"{name}_squeeze")(outputs)
        return pointwise(outputs, filters, defaults, 1, name=f"{name}_pointwise")


class Slim(Convolution):
    """SlimConv (Qiu et al., 2021), an activation and a 1x1 convolution.

    Attributes:
        folds: F of `compactnet.layers.SlimConv2D`; its output has 3/(2F) of the channels.
    """

    kind: Literal["slim"] = "slim"
    folds: Annotated[int, Field(ge=2, strict=True)] = 2

    def __call__(self, inputs, filters, defaults, strides=1, name=None):
        outputs = SlimConv2D(
            3,
            self.folds,
            strides,
            defaults.padding,
            activation=defaults.activation,
            momentum=defaults.momentum,
            epsilon=defaults.epsilon,
            name=f"{name}_slim",
        )(inputs)
        outputs = keras.layers.Activation(defaults.activation, name=f"{name}_slim_activation")(outputs)
        return pointwise(outputs, filters, defaults, 1, name=f"{name}_pointwise")


class Channelwise(Convolution):
    """The depthwise separable channel-wise convolution of ChannelNets: a depthwise 3x3 convolution, and a convolution
    along the channels in place of the 1x1.

    Filters must be a multiple of the input channels, or divide them: each kernel along the channels gives as many
    channels as there are, or one in a few.

    Attributes:
        kernel_size: Channels that an output channel depends on.
    """

    kind: Literal["channelwise"] = "channelwise"
    kernel_size: Count = 64

    def __call__(self, inputs, filters, defaults, strides=1, name=None):
        channels = inputs.shape[-1]
        if filters % channels and channels % filters:
            raise InputError(
                f"A channel-wise convolution needs filters that are a multiple of the input channels or divide them. "
                f"{name} has {channels} channels and {filters} filters; choose another width."
            )
        kernels, step = max(1, filters // channels), max(1, channels // filters)
        outputs = depthwise(inputs, strides, defaults, name, defaults.normalize_inside)
        return ChannelwiseConv(self.kernel_size, kernels, step, name=f"{name}_channelwise")(outputs)


class GroupChannelwise(Convolution):
    """The group and group channel-wise convolutions of ChannelNets: a depthwise 3x3 convolution, a 1x1 convolution in
    groups, and a convolution along the channels that lets the groups exchange information.

    Attributes:
        groups: Groups of the 1x1 convolution, and kernels along the channels.
        kernel_size: Channels that an output channel of the last convolution depends on.
    """

    kind: Literal["group_channelwise"] = "group_channelwise"
    groups: Count = 2
    kernel_size: Count = 8

    def __call__(self, inputs, filters, defaults, strides=1, name=None):
        outputs = depthwise(inputs, strides, defaults, name)
        outputs = pointwise(outputs, filters, defaults, self.groups, name=f"{name}_pointwise")
        return ChannelwiseConv(self.kernel_size, self.groups, self.groups, name=f"{name}_channelwise")(outputs)


class Factorized(Convolution):
    """A 3x3 convolution with a kernel in factors, the CP decomposition (Kossaifi et al., 2020).

    Attributes:
        fraction: Of the rank at which the factors have about as many weights as the kernel, see
            `compactnet.layers.FactorizedConv2D`.
    """

    kind: Literal["factorized"] = "factorized"
    fraction: Annotated[Number, Field(gt=0)] = 1.0

    def __call__(self, inputs, filters, defaults, strides=1, name=None):
        return FactorizedConv2D(
            filters, 3, self.fraction, None, strides, defaults.padding, use_bias=defaults.use_bias, name=name
        )(inputs)


class Decoupled(Convolution):
    """A decoupled convolution in the style of BDSC (Xie et al., 2018).

    Attributes:
        depth: D, the maps that the 1x1 convolution makes for each filter.
    """

    kind: Literal["decoupled"] = "decoupled"
    depth: Count = 4

    ends_in_pointwise: ClassVar[bool] = False

    def __call__(self, inputs, filters, defaults, strides=1, name=None):
        return DecoupledConv2D(filters, 3, self.depth, strides, defaults.padding, name=name)(inputs)


class Ghost(Convolution):
    """The Ghost module (Han et al., 2020).

    Attributes:
        kernel_size: Size of the primary kernel: 3 as where the module replaces a 3x3 convolution.
        ratio: Filters over those of the primary convolution.
    """

    kind: Literal["ghost"] = "ghost"
    kernel_size: Count = 3
    ratio: Annotated[int, Field(ge=2, strict=True)] = 2

    ends_in_pointwise: ClassVar[bool] = False

    def __call__(self, inputs, filters, defaults, strides=1, name=None):
        return GhostConv2D(
            filters,
            self.kernel_size,
            self.ratio,
            strides=strides,
            padding=defaults.padding,
            activation=defaults.activation,
            momentum=defaults.momentum,
            epsilon=defaults.epsilon,
            name=name,
        )(inputs)


class Partial(Convolution):
    """The partial convolution of FasterNet (Chen et al., 2023), 3x3, and a 1x1 convolution.

    Attributes:
        ratio: One channel in `ratio` is convolved with the 3x3 kernel.
    """

    kind: Literal["partial"] = "partial"
    ratio: Count = 4

    def __call__(self, inputs, filters, defaults, strides=1, name=None):
        outputs = PartialConv2D(
            3, self.ratio, strides, defaults.padding, use_bias=defaults.use_bias, name=f"{name}_partial"
        )(inputs)
        return pointwise(outputs, filters, defaults, 1, name=f"{name}_pointwise")


class MaxFeatureMap(Convolution):
    """A 3x3 convolution to twice the filters, of whose halves the maximum is kept (Wu et al., 2018)."""

    kind: Literal["max_feature_map"] = "max_feature_map"

    ends_in_pointwise: ClassVar[bool] = False

    def __call__(self, inputs, filters, defaults, strides=1, name=None):
        return MaxFeatureMapConv2D(filters, 3, strides, defaults.padding, use_bias=defaults.use_bias, name=name)(inputs)


def or_instance_of(base):
    """Return a validator that also takes instances of `base` that the union does not name, from a user's own code."""
    return WrapValidator(lambda value, handler: value if isinstance(value, base) else handler(value))


AnyConvolution = Annotated[
    SerializeAsAny[
        Standard
        | Separable
        | Compact
        | LearnedSqueeze
        | Slim
        | Channelwise
        | GroupChannelwise
        | Factorized
        | Decoupled
        | Ghost
        | Partial
        | MaxFeatureMap
    ],
    Field(discriminator="kind"),
    or_instance_of(Convolution),
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


def depthwise(inputs, strides, defaults, name, normalize=True):
    """Return a depthwise 3x3 convolution of `inputs`, normalized unless `normalize` is False, and then activated where
    `defaults` say so."""
    outputs = keras.layers.DepthwiseConv2D(
        3, strides=strides, padding=defaults.padding, use_bias=defaults.use_bias, name=f"{name}_depthwise"
    )(inputs)
    if not normalize:
        return outputs
    return batch_norm_activation(outputs, defaults, name=f"{name}_depthwise", activate=defaults.activate_inside)


def pointwise(inputs, filters, defaults, groups, name):
    """Return a 1x1 convolution of `inputs`, in groups where `groups` is above 1."""
    if groups == 1:
        return keras.layers.Conv2D(filters, 1, use_bias=defaults.use_bias, name=name)(inputs)
    return GroupedConv2D(filters, 1, groups=groups, use_bias=defaults.use_bias, name=name)(inputs)
