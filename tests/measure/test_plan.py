"""What an experiment will take; the times of steps are invented."""

import math

import pytest

from compactnet.errors import InputError, ResourceError
from compactnet.experiments.config import load_experiment
from compactnet.measure import epoch_time
from compactnet.measure import plan as module
from compactnet.measure.epoch_time import EpochTimes, measure_epoch
from compactnet.measure.plan import plan
from tests.factories import run_record


@pytest.fixture
def clock(monkeypatch):
    """Each step of each network takes 0.1 s, an evaluated batch 0.04 s and a start 7 s, on 8 cores without a GPU."""
    asked = []

    def measure(run, samples):
        asked.append((run.network.name, run.execution.backend, samples))
        return EpochTimes(start=7.0, step=0.1, evaluation=0.04)

    monkeypatch.setattr(module, "measure_epoch", measure)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(module, "visible_gpus", list)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    return asked


def record_of(run, **execution):
    run = run.model_copy(update={"execution": run.execution.model_copy(update=execution)})
    return run_record(run, run.data.official_fingerprint + "content")


def test_runs_hours_and_gigabytes_of_images(clock, repository):
    experiment = load_experiment(repository / "configs" / "ic.yaml")
    found = plan(experiment.runs(), [], "nowhere", workers=3)
    assert (found.runs, found.done, len(found.networks)) == (120, 0, 24)
    assert clock[:2] == [("vgg8", "tensorflow", 60_000), ("xvgg8", "tensorflow", 60_000)]
    # 1,563 steps and 313 evaluated batches, 50 times.
    hours = (7 + 50 * (0.1 * 1563 + 0.04 * 313)) / 3600
    assert found.networks[0].run_hours == pytest.approx(hours)
    assert found.parallel == 3
    assert found.hours == pytest.approx(120 * hours / 3)
    assert found.download_gigabytes == pytest.approx(0.17, abs=0.01)
    assert found.sample_gigabytes == pytest.approx(60_000 * 32 * 32 * 3 * 4 / 1e9)


def test_runs_with_their_record_are_not_counted_again(clock, repository):
    runs = load_experiment(repository / "configs" / "ic.yaml").runs(only=["xvgg8"])
    found = plan(runs, [record_of(runs[0]), record_of(runs[1], threads=7)], "nowhere")
    assert (found.runs, found.done) == (5, 1)
    assert found.networks[0].left == 4
    other_data = run_record(runs[0], "other data")
    assert plan(runs, [other_data], "nowhere").done == 0
    assert plan(runs, [record_of(run) for run in runs], "nowhere").hours == 0


def test_recordings_are_planned_without_a_file_and_fold_by_fold(clock, repository):
    experiment = load_experiment(repository / "configs" / "sed-10fold.yaml")
    found = plan(experiment.runs(only=["xvgg8"]), [], "nowhere")
    assert found.runs == 10
    assert found.download_gigabytes == 6.0
    assert found.sample_gigabytes == pytest.approx(8732 * 128 * 201 * 4 / 1e9)
    sizes = (873, 888, 925, 990, 936, 823, 838, 806, 816, 837)
    epochs = sum(0.1 * math.ceil((8732 - size) / 32) + 0.04 * math.ceil(size / 32) for size in sizes)
    assert found.hours == pytest.approx((experiment.training.epochs * epochs + 10 * 7) / 3600)


def test_the_storage_of_spectrograms_decides_their_gigabytes(clock, repository):
    experiment = load_experiment(repository / "configs" / "sed.yaml", ["data.storage=float16"])
    found = plan(experiment.runs(only=["xvgg8"], seeds=1), [], "nowhere")
    assert found.sample_gigabytes == pytest.approx(8732 * 128 * 201 * 2 / 1e9)


def test_data_that_are_not_official_are_counted_in_their_folder(clock, repository, generated_images):
    experiment = load_experiment(repository / "configs" / "sample" / "ic.yaml")
    found = plan(experiment.runs(), [], generated_images, workers=64)
    assert found.download_gigabytes == 0
    assert found.sample_gigabytes == pytest.approx(200 * 32 * 32 * 3 * 4 / 1e9)
    assert found.parallel == 8 // experiment.threads


def test_a_gpu_trains_one_run_at_a_time(clock, repository, monkeypatch):
    monkeypatch.setattr(module, "visible_gpus", lambda: ["0", "1"])
    runs = load_experiment(repository / "configs" / "ic.yaml").runs(only=["xvgg8"], seeds=1)
    assert plan(runs, [], "nowhere", workers=4).parallel == 2


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


@pytest.mark.slow
def test_a_networks_epochs_are_timed_in_a_process_of_their_own(sample_run):
    times = measure_epoch(sample_run, 100)
    assert all(math.isfinite(seconds) and seconds > 0 for seconds in (times.start, times.step, times.evaluation))
    valid = sample_run.network.skeleton.model_copy(update={"padding": "valid"})
    network = sample_run.network.model_copy(update={"skeleton": valid})
    with pytest.raises(InputError, match=r"xvgg8 cannot be timed, status 1: .*InputError: .*too small"):
        measure_epoch(sample_run.model_copy(update={"network": network}), 100)
