"""Checkpoints of one cell: after each epoch all that the next one depends on, in a file of its own."""

import io
import json
import os
import re
import zipfile
from pathlib import Path

import numpy as np

from compactnet.errors import InputError
from compactnet.files import remove, replaced

FORMAT = 1
KEPT = 2
"""The last one, and the one before in case the last cannot be read."""


class Checkpoints:
    """The checkpoints below a folder, which belongs to one cell.

    A checkpoint holds every variable of the model and its optimizer (weights, moving statistics, moments, the state of
    random generators), the epoch and the history. It is written under a temporary name, flushed and renamed; older ones
    go only after that, so at any moment a whole one is there.

    Args:
        folder: The folder; it is made when the first checkpoint is written.
        protocol_hash: The cell's; a checkpoint of another protocol is never used.
    """

    def __init__(self, folder, protocol_hash):
        self._folder, self._protocol_hash = Path(folder), protocol_hash

    def save(self, model, history, stretches):
        """Write a checkpoint and remove those before the last but one.

        Args:
            model: The compiled `keras.Model`.
            history: Its history up to now, a row an epoch.
            stretches: Where it was trained, as `run_cell` keeps it: plain JSON data.

        Raises:
            InputError: it cannot be written; the checkpoints before it stay.
        """
        variables = _variables(model)
        header = {
            "format": FORMAT,
            "protocol_hash": self._protocol_hash,
            "variables": _kinds(variables),
            "history": history,
            "stretches": stretches,
        }
        arrays = {f"variable_{place}": np.asarray(variable.numpy()) for place, variable in enumerate(variables)}
        text = np.frombuffer(json.dumps(header).encode(), np.uint8)
        # Written in memory first: a full disk is met by one plain write.
        content = io.BytesIO()
        np.savez(content, header=text, **arrays)
        with replaced(self._folder / f"epoch-{len(history):04}.npz") as partial:
            partial.write_bytes(content.getbuffer())
        _flush_folder(self._folder)
        for path in self._paths()[:-KEPT]:
            remove(path)

    def restore(self, model, report):
        """Give a model the newest state that can be read.

        Args:
            model: The compiled model, as before its first epoch; it is left so if there is no checkpoint.
            report: Function that is called with a line about each checkpoint that was set aside.

        Returns:
            (history, stretches) as they were saved, or two empty lists.
        """
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        variables = _variables(model)
        for path in reversed(self._paths()):
            try:
                header, arrays = self._read(path, variables)
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                path.replace(path.with_suffix(".unusable"))
                report(f"{path.name} cannot be used ({error}); it is set aside as {path.stem}.unusable.")
                continue
            for variable, values in zip(variables, arrays, strict=True):
                variable.assign(values)
            return header["history"], header["stretches"]
        return [], []

    def last_epoch(self):
        """Return the epoch of the newest checkpoint, 0 where there is none."""
        paths = self._paths()
        return _epoch(paths[-1]) if paths else 0

    def clear(self):
        """Remove all checkpoints, those set aside and what a killed process left half written."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.suffix in (".npz", ".partial", ".unusable"):
                    remove(path)
            try:
                self._folder.rmdir()
            except OSError as error:
                raise InputError(f"Cannot remove {self._folder}: {error.strerror}. Move away what is in it.") from error

    def _paths(self):
        if not self._folder.is_dir():
            return []
        return sorted((path for path in self._folder.glob("epoch-*.npz") if _epoch(path)), key=_epoch)

    def _read(self, path, variables):
        with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
            header = json.loads(file["header"].tobytes())
            if header["format"] != FORMAT:
                raise ValueError(f"its format is {header['format']!r}, and this version reads {FORMAT}")
            if header["protocol_hash"] != self._protocol_hash:
                raise ValueError("it belongs to another protocol")
            if len(header["history"]) != _epoch(path):
                raise ValueError(f"it holds {len(header['history'])} epochs")
            if header["variables"] != _kinds(variables):
                raise ValueError("its variables are not this network's")
            # Reading an array checks its checksum.
            return header, [file[f"variable_{place}"] for place in range(len(variables))]


def _epoch(path):
    found = re.fullmatch(r"epoch-(\d+)", path.stem)
    return int(found[1]) if found else 0


def _variables(model):
    """Return what a step reads and writes, but for metrics, which each epoch starts anew."""
    metrics = {id(variable) for metric in model.metrics for variable in metric.variables}
    return [variable for variable in model.variables if id(variable) not in metrics] + model.optimizer.variables


def _kinds(variables):
    # No names: Keras numbers some by how many a process made.
    return [f"{variable.dtype} {'x'.join(map(str, variable.shape))}" for variable in variables]


def _flush_folder(folder):
    """Flush the folder itself, where a system can, so that the new name outlives a loss of power."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
