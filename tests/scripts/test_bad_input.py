"""Bad input is one line with what to do next and exit status 2; nothing is left half written."""

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys

import pytest
import yaml

from compactnet.data import cifar10
from tests.data.exploit import Exploit
from tests.scripts.calls import SCRIPTS, call

BATCH = "data_batch_2"


@pytest.fixture
def workplace(generated_images, tmp_path, repository):
    """A copy of the generated images and of the sample config with one network, and room for results."""
    shutil.copytree(generated_images, tmp_path / "data")
    content = yaml.safe_load((repository / "configs" / "sample" / "ic.yaml").read_text())
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**content, "networks": ["xvgg8"]}))
    return tmp_path


@pytest.fixture
def reproduce(workplace, capsys):
    """Run the script on the workplace and return its exit status and standard error."""

    def run(*arguments, data=None, results=None):
        folders = ("--data", data or workplace / "data", "--results", results or workplace / "results")
        status = call("reproduce", workplace / "config.yaml", *folders, *arguments)
        return status, capsys.readouterr().err

    return run


def assert_refused(workplace, outcome, *expected):
    status, output = outcome
    assert status == 2
    assert output.startswith("error: ")
    assert output.count("\n") == 1, output
    assert "Traceback" not in output
    for text in expected:
        assert text in output
    results = workplace / "results"
    assert not results.exists()


def batch(workplace):
    return workplace / "data" / cifar10.FOLDER / BATCH


def test_a_missing_data_folder(workplace, reproduce):
    assert_refused(workplace, reproduce(data=workplace / "nowhere"), "nowhere", "make")


def test_a_missing_official_data_folder_names_the_download(workplace, capsys, repository):
    folders = ("--data", workplace / "nowhere", "--results", workplace / "results")
    status = call("reproduce", repository / "configs" / "ic.yaml", *folders, "--only", "mobilenet_v1_025")
    assert_refused(workplace, (status, capsys.readouterr().err), "nowhere does not exist", "make data-ic")


def test_a_truncated_batch(workplace, reproduce):
    batch(workplace).write_bytes(batch(workplace).read_bytes()[:5000])
    assert_refused(workplace, reproduce(), BATCH, "5,000 bytes", "Delete the folder")


def test_a_batch_with_one_byte_changed(workplace, reproduce):
    content = bytearray(batch(workplace).read_bytes())
    content[4321] ^= 16
    batch(workplace).write_bytes(content)
    assert_refused(workplace, reproduce(), BATCH, "damaged", "Delete the folder")


def test_a_pickle_that_calls_os_system_is_never_executed(workplace, reproduce):
    # Its checksum is in the manifest, so that the reader itself must refuse it.
    content = pickle.dumps(Exploit(f"touch {workplace / 'executed'}"))
    batch(workplace).write_bytes(content)
    manifest = batch(workplace).parent / cifar10.GENERATED_MANIFEST
    described = json.loads(manifest.read_text())
    described["md5"][BATCH] = hashlib.md5(content).hexdigest()
    manifest.write_text(json.dumps(described))
    assert_refused(workplace, reproduce(), BATCH, "it asks for posix.system", "Delete the folder")
    assert not (workplace / "executed").exists()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"trainig": {}}, "unknown key 'trainig'. Did you mean 'training'?"),
        ({"training": {"epochs": "three"}}, "Received: 'three'"),
        ({"networks": ["xvgg9"]}, "Unknown network 'xvgg9'. Did you mean 'xvgg8'"),
        ({"networks": [{"name": "a", "base": "compact_vgg_sum_c2", "convolution": {"compact_factor": 48}}]}, "divide"),
        ({"skeletons": {"vgg8": {"padding": "valid"}}}, "The smallest that works is 76x76"),
        (
            {"skeletons": {"vgg8": {"padding": "same", "width": True}}},
            "skeletons.vgg8: width: Input should be a valid number. Received: True",
        ),
        (
            {"skeletons": {"vgg8": {"padding": "same", "width": float("nan")}}},
            "skeletons.vgg8: width: Input should be a finite number",
        ),
        ({"skeletons": {"vgg8": {1: 2}}}, "skeletons.vgg8: unknown key '1'"),
        ({"skeletons": None}, "skeletons"),
        (
            {"networks": [{"name": "a", "base": "xvgg8", "convolution": {"kind": ["a"]}}]},
            "convolution.kind must be one of",
        ),
        ({"seeds": [2**32]}, "seeds"),
        ({"training": {"epochs": 1, "learning_rate": True}}, "training.learning_rate"),
        ({"training": {"epochs": 1, "learning_rate": float("inf")}}, "training.learning_rate"),
        ({"data": {"source": "cifar10", "generated": True, "train_samples": 161}}, "more than the 160 images"),
    ],
)
def test_a_wrong_config(workplace, reproduce, change, expected):
    path = workplace / "config.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **change}))
    assert_refused(workplace, reproduce(), expected)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--set", "training.epoch=3"), "unknown key 'training.epoch'. Did you mean 'epochs'?"),
        (("--set", "seeds=2024-02-30"), "not valid YAML"),
        (("--only", "vgg8"), "no network 'vgg8'"),
        (("--seeds", "9"), "--seeds takes a number from 1 to 1"),
        (("--workers", "0"), "--workers takes a number of at least 1"),
        (("--seeds", "x"), "Argument --seeds: invalid int value: 'x'"),
        (("--no-such",), "Unrecognized arguments: --no-such"),
        (("--launcher", "cluster"), "Argument --launcher: invalid choice: 'cluster'"),
        (("--skip-bad",), "--skip-bad is for recordings"),
    ],
)
def test_wrong_arguments(workplace, reproduce, arguments, expected):
    assert_refused(workplace, reproduce(*arguments), expected)


