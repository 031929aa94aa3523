"""The environment of jobs; the GPUs here are made up."""

import os
import stat

import pytest

from compactnet import processes


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """A process that was given no word about GPUs, on a machine without a driver."""
    for name in ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS", "COMPACTNET_GIVEN_DEVICES", "JAX_COMPILATION_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(processes.shutil, "which", lambda name: None)


@pytest.fixture
def two_gpus(tmp_path, monkeypatch):
    """A driver that lists two GPUs."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: made up (UUID: a)'\necho 'GPU 1: made up (UUID: b)'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(processes.shutil, "which", lambda name: str(program))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)


def test_threads_and_backend_are_said_by_environment():
    environment = processes.job_environment("jax", 3)
    assert environment["KERAS_BACKEND"] == "jax"
    assert environment["OMP_NUM_THREADS"] == environment["TF_NUM_INTRAOP_THREADS"] == "3"
    assert environment["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert "CUDA_VISIBLE_DEVICES" not in environment
    assert environment["PATH"] == os.environ["PATH"]


def test_a_command_keeps_off_gpus_and_its_jobs_get_what_it_was_given(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    processes.keep_off_gpus()
    processes.keep_off_gpus()  # a command below a command forgets nothing
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"
    assert os.environ["JAX_PLATFORMS"] == "cpu"
    assert processes.visible_gpus() == ["2", "5"]
    environment = processes.job_environment("tensorflow", 1)
    assert environment["CUDA_VISIBLE_DEVICES"] == "2,5"
    assert "JAX_PLATFORMS" not in environment
    assert processes.job_environment("tensorflow", 1, "5")["CUDA_VISIBLE_DEVICES"] == "5"
    assert processes.job_environment("tensorflow", 1, "cpu")["CUDA_VISIBLE_DEVICES"] == "-1"
    with processes.given_devices():
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "2,5"
        assert "JAX_PLATFORMS" not in os.environ
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"


def test_gpus_are_found_by_the_driver(two_gpus):
    assert processes.visible_gpus() == ["0", "1"]
    cache = processes.job_environment("jax", 1, "0").get("JAX_COMPILATION_CACHE_DIR")
    assert cache.endswith("jax")
    assert "JAX_COMPILATION_CACHE_DIR" not in processes.job_environment("jax", 1, "cpu")
    assert "JAX_COMPILATION_CACHE_DIR" not in processes.job_environment("torch", 1, "0")


def test_without_a_driver_there_are_none(monkeypatch):
    assert processes.visible_gpus() == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert processes.visible_gpus() == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert processes.visible_gpus() == []
