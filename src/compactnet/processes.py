"""Processes that train, time or compute features: their environment, and the channel through which they report."""

import contextlib
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

BACKENDS = ("tensorflow", "jax", "torch")

FAST_BACKENDS = ("tensorflow", "jax")
"""Backends for which `compactnet.fast` has forms of layers."""

CPUINFO = Path("/proc/cpuinfo")

_VECTOR_EXTENSIONS = {
    "avx": "AVX",
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "amx_tile": "AMX",
    "asimd": "NEON",
    "sve": "SVE",
}

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


def job_environment(backend, threads, device=None, onednn=None):
    """Return the environment variables of a process that computes with a backend.

    Args:
        backend: One of `BACKENDS`.
        threads: Its processor threads.
        device: "cpu" for no GPU, one of `visible_gpus`, or None for what this process was given.
        onednn: Whether TensorFlow uses the kernels of oneDNN; None to leave it to TensorFlow.
    """
    # NPROC is XLA's.
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
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
    if onednn is not None:
        chosen["TF_ENABLE_ONEDNN_OPTS"] = str(int(onednn))
    if backend == "jax":
        import platformdirs  # devices that only predict do without it

        # What was compiled for one processor may not run on the next, nor give the same bits with other threads.
        kind = hashlib.sha256(json.dumps([processor(), vector_extensions(), threads]).encode()).hexdigest()[:12]
        chosen.setdefault("JAX_COMPILATION_CACHE_DIR", str(platformdirs.user_cache_path("compactnet") / "jax" / kind))
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


def processor():
    """Return the name of the processor's model."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def vector_extensions():
    """Return the vector and matrix instructions of the processor, such as ("AVX", "AVX2"); None if unknown."""
    flags = _cpuinfo("flags") or _cpuinfo("Features")
    if flags is None:
        return None
    return tuple(title for flag, title in _VECTOR_EXTENSIONS.items() if flag in flags.split())


def has_vnni():
    """Say whether the processor adds up products of 8-bit numbers without overflow; False on x86 if unknown.

    Those of ARM all do.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    return "vnni" in (_cpuinfo("flags") or "")


def _cpuinfo(key):
    """Return what Linux tells of the first core, or None."""
    try:
        for line in CPUINFO.read_text(encoding="utf-8").splitlines():
            if line.partition(":")[0].strip() == key:
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return None


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
