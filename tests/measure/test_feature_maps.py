"""Feature maps of a trained network: they are the layer's own, from weights that are the record's."""

import keras
import numpy as np
import pytest

from compactnet.data.synthetic import generate_events
from compactnet.errors import InputError
from compactnet.experiments.config import load_experiment
from compactnet.experiments.records import read_record
from compactnet.layers import CompactConv2D
from compactnet.measure.feature_maps import (
    _choose_group,
    extract_feature_maps,
    read_feature_maps,
    write_feature_maps,
)
from compactnet.networks.weights import load_weights, save_weights, weights_hash
from tests.factories import run_record
from tests.scripts.calls import call

NETWORK = "compact_vgg_max_c2"
CHANGES = [f"networks=[{NETWORK}]", "skeletons.vgg8={width: 0.125}"]


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    folder = tmp_path_factory.mktemp("events")
    generate_events(folder)
    return folder


@pytest.fixture(scope="module")
def experiment(repository):
    return load_experiment(repository / "configs" / "sample" / "sed.yaml", CHANGES)


@pytest.fixture
def trained(tmp_path, experiment, events):
    """An untrained network as a run leaves it: its model, its record and the file of its weights."""
    run = experiment.runs()[0]
    model = run.build()
    save_weights(tmp_path / "weights.npz", model)
    coverage = {"train": {"used": 1_000, "total": 2_000}, "test": {"used": 1, "total": 1}}
    record = run_record(run, run.data.load(events).fingerprint, coverage=coverage, weights_sha256=weights_hash(model))
    return model, record, tmp_path / "weights.npz"


def test_the_maps_of_a_group_give_the_output_of_the_layer(trained, events):
    model, record, path = trained
    shown = extract_feature_maps(record, path, events, sample=1)
    layer = next(layer for layer in model.layers if isinstance(layer, CompactConv2D))
    dataset = record.run.data.load(events)
    samples, labels = dataset.batch(dataset.test, np.array([1]))
    inputs = keras.Model(model.input, layer.input)(samples)
    pooled = keras.ops.convert_to_numpy(layer.interchannel(layer.depthwise_features(inputs, training=False)))
    np.testing.assert_allclose(shown.maps.max(axis=0), pooled[0, :, :, shown.group], atol=1e-6)
    assert shown.label == dataset.class_names[int(labels[0])]
    assert shown.generated_data is True
    assert shown.clips == "1,000 of 2,000"


def test_a_group_without_contrast_is_not_shown():
    generator = np.random.default_rng(0)
    pairs = np.zeros((32, 2, 8, 8))
    pairs[[3, 17]] = generator.normal(size=(2, 2, 8, 8))
    assert _choose_group(pairs) in (3, 17)
    assert 0 <= _choose_group(np.zeros((4, 2, 8, 8))) < 4


def test_feature_maps_are_kept_and_a_damaged_file_is_named(trained, events, tmp_path):
    assert read_feature_maps(tmp_path) is None
    shown = extract_feature_maps(trained[1], trained[2], events)
    write_feature_maps(tmp_path, shown)
    read = read_feature_maps(tmp_path)
    assert read.model_dump(exclude={"maps"}) == shown.model_dump(exclude={"maps"})
    np.testing.assert_allclose(read.maps, shown.maps, rtol=1e-3, atol=1e-6)
    (tmp_path / "feature_maps.npz").write_bytes(b"PK not quite")
    with pytest.raises(InputError, match="has no feature maps"):
        read_feature_maps(tmp_path)


def test_what_cannot_be_shown_is_refused_in_one_line(trained, events, tmp_path, repository):
    _, record, path = trained
    (images,) = load_experiment(repository / "configs/sample/ic.yaml", ["networks=[xvgg8]", "seeds=[0]"]).runs()
    (separable,) = load_experiment(repository / "configs/sample/sed.yaml", ["networks=[xvgg8]", "seeds=[0]"]).runs()
    for changes, reason in (
        ({"run": images}, "shown for recordings"),
        ({"run": separable}, "no compact convolution with C=2"),
        ({"weights_sha256": None}, "was written before records kept the hash of the weights"),
        ({"weights_sha256": "0"}, "does not hold the weights of this record"),
    ):
        with pytest.raises(InputError, match=reason) as refusal:
            extract_feature_maps(record.model_copy(update=changes), path, events)
        assert len(refusal.value.lines) == 1
    with pytest.raises(InputError, match=r"from 0 to .* Received: 99999"):
        extract_feature_maps(record, path, events, sample=99_999)
    with pytest.raises(InputError, match=r"is missing\. Move the record away and train"):
        extract_feature_maps(record, tmp_path / "nowhere.npz", events)


def test_weights_of_another_network_change_nothing(trained, tmp_path):
    model, record, _ = trained
    before = weights_hash(model)
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    with pytest.raises(InputError, match="has no weights"):
        load_weights(tmp_path / "broken.npz", model, record.weights_sha256)
    np.savez(tmp_path / "other.npz", np.zeros(3))
    with pytest.raises(InputError, match="does not hold the weights"):
        load_weights(tmp_path / "other.npz", model, record.weights_sha256)
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
    assert shown.epochs == 1
    assert shown.title == read_record(path).run.network.title
