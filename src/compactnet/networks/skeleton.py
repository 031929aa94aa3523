"""What all skeletons share: the width multiplier, the normalization and the head."""

from typing import Annotated, Literal

import keras
from pydantic import Field

from compactnet.networks.convolutions import LayerDefaults
from compactnet.validation import Count, Number, StrictModel, added


class Skeleton(StrictModel):
    """A network without its convolutions.

    Attributes:
        kind: Name of the skeleton in a YAML file.
        width: Factor on the number of channels of every layer, the width multiplier of MobileNet. A product that is
            not whole is rounded to the nearest integer.
        channel_multiple: Numbers of channels are rounded to the nearest multiple of this, and are at least this: for
            convolutions that need channels that a compact factor or the like divides.
        momentum: Momentum of the moving statistics of batch normalization.
        epsilon: Constant added to the variance in batch normalization.
        global_pooling: "average" or "max", before the classifier.
    """

    kind: str
    width: Annotated[Number, Field(gt=0, le=16)] = 1.0
    channel_multiple: added(Count, 1) = 1
    momentum: Annotated[Number, Field(gt=0, le=1)] = 0.99
    epsilon: Annotated[Number, Field(gt=0, le=1)] = 0.001
    global_pooling: Literal["average", "max"] = "average"

    def channels(self, filters):
        """Return the number of channels of a layer that has `filters` at width 1."""
        return self.channel_multiple * max(1, round(filters * self.width / self.channel_multiple))

    def features(self, inputs, convolution):
        """Return the last feature map for the tensor `inputs`, with `convolution` in the skeleton's places."""
        raise NotImplementedError

    def layer_defaults(self, **choices):
        """Return the `LayerDefaults` of the skeleton: its normalization, and `choices` for the rest."""
        return LayerDefaults(momentum=self.momentum, epsilon=self.epsilon, **choices)

    def classifier(self, features, classes):
        """Return the class probabilities: global pooling and one dense layer, in float32 at any precision."""
        kinds = {"average": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}
        pooled = self.before_classifier(kinds[self.global_pooling](name="global_pooling")(features))
        return keras.layers.Dense(classes, activation="softmax", dtype="float32", name="classifier")(pooled)

    def before_classifier(self, pooled):
        """Return what the dense layer receives of the pooled features; a skeleton with dropout adds it here."""
        return pooled
