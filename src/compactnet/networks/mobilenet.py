"""MobileNet version 1 (Table I of the paper; after Howard et al., 2017)."""

from dataclasses import dataclass
from typing import Literal

import keras

from compactnet.networks.convolutions import normalized
from compactnet.networks.skeleton import Skeleton


@dataclass(frozen=True, kw_only=True)
class MobileNetV1(Skeleton):
    """A standard stem and thirteen blocks without biases, each normalized and followed by a ReLU6, with stride 2 in
    the last block too (Table 1 of Howard et al.; the FLOPs of the paper's Table I prove it)."""

    kind: Literal["mobilenet_v1"] = "mobilenet_v1"

    STEM = 32
    BLOCKS = (
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        *(((512, 1),) * 5),
        (1024, 2),
        (1024, 2),
    )

    def final_size(self, size):
        for strides in (2, *(strides for _, strides in self.BLOCKS)):
            size = -(-size // strides)
        return size

    def features(self, inputs, convolution):
        style = self.style(padding="same", use_bias=False, activation="relu6", normalize_inside=True)
        outputs = keras.layers.Conv2D(
            self.channels(self.STEM), 3, strides=2, padding="same", use_bias=False, name="stem"
        )(inputs)
        outputs = normalized(outputs, style, name="stem")
        for block, (filters, strides) in enumerate(self.BLOCKS):
            name = f"block{block + 1}"
            outputs = convolution(outputs, self.channels(filters), style, strides=strides, name=name)
            outputs = normalized(outputs, style, name=name)
        return outputs
