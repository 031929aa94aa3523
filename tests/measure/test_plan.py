"""What an experiment will take; the times of steps are invented."""

import math
import subprocess

import pytest

from compactnet.errors import InputError, ResourceError
from compactnet.experiments.config import load_experiment
from compactnet.measure import epoch_time, executions
from compactnet.measure.epoch_time import EpochTimes, measure_epoch
from compactnet.measure.plan import plan
from tests.factories import run_record

FIXED = ["threads=2", "implementation=keras"]


@pytest.fixture
def clock(monkeypatch):
    """Each step of each network takes 0.1 s, an evaluated batch 0.04 s and a start 7 s, on 8 cores without a GPU."""
    asked = []

    def measure(run, samples, processes, limit):
        asked.append((run.network.name, run.execution.backend, samples, processes))
        return EpochTimes(start=7.0, step=0.1, evaluation=0.04)

    monkeypatch.setattr(executions, "measure_epoch", measure)
    monkeypatch.setattr(executions, "available_cores", lambda: range(8))
    monkeypatch.setattr(executions, "visible_gpus", list)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    return asked


@pytest.fixture
def planned(clock, repository, tmp_path):
    """Function that plans a shipped config without anything to choose."""

    def planned(name, records=(), changes=(), only=None, seeds=None, data="nowhere", workers=None):
        experiment = load_experiment(repository / "configs" / name, [*FIXED, *changes])
        runs = experiment.runs(only, seeds)
        return plan(experiment, runs, records, data, tmp_path, workers)

    return planned


def test_runs_hours_and_gigabytes_of_images(clock, planned):
    found = planned("ic.yaml", workers=3)
    assert (found.runs, found.done, len(found.networks)) == (120, 0, 24)
    assert clock[:2] == [("vgg8", "tensorflow", 60_000, 3), ("xvgg8", "tensorflow", 60_000, 3)]
    # 1,563 steps and 313 evaluated batches, 50 times, and two more evaluations of the last weights.
    hours = (7 + 50 * (0.1 * 1563 + 0.04 * 313) + 2 * 0.04 * 313) / 3600
    assert found.networks[0].run_hours == pytest.approx(hours)
    assert found.hours == {(2, 3): pytest.approx(120 * hours / 3)}
    assert found.download_gigabytes == pytest.approx(0.17, abs=0.01)
    assert found.sample_gigabytes == pytest.approx(60_000 * 32 * 32 * 3 * 4 / 1e9)


def test_data_that_are_there_are_not_downloaded(planned, tmp_path):
    (tmp_path / "cifar-10-batches-py").mkdir()
    assert planned("ic.yaml", only=["xvgg8"], data=tmp_path).download_gigabytes == 0


def test_runs_with_their_record_are_not_counted_again(planned, repository):
    runs = load_experiment(repository / "configs" / "ic.yaml", FIXED).runs(only=["xvgg8"])

    def record_of(run, **execution):
        run = run.model_copy(update={"execution": run.execution.model_copy(update=execution)})
        return run_record(run, run.data.official_fingerprint + "content")

    found = planned("ic.yaml", [record_of(runs[0]), record_of(runs[1], threads=7)], only=["xvgg8"])
    assert (found.runs, found.done) == (5, 1)
    assert found.networks[0].left == 4
    assert planned("ic.yaml", [run_record(runs[0], "other data")], only=["xvgg8"]).done == 0
    done = planned("ic.yaml", [record_of(run) for run in runs], only=["xvgg8"])
    assert (done.done, done.hours) == (5, {})


def test_recordings_are_planned_without_a_file_and_fold_by_fold(planned, repository):
    found = planned("sed-10fold.yaml", only=["xvgg8"])
    assert found.runs == 10
    assert found.download_gigabytes == 6.0
    assert found.sample_gigabytes == pytest.approx(8732 * 128 * 201 * 4 / 1e9)
    sizes = (873, 888, 925, 990, 936, 823, 838, 806, 816, 837)
    evaluations = sum(0.04 * math.ceil(size / 32) for size in sizes)
    seconds = sum(0.1 * math.ceil((8732 - size) / 32) for size in sizes) + evaluations
    epochs = load_experiment(repository / "configs" / "sed-10fold.yaml").training.epochs
    assert found.hours == {(2, 1): pytest.approx((epochs * seconds + 2 * evaluations + 10 * 7) / 3600)}


