"""Networks timed in turn, each in its own process; no test asserts a time."""

import io
import os
import pickle
import subprocess
import sys
import types

import numpy as np
import pytest

from compactnet.errors import InputError, ResourceError
from compactnet.measure import benchmark as module
from compactnet.measure import benchmark_worker, complexity
from compactnet.measure.benchmark import benchmark
from compactnet.measure.runtimes import RUNTIMES, missing_modules
from compactnet.networks import CATALOGUE, VGG8, Compact, NetworkSpec, Standard, build
from compactnet.processes import BACKENDS, available_cores
from compactnet.schema import NetworkTimings, SpeedRecord, Workload

SHAPE = (17, 20, 1)
SKELETON = VGG8(padding="same", width=0.25)
SPEC = NetworkSpec(title="small", skeleton=VGG8(padding="same", width=0.25), convolution=Compact())
ONE = {"small": SPEC}
CORES = available_cores()
CAN_PIN = hasattr(os, "sched_setaffinity")


def skip_without(runtime):
    if missing := missing_modules(runtime):
        pytest.skip(f"{', '.join(missing)} not installed")


def all_but_the_first_slow(names):
    return [names[0], *(pytest.param(name, marks=pytest.mark.slow) for name in names[1:])]


@pytest.fixture
def started(monkeypatch):
    """The processes that `benchmark` starts."""
    processes, popen = [], subprocess.Popen

    def start(*arguments, **options):
        processes.append(popen(*arguments, **options))
        return processes[-1]

    pipes = {"PIPE": subprocess.PIPE, "DEVNULL": subprocess.DEVNULL}
    monkeypatch.setattr(module, "subprocess", types.SimpleNamespace(Popen=start, **pipes))
    return processes


@pytest.mark.parametrize("runtime", all_but_the_first_slow(RUNTIMES))
def test_inference_is_timed_with_flops_and_versions(runtime, capsys, started):
    skip_without(runtime)
    # Pinned to one core, with another kept busy, where the system can do that.
    pinned = {"core": CORES[0]} if CAN_PIN else {}
    loaded_core = CORES[-1] if CAN_PIN else None
    work = Workload(runtime=runtime, input_shape=SHAPE, **pinned)
    record = benchmark(ONE, work, rounds=2, calls=3, loaded_core=loaded_core)
    assert (record.work, record.loaded_core) == (work, loaded_core)
    (timings,) = record.networks
    assert timings.network == "small"
    assert np.shape(timings.seconds) == (2, 3)
    first, middle, third = timings.quartiles
    assert 0 < first <= middle <= third
    assert middle == pytest.approx(np.median(timings.seconds))
    assert timings.flops == complexity(build(SPEC, SHAPE)).flops
    assert {"litert": "ai-edge-litert"}.get(runtime, runtime) in record.environment.versions
    assert record.environment.processor
    assert record.accelerator is None
    assert f"inference 17x20x1, {runtime}, cpu" in capsys.readouterr().err
    assert SpeedRecord.model_validate_json(record.model_dump_json()) == record
    # The network's process, and the one that keeps a core busy; none of them is left.
    assert len(started) == 1 + CAN_PIN
    assert all(process.returncode is not None for process in started)


@pytest.mark.parametrize("runtime", all_but_the_first_slow(BACKENDS))
def test_a_training_step_is_timed_on_every_backend_with_its_memory(runtime):
    skip_without(runtime)
    work = Workload(kind="training", runtime=runtime, input_shape=SHAPE, batch_size=4, threads=2)
    wide = NetworkSpec(title="wide", skeleton=VGG8(padding="same", width=0.5), convolution=Standard())
    (timings,) = benchmark({"wide": wide}, work, rounds=1, calls=2, keep_alive=False).networks
    assert np.shape(timings.seconds) == (1, 2)
    # At least the weights, their gradients and Adam's two moments, four bytes each.
    model = build(wide, SHAPE)
    assert timings.peak_bytes is None or timings.peak_bytes > 4 * 4 * model.count_params()
    assert timings.flops == complexity(model).flops


