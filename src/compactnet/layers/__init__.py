"""The paper's layers and those of the networks it compares with: one public layer a file, on every Keras 3 backend."""

from compactnet.layers.channel_shuffle import ChannelShuffle
from compactnet.layers.compact_conv2d import CompactConv2D
from compactnet.layers.grouped_conv2d import GroupedConv2D
from compactnet.layers.interchannel_pooling import InterchannelPooling
from compactnet.layers.same_average_pooling2d import SameAveragePooling2D

__all__ = ["ChannelShuffle", "CompactConv2D", "GroupedConv2D", "InterchannelPooling", "SameAveragePooling2D"]
