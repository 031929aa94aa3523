"""A network as data: a skeleton and a convolution."""

from dataclasses import dataclass

from compactnet.errors import InputError
from compactnet.networks.convolutions import Compact, Convolution, Separable, Standard
from compactnet.networks.mobilenet import MobileNetV1
from compactnet.networks.mobilenet_v2 import MobileNetV2
from compactnet.networks.resnet import ResNet50
from compactnet.networks.shufflenet import ShuffleNetV1, ShuffleNetV2
from compactnet.networks.vgg import VGG8

AnySkeleton = VGG8 | ResNet50 | MobileNetV1 | MobileNetV2 | ShuffleNetV1 | ShuffleNetV2


@dataclass(frozen=True)
class NetworkSpec:
    """What `build` needs to know of a network; everything else about it follows.

    Attributes:
        title: What tables call it: the row name of the paper where it is one of the paper's.
        skeleton: `VGG8`, `ResNet50`, `MobileNetV1`, `MobileNetV2`, `ShuffleNetV1` or `ShuffleNetV2`.
        convolution: `Standard`, `Separable` or `Compact`.
    """

    title: str
    skeleton: AnySkeleton
    convolution: Convolution

    def __post_init__(self):
        for field, allowed in (("skeleton", AnySkeleton), ("convolution", Convolution)):
            value = getattr(self, field)
            if not isinstance(value, allowed):
                names = ", ".join(kind.__name__ for kind in allowed.__args__)
                raise InputError(f"`{field}` must be an instance of {names}. Received: {field}={value!r}")


__all__ = [
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
]
