"""How many bits the weights of a quantized file have: 7 where the processor's sums of 8-bit products could overflow."""

import numpy as np
import pytest

from compactnet import processes
from compactnet.deploy import export, exporting
from tests.deploy.networks import needs_runtimes, small


@pytest.fixture
def on(tmp_path, monkeypatch):
    """Let this machine look like another one."""

    def pretend(machine, cpuinfo):
        monkeypatch.setattr(processes.platform, "machine", lambda: machine)
        monkeypatch.setattr(processes, "CPUINFO", tmp_path / "cpuinfo")
        if cpuinfo is not None:
            (tmp_path / "cpuinfo").write_text(cpuinfo)

    return pretend


@pytest.mark.parametrize(
    ("machine", "cpuinfo", "expected"),
    [
        ("x86_64", "flags : avx2 avx512_vnni\n", True),
        ("AMD64", "flags : avx2 avx_vnni\n", True),
        ("x86_64", "flags : avx2 avx512f\n", False),
        ("x86_64", "model name : vnni\n", False),
        ("x86_64", None, False),
        ("aarch64", "Features : fp asimd\n", True),
        ("arm64", None, True),
    ],
)
def test_processors_with_vnni(on, machine, cpuinfo, expected):
    on(machine, cpuinfo)
    assert processes.has_vnni() == expected


@needs_runtimes
@pytest.mark.parametrize("precision", ["int8", "int8_dynamic"])
@pytest.mark.parametrize(("flags", "bits"), [("avx2", 7), ("avx2 avx512_vnni", 8)])
def test_weights_have_as_many_bits_as_the_report_says(tmp_path, on, monkeypatch, precision, flags, bits):
    import onnx

    # The processor of this test may add up 8-bit products wrongly.
    monkeypatch.setattr(exporting, "_check_bounds", lambda *arguments: None)
    on("x86_64", f"flags : {flags}\n")
    samples = np.random.default_rng(0).normal(size=(8, 12, 12, 3)).astype("float32")
    report = export(
        small(),
        tmp_path / "model.onnx",
        precision=precision,
        interchannel="slices",
        calibration_data=samples if precision == "int8" else None,
        verification_data=samples,
    )
    assert report.weight_bits == bits
    stored = [onnx.numpy_helper.to_array(array) for array in onnx.load(report.path).graph.initializer]
    largest = max(np.abs(array.astype(int)).max() for array in stored if array.dtype == np.int8)
    assert 2 ** (bits - 2) < largest <= 2 ** (bits - 1)
