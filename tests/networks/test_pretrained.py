import json

import keras
import numpy as np
import pytest

from compactnet.data import Cifar10
from compactnet.errors import InputError
from compactnet.experiments.records import read_record
from compactnet.networks import CATALOGUE, PRETRAINED, VGG8, build, pretrained
from compactnet.networks.weights import weights_hash


@pytest.mark.parametrize(("name", "weights"), PRETRAINED)
def test_weights_are_those_of_a_committed_record(name, weights, repository):
    known = pretrained(name, weights)
    record = read_record(repository / "results" / "records" / known.record)
    assert record.weights_sha256 == known.weights_sha256
    assert record.last.test_accuracy == known.accuracy
    assert (record.run.training.epochs, record.run.seed) == (known.epochs, known.seed)
    assert record.run.network.architecture() == known.network.architecture()
    # Only the padding of small images may differ from the network of the catalogue.
    skeleton, own = CATALOGUE[name].skeleton, known.network.skeleton
    assert own == (skeleton.model_copy(update={"padding": own.padding}) if isinstance(own, VGG8) else skeleton)
    assert known.network.convolution == CATALOGUE[name].convolution


@pytest.mark.parametrize(("name", "weights"), PRETRAINED)
def test_a_network_with_weights_predicts(name, weights):
    model = build(name, weights=weights)
    known = pretrained(name, weights)
    assert model.name == name
    assert weights_hash(model) == known.weights_sha256
    images = np.random.default_rng(0).integers(0, 256, (3, *known.input_shape))
    outputs = keras.ops.convert_to_numpy(model(known.normalize(images)))
    np.testing.assert_allclose(outputs.sum(axis=-1), 1, rtol=1e-5)


def test_files_are_small(repository):
    folder = repository / "src" / "compactnet" / "networks" / "trained"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4e6
    for path in folder.glob("*.json"):
        assert json.loads(path.read_text())["data"] == "CIFAR-10"


@pytest.mark.parametrize(("name", "weights"), PRETRAINED)
def test_real_images_are_classified_as_the_record_says(name, weights, real_data):
    dataset = Cifar10(source="cifar10").load(real_data)
    known = pretrained(name, weights)
    np.testing.assert_array_equal(
        known.normalize(dataset.test.read(slice(0, 2))), dataset.batch(dataset.test, slice(0, 2))[0]
    )
    count = 1_000
    x, y = dataset.batch(dataset.test, slice(0, count))
    right = np.mean(build(name, weights=weights).predict(x, verbose=0).argmax(axis=-1) == y)
    # Four standard deviations of a sample of a thousand.
    assert abs(right - known.accuracy) < 4 * np.sqrt(0.25 / count)


def test_bad_input():
    with pytest.raises(InputError, match="There are no weights 'imagenet' of 'compact_vgg_sum_c8'"):
        build("compact_vgg_sum_c8", weights="imagenet")
    with pytest.raises(InputError, match="There are no weights 'cifar10' of 'resnet50'"):
        pretrained("resnet50")
    with pytest.raises(InputError, match=r"are for input_shape=\(32, 32, 3\). Leave it out"):
        build("compact_vgg_sum_c8", (64, 64, 3), weights="cifar10")
    with pytest.raises(InputError, match="are for classes=10"):
        build("compact_vgg_sum_c8", classes=5, weights="cifar10")
    with pytest.raises(InputError, match="There are no weights"):
        build(CATALOGUE["compact_vgg_sum_c8"], weights="cifar10")
    with pytest.raises(InputError, match=r"`input_shape` must be a tuple of 3 integers. Received: input_shape=32"):
        build("compact_vgg_sum_c8", 32, weights="cifar10")
    with pytest.raises(InputError, match=r"are for input_shape=\(32, 32, 3\).*Received: input_shape=\(128, 512, 1\)"):
        build("compact_vgg_sum_c8", (128, 512, 1), weights="cifar10")
    with pytest.raises(InputError, match="are for resize_to=None"):
        build("compact_vgg_sum_c8", resize_to=(16, 16), weights="cifar10")


def test_damaged_weights_are_installed_again(monkeypatch):
    def damaged(path):
        raise ValueError("it is not an npz file")

    monkeypatch.setattr("compactnet.networks.weights.read_npz", damaged)
    with pytest.raises(InputError, match=r"has no weights: it is not an npz file\. Install the package again\.$"):
        build("compact_vgg_sum_c8", weights="cifar10")


def test_what_the_weights_are_for_may_be_given():
    assert build("compact_vgg_sum_c8", [32, 32, 3], 10, weights="cifar10").input_shape == (None, 32, 32, 3)


@pytest.mark.parametrize("shape", [(2, 32, 32), (2, 32, 32, 1), (32, 32, 3), (2, 16, 16, 3), ()])
def test_samples_of_another_shape_are_not_normalized(shape):
    with pytest.raises(InputError, match=r"must have the shape \(n, 32, 32, 3\), for one sample \(1, 32, 32, 3\)"):
        pretrained("compact_vgg_sum_c8").normalize(np.zeros(shape))
