"""Trains the runs of a sweep on a cluster through Slurm: one job array, and one more for each round of retries."""

import contextlib
import importlib.util
import shutil
import signal
import subprocess
import threading
import time

from tqdm import tqdm

from compactnet.errors import InputError
from compactnet.experiments.job import ClusterTask, JobResult, command_of
from compactnet.experiments.tracker import Tracker
from compactnet.files import is_locked
from compactnet.processes import given_devices

POLL_SECONDS = 5.0
"""How often the queue is queried."""

MISSING_POLLS = 3
"""Polls in a row that must miss a job without result in the queue before it counts as killed."""


def launch(jobs, stream, settings, folder, workers=None, poll_seconds=POLL_SECONDS):
    """Train the runs that have no record yet, on a cluster.

    A job that Slurm requeues continues from its checkpoint; one that fails is retried as on one machine. A run that
    another sweep on the same results trains is left to it, unless that one dies. The nodes must share the file system
    of the results, the data and this installation.

    Args:
        jobs: A `Job` for each run, in the order to train them.
        stream: Stream for the progress bar.
        settings: The experiment's `Slurm` section.
        folder: Folder for submitit's files.
        workers: Runs trained at once, or None for as many as Slurm allows.
        poll_seconds: How often the queue is queried.

    Returns:
        A `SweepResult`.

    Raises:
        InputError: Slurm or submitit is not installed, Slurm refuses the jobs, or the data or the config of a run are
            unusable; the others are cancelled.
        ResourceError: the disk is full; the others are cancelled.
        KeyboardInterrupt: after every job was cancelled; records and checkpoints stay.
    """
    for missing in (name for name in ("sbatch", "squeue", "scancel") if shutil.which(name) is None):
        raise InputError(
            f"{missing} is not installed here. Run this on a host of the cluster, or without LAUNCHER=slurm."
        )
    if importlib.util.find_spec("submitit") is None:
        raise InputError("submitit is not installed. Run `.venv/bin/python -m pip install -e '.[slurm]'` in the clone.")
    tracker = Tracker(jobs)
    if tracker.skipped:
        stream.write(f"{tracker.skipped} of {len(jobs)} runs are already done and are skipped.\n")
    if tracker.pending:
        _Sweep(tracker, stream, settings, folder, workers, poll_seconds).run()
    return tracker.result()


