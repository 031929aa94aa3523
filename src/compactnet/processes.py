"""Processes that train, time or compute features: their environment, and the channel through which they report."""

import contextlib
import json
import os
import shutil
import subprocess
import sys

import platformdirs

BACKENDS = ("tensorflow", "jax", "torch")

_GIVEN = "COMPACTNET_GIVEN_DEVICES"
_DEVICES = ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS")
_NO_GPU = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}


def backend():
    """Return the name of the Keras backend that runs use: KERAS_BACKEND, or TensorFlow."""
    return os.environ.get("KERAS_BACKEND") or "tensorflow"


def hide_gpus():
    """Hide all GPUs from this process, before a backend is imported; `job_environment` shows them to its jobs.

    A backend that only checks a network would otherwise take GPU memory from the jobs.
    """
    if _GIVEN not in os.environ:
        os.environ[_GIVEN] = json.dumps({name: os.environ[name] for name in _DEVICES if name in os.environ})
        os.environ.update(_NO_GPU)


@contextlib.contextmanager
def given_devices():
    """For the length of the block, restore the environment from before `hide_gpus`, for a program that passes it on."""
    before, given = dict(os.environ), _given_environment()
    os.environ.clear()
    os.environ.update(given)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def job_environment(backend, threads, device=None):
    """Return the environment variables of a process that computes with a backend.

    Args:
        backend: One of `BACKENDS`.
        threads: Its processor threads.
        device: "cpu" for no GPU, one of `visible_gpus`, or None for what this process was given.
    """
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    chosen = {
        **_given_environment(),
        **dict.fromkeys(names, str(threads)),
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "KERAS_BACKEND": backend,
        # Several processes may share one GPU.
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    if backend == "jax" and device != "cpu" and visible_gpus():
        # Not for processors: what was compiled for one may not run on the next.
        chosen.setdefault("JAX_COMPILATION_CACHE_DIR", str(platformdirs.user_cache_path("compactnet") / "jax"))
    if device == "cpu":
        chosen |= _NO_GPU
    elif device is not None:
        chosen["CUDA_VISIBLE_DEVICES"] = device
    return chosen


def visible_gpus():
    """Return what CUDA_VISIBLE_DEVICES may name, one text per GPU; none without an NVIDIA driver."""
    given = _given_environment().get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name for name in given.split(",") if name not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout
    return [str(number) for number, line in enumerate(listed.splitlines()) if line.startswith("GPU ")]


def available_cores():
    """Return the numbers of the processor cores that this process may use."""
    # macOS does not say which cores a process is limited to.
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def output_channel(mode="w"):
    """Return a file for a worker's answers, on what was its standard output.

    Standard output itself then goes to standard error, so that what libraries print never mixes with the answers.

    Args:
        mode: "w" for text, flushed line by line, or "wb".
    """
    channel = os.fdopen(os.dup(sys.stdout.fileno()), mode, buffering=1 if mode == "w" else -1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return channel


def _given_environment():
    variables = dict(os.environ)
    given = variables.pop(_GIVEN, None)
    if given is not None:
        for name in _DEVICES:
            variables.pop(name, None)
        variables |= json.loads(given)
    return variables
