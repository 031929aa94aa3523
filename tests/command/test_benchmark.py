"""`compactnet benchmark`. No test asserts a time."""

import os
import subprocess
import sys

import pytest

from tests.command.calls import assert_refused, call
from tests.command.test_predict import WITHOUT


def test_files_of_any_formats_are_timed_in_turns(litert_file, onnx_file, capsys):
    assert call("benchmark", litert_file, onnx_file, litert_file, "--rounds", "3", "--threads", "2") == 0
    header, *rows, summary = capsys.readouterr().out.splitlines()
    assert header.split() == ["ms", "quartiles", "ratio", "quartiles"]
    assert [row.split()[0] for row in rows] == [str(litert_file), str(onnx_file), str(litert_file)]
    assert rows[0].split()[3:] == ["1.000", "1.000-1.000"]
    assert summary.startswith("3 rounds in turns, 2 threads, ")


def test_it_needs_the_runtime_alone(litert_file, tmp_path):
    command = [sys.executable, "-c", WITHOUT, "benchmark", litert_file, "--rounds", "2"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_wrong_files(litert_file, tmp_path, capsys):
    assert_refused(call("benchmark", litert_file, tmp_path / "no.onnx"), capsys, "no.onnx does not exist.")
    assert_refused(call("benchmark", litert_file, "--rounds", "0"), capsys, "--rounds")


def test_an_open_input_or_another_type_is_refused(tmp_path, capsys):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    for name, kind, shape, expected in (
        ("open.onnx", onnx.TensorProto.FLOAT, ["batch", 3], "leaves the shape of its input open"),
        ("integers.onnx", onnx.TensorProto.INT64, [1, 3], "does not run on a float32 sample"),
    ):
        ends = [onnx.helper.make_tensor_value_info(end, kind, shape) for end in ("x", "y")]
        graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["x"], ["y"])], "test", ends[:1], ends[1:])
        opset = [onnx.helper.make_opsetid("", 18)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=10), tmp_path / name)
        assert_refused(call("benchmark", tmp_path / name), capsys, name, expected)