@contextlib.contextmanager
def _held_interrupt():
    """Hold Ctrl-C until the end of the block, so that what it submits is known when it is cancelled."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals go to the main thread
        return
    held = []
    handler = signal.signal(signal.SIGINT, lambda number, frame: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if held:
            signal.raise_signal(signal.SIGINT)  # to the handler that is back, which may ignore it, as under nohup


class _Sweep:
    def __init__(self, tracker, stream, settings, folder, workers, poll_seconds):
        self._tracker, self._stream, self._poll_seconds = tracker, stream, poll_seconds
        self._settings, self._folder, self._workers = settings, folder, workers
        self._submitted, self._unseen, self._elsewhere = [], {}, []

    def run(self):
        pause = 0.2 if self._stream.isatty() else 60.0
        with tqdm(
            total=self._tracker.total, desc="runs", unit="run", file=self._stream, mininterval=pause, maxinterval=pause
        ) as bar:
            try:
                self._submit(self._tracker.pending)
                while self._submitted or self._elsewhere:
                    states = self._states()
                    retries = self._dropped(bar)
                    retries += [
                        job for job, handle in list(self._submitted) if self._must_retry(job, handle, states, bar)
                    ]
                    if retries:
                        self._submit(retries)
                    running = sum(state == "RUNNING" for state in states.values())
                    failed = len(self._tracker.failed)
                    text = f"{running} running, {len(states) - running} queued, {failed} failed"
                    if self._elsewhere:
                        text += f", {len(self._elsewhere)} in another sweep"
                    bar.set_postfix_str(text)
                    if self._submitted or self._elsewhere:
                        time.sleep(self._poll_seconds)
            finally:
                self._cancel()

    def _submit(self, jobs):
        import submitit

        # A job out of time is requeued as often as needed, while its checkpoint advances.
        executor = submitit.SlurmExecutor(folder=self._folder, max_num_timeout=1000)
        settings = self._settings
        wanted = {
            "job_name": "compactnet",
            "partition": settings.partition,
            "account": settings.account,
            "time": settings.minutes,
            "cpus_per_task": jobs[0].run.execution.threads,
            "gpus_per_node": settings.gpus or None,
            "mem": f"{settings.memory_gb}GB" if settings.memory_gb else None,
            "array_parallelism": self._workers or len(jobs),
        }
        executor.update_parameters(**{name: value for name, value in wanted.items() if value is not None})
        with _held_interrupt():
            try:
                with given_devices():
                    handles = executor.map_array(ClusterTask(), [command_of(job) for job in jobs])
            except submitit.core.utils.FailedJobError as error:
                raise InputError(f"Slurm refuses the jobs: {str(error).strip().splitlines()[-1]}") from error
            self._submitted += zip(jobs, handles, strict=True)

    def _must_retry(self, job, handle, states, bar):
        """Record the result of a submitted job, if it ended; return whether it must be submitted again."""
        result = self._result(handle, states)
        if result is None:
            return False
        self._submitted.remove((job, handle))
        recorded = self._tracker.record_result(job, result)
        if recorded == "retry":
            bar.write(f"{job.title}: {result.reason}. It is tried again.", file=self._stream)
            return True
        if recorded == "busy":
            # Another sweep trains the run, or a task that Slurm believes dead.
            bar.write(f"{job.title}: another process trains it. It is left to it.", file=self._stream)
            self._elsewhere.append(job)
            return False
        bar.update()
        if recorded == "failed":
            bar.write(f"{job.title} failed: {self._tracker.failed[-1][1]}", file=self._stream)
        return False

    def _dropped(self, bar):
        """Count the runs that another process has finished, and return those that it dropped."""
        elsewhere, self._elsewhere, dropped = self._elsewhere, [], []
        for job in elsewhere:
            if is_locked(job.lock):
                self._elsewhere.append(job)
            elif self._tracker.is_done(job):
                bar.update()
            else:
                dropped.append(job)
        return dropped

    def _result(self, handle, states):
        """Return the `JobResult` of a submitted job, or None while it waits or runs."""
        if handle.paths.result_pickle.exists():
            try:
                return handle.result()
            except Exception as error:  # what the node raised, such as a broken installation
                return JobResult("failed", _reason(error))
        if handle.job_id in states:
            self._unseen.pop(handle.job_id, None)
            return None
        # A shared file system may show a result later than the queue forgets the job.
        self._unseen[handle.job_id] = self._unseen.get(handle.job_id, 0) + 1
        if self._unseen[handle.job_id] < MISSING_POLLS:
            return None
        return JobResult("killed", "it left the queue without a result")

    def _states(self):
        """Return {job: state} of the submitted jobs that are queued or running; of all while Slurm does not answer."""
        if not self._submitted:
            return {}
        arrays = {handle.job_id.split("_")[0] for _, handle in self._submitted}
        command = ["squeue", "--noheader", "--array", "--format=%i %T", "--jobs", ",".join(sorted(arrays))]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode and "Invalid job id" not in answer.stderr:
            return {handle.job_id: "UNKNOWN" for _, handle in self._submitted}
        return dict(line.split()[:2] for line in answer.stdout.splitlines() if line.strip())

    def _cancel(self):
        arrays = sorted({handle.job_id.split("_")[0] for _, handle in self._submitted})
        if arrays:
            with contextlib.suppress(OSError):
                subprocess.run(["scancel", *arrays], capture_output=True, check=False)


def _reason(error):
    """Return the last line of the trace in an error of submitit, which names the paths of its logs after it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    rules = [place for place, line in enumerate(lines) if set(line) == {"-"}]
    return lines[rules[-1] - 1] if "with trace:" in lines[0] and rules else lines[-1]
