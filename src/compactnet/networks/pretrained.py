"""Weights that come with the package: small networks, trained by runs whose records are in the repository."""

from pathlib import Path
from types import MappingProxyType

import numpy as np

from compactnet.errors import InputError
from compactnet.networks.spec import NetworkSpec
from compactnet.validation import Count, Number, StrictModel, read_json

FOLDER = Path(__file__).parent / "trained"
"""Holds, for each network, the weights as .npz and what is known of them as .json."""

REMEDY = "Install the package again."

PRETRAINED = MappingProxyType(
    {
        tuple(path.stem.rsplit("-", 1)): path
        for path in sorted(FOLDER.glob("*.json"))  # such as compact_vgg_sum_c8-cifar10.json
    }
)
"""{(network of the catalogue, name of the weights): file}"""


class Pretrained(StrictModel):
    """A network with trained weights.

    Attributes:
        network: Its `NetworkSpec`; padding may differ from the catalogue's, as small images need.
        data: What it was trained on.
        input_shape: (height, width, channels) of a sample.
        class_names: Name of each class.
        mean: Of the training split, a list that broadcasts against a sample.
        std: Likewise, the standard deviation.
        accuracy: Share of the test split that is classified right, after the last epoch.
        epochs: Epochs of training.
        seed: Seed of the run.
        record: Path of the run's record below `results/records` of the repository.
        weights_sha256: Hash of the weights, the same as in the record.
    """

    network: NetworkSpec
    data: str
    input_shape: tuple[Count, Count, Count]
    class_names: tuple[str, ...]
    mean: list
    std: list
    accuracy: Number
    epochs: Count
    seed: int
    record: str
    weights_sha256: str

    def normalize(self, samples):
        """Return samples as the network takes them.

        Args:
            samples: Array of shape (n, *input_shape): RGB values from 0 to 255 for images.

        Returns:
            float32 array of the same shape.

        Raises:
            InputError: the samples have another shape.
        """
        samples = np.asarray(samples, dtype=np.float32)
        if samples.shape[1:] != self.input_shape:
            expected = ", ".join(map(str, self.input_shape))
            raise InputError(
                f"`samples` must have the shape (n, {expected}), for one sample (1, {expected}). "
                f"Received: {samples.shape}"
            )
        return (samples - np.float32(self.mean)) / np.float32(self.std)


def pretrained(network, weights="cifar10"):
    """Return what is known of weights of the package.

    Args:
        network: Name in the catalogue.
        weights: Name of the weights.

    Returns:
        A `Pretrained`.

    Raises:
        InputError: there are no such weights.
    """
    path = PRETRAINED.get((network, weights)) if isinstance(network, str) and isinstance(weights, str) else None
    if path is None:
        known = ", ".join(f"{name} ({kind})" for name, kind in PRETRAINED)
        raise InputError(f"There are no weights {weights!r} of {network!r}. There are those of {known}.")
    return read_json(Pretrained, path, REMEDY)
