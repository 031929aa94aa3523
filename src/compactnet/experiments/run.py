"""One cell, trained in a process of its own: `python -m compactnet.experiments.run` reads a job from standard input.

Everything the parent needs to know goes to standard output as one JSON object a line.
"""

import json
import math
import os
import signal
import sys
import time
from datetime import UTC, datetime

import keras
import tensorboardX

from compactnet import environment
from compactnet.errors import InputError
from compactnet.experiments import records
from compactnet.experiments.batches import shuffled
from compactnet.experiments.checkpoints import Checkpoints
from compactnet.experiments.config import StudyConfig
from compactnet.experiments.epochs import compiled, epochs
from compactnet.experiments.job import STATUS
from compactnet.experiments.study import cells
from compactnet.experiments.weights import save_weights, weights_hash
from compactnet.files import locked

REPORT_SECONDS = 0.2
"""Least time between two reports of a step's figures."""


def run_cell(
    config,
    network,
    seed,
    data_folder,
    report,
    part="",
    checkpoint_folder=None,
    tensorboard_folder=None,
    weights_path=None,
):
    """Train one network with one seed and return its record.

    Args:
        config: The `StudyConfig`.
        network: Name of the network in the study.
        seed: One of the study's seeds.
        data_folder: Folder that holds the data set.
        report: Function that is called with a progress event, a dict.
        part: Which split of the data, as `Cell.part` names it.
        checkpoint_folder: Folder of this cell's checkpoints, from which it goes on; None for none.
        tensorboard_folder: Folder for TensorBoard logs, or None for none.
        weights_path: File for the trained weights, or None for none.

    Returns:
        The record, a dict of plain JSON data.

    Raises:
        InputError: the data or the config are not usable, or a checkpoint cannot be written.
        FloatingPointError: the loss became infinite or undefined.
    """
    started = time.monotonic()
    # Neither a keras.json nor Keras' debugging variables may change a result.
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy(config.training.precision)
    keras.config.set_max_epochs(None)
    keras.config.set_max_steps_per_epoch(None)
    keras.utils.set_random_seed(seed)
    described = environment.describe()
    # What does not depend on the data says which split of them to load.
    (data,) = (c.data for c in cells(config, "", only=[network]) if (c.seed, c.part) == (seed, part))
    dataset = data.load(data_folder)
    (cell,) = (c for c in cells(config, dataset.fingerprint, only=[network]) if (c.seed, c.part) == (seed, part))
    model = compiled(config, cell.spec, network)
    checkpoints = Checkpoints(checkpoint_folder, cell.protocol_hash) if checkpoint_folder else None
    history, stretches = [], []
    if checkpoints:
        history, stretches = checkpoints.restore(model, lambda text: report({"event": "note", "text": text}))
    # The same record whether it was stopped or not, unless it went on with other versions or on another machine.
    if not stretches or stretches[-1]["environment"] != described:
        stretches.append({"from_epoch": len(history) + 1, "environment": described})
    spent = sum(epoch["seconds"] for epoch in history)
    _train(model, dataset, config, seed, report, history, stretches, checkpoints, tensorboard_folder)
    if weights_path:
        save_weights(weights_path, model)
    return {
        "format": records.FORMAT,
        "study": config.name,
        "network": network,
        "title": cell.spec.title,
        "seed": seed,
        "protocol": cell.protocol,
        "protocol_hash": cell.protocol_hash,
        "config": config.model_dump(mode="json"),
        **records.summary_of(history),
        "history": history,
        "params": model.count_params(),
        "weights_sha256": weights_hash(model),
        "coverage": dataset.coverage,
        "generated_data": dataset.generated,
        "skipped": dataset.skipped,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "duration_seconds": round(spent + time.monotonic() - started, 1),
        "environment": stretches[0]["environment"],
        "went_on": stretches[1:],
    }