def test_a_results_folder_that_cannot_be_written(workplace, reproduce):
    (workplace / "file").write_text("in the way")
    outcome = reproduce(results=workplace / "file" / "results")
    assert_refused(workplace, outcome, "Cannot write to the results folder", "RESULTS=folder")
    assert (workplace / "file").read_text() == "in the way"


@pytest.mark.parametrize("folder", ["records", "logs", "records/sample-ic"])
def test_a_file_in_the_place_of_a_folder_is_found_before_any_training(workplace, reproduce, folder):
    path = workplace / "results" / folder
    path.parent.mkdir(parents=True)
    path.write_text("in the way")
    status, output = reproduce()
    assert (status, output.count("\n")) == (2, 1)
    assert "Cannot write" in output
    assert not list((workplace / "results").rglob("*.log"))


def test_a_folder_in_the_place_of_a_table(workplace, capsys):
    (workplace / "results" / "reduced_budget.md").mkdir(parents=True)
    assert call("tables", "--results", workplace / "results") == 2
    assert "Cannot remove" in capsys.readouterr().err
    (workplace / "results" / "reduced_budget.md").rmdir()
    (workplace / "results" / "table1.csv").unlink()
    (workplace / "results" / "table1.csv").mkdir()
    assert call("tables", "--results", workplace / "results") == 2
    assert "Cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("backend", ["foo", "numpy"])
def test_a_backend_that_is_unknown(workplace, backend):
    command = [sys.executable, SCRIPTS / "reproduce.py", workplace / "config.yaml"]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: KERAS_BACKEND={backend} is unknown")
    assert ended.stderr.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_results_folder(workplace, reproduce):
    (workplace / "results").mkdir(mode=0o500)
    status, output = reproduce()
    assert (status, output.count("\n")) == (2, 1)
    assert output.startswith("error: Cannot write")
    assert list((workplace / "results").iterdir()) == []


def test_a_damaged_record_stops_the_tables(workplace, capsys):
    record = workplace / "results" / "records" / "ic" / "broken.json"
    record.parent.mkdir(parents=True)
    record.write_text("{")
    status = call("tables", "--results", workplace / "results")
    output = capsys.readouterr().err
    assert status == 2
    assert "broken.json is not a RunRecord" in output
    assert output.count("\n") == 1
    assert list((workplace / "results").glob("*.*")) == []


def test_the_shell_sees_the_same(workplace):
    command = [sys.executable, SCRIPTS / "reproduce.py", workplace / "config.yaml", "--data", workplace / "nowhere"]
    ended = subprocess.run(
        [*command, "--results", workplace / "results"], capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 2
    # One line and nothing else: what a backend prints when it starts is suppressed.
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.count("\n") == 1


def test_the_download_names_what_it_cannot_write(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert call("download", "ic", "--data", tmp_path / "file" / "data") == 2
    assert capsys.readouterr().err.startswith("error: ")
