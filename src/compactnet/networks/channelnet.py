"""ChannelNet versions 1, 2 and 3 (Gao, Wang, Ji, 2018)."""

from dataclasses import replace
from typing import ClassVar, Literal

import keras

from compactnet.layers import ChannelwiseConv, ConvolutionalClassifier
from compactnet.networks.convolutions import Channelwise, Separable, batch_norm_activation
from compactnet.networks.skeleton import Skeleton


class ChannelNet(Skeleton):
    """MobileNet version 1 with group modules in place of its five blocks of 512 channels. No biases in convolutions.

    A group module is two depthwise separable convolutions whose 1x1 half has groups, with a shortcut around both. The
    first two of three modules end in a group channel-wise convolution, which lets the groups exchange information.
    Version 2 replaces the 1x1 half of the last block by a channel-wise convolution. Version 3 also replaces the pooling
    and the dense layer by a convolutional classification layer.

    The convolution of a spec goes into the blocks outside the group modules.

    Attributes:
        version: 1, 2 or 3.
        groups: Groups of the 1x1 convolutions in the modules.
    """

    kind: Literal["channelnet"] = "channelnet"
    version: Literal[1, 2, 3] = 1
    groups: Literal[1, 2, 4, 8] = 2

    STEM: ClassVar = 32
    BEFORE: ClassVar = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2))
    MODULES: ClassVar = 3
    FILTERS: ClassVar = 512
    TAPS: ClassVar = 8
    AFTER: ClassVar = ((1024, 2), (1024, 1))

    def features(self, inputs, convolution):
        defaults = self.layer_defaults(padding="same", use_bias=False, activation="relu6", normalize_inside=True)
        outputs = keras.layers.Conv2D(
            self.channels(self.STEM), 3, strides=2, padding="same", use_bias=False, name="stem"
        )(inputs)
        outputs = batch_norm_activation(outputs, defaults, name="stem")
        for block, (filters, strides) in enumerate(self.BEFORE):
            outputs = self._block(outputs, filters, strides, convolution, defaults, f"block{block + 1}")
        for module in range(self.MODULES):
            outputs = self._module(outputs, module < self.MODULES - 1, defaults, f"module{module + 1}")
        *blocks, (filters, strides) = self.AFTER
        for block, arguments in enumerate(blocks, len(self.BEFORE)):
            outputs = self._block(outputs, *arguments, convolution, defaults, f"block{block + 1}")
        if self.version == 1:
            return self._block(outputs, filters, strides, convolution, defaults, "last")
        # One normalization for both halves, a reading that the published parameters, rounded to 0.1 million, allow.
        return self._block(outputs, filters, strides, Channelwise(), replace(defaults, normalize_inside=False), "last")

    def classifier(self, features, classes):
        if self.version < 3:
            return super().classifier(features, classes)
        return ConvolutionalClassifier(classes, "softmax", dtype="float32", name="classifier")(features)

    def _block(self, inputs, filters, strides, convolution, defaults, name):
        outputs = convolution(inputs, self.channels(filters), defaults, strides=strides, name=name)
        return batch_norm_activation(outputs, defaults, name=name)

    def _module(self, inputs, fuse, defaults, name):
        """Return a group module of `inputs`, with a group channel-wise convolution at its end if `fuse` is true."""
        outputs = inputs
        grouped = replace(defaults, pointwise_groups=self.groups)
        for half in (1, 2):
            outputs = self._block(outputs, self.FILTERS, 1, Separable(), grouped, f"{name}_{half}")
        outputs = keras.layers.Add(name=f"{name}_add")([inputs, outputs])
        if fuse:
            outputs = ChannelwiseConv(self.TAPS, self.groups, self.groups, name=f"{name}_fuse")(outputs)
        return outputs
