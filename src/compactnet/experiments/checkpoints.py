"""Checkpoints of a run: after each epoch a file with everything that the next one depends on."""

import json
import os
import re
from pathlib import Path

import numpy as np

from compactnet.checks import format_shape
from compactnet.errors import InputError
from compactnet.files import read_npz, remove, write_npz
from compactnet.schema import Epoch, Segment

FORMAT = 2
KEPT = 2
"""The last one, and the one before it in case the last cannot be read."""


def of_other_protocols(job):
    """Return the folders with checkpoints of a job's run that its protocol cannot continue.

    They come from a sweep with other data, code, threads or another backend.
    """
    name = job.checkpoints.name.removesuffix(job.protocol_hash[:12])
    return [path for path in sorted(job.checkpoints.parent.glob(f"{name}*")) if path != job.checkpoints]


class Checkpoints:
    """The checkpoints in a folder, which belongs to one run.

    A checkpoint holds every variable of the model and its optimizer (weights, moving statistics, moments, the state of
    random generators) and the history. It is written under a temporary name, flushed and renamed; older ones are
    removed only after that, so a complete one exists at any moment.

    Args:
        folder: The folder; it is created with the first checkpoint.
        protocol_hash: The run's; a checkpoint of another protocol is never used.
    """

    def __init__(self, folder, protocol_hash):
        self._folder, self._protocol_hash = Path(folder), protocol_hash

    def save(self, model, history, segments):
        """Write a checkpoint and remove older ones but for `KEPT`.

        Args:
            model: The compiled `keras.Model`.
            history: Its history so far, a list of `Epoch`.
            segments: Where it was trained, a list of `Segment`.

        Raises:
            ResourceError: it cannot be written; older checkpoints stay.
        """
        variables = _variables(model)
        header = {
            "format": FORMAT,
            "protocol_hash": self._protocol_hash,
            "variables": _kinds(variables),
            "history": [epoch.model_dump() for epoch in history],
            "segments": [segment.model_dump() for segment in segments],
        }
        arrays = {f"variable_{index}": np.asarray(variable.numpy()) for index, variable in enumerate(variables)}
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        write_npz(self._folder / f"epoch-{len(history):04}.npz", arrays)
        _flush_folder(self._folder)
        for path in self._paths()[:-KEPT]:
            remove(path)

    def restore(self, model, report):
        """Load the newest checkpoint that can be read into a model.

        Args:
            model: The compiled model, as before its first epoch; it is unchanged if no checkpoint exists.
            report: Function that is called with a line about each checkpoint that cannot be used.

        Returns:
            (history, segments) as they were saved, or two empty lists.
        """
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        variables = _variables(model)
        for path in reversed(self._paths()):
            try:
                history, segments, arrays = self._read(path, variables)
            except (ValueError, KeyError) as error:
                path.replace(path.with_suffix(".unusable"))
                report(f"{path.name} cannot be used ({error}); it is renamed to {path.stem}.unusable.")
                continue
            for variable, values in zip(variables, arrays, strict=True):
                variable.assign(values)
            return history, segments
        return [], []

    def last_epoch(self):
        """Return the epoch of the newest checkpoint, 0 where none exists."""
        paths = self._paths()
        return _epoch(paths[-1]) if paths else 0

    def clear(self):
        """Remove all checkpoints, unusable ones and files that a killed process left half written."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.suffix in (".npz", ".partial", ".unusable"):
                    remove(path)
            try:
                self._folder.rmdir()
            except FileNotFoundError:
                pass  # another process that trains the run was faster
            except OSError as error:
                raise InputError(f"Cannot remove {self._folder}: {error.strerror}. Move its content away.") from error

    def _paths(self):
        if not self._folder.is_dir():
            return []
        return sorted((path for path in self._folder.glob("epoch-*.npz") if _epoch(path)), key=_epoch)

    def _read(self, path, variables):
        arrays = read_npz(path)
        header = json.loads(arrays["header"].tobytes())
        if header["format"] != FORMAT:
            raise ValueError(f"its format is {header['format']!r}, and this version reads {FORMAT}")
        if header["protocol_hash"] != self._protocol_hash:
            raise ValueError("it belongs to another protocol")
        if len(header["history"]) != _epoch(path):
            raise ValueError(f"it holds {len(header['history'])} epochs")
        if header["variables"] != _kinds(variables):
            raise ValueError("its variables are not this network's")
        history = [Epoch(**row) for row in header["history"]]
        segments = [Segment(**segment) for segment in header["segments"]]
        return history, segments, [arrays[f"variable_{index}"] for index in range(len(variables))]


def _epoch(path):
    found = re.fullmatch(r"epoch-(\d+)", path.stem)
    return int(found[1]) if found else 0


def _variables(model):
    """Return what a step reads and writes, except metrics, which each epoch resets."""
    metrics = {id(variable) for metric in model.metrics for variable in metric.variables}
    return [variable for variable in model.variables if id(variable) not in metrics] + model.optimizer.variables


def _kinds(variables):
    # No names: Keras numbers some by how many a process made.
    return [f"{variable.dtype} {format_shape(variable.shape)}" for variable in variables]


def _flush_folder(folder):
    """Flush the folder itself, where the system can, so that the new name survives a loss of power."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
