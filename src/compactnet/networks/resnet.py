"""ResNet-50 (Table I of the paper; after He, Zhang, Ren, Sun, 2016)."""

from typing import ClassVar, Literal

import keras

from compactnet.networks.convolutions import batch_norm_activation
from compactnet.networks.skeleton import Skeleton
from compactnet.validation import added


class ResNet50(Skeleton):
    """ResNet-50 version 1 with biases, the stride in the first 1x1 of a stage, and no zero padding before the stem
    and its pooling (the FLOPs of Table I prove the last).

    A convolution that ends in a 1x1 convolution takes the place of a bottleneck's 3x3 convolution together with the 1x1
    convolution after it (Sec. III-C).

    Attributes:
        use_bias: Whether convolutions have a bias; the parameters of Table I prove it.
        strides_in: Where the stride of a stage is: "reduce", in the first 1x1 convolution of its first bottleneck, or
            "convolution", in the one after it, as in most later implementations (version 1.5).
        stem_padding: "valid", or "same", as usual elsewhere.
    """

    kind: Literal["resnet50"] = "resnet50"
    use_bias: added(bool, True) = True
    strides_in: added(Literal["reduce", "convolution"], "reduce") = "reduce"
    stem_padding: added(Literal["valid", "same"], "valid") = "valid"

    STAGES: ClassVar = ((64, 3), (128, 4), (256, 6), (512, 3))
    EXPANSION: ClassVar = 4

    def features(self, inputs, convolution):
        defaults = self.layer_defaults(padding="same", use_bias=self.use_bias, activation="relu")
        outputs = keras.layers.Conv2D(
            self.channels(64), 7, strides=2, padding=self.stem_padding, use_bias=self.use_bias, name="stem"
        )(inputs)
        outputs = batch_norm_activation(outputs, defaults, name="stem")
        outputs = keras.layers.MaxPooling2D(3, strides=2, padding=self.stem_padding, name="stem_pool")(outputs)
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
            shortcut = _conv1x1(inputs, expanded, defaults, strides, f"{name}_shortcut")
            shortcut = batch_norm_activation(shortcut, defaults, name=f"{name}_shortcut", activate=False)
        first, later = (strides, 1) if self.strides_in == "reduce" else (1, strides)
        outputs = _conv1x1(inputs, self.channels(filters), defaults, first, f"{name}_reduce")
        outputs = batch_norm_activation(outputs, defaults, name=f"{name}_reduce")
        if convolution.ends_in_pointwise:
            outputs = convolution(outputs, expanded, defaults, strides=later, name=f"{name}_expand")
        else:
            outputs = convolution(outputs, self.channels(filters), defaults, strides=later, name=f"{name}_conv")
            outputs = batch_norm_activation(outputs, defaults, name=f"{name}_conv")
            outputs = _conv1x1(outputs, expanded, defaults, 1, f"{name}_expand")
        outputs = batch_norm_activation(outputs, defaults, name=f"{name}_expand", activate=False)
        outputs = keras.layers.Add(name=f"{name}_add")([shortcut, outputs])
        return keras.layers.Activation(defaults.activation, name=f"{name}_activation")(outputs)


class ResNet101(ResNet50):
    """ResNet-101: ResNet-50 with 23 bottlenecks in the third stage."""

    kind: Literal["resnet101"] = "resnet101"

    STAGES: ClassVar = ((64, 3), (128, 4), (256, 23), (512, 3))


def _conv1x1(inputs, filters, defaults, strides, name):
    return keras.layers.Conv2D(filters, 1, strides=strides, use_bias=defaults.use_bias, name=name)(inputs)
