"""Skeletons, convolutions and the paper's networks made of them."""

from compactnet.networks.build import build, get_spec
from compactnet.networks.catalogue import CATALOGUE
from compactnet.networks.convolutions import Compact, Convolution, Separable, Standard
from compactnet.networks.mobilenet import MobileNetV1
from compactnet.networks.mobilenet_v2 import MobileNetV2
from compactnet.networks.resnet import ResNet50
from compactnet.networks.shufflenet import ShuffleNetV1, ShuffleNetV2
from compactnet.networks.skeleton import Skeleton
from compactnet.networks.spec import NetworkSpec
from compactnet.networks.vgg import VGG8

__all__ = [
    "CATALOGUE",
    "VGG8",
    "Compact",
    "Convolution",
    "MobileNetV1",
    "MobileNetV2",
    "NetworkSpec",
    "ResNet50",
    "Separable",
    "ShuffleNetV1",
    "ShuffleNetV2",
    "Skeleton",
    "Standard",
    "build",
    "get_spec",
]
