"""A job trains one run in a separate process: how it is started, what it reports and how it can end."""

import contextlib
import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from compactnet.files import storage_errors
from compactnet.processes import job_environment

STATUS = MappingProxyType({"done": 0, "failed": 1, "bad input": 2, "busy": 3, "abandoned": 4, "no resources": 5})
"""Exit statuses: the record is written; the run failed; the data or the config are unusable, which concerns all runs;
another process trains the run; the parent process is gone; the disk is full, which concerns all runs too."""


@dataclass(frozen=True)
class JobResult:
    """How an attempt ended.

    Attributes:
        kind: A key of `STATUS`, or "killed" for a process that a signal ended.
        reason: Why, in one line; empty if it is done.
    """

    kind: str
    reason: str = ""


@dataclass(frozen=True)
class Command:
    """How a job's process is started: plain data, so that a cluster node needs neither Keras nor a backend to start it.

    Attributes:
        job: The `Job` as JSON.
        backend: Keras backend.
        threads: Processor threads.
        log: Path of the log.
        checkpoints: Folder of the checkpoints.
        onednn: Whether TensorFlow uses oneDNN; None to leave it to TensorFlow.
    """

    job: str
    backend: str
    threads: int
    log: Path
    checkpoints: Path
    onednn: bool | None = None


def command_of(job):
    """Return the `Command` that starts a `Job`."""
    execution = job.run.execution
    return Command(
        job.model_dump_json(), execution.backend, execution.threads, job.log, job.checkpoints, execution.onednn
    )


@contextlib.contextmanager
def start(command, device=None):
    """Start a job's process for the length of the block; it is killed if it still runs at the end.

    Args:
        command: The `Command`.
        device: See `job_environment`.

    Yields:
        The process, whose standard output gives one event per line.

    Raises:
        ResourceError: its log cannot be written.
    """
    with storage_errors(command.log):
        command.log.parent.mkdir(parents=True, exist_ok=True)
        # The log of a second attempt is appended to the first one's.
        log = command.log.open("ab")
    with log:
        process = subprocess.Popen(
            [sys.executable, "-m", "compactnet.experiments.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=job_environment(command.backend, command.threads, device, command.onednn),
        )
    try:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(command.job)
            process.stdin.close()
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


def wait(process, log, on_event=lambda event: None):
    """Read a job's events until its process ends.

    Args:
        process: What `start` yields.
        log: Path of its log, for messages.
        on_event: Function that is called with each event, a dict.

    Returns:
        A `JobResult`.
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
        return JobResult("killed", f"it was ended by {signal.Signals(-code).name}")
    kinds = {status: kind for kind, status in STATUS.items()}
    if code == STATUS["done"]:
        return JobResult("done")
    return JobResult(kinds.get(code, "failed"), reason or f"its process ended with status {code}; its log is {log}")


class ClusterTask:
    """A job on a cluster node, in a child process that has the same environment as on this machine."""

    def __call__(self, command):
        """Run a job to its end and return its `JobResult`."""
        from submitit.core.utils import UncompletedJobError

        self._first = _newest(command.checkpoints)
        try:
            with start(command) as process:
                return wait(process, command.log)
        except UncompletedJobError:  # from submitit's handler of the signal, where `checkpoint` returns None
            return JobResult("killed", "it was preempted or out of time")

    def checkpoint(self, command):
        """Return what replaces a job that is preempted or out of time: the same, from its last checkpoint.

        One without a new checkpoint ends, and the sweep decides, as for one that is killed.
        """
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, command) if _newest(command.checkpoints) != self._first else None


def _newest(folder):
    """Return the name of the last checkpoint in a folder, or ""."""
    return max((path.name for path in folder.glob("epoch-*.npz")), default="")
