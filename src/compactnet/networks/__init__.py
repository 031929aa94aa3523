"""Skeletons, convolutions and the paper's networks made of them."""

from compactnet.networks.build import build, get_spec
from compactnet.networks.catalogue import CATALOGUE
from compactnet.networks.channelnet import ChannelNet
from compactnet.networks.convolutions import (
    Channelwise,
    Compact,
    Convolution,
    Decoupled,
    Factorized,
    Ghost,
    GroupChannelwise,
    LearnedSqueeze,
    MaxFeatureMap,
    Partial,
    Separable,
    Slim,
    Standard,
)
from compactnet.networks.matching import matched_width
from compactnet.networks.mobilenet import MobileNetV1
from compactnet.networks.mobilenet_v2 import MobileNetV2
from compactnet.networks.pretrained import PRETRAINED, pretrained
from compactnet.networks.resnet import ResNet50, ResNet101
from compactnet.networks.shufflenet import ShuffleNetV1, ShuffleNetV2
from compactnet.networks.skeleton import Skeleton
from compactnet.networks.spec import NetworkSpec
from compactnet.networks.vgg import VGG8

__all__ = [
    "CATALOGUE",
    "PRETRAINED",
    "VGG8",
    "ChannelNet",
    "Channelwise",
    "Compact",
    "Convolution",
    "Decoupled",
    "Factorized",
    "Ghost",
    "GroupChannelwise",
    "LearnedSqueeze",
    "MaxFeatureMap",
    "MobileNetV1",
    "MobileNetV2",
    "NetworkSpec",
    "Partial",
    "ResNet50",
    "ResNet101",
    "Separable",
    "ShuffleNetV1",
    "ShuffleNetV2",
    "Skeleton",
    "Slim",
    "Standard",
    "build",
    "get_spec",
    "matched_width",
    "pretrained",
]
