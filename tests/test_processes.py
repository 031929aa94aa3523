"""The environment of jobs and their output; the GPUs here are invented."""

import os
import pickle
import platform
import stat
import subprocess
import sys

import pytest

from compactnet import processes
from tests.environment import restored_environment


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """A process whose environment says nothing about GPUs, on a machine without a driver."""
    monkeypatch.setattr(processes.shutil, "which", lambda name: None)
    with restored_environment():
        for name in ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS", "COMPACTNET_GIVEN_DEVICES", "JAX_COMPILATION_CACHE_DIR"):
            os.environ.pop(name, None)
        yield


@pytest.fixture
def two_gpus(tmp_path, monkeypatch):
    """A driver that lists two GPUs."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: invented (UUID: a)'\necho 'GPU 1: invented (UUID: b)'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(processes.shutil, "which", lambda name: str(program))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)


def test_the_environment_sets_threads_and_backend():
    environment = processes.job_environment("jax", 3)
    assert environment["KERAS_BACKEND"] == "jax"
    assert environment["OMP_NUM_THREADS"] == environment["TF_NUM_INTRAOP_THREADS"] == environment["NPROC"] == "3"
    assert environment["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert "CUDA_VISIBLE_DEVICES" not in environment
    assert environment["PATH"] == os.environ["PATH"]


def test_a_command_hides_gpus_and_its_jobs_get_those_it_was_given(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    processes.hide_gpus()
    processes.hide_gpus()  # a command below a command keeps what the first was given
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


def test_the_driver_lists_the_gpus(two_gpus, monkeypatch):
    assert processes.visible_gpus() == ["0", "1"]


def test_what_jax_compiles_is_kept_for_one_kind_of_processor_and_number_of_threads(monkeypatch):
    def cache(*arguments):
        return processes.job_environment(*arguments).get("JAX_COMPILATION_CACHE_DIR")

    assert "compactnet" in cache("jax", 1)
    assert cache("jax", 1) == cache("jax", 1, "cpu") != cache("jax", 2)
    assert cache("torch", 1) is cache("tensorflow", 1) is None
    known = cache("jax", 1)
    monkeypatch.setattr(processes, "processor", lambda: "another one")
    assert cache("jax", 1) != known
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "elsewhere")
    assert cache("jax", 1) == "elsewhere"


@pytest.mark.parametrize(("onednn", "value"), [(True, "1"), (False, "0"), (None, None)])
def test_tensorflow_is_told_about_onednn(monkeypatch, onednn, value):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    environment = processes.job_environment("tensorflow", 1, onednn=onednn)
    assert environment.get("TF_ENABLE_ONEDNN_OPTS") == value


@pytest.mark.parametrize(
    ("content", "name", "extensions"),
    [
        ("model name\t: AMD EPYC\nflags\t\t: fpu avx avx2\n", "AMD EPYC", ("AVX", "AVX2")),
        ("model name : Xeon\nflags : avx avx2 avx512f amx_tile\n", "Xeon", ("AVX", "AVX2", "AVX-512", "AMX")),
        ("processor : 0\nFeatures : fp asimd sve\n", None, ("NEON", "SVE")),
        ("", None, None),
    ],
)
def test_processors_differ_in_their_vector_extensions(monkeypatch, tmp_path, content, name, extensions):
    (tmp_path / "cpuinfo").write_text(content)
    monkeypatch.setattr(processes, "CPUINFO", tmp_path / "cpuinfo")
    assert processes.processor() == (name or platform.processor() or platform.machine())
    assert processes.vector_extensions() == extensions
    monkeypatch.setattr(processes, "CPUINFO", tmp_path / "missing")
    assert processes.vector_extensions() is None


def test_without_a_driver_no_gpu_is_visible(monkeypatch):
    assert processes.visible_gpus() == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert processes.visible_gpus() == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert processes.visible_gpus() == []


def test_the_backend_is_tensorflow_unless_the_environment_names_another(monkeypatch):
    for value, expected in (("jax", "jax"), ("", "tensorflow")):
        monkeypatch.setenv("KERAS_BACKEND", value)
        assert processes.backend() == expected
    monkeypatch.delenv("KERAS_BACKEND")
    assert processes.backend() == "tensorflow"


def test_the_available_cores_are_those_of_the_process():
    cores = processes.available_cores()
    assert cores
    assert set(cores) <= set(range(os.cpu_count()))
    if hasattr(os, "sched_setaffinity"):
        program = "import os; from compactnet.processes import available_cores as cores; "
        pinned = f"os.sched_setaffinity(0, {{{cores[-1]}}}); print(cores())"
        ended = subprocess.run([sys.executable, "-c", program + pinned], capture_output=True, text=True, check=True)
        assert ended.stdout == f"[{cores[-1]}]\n"


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_what_libraries_print_never_mixes_with_answers(mode):
    program = f"""
import os, pickle, subprocess
from compactnet.processes import output_channel
channel = output_channel({mode!r})
print("printed", flush=True)
os.write(1, b"from C\\n")
subprocess.run(["echo", "from a child"], check=True)
channel.write("answer\\n" if {mode!r} == "w" else pickle.dumps("answer"))
channel.flush()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ended.stdout == (b"answer\n" if mode == "w" else pickle.dumps("answer"))
    assert ended.stderr == b"printed\nfrom C\nfrom a child\n"


def test_a_text_answer_is_sent_line_by_line():
    program = """
import sys
from compactnet.processes import output_channel
channel = output_channel()
channel.write("first\\n")
sys.stdin.read()
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        # It arrives while the process still runs.
        assert process.stdout.readline() == "first\n"
        assert process.poll() is None
        process.stdin.close()
