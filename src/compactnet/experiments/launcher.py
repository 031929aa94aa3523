"""Trains the runs of a sweep on this machine: one process per run, with a progress bar each and one for the sweep."""

import threading
from collections import deque

from tqdm import tqdm

from compactnet.experiments.job import command_of, start, wait
from compactnet.experiments.tracker import Tracker
from compactnet.files import is_locked
from compactnet.processes import visible_gpus

POLL_SECONDS = 1.0
"""How often an idle worker checks the runs that another sweep trains."""


def launch(jobs, stream, workers=1):
    """Train the runs that have no record yet.

    A run that fails is tried once more at the end; one whose process is killed continues from its checkpoint. A run
    that another sweep on the same results trains is left to it, unless that one dies.

    Args:
        jobs: A `Job` for each run, in the order to train them.
        stream: Stream for the progress bars.
        workers: Number of runs trained at once.

    Returns:
        A `SweepResult`.

    Raises:
        InputError: the data or the config of a run are unusable; the others are stopped.
        ResourceError: the disk is full; the others are stopped.
        KeyboardInterrupt: after every process was stopped; records and checkpoints stay.
    """
    tracker = Tracker(jobs)
    if tracker.skipped:
        stream.write(f"{tracker.skipped} of {len(jobs)} runs are already done and are skipped.\n")
    if tracker.pending:
        _Sweep(tracker, stream, workers).run()
    return tracker.result()


class _Sweep:
    def __init__(self, tracker, stream, workers):
        self._tracker, self._stream, self._workers = tracker, stream, workers
        self._pending, self._elsewhere = deque(tracker.pending), []
        self._running, self._done = {}, 0
        self._changed = threading.Condition()
        self._stopping, self._error = False, None
        self._gpus = visible_gpus()
        self._bar = None

    def run(self):
        workers = [threading.Thread(target=self._work, args=(slot,)) for slot in range(1, self._workers + 1)]
        with self._new_bar(total=self._tracker.total, desc="runs", unit="run", position=0) as self._bar:
            self._show()
            try:
                for worker in workers:
                    worker.start()
                for worker in workers:
                    while worker.is_alive():
                        worker.join(0.2)  # with a timeout, so that Ctrl-C is handled
            finally:
                self._stop()
                for worker in workers:
                    if worker.ident is not None:
                        worker.join()
        if self._error is not None:
            raise self._error

    def _work(self, slot):
        try:
            while (job := self._next(slot)) is not None:
                result = self._attempt(job, slot)
                with self._changed:
                    del self._running[slot]
                    if not self._stopping:
                        self._record_result(job, result)
                    self._show()
                    self._changed.notify_all()
        except BaseException as error:
            self._error = self._error or error
            self._stop()

    def _record_result(self, job, result):
        match self._tracker.record_result(job, result):
            case "done":
                self._done += 1
            case "busy":
                self._elsewhere.append(job)
            case "retry":
                self._print(f"{job.title}: {result.reason}. It is tried again.")
                self._pending.append(job)
            case "failed":
                self._print(f"{job.title} failed: {self._tracker.failed[-1][1]}")

    def _next(self, slot):
        """Return the next job of a worker, or None when nothing is left or the sweep stops."""
        with self._changed:
            while not self._stopping:
                self._check_elsewhere()
                if self._pending:
                    job = self._pending.popleft()
                    if is_locked(job.lock):
                        self._elsewhere.append(job)
                        continue
                    self._running[slot] = None
                    self._show()
                    return job
                if not self._running and not self._elsewhere:
                    return None
                self._changed.wait(POLL_SECONDS)
        return None

    def _check_elsewhere(self):
        """Count the runs that another sweep has finished, and take back those that it dropped."""
        for job in list(self._elsewhere):
            if self._tracker.is_done(job):
                self._done += 1
            elif is_locked(job.lock):
                continue
            else:
                self._pending.append(job)
            self._elsewhere.remove(job)
            self._show()

    def _attempt(self, job, slot):
        device = self._gpus[(slot - 1) % len(self._gpus)] if self._gpus else None
        with start(command_of(job), device) as process:
            with self._changed:
                self._running[slot] = process
                if self._stopping:
                    process.terminate()
            with self._new_bar(total=None, desc=job.title, unit="step", position=slot, leave=False) as bar:
                return wait(process, job.log, lambda event: self._show_event(job, bar, event))

    def _stop(self):
        with self._changed:
            self._stopping = True
            for process in self._running.values():
                if process is not None:
                    process.terminate()
            self._changed.notify_all()

    def _show_event(self, job, bar, event):
        match event["event"]:
            case "step":
                epochs = job.run.training.epochs
                bar.total = event["steps"] * epochs
                bar.set_postfix_str(
                    f"epoch {event['epoch']}/{epochs}, loss {event['loss']:.3f}, "
                    f"accuracy {100 * event['accuracy']:.1f} %",
                    refresh=False,
                )
                if bar.n == 0:
                    # The steps before the checkpoint took no time now.
                    bar.initial = bar.n = bar.last_print_n = (event["epoch"] - 1) * event["steps"]
                bar.update(event["done"] - bar.n)
            case "epoch":
                self._print(
                    f"{job.title} epoch {event['epoch']}/{event['epochs']}: "
                    f"train loss {event['train_loss']:.3f}, accuracy {100 * event['train_accuracy']:.2f} %; "
                    f"test loss {event['test_loss']:.3f}, accuracy {100 * event['test_accuracy']:.2f} %; "
                    f"{event['seconds']:.0f} s"
                )
            case "note":
                self._print(f"{job.title}: {event['text']}")

    def _show(self):
        failed, pending = len(self._tracker.failed), len(self._pending)
        text = f"{len(self._running)} running, {pending} pending, {failed} failed"
        if self._elsewhere:
            text += f", {len(self._elsewhere)} in another sweep"
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(self._done + failed - self._bar.n)
        self._bar.refresh()

    def _print(self, text):
        tqdm.write(text, file=self._stream)

    def _new_bar(self, **arguments):
        # Without a terminal each update is a line in a log.
        pause = 0.2 if self._stream.isatty() else 60.0
        return tqdm(file=self._stream, mininterval=pause, maxinterval=pause, dynamic_ncols=True, **arguments)
