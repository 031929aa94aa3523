"""Where something is run or timed: versions, processor, commit; records keep it as evidence."""

import importlib
import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import keras

import compactnet
from compactnet.networks.keras_internals import uses_onednn
from compactnet.processes import processor, vector_extensions
from compactnet.schema import Environment

PACKAGES = ("keras", "numpy", "scipy", "librosa", "soxr")


def use_standard_settings():
    """Undo what a user's keras.json or Keras' debugging variables set: neither may change a result."""
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_max_epochs(None)
    keras.config.set_max_steps_per_epoch(None)


def describe(packages=()):
    """Return the `Environment` of this process.

    Args:
        packages: Distributions whose versions matter besides those that every run uses.
    """
    backend = keras.config.backend()
    return Environment(
        backend=backend,
        versions={
            "python": platform.python_version(),
            "compactnet": compactnet.__version__,
            **{package: _version(package) for package in (*PACKAGES, backend, *packages)},
        },
        processor=processor(),
        vector_extensions=vector_extensions(),
        onednn=uses_onednn() if backend == "tensorflow" else None,
        cores=os.cpu_count(),
        # Where the backend puts a tensor; the one question that all backends answer.
        device=str(keras.ops.convert_to_tensor(0.0).device),
        system=f"{platform.system()} {platform.machine()}",
        commit=commit(),
    )


def _version(package):
    # TensorFlow and PyTorch are also distributed under other names.
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return importlib.import_module(package).__version__


def now():
    """Return the time, ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def commit():
    """Return the git commit of the code, with "+changes" where files differ from it, or None outside a repository."""
    folder = Path(compactnet.__file__).parent

    def git(*arguments):
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=30
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", compactnet.__file__)  # an installed copy may lie in another repository
        head = git("rev-parse", "HEAD")
        return head + ("+changes" if git("status", "--porcelain", "--untracked-files=no", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None
