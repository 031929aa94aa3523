"""Records: one JSON file a cell, the only source of a table."""

import json
import math
from pathlib import Path

from compactnet.errors import InputError
from compactnet.experiments.config import SPEED
from compactnet.experiments.study import hash_of
from compactnet.files import write_text

FORMAT = 1
REQUIRED = (
    "format",
    "study",
    "network",
    "title",
    "seed",
    "protocol",
    "protocol_hash",
    "history",
    "last",
    "best",
    "params",
    "coverage",
    "generated_data",
    "finished",
    "duration_seconds",
)
PROTOCOL_FIELDS = ("network", "seed", "data", "training", "backend", "threads")


def write_record(path, record):
    """Write a record in one step.

    Raises:
        InputError: a number in it is not finite, or the folder cannot be written.
    """
    try:
        text = json.dumps(record, indent=2, allow_nan=False)
    except ValueError as error:
        raise InputError(f"The record {path} holds a number that is not finite; it is not written.") from error
    write_text(path, text + "\n")


def read_record(path):
    """Read one record.

    Raises:
        InputError: it is no record of this format, lacks a field, or was altered after it was written.
    """
    path = Path(path)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        problem = _problem(record)
    except (OSError, ValueError, TypeError, KeyError) as error:
        problem = f"is not a record: {error}"
    if problem:
        raise InputError(f"{path} {problem}. Move it away, or run its cell again.")
    return record


def _problem(record):
    """Return what is wrong with a record, or None."""
    missing = [field for field in REQUIRED if field not in record]
    if missing:
        return f"is not a record: {missing[0]!r} is missing"
    if record["format"] != FORMAT:
        return f"has the format {record['format']!r}, and this version reads {FORMAT}"
    missing = [field for field in PROTOCOL_FIELDS if field not in record["protocol"]]
    if missing:
        return f"is not a record: {missing[0]!r} is missing in its protocol"
    figures = {"last": record["last"], "best": record["best"]}
    if hash_of(record["protocol"]) != record["protocol_hash"] or figures != summary_of(record["history"]):
        return "was altered: its protocol or its figures do not fit the rest of it"
    return None


def read_records(folder):
    """Return all records of runs below a folder, in the order of their paths; none where it does not exist."""
    folder = Path(folder)
    return [read_record(path) for path in sorted(folder.rglob("*.json")) if path.parent != folder / SPEED]


def is_done(path, protocol_hash):
    """Say whether a record is there that carries this protocol."""
    return Path(path).is_file() and read_record(path)["protocol_hash"] == protocol_hash


def summary_of(history):
    """Return the last and the best epoch of a history, as records keep them.

    Raises:
        InputError: the history is empty or holds a number that is not finite.
    """
    if not history:
        raise InputError("A run without epochs has no accuracy.")
    if not all(math.isfinite(value) for epoch in history for value in epoch.values()):
        raise InputError("A loss or accuracy is not finite.")
    best = max(history, key=lambda epoch: epoch["test_accuracy"])
    return {"last": history[-1], "best": best}
