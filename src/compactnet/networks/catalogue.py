"""Networks by name: the paper's in the order of its tables, then those that squeeze channels in other ways."""

from types import MappingProxyType

from compactnet.networks.channelnet import ChannelNet
from compactnet.networks.convolutions import Compact, Separable, Slim, Standard
from compactnet.networks.mobilenet import MobileNetV1
from compactnet.networks.mobilenet_v2 import MobileNetV2
from compactnet.networks.resnet import ResNet50, ResNet101
from compactnet.networks.shufflenet import ShuffleNetV1, ShuffleNetV2
from compactnet.networks.spec import NetworkSpec
from compactnet.networks.vgg import VGG8

OPERATION_LETTERS = {"sum": "S", "max": "M", "average": "A"}
COMPACT_FACTORS = (2, 4, 8)
SLIM_RESNET = {"use_bias": False, "strides_in": "convolution", "stem_padding": "same"}


def _network(title, skeleton, convolution=Separable()):  # noqa: B008  frozen
    return NetworkSpec(title=title, skeleton=skeleton, convolution=convolution)


def _compact(prefix, title, skeleton):
    return {
        f"compact_{prefix}_{operation}_c{factor}": _network(
            f"{title} CompactNet-{letter} (C={factor})", skeleton, Compact(compact_factor=factor, operation=operation)
        )
        for factor in COMPACT_FACTORS
        for operation, letter in OPERATION_LETTERS.items()
    }


CATALOGUE = MappingProxyType(
    {
        "vgg8": _network("VGG-8", VGG8(), Standard()),
        "xvgg8": _network("XVGG-8", VGG8()),
        **_compact("vgg", "VGG-like", VGG8()),
        "resnet50": _network("ResNet", ResNet50(), Standard()),
        **_compact("resnet", "ResNet-like", ResNet50()),
        "mobilenet_v1_100": _network("1.0 MobileNet v1", MobileNetV1()),
        "mobilenet_v1_050": _network("0.5 MobileNet v1", MobileNetV1(width=0.5)),
        "mobilenet_v1_025": _network("0.25 MobileNet v1", MobileNetV1(width=0.25)),
        **_compact("mobilenet", "MobileNet-like", MobileNetV1()),
        "mobilenet_v2_100": _network("1.0 MobileNet v2", MobileNetV2()),
        "mobilenet_v2_050": _network("0.5 MobileNet v2", MobileNetV2(width=0.5)),
        "mobilenet_v2_025": _network("0.25 MobileNet v2", MobileNetV2(width=0.25)),
        "shufflenet_v1_200": _network("ShuffleNet v1 2x (g=3)", ShuffleNetV1(width=2.0)),
        "shufflenet_v1_100": _network("ShuffleNet v1 1x (g=3)", ShuffleNetV1(width=1.0)),
        "shufflenet_v1_050": _network("ShuffleNet v1 0.5x (g=3)", ShuffleNetV1(width=0.5)),
        "shufflenet_v2_200": _network("ShuffleNet v2 2x", ShuffleNetV2(width=2.0)),
        "shufflenet_v2_100": _network("ShuffleNet v2 1x", ShuffleNetV2(width=1.0)),
        "shufflenet_v2_050": _network("ShuffleNet v2 0.5x", ShuffleNetV2(width=0.5)),
        "slim_resnet50_k43": _network("Sc-ResNet-50 (k=4/3)", ResNet50(**SLIM_RESNET), Slim(folds=2)),
        "slim_resnet50_k83": _network("Sc-ResNet-50 (k=8/3)", ResNet50(**SLIM_RESNET), Slim(folds=4)),
        "slim_resnet101_k43": _network("Sc-ResNet-101 (k=4/3)", ResNet101(**SLIM_RESNET), Slim(folds=2)),
        "channelnet_v1": _network("ChannelNet-v1", ChannelNet(version=1)),
        "channelnet_v2": _network("ChannelNet-v2", ChannelNet(version=2)),
        "channelnet_v3": _network("ChannelNet-v3", ChannelNet(version=3)),
    }
)
