"""VGG-8 (Table I of the paper; after Simonyan and Zisserman, 2014)."""

from dataclasses import dataclass
from typing import Literal

import keras

from compactnet.layers.arguments import checked_choice
from compactnet.networks.convolutions import Standard, normalized
from compactnet.networks.skeleton import Skeleton


@dataclass(frozen=True, kw_only=True)
class VGG8(Skeleton):
    """Eight 3x3 convolutions in pairs of 64, 128, 256 and 512 channels, each normalized and followed by a ReLU, and a
    2x2 max pooling after each pair. The first pair is always standard.

    Attributes:
        padding: "valid", which the FLOPs of Table I prove, or "same", which a 32x32 image needs.
    """

    kind: Literal["vgg8"] = "vgg8"
    padding: Literal["valid", "same"] = "valid"

    PAIRS = (64, 128, 256, 512)

    def __post_init__(self):
        super().__post_init__()
        checked_choice("padding", self.padding, ("valid", "same"))

    def final_size(self, size):
        for _ in self.PAIRS:
            size = (size - 4 if self.padding == "valid" else size) // 2
        return size

    def features(self, inputs, convolution):
        style = self.style(padding=self.padding, use_bias=True, activation="relu")
        outputs = inputs
        for pair, filters in enumerate(self.PAIRS):
            for layer in (1, 2):
                name = f"conv{pair + 1}_{layer}"
                convolve = Standard() if pair == 0 else convolution
                outputs = convolve(outputs, self.channels(filters), style, name=name)
                outputs = normalized(outputs, style, name=name)
            outputs = keras.layers.MaxPooling2D(2, name=f"pool{pair + 1}")(outputs)
        return outputs
