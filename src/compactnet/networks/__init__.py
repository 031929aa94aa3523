"""Skeletons, convolutions and the paper's networks made of them."""

from compactnet.networks.build import build, find
from compactnet.networks.catalogue import CATALOGUE
from compactnet.networks.spec import (
    VGG8,
    Compact,
    MobileNetV1,
    MobileNetV2,
    NetworkSpec,
    ResNet50,
    Separable,
    ShuffleNetV1,
    ShuffleNetV2,
    Standard,
)

__all__ = [
    "CATALOGUE",
    "VGG8",
    "Compact",
    "MobileNetV1",
    "MobileNetV2",
    "NetworkSpec",
    "ResNet50",
    "Separable",
    "ShuffleNetV1",
    "ShuffleNetV2",
    "Standard",
    "build",
    "find",
]
