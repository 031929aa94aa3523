"""Runs that are killed, share a disk or a cluster, or meet a full disk leave the same records."""

import contextlib
import importlib.util
import io
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
import yaml

from compactnet.data.synthetic import generate_cifar10
from compactnet.experiments import launcher
from compactnet.experiments.config import load_experiment
from compactnet.experiments.job import command_of, start, wait
from compactnet.experiments.records import read_record, read_records
from compactnet.processes import FAST_BACKENDS
from compactnet.schema import Job
from tests.disks import fill, small_disk
from tests.scripts.calls import SCRIPTS

pytestmark = pytest.mark.slow

NARROW = {
    "name": "narrow",
    "data": {"source": "cifar10", "generated": True},
    "networks": ["xvgg8", "compact_vgg_sum_c2"],
    "skeletons": {"vgg8": {"padding": "same", "width": 0.125, "momentum": 0.9}},
    "training": {"epochs": 3},
    "seeds": [0, 1],
    "threads": 1,
}


def outcome(record):
    """What two records of one run must share to the bit."""
    kept = record.model_dump(exclude={"finished", "duration_seconds"})
    for row in (*kept["history"], kept["last"], kept["best"]):
        row.pop("seconds")
    return kept


def jobs_of(path, data, results):
    runs = load_experiment(path).runs()
    fingerprint = runs[0].data.load(data).fingerprint
    return [
        Job(run=run, protocol_hash=run.protocol_hash(fingerprint), data_folder=data, results_folder=results)
        for run in runs
    ]


def write_config(path, **changes):
    path.write_text(yaml.safe_dump({**NARROW, **changes}))
    return path


def command(config, data, results, *arguments):
    return [sys.executable, SCRIPTS / "reproduce.py", config, "--data", data, "--results", results, *arguments]


def test_a_run_killed_at_25_random_moments_ends_as_one_that_was_left_alone(real_data, tmp_path):
    data = {"source": "cifar10", "train_samples": 4000, "test_samples": 1000}
    config = write_config(
        tmp_path / "config.yaml", data=data, networks=["compact_vgg_sum_c2"], seeds=[0], training={"epochs": 6}
    )
    (whole,) = jobs_of(config, real_data, tmp_path / "whole")
    (killed,) = jobs_of(config, real_data, tmp_path / "killed")
    began = time.monotonic()
    with start(command_of(whole)) as process:
        result = wait(process, whole.log)
    assert result.kind == "done", result.reason
    reference = read_record(whole.record)
    epoch = min(row.seconds for row in reference.history)
    start_seconds = time.monotonic() - began - sum(row.seconds for row in reference.history)
    moments, epochs = random.Random(0), set()
    for kill in range(25):
        with start(command_of(killed)) as process:
            # Every other one while it starts, the rest while it trains: a few after an epoch is finished.
            wanted = "start" if kill % 2 else "epoch" if kill % 8 == 4 else "step"
            timers = []

            def kill_within(seconds, process=process, timers=timers):
                timers.append(threading.Timer(moments.uniform(0, seconds), process.kill))
                timers[0].start()

            def see(event, wanted=wanted, timers=timers, kill_within=kill_within):
                epochs.add(event.get("epoch"))
                if event["event"] == wanted and not timers:
                    kill_within(0.9 * epoch)

            if wanted == "start":
                kill_within(0.8 * start_seconds)
            kind = wait(process, killed.log, see).kind
            timers[0].cancel()
        assert kind == "killed", "the run was over too early to be killed 25 times"
    assert len(epochs) > 1, "no epoch was finished between two kills"
    with start(command_of(killed)) as process:
        assert wait(process, killed.log).kind == "done"
    assert outcome(read_record(killed.record)) == outcome(reference)
    assert len(reference.weights_sha256) == 64
    assert not killed.checkpoints.exists()


