"""ResNet-50 (Table I of the paper; after He, Zhang, Ren, Sun, 2016)."""

from typing import ClassVar, Literal

import keras

from compactnet.networks.convolutions import batch_norm_activation
from compactnet.networks.skeleton import Skeleton


class ResNet50(Skeleton):
    """ResNet-50 version 1 with biases, the stride in the first 1x1 of a stage, and no zero padding before the stem
    and its pooling (the FLOPs of Table I prove the last).

    A convolution other than the standard one takes the place of a bottleneck's 3x3 convolution together with the 1x1
    convolution after it, because it ends in a 1x1 convolution itself (Sec. III-C).
    """

    kind: Literal["resnet50"] = "resnet50"

    STAGES: ClassVar = ((64, 3), (128, 4), (256, 6), (512, 3))
    EXPANSION: ClassVar = 4

    def features(self, inputs, convolution):
        defaults = self.layer_defaults(padding="same", use_bias=True, activation="relu")
        outputs = keras.layers.Conv2D(self.channels(64), 7, strides=2, name="stem")(inputs)
        outputs = batch_norm_activation(outputs, defaults, name="stem")
        outputs = keras.layers.MaxPooling2D(3, strides=2, name="stem_pool")(outputs)
        for stage, (filters, blocks) in enumerate(self.STAGES):
            for block in range(blocks):
                strides = 2 if stage > 0 and block == 0 else 1
                name = f"stage{stage + 1}_block{block + 1}"
                outputs = self._bottleneck(outputs, filters, strides, block == 0, convolution, defaults, name)
        return outputs

    def _bottleneck(self, inputs, filters, strides, project, convolution, defaults, name):
        expanded = self.EXPANSION * self.channels(filters)
        shortcut = inputs
        if project:
            shortcut = keras.layers.Conv2D(expanded, 1, strides=strides, name=f"{name}_shortcut")(inputs)
            shortcut = batch_norm_activation(shortcut, defaults, name=f"{name}_shortcut", activate=False)
        outputs = keras.layers.Conv2D(self.channels(filters), 1, strides=strides, name=f"{name}_reduce")(inputs)
        outputs = batch_norm_activation(outputs, defaults, name=f"{name}_reduce")
        if convolution.ends_in_pointwise:
            outputs = convolution(outputs, expanded, defaults, name=f"{name}_expand")
        else:
            outputs = convolution(outputs, self.channels(filters), defaults, name=f"{name}_conv")
            outputs = batch_norm_activation(outputs, defaults, name=f"{name}_conv")
            outputs = keras.layers.Conv2D(expanded, 1, name=f"{name}_expand")(outputs)
        outputs = batch_norm_activation(outputs, defaults, name=f"{name}_expand", activate=False)
        outputs = keras.layers.Add(name=f"{name}_add")([shortcut, outputs])
        return keras.layers.Activation(defaults.activation, name=f"{name}_activation")(outputs)
