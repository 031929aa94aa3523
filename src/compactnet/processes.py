"""Environment of processes that train or time: threads, GPUs, and what else libraries read when they are imported."""

import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path

BACKENDS = ("tensorflow", "jax", "torch")

_GIVEN = "COMPACTNET_GIVEN_DEVICES"
_DEVICES = ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS")
_NO_GPU = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}


def keep_off_gpus():
    """Keep this process off every GPU, before a backend is imported; `job_environment` gives its jobs what was there.

    A backend that is only asked to check a network would take a GPU's memory from the jobs.
    """
    if _GIVEN not in os.environ:
        os.environ[_GIVEN] = json.dumps({name: os.environ[name] for name in _DEVICES if name in os.environ})
        os.environ.update(_NO_GPU)


@contextlib.contextmanager
def given_devices():
    """For the length of the block, have the environment as before `keep_off_gpus`, for a program that hands it on."""
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
        chosen.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path.home() / ".cache" / "compactnet" / "jax"))
    if device == "cpu":
        chosen |= _NO_GPU
    elif device is not None:
        chosen["CUDA_VISIBLE_DEVICES"] = device
    return chosen


def visible_gpus():
    """Return what CUDA_VISIBLE_DEVICES may name, one text a GPU; none where there is no NVIDIA driver."""
    given = _given_environment().get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name for name in given.split(",") if name not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout
    return [str(number) for number, line in enumerate(listed.splitlines()) if line.startswith("GPU ")]


def _given_environment():
    variables = dict(os.environ)
    given = variables.pop(_GIVEN, None)
    if given is not None:
        for name in _DEVICES:
            variables.pop(name, None)
        variables |= json.loads(given)
    return variables
