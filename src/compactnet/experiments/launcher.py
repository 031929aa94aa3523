"""Runs cells on this machine: one process a cell, a bar for the whole and one for each running cell."""

import threading
from collections import deque

from tqdm import tqdm

from compactnet.experiments.job import follow, started
from compactnet.experiments.ledger import Ledger
from compactnet.files import is_locked
from compactnet.processes import visible_gpus

LOOK_SECONDS = 1.0
"""How often a worker that has nothing to do looks at the cells that another grid has."""


def launch(jobs, stream, workers=1):
    """Train the cells that have no record yet.

    A cell that fails is tried once more at the end; one whose process is killed goes on from its checkpoint. A cell
    that another grid on the same results has is left to it, unless that one dies.

    Args:
        jobs: What `plan_job` returned, for each cell in the order to run them.
        stream: Where bars go.
        workers: Number of cells trained at once.

    Returns:
        An `Outcome`.

    Raises:
        InputError: a cell found its data or config unusable; the others are stopped.
        KeyboardInterrupt: after every running cell was stopped; records and checkpoints stay.
    """
    ledger = Ledger(jobs)
    if ledger.skipped:
        stream.write(f"{ledger.skipped} of {len(jobs)} cells have their record already and are skipped.\n")
    if ledger.waiting:
        _Grid(ledger, stream, workers).run()
    return ledger.outcome()


class _Grid:
    def __init__(self, ledger, stream, workers):
        self._ledger, self._stream, self._workers = ledger, stream, workers
        self._waiting, self._elsewhere = deque(ledger.waiting), []
        self._running, self._done = {}, 0
        self._changed = threading.Condition()
        self._stopping, self._error = False, None
        self._gpus = visible_gpus()
        self._bar = None

    def run(self):
        workers = [threading.Thread(target=self._work, args=(slot,)) for slot in range(1, self._workers + 1)]
        with self._new_bar(total=self._ledger.total, desc="cells", unit="cell", position=0) as self._bar:
            self._show()
            try:
                for worker in workers:
                    worker.start()
                for worker in workers:
                    while worker.is_alive():
                        worker.join(0.2)  # not for good, so that Ctrl-C is heard
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
                ended = self._attempt(job, slot)
                with self._changed:
                    del self._running[slot]
                    if not self._stopping:
                        self._settle(job, ended)
                    self._show()
                    self._changed.notify_all()
        except BaseException as error:
            self._error = self._error or error
            self._stop()

    def _settle(self, job, ended):
        became = self._ledger.settle(job, ended)
        if became == "done":
            self._done += 1
        elif became == "busy":
            self._elsewhere.append(job)
        elif became == "again":
            self._say(f"{job['title']}: {ended.reason}. It is tried again.")
            self._waiting.append(job)
        else:
            self._say(f"{job['title']} failed: {self._ledger.failed[-1][1]}")

    def _next(self, slot):
        """Return the job that a worker runs now, or None when there is nothing left or all shall stop."""
        with self._changed:
            while not self._stopping:
                self._look_elsewhere()
                if self._waiting:
                    job = self._waiting.popleft()
                    if is_locked(job["lock"]):
                        self._elsewhere.append(job)
                        continue
                    self._running[slot] = None
                    self._show()
                    return job
                if not self._running and not self._elsewhere:
                    return None
                self._changed.wait(LOOK_SECONDS)
        return None

    def _look_elsewhere(self):
        """Count the cells that another grid has finished, and take back those that it left."""
        for job in list(self._elsewhere):
            if self._ledger.is_done(job):
                self._done += 1
            elif is_locked(job["lock"]):
                continue
            else:
                self._waiting.append(job)
            self._elsewhere.remove(job)
            self._show()

    def _attempt(self, job, slot):
        device = self._gpus[(slot - 1) % len(self._gpus)] if self._gpus else None
        with started(job, device) as process:
            with self._changed:
                self._running[slot] = process
                if self._stopping:
                    process.terminate()
            with self._new_bar(total=None, desc=job["title"], unit="step", position=slot, leave=False) as bar:
                return follow(job, process, lambda event: self._draw(job, bar, event))

    def _stop(self):
        with self._changed:
            self._stopping = True
            for process in self._running.values():
                if process is not None:
                    process.terminate()
            self._changed.notify_all()

    def _draw(self, job, bar, event):
        match event["event"]:
            case "step":
                epochs = job["config"]["training"]["epochs"]
                bar.total = event["steps"] * epochs
                bar.set_postfix_str(
                    f"epoch {event['epoch']}/{epochs}, loss {event['loss']:.3f}, "
                    f"accuracy {100 * event['accuracy']:.1f} %",
                    refresh=False,
                )
                if bar.n == 0:
                    bar.initial = (event["epoch"] - 1) * event["steps"]  # what a checkpoint held took no time now
                bar.update(event["done"] - bar.n)
            case "epoch":
                self._say(
                    f"{job['title']} epoch {event['epoch']}/{event['epochs']}: "
                    f"train loss {event['train_loss']:.3f}, accuracy {100 * event['train_accuracy']:.2f} %; "
                    f"test loss {event['test_loss']:.3f}, accuracy {100 * event['test_accuracy']:.2f} %; "
                    f"{event['seconds']:.0f} s"
                )
            case "note":
                self._say(f"{job['title']}: {event['text']}")

    def _show(self):
        failed, waiting = len(self._ledger.failed), len(self._waiting)
        text = f"{len(self._running)} running, {waiting} waiting, {failed} failed"
        if self._elsewhere:
            text += f", {len(self._elsewhere)} in another grid"
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(self._done + failed - self._bar.n)
        self._bar.refresh()

    def _say(self, text):
        tqdm.write(text, file=self._stream)

    def _new_bar(self, **arguments):
        # Without a terminal a bar is a line in a log: seldom is enough.
        pause = 0.2 if self._stream.isatty() else 60.0
        return tqdm(file=self._stream, mininterval=pause, maxinterval=pause, dynamic_ncols=True, **arguments)
