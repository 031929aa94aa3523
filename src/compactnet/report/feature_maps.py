"""Feature maps inside a trained network, as Fig. 6 of the paper shows them."""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from compactnet.errors import InputError
from compactnet.experiments.config import StudyConfig
from compactnet.experiments.study import build_network, network_specs
from compactnet.experiments.weights import load_weights
from compactnet.files import replaced
from compactnet.layers import CompactConv2D

FILE = "feature_maps.npz"
"""Name of the file in a folder of records."""

FACTS = (
    "study",
    "network",
    "title",
    "data",
    "generated_data",
    "protocol_hash",
    "weights_sha256",
    "seed",
    "epochs",
    "clips",
    "sample",
    "label",
    "group",
    "seconds",
    "bands",
)


@dataclass(frozen=True)
class FeatureMaps:
    """Two feature maps of one group of the interchannel operation.

    Attributes:
        maps: float32 array of shape (2, height, width), mel bands by time, as they come out of the depthwise part.
        facts: Which network, run, recording and group they are of: plain JSON data with the keys `FACTS`.
    """

    maps: np.ndarray
    facts: dict


def feature_maps(record, weights, data_folder, sample=0):
    """Return the `FeatureMaps` of the first compact convolution of a run's network on a recording.

    Of all groups one is taken whose maps have much to show and are least alike.

    Args:
        record: The record of a run on recordings, of a compact network with C=2.
        weights: File of its weights.
        data_folder: Folder that holds the data set.
        sample: Place of the recording in the test split, from 0.

    Raises:
        InputError: the run is none of that kind, or its weights or data are not at hand.
    """
    if not record.get("weights_sha256"):
        raise InputError("The record was written before records held the hash of the weights. Run its cell again.")
    config = StudyConfig.model_validate(record["config"])
    if config.data.source == "cifar10":
        raise InputError("Feature maps are shown of recordings. Choose a run of a study on recordings.")
    model = build_network(config, network_specs(config)[record["network"]])
    layer = next((layer for layer in model.layers if isinstance(layer, CompactConv2D)), None)
    if layer is None or layer.interchannel.compact_factor != 2:
        raise InputError(f"{record['network']} has no compact convolution with C=2. Choose a run of one that has.")
    load_weights(weights, model, record["weights_sha256"])
    dataset = config.data.load(data_folder)
    if not 0 <= sample < len(dataset.test):
        raise InputError(f"`sample` must be from 0 to {len(dataset.test) - 1}, the test split. Received: {sample}")
    samples, labels = dataset.batch(dataset.test, np.array([sample]))
    inputs = keras.Model(model.input, layer.input)(samples, training=False)
    outputs = layer.depthwise_activation(layer.normalization(layer.depthwise(inputs), training=False))
    channels = np.moveaxis(keras.ops.convert_to_numpy(outputs)[0], -1, 0)
    groups = len(channels) // 2
    if layer.interchannel.grouping == "strided":
        pairs = channels.reshape(2, groups, *channels.shape[1:]).swapaxes(0, 1)
    else:
        pairs = channels.reshape(groups, 2, *channels.shape[1:])
    group = _most_telling(pairs)
    facts = {
        "study": record["study"],
        "network": record["network"],
        "title": record["title"],
        "data": config.data.title,
        "generated_data": record["generated_data"],
        "protocol_hash": record["protocol_hash"],
        "weights_sha256": record["weights_sha256"],
        "seed": record["seed"],
        "clips": "{used:,} of {total:,}".format(**record["coverage"]["train"]),
        "epochs": record["protocol"]["training"]["epochs"],
        "sample": sample,
        "label": dataset.class_names[int(labels[0])],
        "group": group,
        "seconds": config.data.features.seconds,
        "bands": config.data.features.bands,
    }
    return FeatureMaps(pairs[group].astype(np.float32), facts)


def _most_telling(pairs):
    """Return the group whose two maps are least alike, of the quarter of the groups whose maps have most to show.

    A map has much to show where its values spread over its range; one that is flat but for a few points has not.
    """
    low, high = np.percentile(pairs, [1, 99], axis=(2, 3))
    spread = pairs.std(axis=(2, 3)) / np.where(high > low, high - low, np.inf)
    fullest = np.argsort(-spread.min(axis=1), kind="stable")[: max(1, len(pairs) // 4)]
    likeness = [abs(np.corrcoef(*pairs[group].reshape(2, -1))[0, 1]) for group in fullest]
    return int(fullest[np.argmin(likeness)])


def write_feature_maps(folder, shown: FeatureMaps):
    """Write feature maps into a folder of records, in half precision."""
    content = io.BytesIO()
    text = np.frombuffer(json.dumps(shown.facts).encode(), np.uint8)
    np.savez_compressed(content, facts=text, maps=shown.maps.astype(np.float16))
    with replaced(Path(folder) / FILE) as partial:
        partial.write_bytes(content.getbuffer())


def read_feature_maps(folder):
    """Return the `FeatureMaps` of a folder of records, or None where it has none.

    Raises:
        InputError: the file is damaged.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    try:
        with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
            facts, maps = json.loads(file["facts"].tobytes()), file["maps"].astype(np.float32)
        missing = [name for name in FACTS if name not in facts]
        if missing or maps.ndim != 3 or len(maps) != 2:
            raise ValueError(f"{missing[0]!r} is missing" if missing else f"maps of shape {maps.shape}")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} holds no feature maps: {error}. Delete it; scripts/feature_maps.py writes it."
        ) from error
    return FeatureMaps(maps, facts)
