"""Runs cells on a cluster through Slurm: one job array a grid, and one more for what is tried again."""

import contextlib
import importlib.util
import shutil
import subprocess
import time

from tqdm import tqdm

from compactnet.errors import InputError
from compactnet.experiments.job import ClusterTask, Ended
from compactnet.experiments.ledger import Ledger
from compactnet.processes import given_devices

LOOK_SECONDS = 5.0
"""How often the queue is asked."""

GONE = 3
"""Times in a row that the queue must not know a job without result before it counts as dead."""


def launch(jobs, stream, settings, folder, at_once=None, look_seconds=LOOK_SECONDS):
    """Train the cells that have no record yet, on a cluster.

    A job that Slurm requeues goes on from its checkpoint; what fails is tried again as on one machine. The results
    folder must be on a file system that the nodes share, as must the data and this installation.

    Args:
        jobs: What `plan_job` returned, for each cell in the order to run them.
        stream: Where the bar goes.
        settings: The config's `SlurmConfig`.
        folder: Folder for submitit's files.
        at_once: Cells trained at once, or None for as many as Slurm allows.
        look_seconds: How often the queue is asked.

    Returns:
        An `Outcome`.

    Raises:
        InputError: there is no Slurm or submitit here, Slurm refuses the jobs, or a cell found its data or config
            unusable; the others are cancelled.
        KeyboardInterrupt: after every job was cancelled; records and checkpoints stay.
    """
    for missing in (name for name in ("sbatch", "squeue", "scancel") if shutil.which(name) is None):
        raise InputError(f"There is no {missing} here. Run this on a host of the cluster, or leave LAUNCHER=slurm out.")
    if importlib.util.find_spec("submitit") is None:
        raise InputError("submitit is not installed. Install it with `pip install 'compactnet[slurm]'`.")
    ledger = Ledger(jobs)
    if ledger.skipped:
        stream.write(f"{ledger.skipped} of {len(jobs)} cells have their record already and are skipped.\n")
    if ledger.waiting:
        _Grid(ledger, stream, settings, folder, at_once, look_seconds).run()
    return ledger.outcome()


class _Grid:
    def __init__(self, ledger, stream, settings, folder, at_once, look_seconds):
        self._ledger, self._stream, self._look_seconds = ledger, stream, look_seconds
        self._settings, self._folder, self._at_once = settings, folder, at_once
        self._submitted, self._unseen = [], {}

    def run(self):
        pause = 0.2 if self._stream.isatty() else 60.0
        with tqdm(
            total=self._ledger.total, desc="cells", unit="cell", file=self._stream, mininterval=pause, maxinterval=pause
        ) as bar:
            try:
                self._submit(self._ledger.waiting)
                while self._submitted:
                    states = self._states()
                    again = [job for job, handle in list(self._submitted) if self._settle(job, handle, states, bar)]
                    if again:
                        self._submit(again)
                    running = sum(state == "RUNNING" for state in states.values())
                    failed = len(self._ledger.failed)
                    bar.set_postfix_str(f"{running} running, {len(states) - running} queued, {failed} failed")
                    if self._submitted:
                        time.sleep(self._look_seconds)
            finally:
                self._cancel()

    def _submit(self, jobs):
        import submitit

        # A job out of time is requeued as often as it takes: its checkpoint advances.
        executor = submitit.SlurmExecutor(folder=self._folder, max_num_timeout=1000)
        settings = self._settings
        wanted = {
            "job_name": "compactnet",
            "partition": settings.partition,
            "account": settings.account,
            "time": settings.minutes,
            "cpus_per_task": jobs[0]["threads"],
            "gpus_per_node": settings.gpus or None,
            "mem": f"{settings.memory_gb}GB" if settings.memory_gb else None,
            "array_parallelism": self._at_once or len(jobs),
        }
        executor.update_parameters(**{name: value for name, value in wanted.items() if value is not None})
        try:
            with given_devices():
                handles = executor.map_array(ClusterTask(), jobs)
        except submitit.core.utils.FailedJobError as error:
            raise InputError(f"Slurm refuses the jobs: {str(error).strip().splitlines()[-1]}") from error
        self._submitted += zip(jobs, handles, strict=True)

    def _settle(self, job, handle, states, bar):
        """Look after a submitted job; return whether it is to be submitted again."""
        ended = self._ended(handle, states)
        if ended is None:
            return False
        self._submitted.remove((job, handle))
        became = self._ledger.settle(job, ended)
        if became in ("again", "busy"):
            # Busy: a task that Slurm believes dead still has the cell, or another grid.
            bar.write(f"{job['title']}: {ended.reason or 'another grid has it'}. It is tried again.", file=self._stream)
            return True
        bar.update()
        if became == "failed":
            bar.write(f"{job['title']} failed: {self._ledger.failed[-1][1]}", file=self._stream)
        return False

    def _ended(self, handle, states):
        """Return how a submitted job ended, or None while it waits or runs."""
        if handle.paths.result_pickle.exists():
            try:
                return handle.result()
            except Exception as error:  # what the node raised: out of time too often, a broken installation, ...
                return Ended("failed", str(error).strip().splitlines()[-1])
        if handle.job_id in states:
            self._unseen.pop(handle.job_id, None)
            return None
        # A shared file system may show a result later than the queue forgets the job.
        self._unseen[handle.job_id] = self._unseen.get(handle.job_id, 0) + 1
        if self._unseen[handle.job_id] < GONE:
            return None
        return Ended("killed", "it left the queue without a result")

    def _states(self):
        """Return {job: state} of the submitted jobs that Slurm still knows as waiting or running."""
        if not self._submitted:
            return {}
        arrays = {handle.job_id.split("_")[0] for _, handle in self._submitted}
        command = ["squeue", "--noheader", "--array", "--format=%i %T", "--jobs", ",".join(sorted(arrays))]
        listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return dict(line.split()[:2] for line in listed.splitlines() if line.strip())

    def _cancel(self):
        arrays = sorted({handle.job_id.split("_")[0] for _, handle in self._submitted})
        if arrays:
            with contextlib.suppress(OSError):
                subprocess.run(["scancel", *arrays], capture_output=True, check=False)
