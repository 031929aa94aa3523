"""`compactnet compress`."""

import keras
import numpy as np
import pytest

from compactnet.layers import CompactConv2D
from tests.command.calls import assert_refused, call
from tests.command.models import image_model


@pytest.fixture
def model(tmp_path):
    """A saved model whose second convolution is replaced."""
    path = tmp_path / "model.keras"
    image_model(channels=32).save(path)
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / "new" / "compact.keras"


@pytest.fixture
def samples(tmp_path):
    path = tmp_path / "calibration.npz"
    generator = np.random.default_rng(0)
    np.savez(path, x=generator.normal(size=(12, 8, 8, 3)).astype("float32"), y=generator.integers(0, 3, 12))
    return path


def compacted(path):
    layers = keras.saving.load_model(path).layers
    return {layer.name: layer for layer in layers if isinstance(layer, CompactConv2D)}


def test_it_writes_a_model_and_prints_the_report(model, out, capsys):
    assert call("compress", model, "--out", out) == 0
    output, error = capsys.readouterr()
    assert error == ""
    assert output.endswith(f"Written to {out}.\n")
    assert "second" in output
    assert [path.name for path in out.parent.iterdir()] == ["compact.keras"]
    (layer,) = compacted(out).values()
    assert (layer.name, layer.compact_factor, layer.operation, layer.grouping) == ("second", 2, "sum", "strided")


def test_the_options_arrive(model, out):
    options = ("--operation", "max", "--factors", "second=4", "--min-channels", "3", "--grouping", "adjacent")
    assert call("compress", model, "--out", out, *options, "--filters", "^sec", "^none$") == 0
    (layer,) = compacted(out).values()
    assert (layer.name, layer.compact_factor, layer.operation, layer.grouping) == ("second", 4, "max", "adjacent")


def test_a_warm_start_with_labels_tells_the_accuracy(model, out, samples, capsys):
    assert call("compress", model, "--out", out, "--warm-start", samples) == 0
    assert "accuracy" in capsys.readouterr().out
    assert list(compacted(out)) == ["second"]


def test_a_warm_start_without_labels(model, out, samples, capsys):
    with np.load(samples) as arrays:
        np.savez(samples, x=arrays["x"])
    assert call("compress", model, "--out", out, "--warm-start", samples) == 0
    assert "accuracy" not in capsys.readouterr().out


def test_wrong_input_leaves_no_file(model, out, samples, tmp_path, capsys):
    def refused(*arguments):
        return call("compress", *arguments)

    assert_refused(refused(tmp_path / "no.keras", "--out", out), capsys, "no.keras does not exist.")
    assert_refused(refused(model, "--out", tmp_path / "compact.h5"), capsys, "does not end in .keras")
    assert_refused(refused(model, "--out", model), capsys, "--out names the model itself")
    assert_refused(refused(model, "--out", out, "--factors", "scond=4"), capsys, "Did you mean 'second'?")
    assert_refused(refused(model, "--out", out, "--warm-start", tmp_path / "no.npz"), capsys, "no.npz does not exist.")
    assert_refused(refused(model, "--out", out, "--warm-start", model), capsys)
    np.savez(samples, images=np.zeros(3))
    assert_refused(refused(model, "--out", out, "--warm-start", samples), capsys, "It holds: images")
    samples.write_bytes(b"nothing")
    assert_refused(refused(model, "--out", out, "--warm-start", samples), capsys, "cannot be read as an npz file")
    assert not out.parent.exists()


def test_a_folder_in_the_place_of_the_file(model, tmp_path, capsys):
    (tmp_path / "folder.keras").mkdir()
    assert_refused(call("compress", model, "--out", tmp_path / "folder.keras"), capsys, "Cannot write")
    assert {path.name for path in tmp_path.iterdir()} == {"folder.keras", "model.keras"}
