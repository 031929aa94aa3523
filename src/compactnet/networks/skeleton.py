"""What all skeletons share: the width multiplier, the head and the smallest input that works."""

from dataclasses import dataclass
from itertools import count
from typing import Literal

import keras

from compactnet.errors import InputError
from compactnet.layers.arguments import checked_choice
from compactnet.networks.convolutions import Style


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """A network without its convolutions.

    Attributes:
        width: Factor on the number of channels of every layer, the width multiplier of MobileNet. A product that is
            not whole is rounded to the nearest integer.
        momentum: Momentum of the moving statistics of batch normalization.
        epsilon: Constant added to the variance in batch normalization.
        global_pooling: "average" or "max", before the classifier.
    """

    width: float = 1.0
    momentum: float = 0.99
    epsilon: float = 0.001
    global_pooling: Literal["average", "max"] = "average"

    dropout = 0.0  # before the classifier; a skeleton that has some makes a field of it

    def __post_init__(self):
        for field, most in (("width", 16), ("momentum", 1), ("epsilon", 1)):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
                raise InputError(f"`{field}` must be a number above 0 and at most {most}. Received: {field}={value!r}")
        checked_choice("global_pooling", self.global_pooling, ("average", "max"))

    def channels(self, filters):
        """Return the number of channels of a layer that has `filters` at width 1."""
        return max(1, round(filters * self.width))

    def final_size(self, size):
        """Return the size of the last feature map for an input of `size` pixels, below 1 where it vanishes."""
        raise NotImplementedError

    def smallest_size(self):
        """Return the smallest input size, in pixels along an axis, that leaves a last feature map of at least 1."""
        return next(size for size in count(1) if self.final_size(size) >= 1)

    def features(self, inputs, convolution):
        """Return the last feature map for the tensor `inputs`, with `convolution` in the skeleton's places."""
        raise NotImplementedError

    def style(self, **choices):
        """Return the `Style` of the skeleton's convolutions: its normalization, with `choices` for the rest."""
        return Style(momentum=self.momentum, epsilon=self.epsilon, **choices)

    def classifier(self, features, classes):
        """Return the class probabilities: global pooling and one dense layer, in float32 at any precision."""
        kinds = {"average": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}
        pooled = kinds[self.global_pooling](name="global_pooling")(features)
        if self.dropout:
            pooled = keras.layers.Dropout(self.dropout, name="dropout")(pooled)
        return keras.layers.Dense(classes, activation="softmax", dtype="float32", name="classifier")(pooled)
