"""The scripts that publish weights with the package and score them again, on a few made-up images."""

import errno
import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from compactnet import networks
from compactnet.data import Cifar10
from compactnet.data.dataset import Dataset, Split
from compactnet.experiments.records import write_record
from compactnet.networks import build, pretrained
from compactnet.networks.pretrained import Pretrained
from compactnet.networks.weights import load_weights, save_weights, weights_hash
from compactnet.schema import Experiment
from tests.factories import run_record
from tests.scripts.calls import call

SCORED = ("mobilenet_v1_025", "cifar10")
COUNT = 40
RUN = {
    "name": "made_up",
    "data": {"source": "cifar10"},
    "networks": ["xvgg8"],
    "skeletons": {"vgg8": {"padding": "same", "width": 0.125}},
    "training": {"epochs": 2},
    "seeds": [7],
}


@pytest.fixture
def images(monkeypatch):
    """What `Cifar10.load` returns: noise."""
    samples = np.random.default_rng(0).integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)
    split = Split(samples, np.zeros(COUNT, np.int64))
    channels = np.full((1, 1, 3), 100, np.float32)
    names = tuple(map(str, range(10)))
    dataset = Dataset(split, split, names, channels, channels, "made up", {}, generated=False)
    monkeypatch.setattr(Cifar10, "load", lambda self, folder: dataset)
    return dataset


@pytest.mark.parametrize(("apart", "status"), [(-3, 1), (-2, 0), (0, 0), (2, 0), (3, 1)])
def test_a_score_differs_from_its_record_by_more_than_two_images(images, monkeypatch, capsys, apart, status):
    monkeypatch.setattr(networks, "PRETRAINED", {SCORED: None})
    known = pretrained(*SCORED)
    outputs = keras.ops.convert_to_numpy(build(SCORED[0], weights=SCORED[1])(known.normalize(images.test.samples)))
    right = round(known.accuracy * COUNT) + apart
    images.test.labels[:] = (outputs.argmax(-1) + (np.arange(COUNT) >= right)) % 10
    assert call("score_weights") == status
    output = capsys.readouterr().out
    assert f"mobilenet_v1_025 (cifar10): {right} of {COUNT} right, {100 * right / COUNT:.2f} %" in output
    assert f"the record says {100 * known.accuracy:.2f} %" in output
    assert ("which differs" in output) == bool(status)


@pytest.fixture
def trained(tmp_path):
    """Write the record and the weights of a run; return the record's path and the model."""

    def write(**changes):
        (run,) = Experiment(**{**RUN, **changes}).runs()
        shape = run.data.sample_shape
        model = build(run.network, shape, resize_to=run.data.network_size)
        path = tmp_path / "results" / "records" / "made_up" / "a.json"
        write_record(path, run_record(run, weights_sha256=weights_hash(model)))
        save_weights(tmp_path / "results" / "weights" / "made_up" / "a.npz", model)
        return path, model

    return write


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The package's folder of weights, empty."""
    monkeypatch.setattr(sys.modules["compactnet.networks.pretrained"], "FOLDER", tmp_path / "package")
    return tmp_path / "package"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_published_weights_are_those_of_the_run(images, trained, package, capsys):
    path, model = trained()
    assert call("publish_weights", path) == 0
    assert set(contents(package)) == {"xvgg8-cifar10.json", "xvgg8-cifar10.npz"}
    known = Pretrained(**json.loads((package / "xvgg8-cifar10.json").read_text()))
    assert (known.record, known.accuracy, known.epochs, known.seed) == ("made_up/a.json", 0.4, 2, 7)
    assert (known.mean, known.std) == ([[[100.0] * 3]], [[[100.0] * 3]])
    again = build(known.network, known.input_shape)
    load_weights(package / "xvgg8-cifar10.npz", again, known.weights_sha256)
    for one, other in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert "test accuracy 40.00 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    "data",
    [
        {"source": "cifar10", "generated": True},
        {"source": "cifar10", "resize_to": [64, 64]},
        {"source": "dcase2019"},
    ],
    ids=["generated", "resized", "recordings"],
)
def test_weights_of_other_runs_are_not_published(images, trained, package, capsys, data):
    path, _ = trained(data=data)
    assert call("publish_weights", path) == 2
    assert "published of runs on real images" in capsys.readouterr().err
    assert not package.exists()


def test_other_data_than_those_of_the_record_are_refused(images, trained, package, capsys, monkeypatch):
    path, _ = trained()
    object.__setattr__(images, "fingerprint", "other data")
    assert call("publish_weights", path) == 2
    assert "holds other data than those of the record" in capsys.readouterr().err
    assert not package.exists()


@pytest.mark.parametrize("ending", [".json", ".npz"])
def test_a_full_disk_leaves_what_was_published(images, trained, package, monkeypatch, ending):
    assert call("publish_weights", trained()[0]) == 0
    before = contents(package)
    path, _ = trained()

    def full(write):
        def write_it(self, *arguments, **named):
            if self.parent == package and ending in self.suffixes:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(self, *arguments, **named)

        return write_it

    for name in ("write_text", "write_bytes"):
        monkeypatch.setattr(Path, name, full(getattr(Path, name)))
    assert call("publish_weights", path) == 1
    assert contents(package) == before
