"""Networks timed side by side; no test asserts a time."""

import os

import numpy as np
import pytest

from compactnet.errors import InputError
from compactnet.measure import complexity
from compactnet.measure.runtimes import RUNTIMES, missing_modules
from compactnet.measure.side_by_side import Timings, Work, side_by_side
from compactnet.networks import CATALOGUE, build
from compactnet.processes import BACKENDS

SMALL = {name: CATALOGUE[name] for name in ("mobilenet_v1_025", "shufflenet_v1_050")}
SHAPE = (33, 40, 1)


def skip_without(runtime):
    if missing := missing_modules(runtime):
        pytest.skip(f"{', '.join(missing)} not installed")


def all_but_the_first_slow(names):
    return [names[0], *(pytest.param(name, marks=pytest.mark.slow) for name in names[1:])]


@pytest.mark.parametrize("runtime", all_but_the_first_slow(RUNTIMES))
def test_each_network_has_its_turn_in_each_round(runtime, capsys):
    skip_without(runtime)
    session = side_by_side(SMALL, Work(runtime=runtime, input_shape=SHAPE), rounds=2, calls=3)
    assert [timing.network for timing in session.timings] == list(SMALL)
    for timing in session.timings:
        assert timing.seconds.shape == (2, 3)
        assert (timing.seconds > 0).all()
        first, middle, third = timing.quartiles
        assert first <= middle <= third
        assert timing.flops == complexity(build(SMALL[timing.network], SHAPE)).flops
        assert middle == pytest.approx(np.median(timing.seconds))
    versions = session.environment["versions"]
    assert {"litert": "ai-edge-litert"}.get(runtime, runtime) in versions
    assert session.environment["processor"]
    assert session.accelerator is None
    assert f"inference 33x40x1, {runtime}, cpu" in capsys.readouterr().err


def test_processes_that_cannot_all_stay_are_started_for_each_turn():
    one = dict([*SMALL.items()][:1])
    session = side_by_side(one, Work(input_shape=SHAPE), rounds=2, calls=3, together=False)
    assert session.timings[0].seconds.shape == (2, 3)
    assert session.timings[0].flops


@pytest.mark.parametrize("runtime", all_but_the_first_slow(BACKENDS))
def test_a_training_step_is_timed_on_every_backend_with_its_memory(runtime):
    skip_without(runtime)
    work = Work("training", runtime, input_shape=SHAPE, batch_size=4, threads=2)
    (timing,) = side_by_side({"mobilenet_v1_025": SMALL["mobilenet_v1_025"]}, work, rounds=1, calls=2).timings
    assert timing.seconds.shape == (1, 2)
    # Weights, their gradients and Adam's two moments, four bytes each, at the least.
    assert timing.peak_bytes is None or timing.peak_bytes > 4 * 4 * 200_000


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process to a core")
def test_processes_can_be_pinned_while_another_core_is_busy():
    first, *others = sorted(os.sched_getaffinity(0))
    work = Work(input_shape=SHAPE, core=first)
    session = side_by_side(dict([*SMALL.items()][:1]), work, rounds=1, calls=1, loaded_core=(others or [first])[0])
    assert session.loaded_core == (others or [first])[0]


def test_a_ratio_is_taken_round_by_round_so_that_drift_falls_out():
    slow = Timings("slow", np.array([[2.0, 2.2, 2.1], [20.0, 21.0, 22.0], [200.0, 210.0, 220.0]]), 1, None)
    fast = Timings("fast", slow.seconds / 2, 1, None)
    assert fast.ratio(slow) == pytest.approx((2, 2, 2))
    assert slow.ratio(slow) == (1, 1, 1)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"kind": "sleep"}, "`kind` must be one of inference, training. Received: kind='sleep'"),
        ({"runtime": "caffe"}, "`runtime` must be one of tensorflow, jax, torch, litert, onnxruntime"),
        ({"kind": "training", "runtime": "litert"}, "`runtime` must be one of tensorflow, jax, torch. Received"),
        ({"device": "gpu", "runtime": "onnxruntime"}, "`runtime` must be one of tensorflow, jax, torch. Received"),
        ({"device": "tpu"}, "`device` must be one of cpu, gpu"),
        ({"threads": 1.5}, "`threads`.*1.5"),
        ({"batch_size": 0}, "`batch_size`.*0"),
    ],
)
def test_work_that_does_not_exist_is_refused(fields, reason):
    with pytest.raises(InputError, match=reason) as refusal:
        Work(**fields)
    assert len(refusal.value.lines) == 1


@pytest.mark.parametrize(
    ("specs", "work", "arguments", "reason"),
    [
        ({}, {}, {}, "nothing to time"),
        (SMALL, {}, {"rounds": 0}, "`rounds`.*rounds=0"),
        (SMALL, {"core": 4096}, {}, "`core` must be None or one of.*4096"),
        (SMALL, {}, {"loaded_core": 4096}, "`loaded_core` must be None or one of.*4096"),
        ({"vgg8": CATALOGUE["vgg8"]}, {"input_shape": (8, 8, 1)}, {}, "vgg8 cannot be timed: .*too small"),
        (SMALL, {"device": "gpu", "input_shape": SHAPE}, {}, "mobilenet_v1_025 cannot be timed: .*sees no GPU"),
    ],
)
def test_what_cannot_be_timed_is_refused_in_one_line(specs, work, arguments, reason):
    if "gpu" in work.values() and os.path.exists("/proc/driver/nvidia"):
        pytest.skip("there is a GPU")
    with pytest.raises(InputError, match=reason) as refusal:
        side_by_side(specs, Work(**work), **arguments)
    assert len(refusal.value.lines) == 1


def test_a_runtime_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr("compactnet.measure.side_by_side.missing_modules", lambda runtime: ["ai_edge_litert"])
    with pytest.raises(InputError, match="litert needs ai_edge_litert, not installed here"):
        side_by_side(SMALL, Work(runtime="litert"))


def test_a_process_that_dies_says_how(monkeypatch):
    monkeypatch.setattr("compactnet.measure.side_by_side.sys.executable", "/bin/false")
    with pytest.raises(InputError, match="Timing mobilenet_v1_025 failed, status 1: it said nothing"):
        side_by_side(SMALL)
