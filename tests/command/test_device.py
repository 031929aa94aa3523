"""A wheel in an environment that has the runtime of an exported file, and no Keras."""

import os
import shutil
import subprocess
import sys
import venv

import pytest

from tests.docs.pages import blocks

ABSENT = ("keras", "tensorflow", "pydantic", "librosa", "pandas", "filelock", "platformdirs")


@pytest.mark.slow
def test_a_device_without_keras_predicts(litert_file, sound_file, place, repository, tmp_path):
    lines = [line for block in blocks("sh") for line in block.text.splitlines() if line.startswith("python -m pip ")]
    (build,) = [line for line in lines if " wheel " in line]
    installs = [line for line in lines if " install " in line]
    assert len(installs) == 2
    source, device, elsewhere = (tmp_path / name for name in ("source", "device", "elsewhere"))
    elsewhere.mkdir()
    # A copy, because a build leaves files beside its source.
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(repository / name, source)
    shutil.copytree(repository / "src", source / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    run(build.replace("python", sys.executable, 1), source)
    (wheel,) = (source / "dist").iterdir()
    shutil.copy(wheel, elsewhere)
    venv.create(device, with_pip=True)
    python = device / "bin" / "python"
    for line in installs:
        run(line.replace("python", str(python), 1), elsewhere)
    for file, input in ((sound_file, "street.wav"), (litert_file, "cat.png")):
        here = run(f"{sys.executable} -m compactnet.command predict {file} {place / input}", place)
        there = run(f"{device / 'bin' / 'compactnet'} predict {file} {place / input}", elsewhere)
        assert there.stdout.startswith(f"{place / input}: ")
        assert there.stderr == ""
        # Without soxr, recordings of another rate are resampled by SciPy, with slightly different values.
        assert here.stdout.split()[1] == there.stdout.split()[1]
    program = f"import importlib.util as util; print(*[name for name in {ABSENT!r} if util.find_spec(name)])"
    assert run(f'{python} -c "{program}"', elsewhere).stdout == "\n"
    refused = run(f"{device / 'bin' / 'compactnet'} networks", elsewhere, status=2)
    assert refused.stderr.startswith("error: ")
    assert refused.stderr.count("\n") == 1


def run(command, folder, status=0):
    """Run a command in a folder, without the environment of the tests, and return how it ended."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "KERAS_BACKEND")}
    ended = subprocess.run(
        command, shell=True, cwd=folder, capture_output=True, text=True, check=False, env=environment, timeout=900
    )
    assert ended.returncode == status, f"{command}\n{ended.stdout[-2_000:]}\n{ended.stderr[-4_000:]}"
    return ended
