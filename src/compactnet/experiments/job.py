"""A job: one cell in a process of its own. What it is told, how it is started, and how it may end.

Neither Keras nor a backend is imported here: this runs in parents and on cluster nodes before the environment is set.
"""

import contextlib
import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from compactnet.errors import InputError
from compactnet.processes import job_environment

STATUS = MappingProxyType({"done": 0, "failed": 1, "bad input": 2, "busy": 3, "abandoned": 4})
"""Exit statuses: the record is there; the run failed; data or config are unusable, which all cells share; another
process has the cell; nobody listens to this one any more."""


@dataclass(frozen=True)
class Ended:
    """How an attempt ended.

    Attributes:
        kind: A key of `STATUS`, or "killed" for a process that a signal ended.
        reason: Why, in one line; empty where it is done.
    """

    kind: str
    reason: str = ""


def plan_job(config, cell, data_folder, results_folder, tensorboard=False, keep_weights=False):
    """Return what a cell's process is told, as plain JSON data.

    Args:
        config: The `StudyConfig`.
        cell: The `Cell`.
        data_folder: Folder that holds the data set.
        results_folder: Folder for `records/`, `logs/`, `checkpoints/`, `locks/`, `failures/`, `tensorboard/` and
            `weights/`.
        tensorboard: Whether it writes TensorBoard logs.
        keep_weights: Whether it keeps the trained weights, in `weights/`.
    """
    folder, name = Path(results_folder).absolute(), Path(cell.record_name).with_suffix("")
    return {
        "title": cell.title,
        "config": config.model_dump(mode="json"),
        "network": cell.network,
        "seed": cell.seed,
        "part": cell.part,
        "protocol": cell.protocol,
        "protocol_hash": cell.protocol_hash,
        "backend": cell.protocol["backend"],
        "threads": cell.protocol["threads"],
        "data_folder": str(Path(data_folder).absolute()),
        "record": str(folder / "records" / cell.record_name),
        "checkpoint_folder": str(folder / "checkpoints" / name),
        "lock": str(folder / "locks" / f"{name}.lock"),
        "log": str(folder / "logs" / f"{name}.log"),
        "failure": str(folder / "failures" / f"{name}.json"),
        "tensorboard_folder": str(folder / "tensorboard" / name) if tensorboard else None,
        "weights": str(weights_path(folder, cell.record_name)) if keep_weights else None,
    }


def weights_path(results_folder, record_name):
    """Return where the weights of a run are kept, whose record is at `record_name` below the records."""
    return Path(results_folder) / "weights" / Path(record_name).with_suffix(".npz")


@contextlib.contextmanager
def started(job, device=None):
    """Start a job's process for the length of the block; it is killed if it is not over then.

    Args:
        job: What `plan_job` returned.
        device: As `job_environment` takes it.

    Yields:
        The process, whose standard output gives one event a line.

    Raises:
        InputError: its log cannot be written.
    """
    log_path = Path(job["log"])
    try:
        log_path.parent.mkdir(parents=True, exist_ok=True)
        # A second attempt's log goes below the first one's.
        log = log_path.open("ab")
    except OSError as error:
        raise InputError(
            f"Cannot write {log_path}: {error.strerror}. Choose another folder or free this one."
        ) from error
    with log:
        process = subprocess.Popen(
            [sys.executable, "-m", "compactnet.experiments.run"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=job_environment(job["backend"], job["threads"], device),
        )
    try:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(job))
            process.stdin.close()
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


def follow(job, process, on_event):
    """Read a job's events until its process ends, and say how it ended.

    Args:
        job: What `plan_job` returned.
        process: What `started` gave.
        on_event: Function that is called with each event, a dict.

    Returns:
        An `Ended`.
    """
    reason = ""
    for line in process.stdout:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # cut short by a kill
        if event["event"] == "failed":
            reason = event["reason"]
        on_event(event)
    code = process.wait()
    if code < 0:
        return Ended("killed", f"it was ended by {signal.Signals(-code).name}")
    kinds = {status: kind for kind, status in STATUS.items()}
    if code == STATUS["done"]:
        return Ended("done")
    return Ended(kinds.get(code, "failed"), reason or f"its process ended with status {code}; its log is {job['log']}")


class ClusterTask:
    """A job as a cluster runs it: in a process of its own below the cluster's, with the same environment as here."""

    def __call__(self, job):
        """Run a job to its end and return its `Ended`."""
        with started(job) as process:
            return follow(job, process, lambda event: None)

    def checkpoint(self, job):
        """Return what runs in place of a job that is preempted or out of time: the same, from its last checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, job)
