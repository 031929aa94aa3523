"""Feature maps inside a trained network, as Fig. 6 of the paper shows them."""

import json
from pathlib import Path

import keras
import numpy as np
from pydantic import ConfigDict

from compactnet.data import AudioSection
from compactnet.errors import InputError
from compactnet.experiments.trained import load_data
from compactnet.files import read_npz, write_npz
from compactnet.layers import CompactConv2D
from compactnet.networks.weights import load_weights
from compactnet.schema import RunRecord
from compactnet.validation import StrictModel, validate

FILE = "feature_maps.npz"
"""Name of the file in a folder of records."""


class FeatureMaps(StrictModel):
    """Two feature maps of one group of the interchannel operation.

    Attributes:
        maps: float32 array of shape (2, height, width), mel bands by time: what the interchannel operation receives.
        experiment: Name of the experiment.
        network: Name of the network.
        title: What tables call it.
        data: Name of the data set.
        generated_data: Whether it is generated.
        protocol_hash: Hash of the run's protocol.
        weights_sha256: Hash of the trained weights.
        seed: The run's seed.
        epochs: Its epochs.
        clips: Training clips used of all, as text.
        sample: Index of the recording in the test split.
        label: Its class.
        group: Index of the group.
        seconds: Length of the recording.
        bands: Number of mel bands.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    maps: np.ndarray
    experiment: str
    network: str
    title: str
    data: str
    generated_data: bool
    protocol_hash: str
    weights_sha256: str
    seed: int
    epochs: int
    clips: str
    sample: int
    label: str
    group: int
    seconds: float
    bands: int


def extract_feature_maps(record: RunRecord, weights, data_folder, sample=0):
    """Return the `FeatureMaps` of the first compact convolution of a run's network, for a recording of its test split.

    Of all groups it takes one whose maps have much contrast and are least alike.

    Args:
        record: The record of a run on recordings, of a compact network with C=2.
        weights: File of its weights.
        data_folder: The data folder.
        sample: Index of the recording in the test split, from 0.

    Raises:
        InputError: the run is of another kind, or its weights or data are missing.
    """
    run = record.run
    if not isinstance(run.data, AudioSection):
        raise InputError("Feature maps are shown for recordings. Choose a run of an experiment on recordings.")
    model = run.build()
    layer = next((layer for layer in model.layers if isinstance(layer, CompactConv2D)), None)
    if layer is None or layer.compact_factor != 2:
        raise InputError(f"{run.network.name} has no compact convolution with C=2. Choose a run of one that has.")
    load_weights(weights, model, record.weights_sha256)
    dataset = load_data(record, data_folder)
    if not 0 <= sample < len(dataset.test):
        raise InputError(f"`sample` must be from 0 to {len(dataset.test) - 1}, the test split. Received: {sample}")
    samples, labels = dataset.batch(dataset.test, np.array([sample]))
    inputs = keras.Model(model.input, layer.input)(samples, training=False)
    outputs = layer.depthwise_features(inputs, training=False)
    channels = np.moveaxis(keras.ops.convert_to_numpy(outputs)[0], -1, 0)
    groups = len(channels) // 2
    if layer.grouping == "strided":
        pairs = channels.reshape(2, groups, *channels.shape[1:]).swapaxes(0, 1)
    else:
        pairs = channels.reshape(groups, 2, *channels.shape[1:])
    group = _choose_group(pairs)
    train = record.coverage["train"]
    return FeatureMaps(
        maps=pairs[group].astype(np.float32),
        experiment=run.experiment,
        network=run.network.name,
        title=run.network.title,
        data=run.data.name,
        generated_data=record.generated,
        protocol_hash=record.protocol_hash,
        weights_sha256=record.weights_sha256,
        seed=run.seed,
        epochs=run.training.epochs,
        clips=f"{train.used:,} of {train.total:,}",
        sample=sample,
        label=dataset.class_names[int(labels[0])],
        group=group,
        seconds=run.data.features.seconds,
        bands=run.data.features.bands,
    )


def _choose_group(pairs):
    """Return the group whose two maps are least alike, among the quarter of the groups with the most contrast.

    A map has much contrast where its values spread over its range, unlike one that is flat but for a few points. A map
    without any is like every other.
    """
    low, high = np.percentile(pairs, [1, 99], axis=(2, 3))
    contrast = pairs.std(axis=(2, 3)) / np.where(high > low, high - low, np.inf)
    candidates = np.argsort(-contrast.min(axis=1), kind="stable")[: max(1, len(pairs) // 4)]
    with np.errstate(invalid="ignore", divide="ignore"):
        likeness = [abs(np.corrcoef(*pairs[group].reshape(2, -1))[0, 1]) for group in candidates]
    return int(candidates[np.argmin(np.nan_to_num(likeness, nan=1.0))])


def write_feature_maps(folder, shown: FeatureMaps):
    """Write feature maps into a folder of records, in half precision."""
    facts = shown.model_dump_json(exclude={"maps"})
    arrays = {"facts": np.frombuffer(facts.encode(), np.uint8), "maps": shown.maps.astype(np.float16)}
    write_npz(Path(folder) / FILE, arrays, compress=True)


def read_feature_maps(folder):
    """Return the `FeatureMaps` of a folder of records, or None where it has none.

    Raises:
        InputError: the file is damaged.
    """
    path = Path(folder) / FILE
    try:
        arrays = read_npz(path)
        facts, maps = json.loads(arrays["facts"].tobytes()), arrays["maps"].astype(np.float32)
        if maps.ndim != 3 or len(maps) != 2:
            raise ValueError(f"its maps have the shape {maps.shape}")
        return validate(FeatureMaps, {**facts, "maps": maps}, path)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError) as error:
        raise InputError(
            f"{path} has no feature maps: {error}. Delete it; scripts/feature_maps.py writes it."
        ) from error
