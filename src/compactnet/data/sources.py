"""The data sets that a config may name."""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from compactnet.data import cifar10
from compactnet.data.dataset import fingerprint


@dataclass(frozen=True)
class Source:
    """A data set as the experiments see it.

    Attributes:
        title: What tables call it.
        sample_shape: (height, width, channels) of a sample.
        classes: Number of classes.
        load: Function of (folder, generated, train_samples, test_samples) that returns a `Dataset`.
        official_fingerprint: Fingerprint of the official files.
    """

    title: str
    sample_shape: tuple
    classes: int
    load: Callable
    official_fingerprint: str


SOURCES = MappingProxyType(
    {
        "cifar10": Source(
            title="CIFAR-10",
            sample_shape=cifar10.IMAGE_SHAPE,
            classes=len(cifar10.CLASS_NAMES),
            load=cifar10.load,
            official_fingerprint=fingerprint(cifar10.OFFICIAL_MD5),
        )
    }
)
