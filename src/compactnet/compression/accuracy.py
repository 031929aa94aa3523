"""Calibration data and the accuracy on them."""

import keras
import numpy as np

from compactnet.errors import InputError

BATCH = 64
"""Samples that are computed at once."""


def check_calibration_data(model, data):
    """Return the inputs and the labels, or None, of calibration data that fit a model.

    Args:
        model: A functional `keras.Model`.
        data: An array of inputs, or a pair of them and integer labels.

    Raises:
        InputError: the model has several inputs, or the data do not fit it.
    """
    x, y = data if isinstance(data, tuple | list) and len(data) == 2 else (data, None)
    if not isinstance(model.input, keras.KerasTensor):
        names = ", ".join(tensor.name for tensor in model.inputs)
        raise InputError(
            f"Calibration data need a model of one input. Received: a model with a structure of inputs, {names}. "
            "Compress it without `calibration_data`."
        )
    x = _array("calibration_data", x)
    if not _fits(model, x) or not len(x):
        raise InputError(
            f"`calibration_data` must be an array of shape {tuple(model.inputs[0].shape)}, or a pair of it and integer "
            f"labels. Received: an array of shape {x.shape}."
        )
    if not np.isfinite(x).all():
        raise InputError("`calibration_data` holds values that are not finite. Remove those samples.")
    return x, None if y is None else check_labels(model, x, y)


def check_labels(model, x, y):
    """Return integer labels of shape (samples,) that fit a model and its inputs.

    Raises:
        InputError: they do not.
    """
    shape = model.outputs[0].shape
    if len(model.outputs) != 1 or len(shape) != 2 or shape[-1] is None or shape[-1] < 2:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in model.outputs)
        raise InputError(
            "Labels need a model with one output of shape (batch, classes), of two or more classes. "
            f"Received: outputs of shape {shapes}. Leave the labels out."
        )
    if not len(x):
        raise InputError("There are no samples to compute an accuracy on. Give at least one.")
    labels = _array("labels", y)
    if labels.shape not in ((len(x),), (len(x), 1)) or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"Labels must be integers of shape ({len(x)},), one for each sample. Received: {labels.dtype} of shape "
            f"{labels.shape}. For one-hot labels take np.argmax(labels, -1)."
        )
    if labels.min() < 0 or labels.max() >= shape[-1]:
        raise InputError(
            f"Labels must be from 0 to {shape[-1] - 1}, as the model has {shape[-1]} classes. Received: labels from "
            f"{labels.min()} to {labels.max()}."
        )
    return labels.ravel()


def accuracy(model, x, y):
    """Return the share of samples whose largest output is that of their label.

    Args:
        model: A functional `keras.Model` with outputs of shape `(batch, classes)`.
        x: Array of inputs.
        y: Integer labels.

    Raises:
        InputError: the model has several inputs or no classes, or the samples do not fit it.
    """
    x = _array("x", x)
    if not isinstance(model.input, keras.KerasTensor) or not _fits(model, x):
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in model.inputs)
        raise InputError(f"`x` must be the one input of the model, {shapes}. Received: an array of shape {x.shape}.")
    labels = check_labels(model, x, y)
    guesses = [
        keras.ops.convert_to_numpy(model(x[start : start + BATCH], training=False)).argmax(-1)
        for start in range(0, len(x), BATCH)
    ]
    return float(np.mean(np.concatenate(guesses) == labels))


def _fits(model, x):
    """Say whether an array has the shape that the one input of a model takes."""
    wanted = tuple(model.inputs[0].shape)
    return x.ndim == len(wanted) and all(need in (None, got) for got, need in zip(x.shape[1:], wanted[1:], strict=True))


def _array(argument, value):
    if not hasattr(value, "shape"):
        raise InputError(f"`{argument}` must be an array. Received: {type(value).__name__}. Take np.asarray of it.")
    array = value if isinstance(value, np.ndarray) else keras.ops.convert_to_numpy(value)
    if array.dtype.kind in "OSUMm":
        raise InputError(f"`{argument}` must be an array of numbers. Received: an array of {array.dtype}.")
    return array
