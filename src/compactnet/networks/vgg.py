"""VGG-8 (Table I of the paper; after Simonyan and Zisserman, 2014)."""

from typing import ClassVar, Literal

import keras

from compactnet.networks.convolutions import Standard, batch_norm_activation
from compactnet.networks.skeleton import Skeleton


class VGG8(Skeleton):
    """Eight 3x3 convolutions in pairs of 64, 128, 256 and 512 channels, each normalized and followed by a ReLU, and a
    2x2 max pooling after each pair. The first pair is always standard.

    Attributes:
        padding: "valid", which the FLOPs of Table I prove, or "same", which a 32x32 image needs.
    """

    kind: Literal["vgg8"] = "vgg8"
    padding: Literal["valid", "same"] = "valid"

    PAIRS: ClassVar = (64, 128, 256, 512)

    def features(self, inputs, convolution):
        defaults = self.layer_defaults(padding=self.padding, use_bias=True, activation="relu")
        outputs = inputs
        for pair, filters in enumerate(self.PAIRS):
            for layer in (1, 2):
                name = f"conv{pair + 1}_{layer}"
                convolve = Standard() if pair == 0 else convolution
                outputs = convolve(outputs, self.channels(filters), defaults, name=name)
                outputs = batch_norm_activation(outputs, defaults, name=name)
            outputs = keras.layers.MaxPooling2D(2, name=f"pool{pair + 1}")(outputs)
        return outputs
