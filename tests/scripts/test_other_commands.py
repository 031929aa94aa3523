"""The commands that plan and benchmark; what they measure is invented here."""

import subprocess
import sys

import pytest

from compactnet.measure import executions
from compactnet.measure.epoch_time import EpochTimes
from compactnet.measure.speed_records import FAMILIES, read_speed_records
from compactnet.schema import NetworkTimings, SpeedRecord
from tests.scripts.calls import SCRIPTS, call


def test_a_plan_prints_runs_data_and_hours(monkeypatch, repository, tmp_path, capsys):
    times = EpochTimes(start=0, step=0.36, evaluation=0)
    monkeypatch.setattr(executions, "measure_epoch", lambda run, samples, processes, limit: times)
    monkeypatch.setattr(executions, "available_cores", lambda: range(3))
    monkeypatch.setattr(executions, "visible_gpus", list)
    monkeypatch.setattr(executions, "processor", lambda: "invented")
    monkeypatch.setattr(executions, "vector_extensions", lambda: ("AVX", "AVX2"))
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    arguments = ("--only", "xvgg8", "--seeds", 2, "--set", "training.epochs=16", "--results", tmp_path)
    assert call("plan", repository / "configs" / "ic.yaml", "--data", tmp_path, *arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    # 1,563 steps of 0.36 s, 16 times; two runs are at most two at once
    assert lines == [
        "ic: 2 runs, 0 done, 2 to train",
        "data: 0.17 GB to download, 0.74 GB as networks read them",
        "  xvgg8: 2 runs of 2.5 hours (360 ms per step; tensorflow, fast, oneDNN on)",
        "3 runs at once with 1 thread: 2.5 hours, which is what make reproduce-* does",
        "1 run at once with 3 threads: 5.0 hours",
        f"measured on invented, AVX, AVX2, 3 cores; {tmp_path}/executions/ic.json keeps it",
    ]


@pytest.fixture
def timed(monkeypatch):
    """What is timed; the network at place n of a family takes 1 / n s."""
    asked = []

    def benchmark(specs, work, **arguments):
        asked.append((list(specs), work, arguments))
        return SpeedRecord(
            work=work,
            loaded_core=arguments.get("loaded_core"),
            load_before=0.1,
            started="2020-01-01",
            finished="2020-01-02",
            environment={"processor": "invented"},
            accelerator=None,
            networks=[
                NetworkTimings(network=name, flops=1_000 // place, peak_bytes=2_000_000, seconds=[[1 / place] * 3])
                for place, name in enumerate(specs, 1)
            ],
        )

    monkeypatch.setattr("compactnet.measure.benchmark.benchmark", benchmark)
    return asked


def test_a_benchmark_writes_records_tables_and_figures(timed, tmp_path, capsys):
    assert call("benchmark", "--part", "inference", "training", "--rounds", 10, "--results", tmp_path) == 0
    output = capsys.readouterr().out
    assert "  xvgg8: 500.0 ms (500.0-500.0), 2.00 samples/s, 2.00x as fast as vgg8 (2.00-2.00); FLOPs 2.00x" in output
    assert "peak memory 2 MB" in output
    assert [names for names, _, _ in timed] == [[name, *others] for name, others in FAMILIES.items()] * 4
    works = [(work.kind, work.input_shape, work.batch_size) for _, work, _ in timed[:: len(FAMILIES)]]
    inputs = ((128, 512, 1), (128, 201, 1), (32, 32, 3))
    assert works == [("inference", inputs[0], 1), *(("training", shape, 32) for shape in inputs)]
    assert timed[0][2] == {"rounds": 5, "calls": 2, "loaded_core": None}
    assert len(read_speed_records(tmp_path)) == 4 * len(FAMILIES)
    names = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert {"table1.csv", "table1.md", "table2.csv", "table2.md", "figure4.png", "figure4.svg"} <= names
    assert not {"table3.csv", "table4.csv"} & names


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--rounds", 2), "--rounds takes a number of at least 3. Received: 2"),
        (("--part", "layers"), "Unset KERAS_BACKEND, or choose other parts"),
    ],
)
def test_a_benchmark_refuses_what_it_cannot_time(timed, monkeypatch, tmp_path, capsys, arguments, reason):
    monkeypatch.setattr("compactnet.processes.backend", lambda: "jax")
    assert call("benchmark", *arguments, "--results", tmp_path) == 2
    output = capsys.readouterr().err
    assert reason in output
    assert output.count("\n") == 1
    assert timed == []


@pytest.mark.slow
def test_the_other_parts_are_timed(tmp_path, capfd):
    arguments = ("--part", "operation", "sweep", "--rounds", 3)
    assert call("benchmark", *arguments, "--results", tmp_path) == 0
    output = capfd.readouterr().out
    for text in ("sum, C=2: reshape and reduce", "s per job"):
        assert text in output
    # In a process of its own, because it pins itself to one core.
    command = [sys.executable, SCRIPTS / "benchmark.py", "--part", "clip", "--rounds", "3"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "librosa, FFT 2048" in ended.stdout
