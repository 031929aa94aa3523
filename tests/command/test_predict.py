"""`compactnet predict`."""

import json
import os
import subprocess
import sys

import pytest

from compactnet.deploy import load
from tests.command.calls import assert_refused, call

ABSENT = (
    "keras",
    "tensorflow",
    "pydantic",
    "librosa",
    "platformdirs",
    "filelock",
    "pandas",
    "yaml",
    "tqdm",
    "requests",
)
WITHOUT = f"""
import sys
sys.modules.update(dict.fromkeys({ABSENT!r}))  # importing them fails
from compactnet.command import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("file", ["litert_file", "onnx_file"])
def test_an_image_is_classified(file, place, request, capfd):
    file, image = request.getfixturevalue(file), place / "cat.png"
    (first, probability), (second, other) = load(file).classify(image, 2)
    capfd.readouterr()
    line = f"{image}: {first} {100 * probability:.1f} %, {second} {100 * other:.1f} %\n"
    assert call("predict", file, image, image, "--top", "2") == 0
    output, error = capfd.readouterr()
    assert (output, error) == (2 * line, "")


def test_a_recording_is_classified_as_json(sound_file, place, capsys):
    assert call("predict", sound_file, place / "street.wav", "--json", "--threads", "2") == 0
    line = json.loads(capsys.readouterr().out)
    assert line["file"] == str(place / "street.wav")
    assert sorted(one["label"] for one in line["classes"]) == ["cat", "dog", "owl"]
    assert sum(one["probability"] for one in line["classes"]) == pytest.approx(1)


def test_a_bad_file_does_not_stop_the_others(litert_file, place, capsys):
    paths = [place / "no.png", place / "cat.png", place / "street.wav", place]
    assert call("predict", litert_file, *paths) == 2
    output, error = capsys.readouterr()
    assert output.startswith(f"{place / 'cat.png'}: ")
    assert output.count("\n") == 1
    lines = error.splitlines()
    assert len(lines) == 3
    for line, path in zip(lines, (paths[0], paths[2], paths[3]), strict=True):
        assert line.startswith(f"error: {path} ")


def test_wrong_exported_files(plain_file, litert_file, place, tmp_path, capsys):
    image = place / "cat.png"
    expected = "does not say what its classes are called and how its input is made. Export it from Python"
    assert_refused(call("predict", plain_file, image), capsys, expected)
    assert_refused(call("predict", tmp_path / "no.tflite", image), capsys, "no.tflite does not exist.")
    assert_refused(call("predict", place / "model.keras", image), capsys, "names no format")
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(litert_file.read_bytes()[:-3_000])
    assert_refused(
        call("predict", cut, image), capsys, "cut.tflite cannot be read by ai-edge-litert and may be damaged"
    )


@pytest.mark.parametrize(("file", "input"), [("litert_file", "cat.png"), ("sound_file", "street.wav")])
def test_only_the_runtime_is_needed(file, input, place, request):
    command = [sys.executable, "-c", WITHOUT, "predict", request.getfixturevalue(file), place / input]
    environment = {**os.environ, "KERAS_BACKEND": "none"}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=place)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"{place / input}: ")
