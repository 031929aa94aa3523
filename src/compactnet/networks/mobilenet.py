"""MobileNet version 1 (Table I of the paper; after Howard et al., 2017)."""

from typing import ClassVar, Literal

import keras

from compactnet.networks.convolutions import batch_norm_activation
from compactnet.networks.skeleton import Skeleton


class MobileNetV1(Skeleton):
    """A standard stem and thirteen blocks without biases, each normalized and followed by a ReLU6, with stride 2 in
    the last block too (Table 1 of Howard et al.; the FLOPs of the paper's Table I prove it)."""

    kind: Literal["mobilenet_v1"] = "mobilenet_v1"

    STEM: ClassVar = 32
    BLOCKS: ClassVar = (
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

    def features(self, inputs, convolution):
        defaults = self.layer_defaults(padding="same", use_bias=False, activation="relu6", normalize_inside=True)
        outputs = keras.layers.Conv2D(
            self.channels(self.STEM), 3, strides=2, padding="same", use_bias=False, name="stem"
        )(inputs)
        outputs = batch_norm_activation(outputs, defaults, name="stem")
        for block, (filters, strides) in enumerate(self.BLOCKS):
            name = f"block{block + 1}"
            outputs = convolution(outputs, self.channels(filters), defaults, strides=strides, name=name)
            outputs = batch_norm_activation(outputs, defaults, name=name)
        return outputs
