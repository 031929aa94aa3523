"""What becomes of the cells of a grid, whatever runs them: done, once more, or failed for good."""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from compactnet.errors import InputError
from compactnet.experiments import records
from compactnet.experiments.checkpoints import Checkpoints
from compactnet.experiments.records import PROTOCOL_FIELDS
from compactnet.files import remove, write_text

TRIES = 2
"""Attempts of a cell that raises, runs out of memory or loses its loss."""

DEATHS = 5
"""Deaths by a signal in a row after which a cell fails, if its checkpoint did not advance in between."""

FAILURE_FIELDS = ("study", "network", "seed", "protocol", "reason", "attempts", "finished")


@dataclass(frozen=True)
class Outcome:
    """What became of the cells.

    Attributes:
        done: Number of cells trained now, here or by another grid on the same results.
        skipped: Number of cells whose record was there.
        failed: Pairs (title of the cell, reason).
    """

    done: int
    skipped: int
    failed: tuple


class Ledger:
    """The account of a grid's jobs.

    Args:
        jobs: What `plan_job` returned, for each cell.
    """

    def __init__(self, jobs):
        self.failed = []
        self.skipped = 0
        self.waiting = []
        self.total = 0
        self._tries, self._deaths, self._epochs = Counter(), Counter(), {}
        for job in jobs:
            if records.is_done(job["record"], job["protocol_hash"]):
                self.skipped += 1
                # A kill between the record and this may have left them.
                Checkpoints(job["checkpoint_folder"], job["protocol_hash"]).clear()
            else:
                self.waiting.append(job)
        self.total = len(self.waiting)

    def settle(self, job, ended):
        """Take down how an attempt ended.

        Args:
            job: The job.
            ended: Its `Ended`.

        Returns:
            "done", "again", "busy" (another grid has it) or "failed".

        Raises:
            InputError: its data or config are unusable.
        """
        name = job["record"]
        match ended.kind:
            case "done":
                remove(job["failure"])
                return "done"
            case "busy":
                return "busy"
            case "bad input":
                raise InputError(f"{job['title']}: {ended.reason}")
            case "killed" | "abandoned":
                epoch = Checkpoints(job["checkpoint_folder"], job["protocol_hash"]).last_epoch()
                if epoch > self._epochs.get(name, 0):
                    self._deaths[name] = 0
                self._epochs[name] = epoch
                self._deaths[name] += 1
                again = self._deaths[name] < DEATHS
                attempts, reason = self._deaths[name], f"{ended.reason} {DEATHS} times in a row without a new epoch"
            case _:
                self._tries[name] += 1
                again = self._tries[name] < TRIES
                attempts, reason = self._tries[name], ended.reason
        if again:
            return "again"
        self.failed.append((job["title"], reason))
        text = {
            "study": job["config"]["name"],
            "network": job["network"],
            "seed": job["seed"],
            "protocol": job["protocol"],
            "reason": reason,
            "attempts": attempts,
            "log": Path(job["log"]).name,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_text(Path(job["failure"]), json.dumps(text, indent=2) + "\n")
        return "failed"

    def is_done(self, job):
        """Say whether a job's record is there by now."""
        return records.is_done(job["record"], job["protocol_hash"])

    def outcome(self):
        """Return the `Outcome` at the end."""
        return Outcome(self.total - len(self.failed), self.skipped, tuple(self.failed))


def read_failures(folder):
    """Return what stands in the files of a folder of failures, in the order of their paths; none where it is missing.

    Raises:
        InputError: a file there is none of a failure.
    """
    failures = []
    for path in sorted(Path(folder).rglob("*.json")):
        try:
            failure = json.loads(path.read_text(encoding="utf-8"))
            missing = [name for name in FAILURE_FIELDS if name not in failure]
            missing += [name for name in PROTOCOL_FIELDS if not missing and name not in failure["protocol"]]
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path} is not the record of a failure: {error}. Move it away.") from error
        if missing:
            raise InputError(f"{path} is not the record of a failure: {missing[0]!r} is missing. Delete it.")
        failures.append(failure)
    return failures
