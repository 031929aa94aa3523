"""Networks timed side by side; no test asserts a time."""

import importlib.util

import numpy as np
import pytest

from compactnet.errors import InputError
from compactnet.measure.inference import RUNTIMES, side_by_side

NEEDS = {"tensorflow": "tensorflow", "litert": "ai_edge_litert", "onnxruntime": "tf2onnx"}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_each_network_has_its_turn_in_each_round(runtime):
    if importlib.util.find_spec(NEEDS[runtime]) is None:
        pytest.skip(f"{runtime} is not installed")
    names = ["mobilenet_v1_025", "shufflenet_v1_050"]
    found = side_by_side(names, runtime, input_shape=(33, 40, 1), rounds=2, calls=3)
    assert [timing.network for timing in found] == names
    for timing in found:
        assert timing.seconds.shape == (2, 3)
        assert (timing.seconds > 0).all()
        first, middle, third = timing.quartiles
        assert first <= middle <= third
        assert middle == pytest.approx(np.median(timing.seconds))
        assert timing.versions


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"networks": ["vgg9"]}, "Unknown network 'vgg9'"),
        ({"networks": ["vgg8"], "runtime": "caffe"}, "`runtime` must be one of tensorflow, litert, onnxruntime"),
        ({"networks": ["vgg8"], "rounds": 0}, "`rounds`.*rounds=0"),
        ({"networks": ["vgg8"], "threads": 1.5}, "`threads`.*1.5"),
        ({"networks": ["vgg8"], "input_shape": (8, 8, 1)}, "Timing vgg8 failed, status 1: .*too small"),
    ],
)
def test_what_cannot_be_timed_is_refused_in_one_line(arguments, reason):
    with pytest.raises(InputError, match=reason) as refusal:
        side_by_side(**arguments)
    assert len(refusal.value.lines) == 1
