"""Trained weights as npz files, with a hash that says whose they are."""

import hashlib

import keras

from compactnet.errors import InputError
from compactnet.files import read_npz, write_npz

TRAIN_AGAIN = "Move the record away and train the run again with --keep-weights."


def save_weights(path, model):
    """Write all weights of a model as an npz file, in the order of `model.weights`, in one step."""
    write_npz(path, {f"arr_{index}": array for index, array in enumerate(_arrays(model))})


def load_weights(path, model, expected_hash, remedy=TRAIN_AGAIN):
    """Load the weights of a run into a model.

    Args:
        path: The file that `save_weights` wrote.
        model: The model of the run's network; it is unchanged if the weights are not the run's.
        expected_hash: The record's `weights_sha256`.
        remedy: What to do if the file is missing or another; messages end with it.

    Raises:
        InputError: the record has no hash, or the file is missing or belongs to another network or run.
    """
    if not expected_hash:
        raise InputError("The record was written before records kept the hash of the weights. Train the run again.")
    try:
        content = read_npz(path)
        arrays = [content[f"arr_{index}"] for index in range(len(content))]
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing. {remedy}") from error
    except (ValueError, KeyError) as error:
        raise InputError(f"{path} has no weights: {error}. {remedy}") from error
    shapes = [array.shape for array in _arrays(model)]
    if _hash(arrays) != expected_hash or [array.shape for array in arrays] != shapes:
        raise InputError(f"{path} does not hold the weights of this record. {remedy}")
    model.set_weights(arrays)


def weights_hash(model):
    """Return the SHA-256 of all weights, which shows whether two runs are equal."""
    return _hash(_arrays(model))


def _arrays(model):
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


def _hash(arrays):
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()
