"""`compactnet export`."""

import numpy as np
import pytest
import yaml

from compactnet.command import export
from compactnet.data.synthetic import generate_cifar10, generate_events
from compactnet.deploy import load
from compactnet.experiments.config import load_experiment
from compactnet.experiments.records import write_record
from compactnet.networks.weights import save_weights, weights_hash
from tests.command.calls import assert_refused, call
from tests.command.models import image_model, sound_model
from tests.factories import run_record

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "new" / "model.tflite"


def test_the_choices_are_those_of_the_package():
    from compactnet.deploy.converting import PRECISIONS, SUPPORTED
    from compactnet.deploy.forms import FORMS

    assert set(export.FORMATS) == set(SUPPORTED)
    assert export.PRECISIONS == PRECISIONS
    assert ("auto", *FORMS) == export.FORMS


def test_it_writes_a_file_and_prints_the_report(place, out, capfd):
    assert call("export", place / "model.keras", out, "--labels", "cat", "dog", "owl") == 0
    output, error = capfd.readouterr()
    assert error == ""
    assert str(out) in output
    assert "verified" in output
    assert load(out).labels == ["cat", "dog", "owl"]
    assert [path.name for path in out.parent.iterdir()] == ["model.tflite"]


def test_labels_from_a_file_and_samples_from_npz_files(place, out, tmp_path, capsys):
    (tmp_path / "labels.txt").write_text("street cat\ndog\nowl\n\n")
    x = np.random.default_rng(0).normal(size=(6, 8, 8, 3)).astype("float32")
    np.savez(tmp_path / "x.npz", x=x)
    np.savez(tmp_path / "test.npz", x=x, y=np.arange(6) % 3)
    arguments = ("--labels", tmp_path / "labels.txt", "--verification", tmp_path / "test.npz", "--precision", "float16")
    assert call("export", place / "model.keras", out, *arguments, "--max-drop", "1") == 0
    assert "6 verification data" in capsys.readouterr().out
    assert load(out).labels == ["street cat", "dog", "owl"]
    arguments = ("--calibration", tmp_path / "x.npz", "--verification", tmp_path / "x.npz", "--precision", "int8")
    status = call("export", place / "model.keras", out, *arguments)
    output, error = capsys.readouterr()
    # Whether six random samples keep their classes in int8 is not the command's matter.
    assert ("calibration:  6 samples" in output) if status == 0 else ("of 6 samples, less than 97 %" in error)


def test_a_data_set_of_images_gives_what_a_file_needs(generated_images, out, tmp_path, capsys):
    image_model(size=32, classes=10).save(tmp_path / "model.keras")
    config = write_config(tmp_path, {"source": "cifar10", "generated": True})
    assert call("export", tmp_path / "model.keras", out, "--config", config, "--data", generated_images) == 0
    output = capsys.readouterr().out
    assert "40 verification data" in output
    assert "accuracy:" in output
    exported = load(out)
    assert exported.labels[0] == "airplane"
    assert exported.preprocessing.kind == "image"


def test_a_data_set_of_sounds_gives_what_a_file_needs(out, tmp_path, capsys):
    generate_events(tmp_path / "data", seconds=0.5)
    features = {"sample_rate": 8_000, "window": 256, "hop": 128, "fft": 256, "bands": 8, "seconds": 0.5}
    section = {"source": "urbansound8k", "generated": True, "features": features, "test_folds": [9, 10]}
    config = write_config(tmp_path, section)
    sound_model(classes=10).save(tmp_path / "model.keras")
    arguments = ("export", tmp_path / "model.keras", out, "--config", config, "--data", tmp_path / "data")
    assert_refused(call(*arguments), capsys, "(fold9, fold10)", "--set data.test_folds=[10]")
    assert call(*arguments, "--set", "data.test_folds=[10]", "--labels", *"abcdefghij") == 0
    exported = load(out)
    assert exported.labels == list("abcdefghij")
    assert (exported.preprocessing.kind, exported.preprocessing.sample_rate) == ("audio", 8_000)


