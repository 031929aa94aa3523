"""Feature maps of a trained network: they are the layer's own, from weights that are the record's."""

import json

import keras
import numpy as np
import pytest

from compactnet.data.samples import generate_events
from compactnet.errors import InputError
from compactnet.experiments.config import load_config
from compactnet.experiments.study import build_network, network_specs
from compactnet.experiments.weights import load_weights, save_weights, weights_hash
from compactnet.report.feature_maps import feature_maps, read_feature_maps, write_feature_maps
from tests.scripts.calls import call

NETWORK = "compact_vgg_max_c2"
CHANGES = [f"networks=[{NETWORK}]", "skeletons.vgg8={width: 0.125}"]


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    folder = tmp_path_factory.mktemp("events")
    generate_events(folder)
    return folder


@pytest.fixture(scope="module")
def config(repository):
    return load_config(repository / "configs" / "sample" / "sed.yaml", CHANGES)


@pytest.fixture
def run(tmp_path, config):
    """An untrained network as a run leaves it: its model, its record and the file of its weights."""
    keras.utils.set_random_seed(0)
    model = build_network(config, network_specs(config)[NETWORK])
    save_weights(tmp_path / "weights.npz", model)
    record = {
        "study": "made up",
        "network": NETWORK,
        "title": "made up",
        "seed": 0,
        "config": config.model_dump(mode="json"),
        "protocol": {"training": {"epochs": 1}},
        "generated_data": True,
        "protocol_hash": "0123456789abcdef",
        "coverage": {"train": {"used": 1_000, "total": 2_000}},
        "weights_sha256": weights_hash(model),
    }
    return model, record, tmp_path / "weights.npz"


def test_the_maps_of_a_group_give_what_the_layer_gives_after_it(run, events, config):
    model, record, path = run
    shown = feature_maps(record, path, events, sample=1)
    layer = next(layer for layer in model.layers if type(layer).__name__ == "CompactConv2D")
    dataset = config.data.load(events)
    samples, labels = dataset.batch(dataset.test, np.array([1]))
    before = keras.Model(model.input, layer.input)(samples)
    activated = layer.depthwise_activation(layer.normalization(layer.depthwise(before), training=False))
    squeezed = keras.ops.convert_to_numpy(layer.interchannel(activated))[0, :, :, shown.facts["group"]]
    np.testing.assert_allclose(shown.maps.max(axis=0), squeezed, atol=1e-6)
    assert shown.facts["label"] == dataset.class_names[int(labels[0])]
    assert shown.facts["generated_data"] is True
    assert shown.facts["clips"] == "1,000 of 2,000"


def test_feature_maps_are_kept_and_a_damaged_file_is_named(run, events, tmp_path):
    assert read_feature_maps(tmp_path) is None
    shown = feature_maps(run[1], run[2], events)
    write_feature_maps(tmp_path, shown)
    read = read_feature_maps(tmp_path)
    assert read.facts == shown.facts
    np.testing.assert_allclose(read.maps, shown.maps, rtol=1e-3, atol=1e-6)
    (tmp_path / "feature_maps.npz").write_bytes(b"PK not quite")
    with pytest.raises(InputError, match="holds no feature maps"):
        read_feature_maps(tmp_path)


def test_what_cannot_be_shown_is_refused_in_one_line(run, events, tmp_path, repository):
    _, record, path = run
    images = load_config(repository / "configs" / "sample" / "ic.yaml").model_dump(mode="json")
    other = load_config(repository / "configs" / "sample" / "sed.yaml").model_dump(mode="json")
    for changes, reason in (
        ({"config": images}, "shown of recordings"),
        ({"config": other, "network": "xvgg8"}, "no compact convolution with C=2"),
        ({"weights_sha256": None}, "was written before records held the hash of the weights"),
        ({"weights_sha256": "0"}, "does not hold the weights of this record"),
    ):
        with pytest.raises(InputError, match=reason) as refusal:
            feature_maps(record | changes, path, events)
        assert len(refusal.value.lines) == 1
    with pytest.raises(InputError, match=r"from 0 to .* Received: 99999"):
        feature_maps(record, path, events, sample=99_999)
    with pytest.raises(InputError, match=r"is missing\. Move the record away and run"):
        feature_maps(record, tmp_path / "nowhere.npz", events)


def test_weights_of_another_network_change_nothing(run, tmp_path):
    model, record, _ = run
    before = weights_hash(model)
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match="holds no weights"):
        load_weights(tmp_path / "broken.npz", model, record["weights_sha256"])
    np.savez(tmp_path / "other.npz", np.zeros(3))
    with pytest.raises(InputError, match="does not hold the weights"):
        load_weights(tmp_path / "other.npz", model, record["weights_sha256"])
    assert weights_hash(model) == before


@pytest.mark.slow
def test_from_the_command_line_from_training_to_the_file(tmp_path, events, repository):
    changes = [argument for change in [*CHANGES, "training.epochs=1"] for argument in ("--set", change)]
    config = repository / "configs" / "sample" / "sed.yaml"
    arguments = ("--data", events, "--results", tmp_path, "--keep-weights", "--only", NETWORK, *changes)
    assert call("reproduce", config, *arguments) == 0
    (path,) = (tmp_path / "records" / "sample-sed").glob("*.json")
    assert (tmp_path / "weights" / "sample-sed" / path.with_suffix(".npz").name).is_file()
    assert call("feature_maps", path, "--data", events) == 0
    shown = read_feature_maps(tmp_path / "records")
    assert shown.facts["epochs"] == 1
    assert shown.facts["title"] == json.loads(path.read_text())["title"]
