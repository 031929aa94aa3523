"""ShuffleNet versions 1 and 2 (Table II of the paper; after Zhang et al., 2018, and Ma et al., 2018)."""

from dataclasses import replace
from types import MappingProxyType
from typing import ClassVar, Literal

import keras
from pydantic import field_validator

from compactnet.layers import ChannelShuffle, SameAveragePooling2D
from compactnet.networks.convolutions import batch_norm_activation, pointwise
from compactnet.networks.skeleton import Skeleton
from compactnet.validation import Count

STEM = 24
UNITS = (4, 8, 4)


class _ShuffleNet(Skeleton):
    def _stem(self, inputs, filters):
        outputs = keras.layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False, name="stem")(inputs)
        outputs = keras.layers.Activation("relu", name="stem_activation")(outputs)
        return keras.layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(outputs)

    def _stages(self, inputs, widths, unit):
        """Return the units of all stages; `unit` is called with (inputs, filters, strides, name)."""
        outputs = inputs
        for stage, (filters, units) in enumerate(zip(widths, UNITS, strict=True)):
            for number in range(units):
                name = f"stage{stage + 2}_unit{number + 1}"
                outputs = unit(outputs, filters, 2 if number == 0 else 1, name)
        return outputs


class ShuffleNetV1(_ShuffleNet):
    """A standard stem and sixteen units of a grouped 1x1 convolution, a channel shuffle, a depthwise convolution and
    a second grouped 1x1 convolution. No biases. The first unit's 1x1 convolutions are not grouped.

    The depthwise convolution and what follows it is where a convolution other than the separable one goes.

    Attributes:
        groups: Groups of the 1x1 convolutions.
    """

    kind: Literal["shufflenet_v1"] = "shufflenet_v1"
    groups: Count = 3

    # Channels of the stages at width 1 and three groups (Table 1 of Zhang et al.).
    STAGES: ClassVar = (240, 480, 960)
    BOTTLENECK: ClassVar = 4

    def features(self, inputs, convolution):
        defaults = self.layer_defaults(
            padding="same", use_bias=False, activation="relu", normalize_inside=True, activate_inside=False
        )
        stem = self._stem(inputs, self.channels(STEM))

        def unit(inputs, filters, strides, name):
            groups = 1 if inputs is stem else self.groups
            return self._unit(inputs, filters, strides, convolution, replace(defaults, pointwise_groups=groups), name)

        return self._stages(stem, [self.channels(filters) for filters in self.STAGES], unit)

    def _unit(self, inputs, filters, strides, convolution, defaults, name):
        # A unit with strides concatenates its channels to those of its input instead of adding the values.
        own = filters - inputs.shape[-1] if strides == 2 else filters
        groups, multiple = defaults.pointwise_groups, self.channel_multiple
        bottleneck = multiple * max(1, round(filters // self.BOTTLENECK / multiple))
        outputs = pointwise(inputs, bottleneck, defaults, groups, f"{name}_reduce")
        outputs = batch_norm_activation(outputs, defaults, name=f"{name}_reduce")
        outputs = ChannelShuffle(groups, name=f"{name}_shuffle")(outputs)
        outputs = convolution(outputs, own, defaults, strides=strides, name=f"{name}_expand")
        outputs = batch_norm_activation(outputs, defaults, name=f"{name}_expand", activate=False)
        if strides == 2:
            pooled = SameAveragePooling2D(3, strides=2, name=f"{name}_pool")(inputs)
            outputs = keras.layers.Concatenate(name=f"{name}_concatenate")([pooled, outputs])
        else:
            outputs = keras.layers.Add(name=f"{name}_add")([inputs, outputs])
        return keras.layers.Activation(defaults.activation, name=f"{name}_activation")(outputs)


class ShuffleNetV2(_ShuffleNet):
    """A standard stem and sixteen units that split their channels in two, filter one half with a 1x1, a depthwise and
    a 1x1 convolution, and shuffle it with the other; then one 1x1 convolution. Convolutions in the units and the last
    one have biases; the stem and the last one are not normalized (the parameters of the paper's Table II prove both).

    The width is one of those that Ma et al. give channels for: 0.5, 1, 1.5 or 2.
    """

    kind: Literal["shufflenet_v2"] = "shufflenet_v2"

    # Channels of the stages and of the last convolution (Table 5 of Ma et al.).
    CHANNELS: ClassVar = MappingProxyType(
        {
            0.5: (48, 96, 192, 1024),
            1: (116, 232, 464, 1024),
            1.5: (176, 352, 704, 1024),
            2: (244, 488, 976, 2048),
        }
    )

    @field_validator("width")
    @classmethod
    def _has_channels(cls, width):
        if width not in cls.CHANNELS:
            allowed = ", ".join(str(width) for width in cls.CHANNELS)
            raise ValueError(f"ShuffleNet v2 has the widths {allowed}. Received: {width}")
        return width

    @field_validator("channel_multiple")
    @classmethod
    def _has_fixed_channels(cls, multiple):
        if multiple != 1:
            raise ValueError(f"ShuffleNet v2 has the channels of its paper; leave it out. Received: {multiple}")
        return multiple

    def features(self, inputs, convolution):
        defaults = self.layer_defaults(
            padding="same", use_bias=True, activation="relu", normalize_inside=True, activate_inside=False
        )

        def unit(inputs, filters, strides, name):
            return self._unit(inputs, filters // 2, strides, convolution, defaults, name)

        *widths, last = self.CHANNELS[self.width]
        outputs = self._stages(self._stem(inputs, STEM), widths, unit)
        outputs = keras.layers.Conv2D(last, 1, name="last")(outputs)
        return keras.layers.Activation(defaults.activation, name="last_activation")(outputs)

    def _unit(self, inputs, filters, strides, convolution, defaults, name):
        if strides == 2:
            kept = convolution(inputs, filters, defaults, strides=2, name=f"{name}_left")
            kept = batch_norm_activation(kept, defaults, name=f"{name}_left")
            passed = inputs
        else:
            kept, passed = inputs[..., :filters], inputs[..., filters:]
        outputs = keras.layers.Conv2D(filters, 1, name=f"{name}_reduce")(passed)
        outputs = batch_norm_activation(outputs, defaults, name=f"{name}_reduce")
        outputs = convolution(outputs, filters, defaults, strides=strides, name=f"{name}_right")
        outputs = batch_norm_activation(outputs, defaults, name=f"{name}_right")
        outputs = keras.layers.Concatenate(name=f"{name}_concatenate")([kept, outputs])
        return ChannelShuffle(2, name=f"{name}_shuffle")(outputs)