def test_a_run_that_kept_its_weights(generated_images, out, tmp_path, capsys):
    section = {"source": "cifar10", "generated": True}
    (run,) = load_experiment(write_config(tmp_path, section), ["skeletons.vgg8={width: 0.125, padding: same}"]).runs()
    model = run.build()
    record = tmp_path / "runs" / "records" / "test" / "run.json"
    dataset = run.data.load(generated_images)
    write_record(record, run_record(run, dataset.fingerprint, weights_sha256=weights_hash(model)))
    arguments = ("export", record, out, "--data", generated_images)
    assert_refused(call(*arguments), capsys, "run.npz is missing", "--keep-weights")
    save_weights(tmp_path / "runs" / "weights" / "test" / "run.npz", model)
    config = tmp_path / "config.yaml"
    assert_refused(call(*arguments, "--config", config), capsys, "A record names its data set. Leave out --config.")
    assert_refused(call(*arguments, "--set", "training.epochs=2"), capsys, "--set changes the experiment of --config")
    assert not out.parent.exists()
    assert call(*arguments) == 0
    assert "40 verification data" in capsys.readouterr().out
    exported = load(out)
    assert exported.labels[0] == "airplane"
    x, _ = dataset.batch(dataset.test, np.arange(4))
    np.testing.assert_allclose(exported.predict(x), model.predict(x, verbose=0), atol=1e-5)
    generate_cifar10(tmp_path / "other", 40, 20, seed=1)
    other = ("export", record, out, "--data", tmp_path / "other")
    assert_refused(call(*other), capsys, "other does not hold the data that the run was trained on")
    assert call("complexity", record) == 0
    assert f"{model.count_params():,}" in capsys.readouterr().out


def test_wrong_input_leaves_no_file(place, out, generated_images, tmp_path, capsys):
    model = place / "model.keras"

    def refused(*arguments):
        return call("export", *arguments)

    assert_refused(refused(tmp_path / "no.keras", out), capsys, "no.keras does not exist.")
    assert_refused(refused(tmp_path / "no.h5", out), capsys, "no.h5 is no model")
    assert_refused(refused(model, tmp_path / "new" / "model.bin"), capsys, "names no format")
    assert_refused(refused(model, out, "--labels", "cat", "dog"), capsys, "`labels` must be 3 different names")
    assert_refused(refused(model, out, "--labels", tmp_path / "no.txt"), capsys, "no.txt cannot be read")
    assert_refused(refused(model, out, "--precision", "int8"), capsys, "--precision int8 needs --calibration")
    assert_refused(refused(model, out, "--precision", "float16"), capsys, "--precision float16 needs --verification")
    assert_refused(refused(model, out, "--max-drop", "0.1"), capsys, "--max-drop needs --verification")
    assert_refused(refused(model, out, "--set", "seeds=[1]"), capsys, "--set changes the experiment of --config")
    assert_refused(refused(model, out, "--calibration", "x.npz"), capsys, "--calibration goes with --precision int8")
    assert_refused(refused(model, out, "--input", "9x9x3"), capsys, "(8, 8, 3)")
    assert_refused(refused(model, out, "--config", tmp_path / "no.yaml"), capsys, "no.yaml cannot be read")
    config = write_config(tmp_path, {"source": "cifar10", "generated": True})
    assert_refused(refused(model, out, "--config", config, "--data", tmp_path / "nowhere"), capsys, "nowhere")
    assert_refused(refused(model, out, "--config", config, "--data", generated_images), capsys, "8, 8, 3")
    assert not out.parent.exists()


def write_config(folder, section):
    path = folder / "config.yaml"
    content = {"name": "test", "data": section, "networks": ["xvgg8"], "training": {"epochs": 1}, "seeds": [0]}
    path.write_text(yaml.safe_dump({**content, "skeletons": {"vgg8": {"padding": "same"}}}))
    return path
