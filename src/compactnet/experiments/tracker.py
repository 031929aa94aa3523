"""Keeps track of the jobs of a sweep, whatever runs them: done, retried, or failed for good."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from compactnet.checks import format_count
from compactnet.errors import InputError, ResourceError
from compactnet.experiments import records
from compactnet.experiments.checkpoints import Checkpoints
from compactnet.files import is_locked, remove
from compactnet.schema import FailureRecord

MAX_ATTEMPTS = 2
"""Attempts of a run that raises an exception, runs out of memory or whose loss is not finite."""

MAX_KILLS = 5
"""Kills by a signal in a row after which a run fails, if its checkpoint did not advance in between."""


@dataclass(frozen=True)
class SweepResult:
    """How a sweep ended.

    Attributes:
        done: Number of runs trained now, here or by another sweep on the same results.
        skipped: Number of runs that had a record before.
        failed: Pairs (title of the run, reason).
    """

    done: int
    skipped: int
    failed: tuple

    def __str__(self):
        trained = format_count(self.done, "run")
        return f"{trained} trained, {self.skipped} skipped (already done), {len(self.failed)} failed."


class Tracker:
    """What is known of the jobs of a sweep.

    Args:
        jobs: A `Job` for each run.

    Attributes:
        pending: The jobs that have no record yet.
        skipped: Number of the others.
        failed: Pairs (title of the run, reason) of those that failed for good.
    """

    def __init__(self, jobs):
        self.pending, self.skipped, self.failed = [], 0, []
        self._attempts, self._kills, self._epochs = Counter(), Counter(), {}
        for job in jobs:
            if self.is_done(job):
                self.skipped += 1
                # A kill between the record and the end of the process may have left them.
                if not is_locked(job.lock):
                    Checkpoints(job.checkpoints, job.protocol_hash).clear()
            else:
                self.pending.append(job)
        self.total = len(self.pending)

    def record_result(self, job, result):
        """Record how an attempt ended.

        Args:
            job: The `Job`.
            result: Its `JobResult`.

        Returns:
            "done", "retry", "busy" (another sweep trains it) or "failed".

        Raises:
            InputError: its data or config are unusable.
            ResourceError: the disk is full.
        """
        key = job.record
        match result.kind:
            case "done":
                remove(job.failure)
                return "done"
            case "busy":
                return "busy"
            case "bad input":
                raise InputError(f"{job.title}: {result.reason}")
            case "no resources":
                raise ResourceError(f"{job.title}: {result.reason}")
            case "killed" | "abandoned":
                epoch = Checkpoints(job.checkpoints, job.protocol_hash).last_epoch()
                if epoch > self._epochs.get(key, 0):
                    self._kills[key] = 0
                self._epochs[key] = epoch
                self._kills[key] += 1
                attempts, allowed = self._kills[key], MAX_KILLS
                reason = f"{result.reason} {MAX_KILLS} times in a row without a new epoch"
            case _:
                self._attempts[key] += 1
                attempts, allowed, reason = self._attempts[key], MAX_ATTEMPTS, result.reason
        if attempts < allowed:
            return "retry"
        self.failed.append((job.title, reason))
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        failure = FailureRecord(run=job.run, reason=reason, attempts=attempts, log=job.log.name, finished=finished)
        records.write_record(job.failure, failure)
        return "failed"

    def is_done(self, job):
        """Say whether a job has a record."""
        return records.is_done(job)

    def result(self):
        """Return the `SweepResult` at the end."""
        return SweepResult(self.total - len(self.failed), self.skipped, tuple(self.failed))
