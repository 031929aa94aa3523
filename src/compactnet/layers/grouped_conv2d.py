"""Grouped convolution (Krizhevsky et al., 2012; Xie et al., 2017), fast on every backend."""

import keras
from keras import ops

from compactnet.layers.arguments import checked_data_format


@keras.saving.register_keras_serializable(package="compactnet")
class GroupedConv2D(keras.layers.Conv2D):
    """A `keras.layers.Conv2D` with groups, computed as one convolution a group.

    It has the weights and the results of `keras.layers.Conv2D(..., groups=g)`. On TensorFlow Keras compiles that layer
    with XLA, which on a processor is tens of times slower than the convolutions it is made of; split, they take about
    as long as one convolution with as many FLOPs.

    Args:
        *arguments: Those of `keras.layers.Conv2D`; channels must be last.
        **kwargs: Likewise.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        `(batch, new height, new width, filters)`.

    Raises:
        ValueError: an argument out of its range, channels first, or a count of channels or filters that the groups do
            not divide.

    Example:

    >>> import numpy as np
    >>> GroupedConv2D(6, 1, groups=3)(np.ones((1, 4, 4, 12), "float32")).shape[-1]
    6

    Source: Zhang, Zhou, Lin, Sun, "ShuffleNet", CVPR 2018, Sec. 3.1.
    """

    def __init__(self, *arguments, **kwargs):
        super().__init__(*arguments, **kwargs)
        checked_data_format(self.data_format)

    def convolution_op(self, inputs, kernel):
        if self.groups == 1:
            return super().convolution_op(inputs, kernel)
        parts = zip(ops.split(inputs, self.groups, axis=-1), ops.split(kernel, self.groups, axis=-1), strict=True)
        return ops.concatenate([super(GroupedConv2D, self).convolution_op(*part) for part in parts], axis=-1)