# Without the worker, whose start takes seconds

FAKE_WORKER = """
import os, pickle, sys

class Spec(pickle.Unpickler):
    def find_class(self, module, name):
        return type(name, (), {"__setstate__": lambda self, state: None})

source = sys.stdin.buffer
def answer(values):
    pickle.dump(values, sys.stdout.buffer)
    sys.stdout.flush()

name = Spec(source).load()["name"]
answer({"environment": {"processor": "invented"}, "accelerator": None})
while True:
    request = pickle.load(source)
    print(name, request, os.getpid(), file=open("requests.txt", "a"))
    number = float(name.removeprefix("network"))
    answer({"peak_bytes": None, "flops": int(number)} if request == "summary" else [number] * request)
"""


@pytest.fixture
def fake_python(monkeypatch, tmp_path):
    """Replace Python by a shell program."""

    def replace(program):
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\n{program}\n")
        python.chmod(0o755)
        monkeypatch.setattr(module.sys, "executable", str(python))
        monkeypatch.chdir(tmp_path)

    return replace


@pytest.mark.parametrize("keep_alive", [True, False])
def test_networks_take_turns_and_every_round_starts_with_the_next(fake_python, tmp_path, started, keep_alive):
    (tmp_path / "worker.py").write_text(FAKE_WORKER)
    fake_python(f"exec {sys.executable} worker.py")
    specs = {f"network{number}": SPEC for number in (1, 2, 3)}
    record = benchmark(specs, rounds=4, calls=2, keep_alive=keep_alive)
    requests = [line.split() for line in (tmp_path / "requests.txt").read_text().splitlines()]
    assert "".join(name[-1] for name, request, _ in requests if request == "2") == "123" + "231" + "312" + "123"
    assert [name[-1] for name, request, _ in requests if request == "summary"] == ["1", "2", "3"]
    assert len({process for _, _, process in requests}) == len(started) == (3 if keep_alive else 12)
    assert all(process.returncode is not None for process in started)
    for number, timings in enumerate(record.networks, 1):
        assert timings.network == f"network{number}"
        assert timings.seconds == ((float(number),) * 2,) * 4
        assert (timings.flops, timings.peak_bytes) == (number, None)
    assert record.environment.processor == "invented"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("exit 1", "status 1: no output"),
        ("echo first >&2; echo 'last words' >&2; exit 3", "status 3: last words"),
        ("kill -9 $$", "status -9: no output"),
        ("echo no pickle", "status 0: no output"),
    ],
)
def test_a_process_that_dies_is_described(fake_python, program, reason):
    fake_python(program)
    with pytest.raises(ResourceError, match=f"Timing small failed, {reason}$"):
        benchmark(ONE)


def test_what_a_process_refuses_is_one_line_with_the_network(fake_python, started):
    refusal = (
        "from compactnet.errors import InputError as E; pickle.dump(E('its input is too small'), sys.stdout.buffer)"
    )
    fake_python(f'exec {sys.executable} -c "import pickle, sys; {refusal}"')
    with pytest.raises(InputError, match=r"^small cannot be timed: its input is too small$"):
        benchmark(ONE)
    assert all(process.returncode is not None for process in started)


def test_a_speedup_is_a_ratio_round_by_round_so_that_drift_cancels():
    def timings(name, seconds):
        return NetworkTimings(network=name, flops=1, peak_bytes=None, seconds=seconds)

    seconds = np.array([[2.0, 2.2, 2.1], [20.0, 21.0, 22.0], [200.0, 210.0, 220.0]])
    slow, fast = timings("slow", seconds.tolist()), timings("fast", (seconds / 2).tolist())
    assert fast.speedup(slow) == pytest.approx((2, 2, 2))
    assert slow.speedup(slow) == (1, 1, 1)
    uneven = timings("uneven", (seconds / [[1], [4], [2]]).tolist())
    assert uneven.speedup(slow) == pytest.approx((2, 1, 4))