def _train(model, dataset, config, seed, report, history, stretches, checkpoints, tensorboard_folder):
    """Train the epochs that `history` lacks and add them to it."""
    training = config.training
    steps = -(-len(dataset.train) // training.batch_size)
    progress = _Progress(report, steps)
    trainer = epochs(model, dataset, training.batch_size, progress)
    # Not Keras' own callback, which works with TensorFlow alone.
    curves = tensorboardX.SummaryWriter(tensorboard_folder) if tensorboard_folder else None
    for epoch in range(len(history), training.epochs):
        began = time.monotonic()
        order = shuffled(len(dataset.train), seed, epoch)
        progress.epoch = epoch
        logs = trainer.run(order)
        row = {
            "epoch": epoch + 1,
            "train_loss": logs["loss"],
            "train_accuracy": logs["accuracy"],
            "test_loss": logs["val_loss"],
            "test_accuracy": logs["val_accuracy"],
            "seconds": round(time.monotonic() - began, 2),
        }
        if not all(math.isfinite(value) for value in row.values()):
            raise FloatingPointError(f"the loss is no longer finite in epoch {epoch + 1}")
        history.append(row)
        if checkpoints:
            checkpoints.save(model, history, stretches)
        report({"event": "epoch", "epochs": training.epochs, **row})
        if curves is not None:
            for name in ("loss", "accuracy"):
                curves.add_scalars(name, {"train": row[f"train_{name}"], "test": row[f"test_{name}"]}, epoch + 1)
    if curves is not None:
        curves.close()


class _Progress:
    """Reports the steps of `epoch`, counted from 0, but not each of them."""

    def __init__(self, report, steps):
        self._report, self._steps, self._last = report, steps, 0.0
        self.epoch = 0

    def __call__(self, done, logs):
        now = time.monotonic()
        if now - self._last < REPORT_SECONDS and done < self._steps:
            return
        self._last = now
        if not math.isfinite(logs["loss"]):
            raise FloatingPointError(f"the loss is no longer finite in epoch {self.epoch + 1}")
        self._report(
            {
                "event": "step",
                "done": self.epoch * self._steps + done,
                "steps": self._steps,
                "epoch": self.epoch + 1,
                "loss": float(logs["loss"]),
                "accuracy": float(logs["accuracy"]),
            }
        )


def main():
    """Run the job on standard input; exit with one of `STATUS`, or with 1 on what nobody foresaw."""
    # The parent decides what Ctrl-C means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    # Whatever a library prints goes to the log, not between the events.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def report(event):
        try:
            channel.write(json.dumps(event) + "\n")
        except BrokenPipeError:
            # Nobody listens any more: what the last checkpoint holds is kept, and the rest is for who comes next.
            os._exit(STATUS["abandoned"])

    job = json.load(sys.stdin)
    try:
        with locked(job["lock"], busy=_leave_it):
            return _run(job, report)
    except _BusyError:
        return STATUS["busy"]


class _BusyError(Exception):
    pass


def _leave_it():
    raise _BusyError


def _run(job, report):
    if records.is_done(job["record"], job["protocol_hash"]):
        return STATUS["done"]  # another grid finished it in the meantime
    try:
        config = StudyConfig.model_validate(job["config"])
        record = run_cell(
            config,
            job["network"],
            job["seed"],
            job["data_folder"],
            report,
            job["part"],
            job["checkpoint_folder"],
            job["tensorboard_folder"],
            job["weights"],
        )
        records.write_record(job["record"], record)
        Checkpoints(job["checkpoint_folder"], record["protocol_hash"]).clear()
    except InputError as error:
        report({"event": "failed", "reason": " ".join(error.lines)})
        return STATUS["bad input"]
    except (FloatingPointError, MemoryError) as error:
        report({"event": "failed", "reason": f"{type(error).__name__}: {error}"})
        return STATUS["failed"]
    return STATUS["done"]


if __name__ == "__main__":
    sys.exit(main())
