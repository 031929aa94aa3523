"""Forms of the interchannel operation: the same values by other operations, some of which a runtime runs faster.

All take strided groups, in which the channels n, n+N', n+2N', ... give the output channel n.
"""

from types import MappingProxyType

import keras
from keras import ops

from compactnet.layers import InterchannelPooling

FORMS = MappingProxyType(
    {
        "reduce": "a view of shape (batch, positions, C, N') and a reduction over C",
        "slices": "C contiguous slices of the channels, added up or compared one after the other",
        "pooling": "the same view and a max or average pooling over C",
        "branches": "no view and no slices: the convolution before it and all layers between are split into C parts",
        "tied": "no operation: the 1x1 convolution after it takes all N channels, with equal weights in a group",
    }
)
"""{name: what the form does}"""


@keras.saving.register_keras_serializable(package="compactnet")
class SlicedInterchannelPooling(InterchannelPooling):
    """An `InterchannelPooling` of strided groups in the form "slices"; the same arguments and values."""

    def call(self, inputs):
        groups = inputs.shape[-1] // self.compact_factor
        total = inputs[..., :groups]
        for start in range(groups, inputs.shape[-1], groups) if self.operation != "first" else ():
            part = inputs[..., start : start + groups]
            total = ops.maximum(total, part) if self.operation == "max" else ops.add(total, part)
        return total / self.compact_factor if self.operation == "average" else total


@keras.saving.register_keras_serializable(package="compactnet")
class PooledInterchannelPooling(InterchannelPooling):
    """An `InterchannelPooling` of strided groups in the form "pooling", for the operations "max" and "average"."""

    def _reduce(self, grouped):
        window = (1, self.compact_factor)
        pool = ops.max_pool if self.operation == "max" else ops.average_pool
        return pool(grouped, pool_size=window, strides=window, data_format="channels_last")
