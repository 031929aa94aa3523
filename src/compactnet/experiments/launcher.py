"""Runs cells on this machine: one process a cell, a bar for the whole and one for each running cell."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from compactnet.errors import InputError
from compactnet.experiments import records
from compactnet.experiments.study import backend

BAD_INPUT = 2
"""Exit status of a cell whose data or config is unusable, which all cells share."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Outcome:
    """What became of the cells.

    Attributes:
        done: Number of cells trained now.
        skipped: Number of cells whose record was there.
        failed: Pairs (cell, reason).
    """

    done: int
    skipped: int
    failed: tuple


def launch(config, cells, data_folder, results_folder, workers=1, tensorboard=False, stream=None):
    """Train the cells that have no record yet.

    Args:
        config: The `StudyConfig`.
        cells: The cells, in the order to run them.
        data_folder: Folder that holds the data set.
        results_folder: Folder for `records/`, `logs/` and, if asked for, `tensorboard/`.
        workers: Number of cells trained at once.
        tensorboard: Whether each cell writes TensorBoard logs.
        stream: Where bars go; standard error if left out.

    Returns:
        An `Outcome`.

    Raises:
        InputError: a cell found its data or config unusable; the others are stopped.
        KeyboardInterrupt: after every running cell was stopped; records of finished cells stay.
    """
    stream = stream or sys.stderr
    folder = Path(results_folder)
    waiting = [cell for cell in cells if not records.is_done(folder / "records" / cell.record_name, cell.protocol_hash)]
    skipped = len(cells) - len(waiting)
    if skipped:
        stream.write(f"{skipped} of {len(cells)} cells have their record already and are skipped.\n")
    pool = _Pool(config, Path(data_folder), folder, tensorboard, stream, workers)
    failed = pool.run(waiting)
    return Outcome(len(waiting) - len(failed), skipped, tuple(failed))


class _Pool:
    def __init__(self, config, data_folder, results_folder, tensorboard, stream, workers):
        self._config, self._data_folder, self._folder = config, data_folder, results_folder
        self._tensorboard, self._stream, self._workers = tensorboard, stream, workers
        self._slots, self._processes, self._lock = queue.SimpleQueue(), set(), threading.Lock()
        self._stopping = False
        for slot in range(1, workers + 1):
            self._slots.put(slot)

    def run(self, cells):
        failed = []
        executor = ThreadPoolExecutor(self._workers)
        with self._bar(total=len(cells), desc="cells", unit="cell", position=0) as bar:
            try:
                for future in as_completed([executor.submit(self._run_cell, cell) for cell in cells]):
                    cell, reason = future.result()
                    bar.update()
                    if reason is not None:
                        failed.append((cell, reason))
                        bar.write(f"{cell.title} failed: {reason}", file=self._stream)
            except BaseException:
                self._stop()
                raise
            finally:
                executor.shutdown(wait=True, cancel_futures=True)
        return failed

    def _bar(self, **arguments):
        # Without a terminal a bar is a line in a log: seldom is enough.
        pause = 0.2 if self._stream.isatty() else 60.0
        return tqdm(file=self._stream, mininterval=pause, maxinterval=pause, dynamic_ncols=True, **arguments)

    def _stop(self):
        with self._lock:
            self._stopping = True
            for process in self._processes:
                process.terminate()

    def _run_cell(self, cell):
        slot = self._slots.get()
        try:
            return cell, self._watch(cell, slot)
        finally:
            self._slots.put(slot)

    def _watch(self, cell, slot):
        """Run one cell to its end; return None, or why it failed."""
        title = cell.title
        name = Path(cell.record_name).with_suffix("")
        log_path = self._folder / "logs" / f"{name}.log"
        log_path.parent.mkdir(parents=True, exist_ok=True)
        job = {
            "config": self._config.model_dump(mode="json"),
            "network": cell.network,
            "seed": cell.seed,
            "part": cell.part,
            "data_folder": str(self._data_folder),
            "record": str(self._folder / "records" / cell.record_name),
            "tensorboard_folder": str(self._folder / "tensorboard" / name) if self._tensorboard else None,
        }
        with log_path.open("wb") as log, self._started(log) as process:
            process.stdin.write(json.dumps(job))
            process.stdin.close()
            reason = self._follow(process, title, slot)
            code = process.wait()
        if code == 0:
            return None
        if code == BAD_INPUT:
            raise InputError(f"{title}: {reason}")
        if reason is None:
            reason = "stopped" if self._stopping else f"its process ended with status {code}; its log is {log_path}"
        return reason

    @contextlib.contextmanager
    def _started(self, log):
        threads = {variable: str(self._config.threads) for variable in THREAD_VARIABLES}
        environment = {
            **os.environ,
            **threads,
            "TF_NUM_INTEROP_THREADS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "KERAS_BACKEND": backend(),
        }
        with self._lock:
            if self._stopping:
                raise RuntimeError("stopped before it began")
            process = subprocess.Popen(
                [sys.executable, "-m", "compactnet.experiments.run"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
            )
            self._processes.add(process)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()
            with self._lock:
                self._processes.discard(process)

    def _follow(self, process, title, slot):
        """Draw a cell's events until its process closes the channel; return the reason if it failed."""
        reason = None
        with self._bar(total=None, desc=title, unit="step", position=slot, leave=False) as bar:
            for line in process.stdout:
                event = json.loads(line)
                if event["event"] == "step":
                    bar.total = event["steps"] * self._config.training.epochs
                    bar.set_postfix_str(
                        f"epoch {event['epoch']}/{self._config.training.epochs}, loss {event['loss']:.3f}, "
                        f"accuracy {100 * event['accuracy']:.1f} %",
                        refresh=False,
                    )
                    bar.update(event["done"] - bar.n)
                elif event["event"] == "epoch":
                    bar.write(
                        f"{title} epoch {event['epoch']}/{event['epochs']}: "
                        f"train loss {event['train_loss']:.3f}, accuracy {100 * event['train_accuracy']:.2f} %; "
                        f"test loss {event['test_loss']:.3f}, accuracy {100 * event['test_accuracy']:.2f} %; "
                        f"{event['seconds']:.0f} s",
                        file=self._stream,
                    )
                elif event["event"] == "failed":
                    reason = event["reason"]
        return reason
