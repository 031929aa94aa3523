"""The commands of docs/command.md, in the order of the page."""

import shlex
import shutil

import numpy as np
import pytest
import yaml

from compactnet.experiments.config import load_experiment
from compactnet.experiments.records import write_record
from compactnet.networks.weights import save_weights, weights_hash
from tests.command.calls import call
from tests.command.models import image_model
from tests.docs.pages import blocks
from tests.factories import run_record


def test_the_commands_of_the_page_run_one_after_the_other(
    generated_images, sound_file, place, tmp_path, monkeypatch, capfd
):
    for module in ("onnxruntime", "onnx", "tf2onnx"):
        pytest.importorskip(module)
    model = image_model(size=32, classes=10, channels=32)
    # Far apart, so that int8 keeps the classes of a network that was not trained.
    model.layers[-1].set_weights([30 * model.layers[-1].get_weights()[0], np.arange(10.0)])
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(20, 32, 32, 3)).astype("float32")
    np.savez(tmp_path / "calibration.npz", x=x, y=np.arange(20) % 10)
    shutil.copytree(generated_images, tmp_path / "data")
    for name in ("cat.png", "dog.png"):
        shutil.copy(place / "cat.png", tmp_path / name)
    shutil.copy(place / "street.wav", tmp_path)
    shutil.copy(sound_file, tmp_path / "scenes.tflite")
    (tmp_path / "configs").mkdir()
    content = {"name": "ic", "data": {"source": "cifar10", "generated": True}, "networks": ["mobilenet_v1_025"]}
    config = tmp_path / "configs" / "ic.yaml"
    config.write_text(yaml.safe_dump({**content, "training": {"epochs": 1}, "seeds": [0]}))
    (run,) = load_experiment(config).runs()
    trained = run.build()
    save_weights(tmp_path / "runs" / "weights" / "ic" / "RUN.npz", trained)
    record = run_record(run, run.data.load(generated_images).fingerprint, weights_sha256=weights_hash(trained))
    write_record(tmp_path / "runs/records/ic/RUN.json", record)
    monkeypatch.chdir(tmp_path)
    commands = [
        line
        for block in blocks("sh")
        if block.page.name == "command.md"
        for line in block.text.splitlines()
        if line.startswith("compactnet ")
    ]
    assert len(commands) > 8
    for command in commands:
        status = call(*shlex.split(command)[1:])
        output, error = capfd.readouterr()
        assert (status, error) == (0, ""), command
        assert output, command
