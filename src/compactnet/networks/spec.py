"""A network as data: a skeleton and a convolution."""

from typing import Annotated

from pydantic import Field, SerializeAsAny

from compactnet.networks.channelnet import ChannelNet
from compactnet.networks.convolutions import AnyConvolution, or_instance_of
from compactnet.networks.mobilenet import MobileNetV1
from compactnet.networks.mobilenet_v2 import MobileNetV2
from compactnet.networks.resnet import ResNet50, ResNet101
from compactnet.networks.shufflenet import ShuffleNetV1, ShuffleNetV2
from compactnet.networks.skeleton import Skeleton
from compactnet.networks.vgg import VGG8
from compactnet.validation import StrictModel

AnySkeleton = Annotated[
    SerializeAsAny[VGG8 | ResNet50 | ResNet101 | MobileNetV1 | MobileNetV2 | ShuffleNetV1 | ShuffleNetV2 | ChannelNet],
    Field(discriminator="kind"),
    or_instance_of(Skeleton),
]
"""The skeletons that a YAML file can name by their `kind`."""


class NetworkSpec(StrictModel):
    """What `build` needs to know of a network; everything else about it follows.

    Attributes:
        title: What tables call it: the row name of the paper where it is one of the paper's.
        skeleton: Such as `VGG8`, or an own subclass of `Skeleton`.
        convolution: Such as `Compact`, or an own subclass of `Convolution`.
    """

    title: str
    skeleton: AnySkeleton
    convolution: AnyConvolution

    def architecture(self):
        """Return the skeleton and the convolution as plain JSON data: what decides an outcome, without names."""
        return self.model_dump(mode="json", include={"skeleton", "convolution"})
