"""What `make` would install, and in which order it makes the targets of one call."""

import os
import subprocess

import pytest

from compactnet.processes import BACKENDS


@pytest.fixture
def make(repository, tmp_path):
    """Run make with a virtual environment in `tmp_path` and return how it ended."""

    def run(*arguments, **variables):
        # What make hands to its children must not reach this one.
        inherited = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
        command = ["make", f"VENV={tmp_path}", *arguments]
        environment = {**inherited, **variables}
        return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False, env=environment)

    return run


def test_a_backend_of_another_name_is_refused_before_pip_runs(make, tmp_path):
    ended = make(f"{tmp_path}/installed", "PYTHON=false", KERAS_BACKEND="tensorfow")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert "KERAS_BACKEND=tensorfow is unknown. Use one of" in ended.stderr
    for name in BACKENDS:
        assert name in ended.stderr


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_tools_of_developers_bring_no_tensorflow(make, tmp_path, backend):
    targets = (f"{tmp_path}/installed-development", f"{tmp_path}/installed-docs")
    lines = make("-n", *targets, KERAS_BACKEND=backend).stdout.splitlines()
    installs = [line for line in lines if "pip install" in line]
    assert not any("tensorflow" in line for line in installs)
    # The package declares TensorFlow as a dependency.
    assert [line for line in installs if "editable" in line] == [line for line in installs if "--no-deps" in line]
    for package in ("keras>=", "tensorboardX>=", "pytest>=", "mkdocstrings-python>="):
        assert sum(f'"{package}' in line for line in installs) == 1, package


def test_targets_of_one_call_are_made_in_their_order(make, tmp_path):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    # Without an order, the first script would end last.
    python.write_text(f'#!/bin/sh\ncase $1 in *tables*) sleep 0.3;; esac\necho "$1" >>{tmp_path}/made\n')
    python.chmod(0o755)
    (tmp_path / "installed").touch()
    assert make("-j3", "tables", "figures", "report").returncode == 0
    assert (tmp_path / "made").read_text().split() == [f"scripts/{name}.py" for name in ("tables", "figures", "report")]
