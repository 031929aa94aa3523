"""Whole runs in processes of their own, on a few generated images and a narrow network."""

import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from compactnet.experiments.records import read_failures, read_record, read_records
from compactnet.experiments.train import _tensorboard_writer
from compactnet.schema import Coverage
from tests.scripts.calls import SCRIPTS, call

CONFIG = {
    "name": "narrow",
    "data": {"source": "cifar10", "generated": True},
    "networks": ["xvgg8", "compact_vgg_sum_c2"],
    "skeletons": {"vgg8": {"padding": "same", "width": 0.125, "momentum": 0.9}},
    "training": {"epochs": 2},
    "seeds": [0, 1],
    "threads": 1,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, generated_images):
    """A folder with the config and the results of one network trained with one seed."""
    folder = tmp_path_factory.mktemp("experiment")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    assert reproduce(folder, generated_images, "--only", "compact_vgg_sum_c2", "--seeds", "1", "--tensorboard") == 0
    return folder


def reproduce(folder, data, *arguments, results="results"):
    return call("reproduce", folder / "config.yaml", "--data", data, "--results", folder / results, *arguments)


def only_record(folder, results="results"):
    (record,) = read_records(folder / results / "records")
    return record


def test_a_record_says_all_that_decided_its_figure(folder):
    record = only_record(folder)
    run = record.run
    assert run.network.convolution.operation == "sum"
    assert run.network.skeleton.width == 0.125
    assert run.training.epochs == 2
    assert run.execution.threads == 1
    assert record.generated
    assert {split: (of.used, of.total) for split, of in record.coverage.items()} == {
        "train": (160, 160),
        "test": (40, 40),
    }
    assert [epoch.epoch for epoch in record.history] == [1, 2]
    assert record.last == record.history[-1]
    assert record.best.test_accuracy == max(epoch.test_accuracy for epoch in record.history)
    assert record.history[1].train_loss < record.history[0].train_loss
    assert {"python", "compactnet", "keras", "numpy"} < set(record.environment.versions)
    assert record.environment.backend in record.environment.versions
    assert record.environment.device
    assert str(folder) not in record.model_dump_json()


def test_its_table_says_that_the_data_are_generated(folder):
    text = (folder / "results" / "generated_data.md").read_text()
    assert text.startswith("# Generated data")
    assert "compact_vgg_sum_c2" in text
    assert not (folder / "results" / "table4.md").exists()


def test_tensorboard_logs_of_an_earlier_start_are_replaced(tmp_path):
    for _ in range(2):
        _tensorboard_writer(tmp_path).close()
        (path,) = tmp_path.glob("events.out.*")
        path.rename(path.with_name("events.out.tfevents.1.host"))  # of another second


def test_tensorboard_logs_are_written_on_request(folder):
    assert list((folder / "results" / "tensorboard").rglob("events.out.*"))


def test_checkpoints_that_another_protocol_left_are_named(folder, generated_images, capsys):
    left = folder / "left" / "checkpoints" / "narrow" / "compact_vgg_sum_c2-seed0-0123456789ab"
    left.mkdir(parents=True)
    chosen = ("--only", "compact_vgg_sum_c2", "--seeds", "1", "--set", "training.epochs=1")
    assert reproduce(folder, generated_images, *chosen, results="left") == 0
    output = capsys.readouterr().out
    assert "seed 0 begins anew: its checkpoints in" in output
    assert str(left) in output


def test_a_run_with_its_record_is_skipped(folder, generated_images, capsys):
    chosen = ("--only", "compact_vgg_sum_c2", "--seeds", "1")
    assert reproduce(folder, generated_images, *chosen) == 0
    assert "0 runs trained, 1 skipped (already done), 0 failed." in capsys.readouterr().out


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(folder, generated_images, monkeypatch):
    # Keras' debugging variables would change the outcome under the same protocol.
    monkeypatch.setenv("KERAS_MAX_STEPS_PER_EPOCH", "1")
    monkeypatch.setenv("KERAS_MAX_EPOCHS", "1")
    assert reproduce(folder, generated_images, "--only", "compact_vgg_sum_c2", "--workers", "2", results="again") == 0
    runs = {record.run.seed: record for record in read_records(folder / "again" / "records")}

    def figures(record):
        return [epoch.model_dump(exclude={"seconds"}) for epoch in record.history]

    assert figures(runs[0]) == figures(only_record(folder))
    assert figures(runs[1]) != figures(runs[0])


@pytest.mark.slow
def test_a_loss_that_is_not_finite_fails_its_run_and_leaves_no_record(folder, generated_images, capsys):
    diverging = ("--set", "training.learning_rate=1e38", "--set", "training.epochs=1")
    status = reproduce(folder, generated_images, "--only", "xvgg8", "--seeds", "1", *diverging, results="diverged")
    ended = capsys.readouterr()
    assert status == 1
    assert "1 failed" in ended.out
    assert "no longer finite" in ended.err
    assert "Traceback" not in ended.err
    assert not list((folder / "diverged" / "records").rglob("*.json"))
    (failure,) = read_failures(folder / "diverged" / "failures")
    assert "no longer finite" in failure.reason


def test_ctrl_c_stops_every_process_and_leaves_no_half_record(folder, generated_images):
    # Tests that a shell runs in the background inherit that SIGINT is ignored, and a program respects that.
    heard = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    program = [sys.executable, SCRIPTS / "reproduce.py", folder / "config.yaml", "--data", generated_images]
    results = folder / "stopped"
    with subprocess.Popen(
        [sys.executable, "-c", heard, *program, "--results", results, "--set", "training.epochs=1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        for line in process.stderr:
            if "epoch 1/1000" in line:
                break
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "run the same command again" in errors
    assert "Traceback" not in errors
    assert not list(results.rglob("*.json"))
    assert not list(results.rglob("*.partial"))
    deadline = time.monotonic() + 300
    while children_of_group(process.pid) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not children_of_group(process.pid)


def children_of_group(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_records_are_read_back_whole(folder):
    for path in (folder / "results" / "records").rglob("*.json"):
        assert read_record(path).run.experiment == "narrow"


@pytest.mark.slow
def test_real_images_are_learned(real_data, repository, tmp_path):
    changes = [
        "skeletons.vgg8.width=0.25",
        "skeletons.vgg8.momentum=0.9",
        "training.epochs=3",
        "data.train_samples=10000",
        "data.test_samples=2000",
    ]
    arguments = [argument for change in changes for argument in ("--set", change)]
    config = repository / "configs" / "ic.yaml"
    chosen = ("--only", "compact_vgg_sum_c2", "--seeds", "1")
    assert call("reproduce", config, "--data", real_data, "--results", tmp_path, *chosen, *arguments) == 0
    record = only_record(tmp_path, "")
    assert record.last.test_accuracy > 0.4
    assert record.coverage["train"] == Coverage(used=10_000, total=50_000)
    assert "10000 of 50000" in (tmp_path / "reduced_budget.md").read_text()
    paper_table = (tmp_path / "table4.csv").read_text()
    assert f"{100 * record.last.test_accuracy:.2f}" not in paper_table