@pytest.mark.parametrize("backend", FAST_BACKENDS)
def test_a_run_of_fast_forms_that_is_killed_ends_as_one_that_was_left_alone(tmp_path, monkeypatch, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    monkeypatch.setenv("KERAS_BACKEND", backend)
    generate_cifar10(tmp_path / "data", train_samples=4000, test_samples=200)
    config = write_config(
        tmp_path / "config.yaml",
        networks=["compact_vgg_max_c2"],
        seeds=[0],
        training={"epochs": 10},
        implementation="fast",
    )
    (whole,) = jobs_of(config, tmp_path / "data", tmp_path / "whole")
    (killed,) = jobs_of(config, tmp_path / "data", tmp_path / "killed")
    with start(command_of(whole)) as process:
        result = wait(process, whole.log)
    assert result.kind == "done", result.reason
    reference = read_record(whole.record)
    assert reference.run.execution.title == f"{backend}, fast"
    seconds = min(row.seconds for row in reference.history)
    moments = random.Random(0)
    for kill in range(3):
        with start(command_of(killed)) as process:
            timers = []

            def see(event, kill=kill, process=process, timers=timers):
                # Within the first epoch that it makes, or after it.
                if event["event"] == ("epoch" if kill % 2 else "step") and not timers:
                    timers.append(threading.Timer(moments.uniform(0, 0.9 * seconds), process.kill))
                    timers[0].start()

            assert wait(process, killed.log, see).kind == "killed", "the run was over too early"
    with start(command_of(killed)) as process:
        assert wait(process, killed.log).kind == "done"
    assert outcome(read_record(killed.record)) == outcome(reference)


def test_workers_that_are_killed_again_and_again_leave_one_good_record_per_run(generated_images, tmp_path):
    config = write_config(
        tmp_path / "config.yaml",
        networks=[{"name": f"net{number}", "base": "compact_vgg_max_c2"} for number in range(3)],
        seeds=[0, 1, 2, 3],
    )
    results = tmp_path / "results"
    planned = {str(job.record) for job in jobs_of(config, generated_images, results)}
    assert len(planned) == 12
    kills, moments = 0, random.Random(1)
    with subprocess.Popen(
        command(config, generated_images, results, "--workers", "4"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        output = []
        reader = threading.Thread(target=lambda: output.extend(process.stdout))
        reader.start()
        due = time.monotonic() + 20
        while process.poll() is None:
            time.sleep(0.5)
            if time.monotonic() > due:
                workers = children(process.pid)
                if workers:
                    os.kill(moments.choice(workers), signal.SIGKILL)
                    kills += 1
                due = time.monotonic() + moments.uniform(20, 30)
        reader.join()
    assert process.returncode == 0, "".join(output)
    assert kills >= 3
    assert {str(path) for path in (results / "records").rglob("*.json")} == planned
    records = read_records(results / "records")
    assert len(records) == 12
    # The three networks are one and the same, so each seed has one outcome, however often it was killed.
    assert len({record.weights_sha256 for record in records}) == 4
    assert not list((results / "checkpoints").rglob("*.npz"))
    assert "12 runs trained, 0 skipped (already done), 0 failed." in "".join(output)


def children(parent):
    """Return the child processes that train a run."""
    found = []
    for process in psutil.Process(parent).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if "compactnet.experiments.worker" in process.cmdline():
                found.append(process.pid)
    return found


def test_two_sweeps_in_one_folder_train_no_run_twice(generated_images, tmp_path):
    config = write_config(tmp_path / "config.yaml", seeds=[0, 1, 2])
    both = [
        subprocess.Popen(
            command(config, generated_images, tmp_path / "results"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert len(read_records(tmp_path / "results" / "records")) == 6
    trained = [line for text in said for line in text.splitlines() if "epoch 3/3: " in line]
    assert len(trained) == 6


def test_slurm_gives_the_same_records_and_a_requeued_job_continues(generated_images, tmp_path):
    if shutil.which("sinfo") is None or shutil.which("sbatch") is None:
        pytest.skip("Slurm is not installed; tests/slurm/start.sh installs and starts it")
    if not re.search("idle|mix|alloc", subprocess.run(["sinfo", "-h"], capture_output=True, text=True).stdout):
        pytest.skip("Slurm is not running; tests/slurm/start.sh starts it")
    pytest.importorskip("submitit")
    asked = {"partition": "tests", "minutes": 30, "memory_gb": 2}
    config = write_config(tmp_path / "config.yaml", training={"epochs": 12}, launcher=asked)
    ran = subprocess.run(
        command(config, generated_images, tmp_path / "here", "--workers", "2"), capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    there = subprocess.Popen(
        command(config, generated_images, tmp_path / "there", "--launcher", "slurm"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    requeued = False
    while there.poll() is None and not requeued:
        saved = list((tmp_path / "there" / "checkpoints").rglob("epoch-*.npz"))
        if saved:
            listed = subprocess.run(
                ["squeue", "-h", "-r", "-t", "RUNNING", "-n", "compactnet", "-o", "%i"], capture_output=True, text=True
            )
            for job in listed.stdout.split()[:1]:
                requeued = subprocess.run(["scontrol", "requeue", job]).returncode == 0
        time.sleep(0.2)
    output, errors = there.communicate(timeout=600)
    assert there.returncode == 0, output + errors
    assert requeued
    assert "4 runs trained, 0 skipped (already done), 0 failed." in output
    pairs = zip(read_records(tmp_path / "here" / "records"), read_records(tmp_path / "there" / "records"), strict=True)
    for one, other in pairs:
        assert outcome(one) == outcome(other)


@pytest.mark.parametrize("moment", ["checkpoint", "record"])
def test_a_full_disk_is_one_line_and_the_run_continues_when_there_is_room(generated_images, tmp_path, moment):
    config = write_config(tmp_path / "config.yaml", networks=["xvgg8"], seeds=[0])
    (whole,) = jobs_of(config, generated_images, tmp_path / "whole")
    assert launcher.launch([whole], io.StringIO()).done == 1
    with small_disk(tmp_path / "disk", megabytes=8) as disk:
        (job,) = jobs_of(config, generated_images, disk)
        last = {"checkpoint": 1, "record": 3}[moment]

        def when_ready(event):
            if event["event"] == "epoch" and event["epoch"] == last:
                fill(disk, leave=1000)

        with start(command_of(job)) as process:
            result = wait(process, job.log, when_ready)
        assert result.kind == "no resources"
        assert re.fullmatch("Cannot write .*No space left on device. Free some space.*", result.reason)
        assert not job.record.exists()
        assert not list(disk.rglob("*.partial"))
        assert sorted(path.name for path in disk.rglob("epoch-*"))[-1] == f"epoch-000{last}.npz"
        (disk / "ballast").unlink()
        with start(command_of(job)) as process:
            assert wait(process, job.log).kind == "done"
        assert outcome(read_record(job.record)) == outcome(read_record(whole.record))


def test_slurm_that_refuses_and_no_slurm_are_one_line(generated_images, tmp_path):
    if shutil.which("sbatch") is None:
        config = write_config(tmp_path / "config.yaml")
        reason = "sbatch is not installed here"
    else:
        config = write_config(tmp_path / "config.yaml", launcher={"partition": "nowhere"})
        reason = "Slurm refuses the jobs"
    there = command(config, generated_images, tmp_path / "results", "--launcher", "slurm")
    ran = subprocess.run(there, capture_output=True, text=True)
    assert ran.returncode == 2
    assert reason in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not list((tmp_path / "results").rglob("*.json"))
