"""The paper's layers, one public layer a file, on any Keras 3 backend."""

from compactnet.layers.compact_conv2d import CompactConv2D
from compactnet.layers.interchannel_pooling import InterchannelPooling

__all__ = ["CompactConv2D", "InterchannelPooling"]
