import io

import pytest

from compactnet.deploy.timing import time_deployed
from compactnet.errors import InputError
from compactnet.measure.speed_records import newest, read_speed_records, write_speed_record
from compactnet.networks import Compact, MobileNetV1, NetworkSpec
from compactnet.schema import Workload
from tests.deploy.networks import needs_runtimes

SPECS = {
    "separable": NetworkSpec(title="separable", skeleton=MobileNetV1(width=0.125), convolution={"kind": "separable"}),
    "compact": NetworkSpec(
        title="compact",
        skeleton=MobileNetV1(width=0.125, channel_multiple=8),
        convolution=Compact(compact_factor=2, operation="max"),
    ),
}


def work(**fields):
    return Workload(**{"runtime": "litert", "input_shape": (32, 32, 1), "deployed": True, **fields})


@needs_runtimes
@pytest.mark.parametrize("precision", ["float32", pytest.param("int8", marks=pytest.mark.slow)])
def test_exported_files_are_timed_in_turns(tmp_path, precision):
    record = time_deployed(SPECS, work(precision=precision), rounds=2, calls=3, stream=io.StringIO())
    separable, compact = record.networks
    assert [len(turn) for turn in separable.seconds] == [3, 3]
    assert (separable.interchannel, separable.milliseconds_by_form) == (None, {})
    assert set(compact.milliseconds_by_form) == {"reduce", "slices", "pooling", "branches"}
    assert compact.interchannel in compact.milliseconds_by_form
    assert separable.flops > 0 and record.environment.versions["ai-edge-litert"]
    path = write_speed_record(tmp_path, record)
    assert f"deployed-{precision}" in path.name
    assert read_speed_records(tmp_path) == [record]
    found = {"runtime": "litert", "device": "cpu"}
    assert newest([record], "separable", **found) is None
    assert newest([record], "separable", deployed=True, precision=precision, **found) is record


def test_bad_input():
    with pytest.raises(InputError, match="Exported files run on tensorflow, litert, onnxruntime, openvino"):
        time_deployed(SPECS, work(runtime="jax"))
    with pytest.raises(InputError, match="openvino runs float32, float16, int8"):
        time_deployed(SPECS, work(runtime="openvino", precision="int8_dynamic"))
    with pytest.raises(InputError, match=r"one sample at a time on one thread.*Received: batch_size=8, threads=2"):
        time_deployed(SPECS, work(batch_size=8, threads=2))
    with pytest.raises(InputError, match=r"Received: deployed=False"):
        time_deployed(SPECS, work(deployed=False))
    with pytest.raises(ValueError, match="need deployed=true"):
        Workload(runtime="openvino")
    with pytest.raises(ValueError, match="need deployed=true"):
        Workload(runtime="litert", precision="int8")
