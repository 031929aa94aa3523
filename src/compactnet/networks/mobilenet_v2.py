"""MobileNet version 2 (Table II of the paper; after Sandler et al., 2018)."""

from typing import Annotated, ClassVar, Literal

import keras
from pydantic import Field

from compactnet.networks.convolutions import batch_norm_activation
from compactnet.networks.skeleton import Skeleton
from compactnet.validation import Number


class MobileNetV2(Skeleton):
    """A standard stem and seventeen inverted residuals: a 1x1 convolution widens, the skeleton's convolution filters
    and narrows again. All have biases and are normalized; a ReLU6 follows all but the narrow ends. The parameters of
    the paper's Table II prove the biases, and that the first block widens too, by a factor of 1.

    Attributes:
        dropout: Fraction of the pooled features that training leaves out.
    """

    kind: Literal["mobilenet_v2"] = "mobilenet_v2"
    dropout: Annotated[Number, Field(ge=0, lt=1)] = 0.3

    STEM: ClassVar = 32
    # Expansion, channels, blocks, and strides of the first of them (Table 2 of Sandler et al.).
    STAGES: ClassVar = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    LAST: ClassVar = 1280

    def features(self, inputs, convolution):
        defaults = self.layer_defaults(padding="same", use_bias=True, activation="relu6", normalize_inside=True)
        outputs = keras.layers.Conv2D(self.channels(self.STEM), 3, strides=2, padding="same", name="stem")(inputs)
        outputs = batch_norm_activation(outputs, defaults, name="stem")
        for stage, (expansion, filters, blocks, strides) in enumerate(self.STAGES):
            for block in range(blocks):
                name = f"stage{stage + 1}_block{block + 1}"
                outputs = self._inverted_residual(
                    outputs,
                    expansion,
                    self.channels(filters),
                    strides if block == 0 else 1,
                    convolution,
                    defaults,
                    name,
                )
        # A narrower network keeps its last features (Sec. 6.1 of Sandler et al.).
        outputs = keras.layers.Conv2D(max(self.LAST, self.channels(self.LAST)), 1, name="last")(outputs)
        return batch_norm_activation(outputs, defaults, name="last")

    def _inverted_residual(self, inputs, expansion, filters, strides, convolution, defaults, name):
        outputs = keras.layers.Conv2D(expansion * inputs.shape[-1], 1, name=f"{name}_expand")(inputs)
        outputs = batch_norm_activation(outputs, defaults, name=f"{name}_expand")
        outputs = convolution(outputs, filters, defaults, strides=strides, name=f"{name}_project")
        outputs = batch_norm_activation(outputs, defaults, name=f"{name}_project", activate=False)
        if strides == 1 and inputs.shape[-1] == filters:
            outputs = keras.layers.Add(name=f"{name}_add")([inputs, outputs])
        return outputs

    def before_classifier(self, pooled):
        return keras.layers.Dropout(self.dropout, name="dropout")(pooled) if self.dropout else pooled
