"""ResNet-50 (Table I of the paper; after He, Zhang, Ren, Sun, 2016)."""

from dataclasses import dataclass
from typing import Literal

import keras

from compactnet.networks.convolutions import Standard, normalized
from compactnet.networks.skeleton import Skeleton


@dataclass(frozen=True, kw_only=True)
class ResNet50(Skeleton):
    """ResNet-50 version 1 with biases, the stride in the first 1x1 of a stage, and no zero padding before the stem
    and its pooling (the FLOPs of Table I prove the last).

    A convolution other than the standard one takes the place of a bottleneck's 3x3 convolution together with the 1x1
    convolution after it, because it ends in a 1x1 convolution itself (Sec. III-C).
    """

    kind: Literal["resnet50"] = "resnet50"

    STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
    EXPANSION = 4

    def final_size(self, size):
        size = (size - 7) // 2 + 1
        size = (size - 3) // 2 + 1 if size >= 3 else 0
        for _ in self.STAGES[1:]:
            size = (size + 1) // 2
        return size

    def features(self, inputs, convolution):
        style = self.style(padding="same", use_bias=True, activation="relu")
        outputs = keras.layers.Conv2D(self.channels(64), 7, strides=2, name="stem")(inputs)
        outputs = normalized(outputs, style, name="stem")
        outputs = keras.layers.MaxPooling2D(3, strides=2, name="stem_pool")(outputs)
        for stage, (filters, blocks) in enumerate(self.STAGES):
            for block in range(blocks):
                strides = 2 if stage > 0 and block == 0 else 1
                name = f"stage{stage + 1}_block{block + 1}"
                outputs = self._bottleneck(outputs, filters, strides, block == 0, convolution, style, name)
        return outputs

    def _bottleneck(self, inputs, filters, strides, project, convolution, style, name):
        expanded = self.EXPANSION * self.channels(filters)
        shortcut = inputs
        if project:
            shortcut = keras.layers.Conv2D(expanded, 1, strides=strides, name=f"{name}_shortcut")(inputs)
            shortcut = normalized(shortcut, style, name=f"{name}_shortcut", activate=False)
        outputs = keras.layers.Conv2D(self.channels(filters), 1, strides=strides, name=f"{name}_reduce")(inputs)
        outputs = normalized(outputs, style, name=f"{name}_reduce")
        if isinstance(convolution, Standard):
            outputs = convolution(outputs, self.channels(filters), style, name=f"{name}_conv")
            outputs = normalized(outputs, style, name=f"{name}_conv")
            outputs = keras.layers.Conv2D(expanded, 1, name=f"{name}_expand")(outputs)
        else:
            outputs = convolution(outputs, expanded, style, name=f"{name}_expand")
        outputs = normalized(outputs, style, name=f"{name}_expand", activate=False)
        outputs = keras.layers.Add(name=f"{name}_add")([shortcut, outputs])
        return keras.layers.Activation(style.activation, name=f"{name}_activation")(outputs)