def test_the_storage_of_spectrograms_decides_their_gigabytes(planned):
    found = planned("sed.yaml", changes=["data.storage=float16"], only=["xvgg8"], seeds=1)
    assert found.sample_gigabytes == pytest.approx(8732 * 128 * 201 * 2 / 1e9)


def test_data_that_are_not_official_are_counted_in_their_folder(planned, generated_images):
    found = planned("sample/ic.yaml", data=generated_images, workers=64)
    assert found.download_gigabytes == 0
    assert found.sample_gigabytes == pytest.approx(200 * 32 * 32 * 3 * 4 / 1e9)
    assert list(found.hours) == [(2, 4)]  # eight cores


def test_runs_on_other_data_are_not_done(planned, repository, generated_images):
    runs = load_experiment(repository / "configs" / "sample" / "ic.yaml", FIXED).runs()
    records = [run_record(run, "other data") for run in runs]
    found = planned("sample/ic.yaml", records, data=generated_images)
    assert (found.runs, found.done) == (len(runs), 0)
    here = [run_record(run, run.data.load(generated_images).fingerprint) for run in runs[:1]]
    assert planned("sample/ic.yaml", here, data=generated_images).done == 1


def test_a_gpu_trains_one_run_at_a_time(planned, monkeypatch):
    monkeypatch.setattr(executions, "visible_gpus", lambda: ["0", "1"])
    assert list(planned("ic.yaml", only=["xvgg8"], seeds=1, workers=4).hours) == [(2, 2)]


@pytest.fixture
def sample_run(repository):
    return load_experiment(repository / "configs" / "sample" / "ic.yaml", ["networks=[xvgg8]"]).runs()[0]


@pytest.mark.parametrize(
    ("program", "kind", "reason"),
    [
        ("echo first >&2; echo 'KeyError: last words' >&2; exit 1", InputError, "status 1: KeyError: last words"),
        ("kill -9 $$", ResourceError, "status -9: no output"),
    ],
)
def test_a_process_that_fails_is_described(sample_run, monkeypatch, tmp_path, program, kind, reason):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{program}\n")
    python.chmod(0o755)
    monkeypatch.setattr(epoch_time.sys, "executable", str(python))
    with pytest.raises(kind, match=f"^xvgg8 cannot be timed, {reason}$"):
        measure_epoch(sample_run, 100)


def test_each_process_has_a_gpu_in_turn(sample_run, monkeypatch):
    given = []

    def run(command, env, **options):
        given.append(env["CUDA_VISIBLE_DEVICES"])
        return subprocess.CompletedProcess(command, 0, '{"start": 1, "step": 2, "evaluation": 3}\n', "")

    monkeypatch.setattr(epoch_time, "visible_gpus", lambda: ["0", "1"])
    monkeypatch.setattr(epoch_time.subprocess, "run", run)
    assert measure_epoch(sample_run, 100, processes=3) == EpochTimes(start=1, step=2, evaluation=3)
    assert sorted(given) == ["0", "0", "1"]


@pytest.mark.slow
def test_a_networks_epochs_are_timed_in_a_process_of_their_own(sample_run):
    times = measure_epoch(sample_run, 100)
    assert all(math.isfinite(seconds) and seconds > 0 for seconds in (times.start, times.step, times.evaluation))
    valid = sample_run.network.skeleton.model_copy(update={"padding": "valid"})
    network = sample_run.network.model_copy(update={"skeleton": valid})
    with pytest.raises(InputError, match=r"xvgg8 cannot be timed, status 1: .*InputError: .*too small"):
        measure_epoch(sample_run.model_copy(update={"network": network}), 100)
