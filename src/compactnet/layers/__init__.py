"""The paper's layers and those of the networks it compares with: one public layer a file, on
TensorFlow, JAX and PyTorch."""

from compactnet.layers.channel_scale import ChannelScale
from compactnet.layers.channel_shuffle import ChannelShuffle
from compactnet.layers.channelwise_conv import ChannelwiseConv
from compactnet.layers.compact_conv2d import CompactConv2D
from compactnet.layers.convolutional_classifier import ConvolutionalClassifier
from compactnet.layers.decoupled_conv2d import DecoupledConv2D
from compactnet.layers.factorized_conv2d import FactorizedConv2D
from compactnet.layers.ghost_conv2d import GhostConv2D
from compactnet.layers.grouped_conv2d import GroupedConv2D
from compactnet.layers.interchannel_pooling import InterchannelPooling
from compactnet.layers.max_feature_map_conv2d import MaxFeatureMapConv2D
from compactnet.layers.partial_conv2d import PartialConv2D
from compactnet.layers.same_average_pooling2d import SameAveragePooling2D
from compactnet.layers.slim_conv2d import SlimConv2D

__all__ = [
    "ChannelScale",
    "ChannelShuffle",
    "ChannelwiseConv",
    "CompactConv2D",
    "ConvolutionalClassifier",
    "DecoupledConv2D",
    "FactorizedConv2D",
    "GhostConv2D",
    "GroupedConv2D",
    "InterchannelPooling",
    "MaxFeatureMapConv2D",
    "PartialConv2D",
    "SameAveragePooling2D",
    "SlimConv2D",
]
