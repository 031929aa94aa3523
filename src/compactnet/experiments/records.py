"""Reads and writes the records of runs and failures, one JSON file each."""

from pathlib import Path

from compactnet.files import write_text
from compactnet.schema import SPEED, FailureRecord, RunRecord
from compactnet.validation import read_json


def write_record(path, record):
    """Write a `RunRecord` or `FailureRecord` in one step."""
    write_text(path, record.model_dump_json(indent=2) + "\n")


def read_record(path):
    """Read a `RunRecord`.

    Raises:
        InputError: the file is not a record of this format, or was altered after it was written.
    """
    return read_json(RunRecord, path, "Move it away and run it again, or update it with scripts/update_records.py.")


def read_records(folder):
    """Return all run records below a folder, in the order of their paths; none where it does not exist."""
    folder = Path(folder)
    return [read_record(path) for path in sorted(folder.rglob("*.json")) if path.parent != folder / SPEED]


def read_failures(folder):
    """Return all failure records below a folder, in the order of their paths; none where it does not exist."""
    return [read_json(FailureRecord, path, "Delete it.") for path in sorted(Path(folder).rglob("*.json"))]


def is_done(job):
    """Say whether a run has a record with its protocol hash; on official data, another experiment's counts too."""
    experiments = "*" if job.run.data.official_fingerprint else job.run.experiment
    paths = (job.results_folder / "records").glob(f"{experiments}/{job.record.name}")
    return any(read_record(path).protocol_hash == job.protocol_hash for path in paths)