@pytest.mark.parametrize(
    ("specs", "work", "arguments", "reason"),
    [
        ({}, {}, {}, "`specs` is empty: name at least one network"),
        (ONE, {}, {"rounds": 0}, "`rounds`.*rounds=0"),
        (ONE, {}, {"calls": 1.5}, "`calls`.*calls=1.5"),
        (ONE, {"core": 4096}, {}, "`core` must be None or one of.*4096"),
        (ONE, {}, {"loaded_core": 4096}, "`loaded_core` must be None or one of.*4096"),
        (ONE, {"deployed": True}, {}, "Received: deployed=True.*compactnet.deploy.timing.time_deployed"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(specs, work, arguments, reason, started, monkeypatch):
    monkeypatch.setattr(os, "sched_setaffinity", print, raising=False)
    with pytest.raises(InputError, match=reason) as refusal:
        benchmark(specs, Workload(**work), **arguments)
    assert len(refusal.value.lines) == 1
    assert started == []


def test_a_system_that_cannot_pin_a_process_needs_no_core(monkeypatch, started):
    monkeypatch.setattr(os, "sched_setaffinity", print, raising=False)
    assert module.pinned_core() == CORES[0]
    monkeypatch.delattr(os, "sched_setaffinity")
    assert module.pinned_core() is None
    for work, arguments in ((Workload(core=CORES[0]), {}), (Workload(), {"loaded_core": CORES[0]})):
        with pytest.raises(InputError, match=r"`(loaded_)?core` must be None: this system pins no process"):
            benchmark(ONE, work, **arguments)
    assert started == []


@pytest.mark.skipif(not CAN_PIN, reason="this system pins no process to a core")
def test_a_core_that_is_not_kept_busy_is_reported(fake_python, started, capfd):
    fake_python("echo traceback >&2; exit 3")
    with (
        pytest.raises(ResourceError, match=f"keeps core {CORES[0]} busy ended early, with status 3"),
        module._busy(CORES[0]),
    ):
        started[0].wait()
    assert capfd.readouterr().err == ""


# The worker, in this process


@pytest.fixture
def worker(monkeypatch):
    """Call the worker in this process with requests and return its answers."""

    def answers(*requests):
        source, channel = io.BytesIO(b"".join(map(pickle.dumps, requests))), io.BytesIO()
        monkeypatch.setattr(benchmark_worker.sys, "stdin", types.SimpleNamespace(buffer=source))
        monkeypatch.setattr(benchmark_worker, "output_channel", lambda mode: channel)
        benchmark_worker.main()
        channel.seek(0)
        found = []
        while channel.tell() < channel.getbuffer().nbytes:
            found.append(pickle.load(channel))
        return found

    return answers


def test_a_gpu_that_the_runtime_does_not_see_is_refused(worker, monkeypatch):
    monkeypatch.setattr(benchmark_worker, "accelerator", lambda backend: None)
    work = Workload(device="gpu", input_shape=SHAPE)
    (answer,) = worker({"name": "small", "spec": SPEC, "work": work})
    assert isinstance(answer, InputError)
    assert "tensorflow sees no GPU. Run without --device gpu" in str(answer)


def test_a_network_that_cannot_be_built_is_refused(worker):
    (answer,) = worker({"name": "vgg8", "spec": CATALOGUE["vgg8"], "work": Workload(input_shape=(8, 8, 1))})
    assert isinstance(answer, InputError)
    assert "too small" in str(answer)


def test_a_wrong_output_is_not_timed(worker, monkeypatch):
    monkeypatch.setattr(benchmark_worker, "inference_call", lambda *arguments: lambda: np.zeros((1, 10), np.float32))
    (answer,) = worker({"name": "small", "spec": SPEC, "work": Workload(input_shape=SHAPE)})
    assert isinstance(answer, InputError)
    assert "on tensorflow its output is off by" in str(answer)


def test_a_runtime_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(module, "missing_modules", lambda runtime: ["ai_edge_litert"])
    with pytest.raises(InputError, match=r"litert needs ai_edge_litert, which is not installed.*runtimes\]"):
        benchmark(ONE, Workload(runtime="litert"))
