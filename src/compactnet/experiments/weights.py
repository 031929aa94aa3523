"""Trained weights of a run, kept beside its record on request."""

import hashlib
import io
import zipfile
from pathlib import Path

import keras
import numpy as np

from compactnet.errors import InputError
from compactnet.files import replaced

AGAIN = "Move the record away and run its cell again with --keep-weights."


def save_weights(path, model):
    """Write all weights of a model as an npz file, in the order of `model.weights`, in one step."""
    content = io.BytesIO()
    np.savez(content, *_arrays(model))
    with replaced(Path(path)) as partial:
        partial.write_bytes(content.getbuffer())


def load_weights(path, model, expected_hash):
    """Give a model the weights of a run.

    Args:
        path: What `save_weights` wrote.
        model: The model of the run's network; it stays as it is if the weights are not the run's.
        expected_hash: The record's `weights_sha256`.

    Raises:
        InputError: the file is missing, or not of this network and run.
    """
    path = Path(path)
    try:
        with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
            arrays = [file[f"arr_{place}"] for place in range(len(file.files))]
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing. {AGAIN}") from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} holds no weights: {error}. {AGAIN}") from error
    if _hash(arrays) != expected_hash or [one.shape for one in arrays] != [one.shape for one in _arrays(model)]:
        raise InputError(f"{path} does not hold the weights of this record. {AGAIN}")
    model.set_weights(arrays)


def weights_hash(model):
    """Return the SHA-256 of all weights, by which two runs are seen to be equal."""
    return _hash(_arrays(model))


def _arrays(model):
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


def _hash(arrays):
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()
