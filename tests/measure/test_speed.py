import keras
import numpy as np
import pytest

from compactnet.errors import InputError
from compactnet.layers import CompactConv2D
from compactnet.measure import speed
from compactnet.measure.speed import Timing


def test_candidates_take_turns_and_every_round_starts_with_the_next():
    calls = []
    candidates = {name: lambda name=name: calls.append(name) for name in "abc"}
    timings = speed.interleaved(candidates, rounds=4, warm_up=1)
    assert "".join(calls) == "abc" + "abc" + "bca" + "cab" + "abc"
    assert all(len(timing.seconds) == 4 for timing in timings.values())


def test_a_timing_gives_its_median():
    timing = Timing(np.array([1.0, 2.0, 3.0, 4.0, 100.0]))
    assert timing.median == 3.0


def test_a_ratio_is_taken_round_by_round_so_that_drift_falls_out():
    drifting = {"slow": Timing(np.array([2.0, 20.0, 200.0])), "fast": Timing(np.array([1.0, 10.0, 100.0]))}
    assert speed.ratios(drifting, "fast") == {"slow": (2.0, 2.0, 2.0), "fast": (1.0, 1.0, 1.0)}


@pytest.mark.parametrize(("candidates", "rounds"), [({}, 3), ({"a": print}, 0)])
def test_nothing_to_time_is_refused(candidates, rounds):
    with pytest.raises(InputError, match="at least one round"):
        speed.interleaved(candidates, rounds)


def test_the_timed_call_runs_forward_and_backward():
    tensorflow = pytest.importorskip("tensorflow")
    seen = []

    def noted(values, name):
        return tensorflow.numpy_function(lambda array: (seen.append(name), array)[1], [values], tensorflow.float32)

    @tensorflow.custom_gradient
    def function(values):
        return noted(values, "forward"), lambda gradient: noted(gradient, "backward")

    call = speed.forward_and_backward(function, [], (3, 4), (3, 4))
    call()
    call()
    assert seen == ["forward", "backward"] * 2


def test_the_operation_is_timed_against_reshape_and_reduce():
    pytest.importorskip("tensorflow")
    timings = speed.interchannel_operation("max", 2, shape=(2, 3, 3, 4), rounds=2)
    assert list(timings) == ["reshape and reduce", "adjacent", "strided"]
    assert all((timing.seconds > 0).all() for timing in timings.values())


def test_layers_are_timed_by_kind_with_composite_layers_opened():
    pytest.importorskip("tensorflow")
    inputs = keras.Input((6, 5, 4))
    outputs = CompactConv2D(8, 3, padding="same")(keras.layers.Conv2D(4, (1, 3), padding="same")(inputs))
    seconds = speed.seconds_by_kind(keras.Model(inputs, outputs), batch_size=2, rounds=2)
    names = {"Conv2D 1x3", "DepthwiseConv2D", "BatchNormalization", "InterchannelPooling", "Conv2D 1x1"}
    assert names <= set(seconds)
    assert list(seconds.values()) == sorted(seconds.values(), reverse=True)
