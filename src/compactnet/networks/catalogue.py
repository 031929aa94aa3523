"""The paper's networks by name, in the order of its tables."""

from types import MappingProxyType

from compactnet.networks.convolutions import Compact, Separable, Standard
from compactnet.networks.mobilenet import MobileNetV1
from compactnet.networks.mobilenet_v2 import MobileNetV2
from compactnet.networks.resnet import ResNet50
from compactnet.networks.shufflenet import ShuffleNetV1, ShuffleNetV2
from compactnet.networks.spec import NetworkSpec
from compactnet.networks.vgg import VGG8

OPERATION_LETTERS = {"sum": "S", "max": "M", "average": "A"}
COMPACT_FACTORS = (2, 4, 8)


def _compact(prefix, title, skeleton):
    return {
        f"compact_{prefix}_{operation}_c{factor}": NetworkSpec(
            f"{title} CompactNet-{letter} (C={factor})",
            skeleton,
            Compact(compact_factor=factor, operation=operation),
        )
        for factor in COMPACT_FACTORS
        for operation, letter in OPERATION_LETTERS.items()
    }


CATALOGUE = MappingProxyType(
    {
        "vgg8": NetworkSpec("VGG-8", VGG8(), Standard()),
        "xvgg8": NetworkSpec("XVGG-8", VGG8(), Separable()),
        **_compact("vgg", "VGG-like", VGG8()),
        "resnet50": NetworkSpec("ResNet", ResNet50(), Standard()),
        **_compact("resnet", "ResNet-like", ResNet50()),
        "mobilenet_v1_100": NetworkSpec("1.0 MobileNet v1", MobileNetV1(), Separable()),
        "mobilenet_v1_050": NetworkSpec("0.5 MobileNet v1", MobileNetV1(width=0.5), Separable()),
        "mobilenet_v1_025": NetworkSpec("0.25 MobileNet v1", MobileNetV1(width=0.25), Separable()),
        **_compact("mobilenet", "MobileNet-like", MobileNetV1()),
        "mobilenet_v2_100": NetworkSpec("1.0 MobileNet v2", MobileNetV2(), Separable()),
        "mobilenet_v2_050": NetworkSpec("0.5 MobileNet v2", MobileNetV2(width=0.5), Separable()),
        "mobilenet_v2_025": NetworkSpec("0.25 MobileNet v2", MobileNetV2(width=0.25), Separable()),
        "shufflenet_v1_200": NetworkSpec("ShuffleNet v1 2x (g=3)", ShuffleNetV1(width=2.0), Separable()),
        "shufflenet_v1_100": NetworkSpec("ShuffleNet v1 1x (g=3)", ShuffleNetV1(width=1.0), Separable()),
        "shufflenet_v1_050": NetworkSpec("ShuffleNet v1 0.5x (g=3)", ShuffleNetV1(width=0.5), Separable()),
        "shufflenet_v2_200": NetworkSpec("ShuffleNet v2 2x", ShuffleNetV2(width=2.0), Separable()),
        "shufflenet_v2_100": NetworkSpec("ShuffleNet v2 1x", ShuffleNetV2(width=1.0), Separable()),
        "shufflenet_v2_050": NetworkSpec("ShuffleNet v2 0.5x", ShuffleNetV2(width=0.5), Separable()),
    }
)
