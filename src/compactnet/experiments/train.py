"""Trains one run from its data to its record."""

import math
import time
from datetime import UTC, datetime
from pathlib import Path

import keras

from compactnet import environment
from compactnet.errors import InputError
from compactnet.experiments import evaluation
from compactnet.experiments.batches import permutation
from compactnet.experiments.checkpoints import Checkpoints
from compactnet.experiments.trainers import choose_trainer, compile_model
from compactnet.files import remove
from compactnet.networks.weights import save_weights, weights_hash
from compactnet.schema import Epoch, RunRecord, Segment, summarize

REPORT_SECONDS = 0.2
"""Minimum time between two reports of a step's figures."""


def train_run(
    run,
    data_folder,
    report=lambda event: None,
    expected_hash=None,
    checkpoint_folder=None,
    tensorboard_folder=None,
    weights_path=None,
):
    """Train a run and return its record.

    Args:
        run: The `Run`.
        data_folder: Folder of the data sets.
        report: Function that is called with progress events, dicts.
        expected_hash: Hash that the protocol must have; None for any.
        checkpoint_folder: Folder of the run's checkpoints, from which it is resumed; None for none.
        tensorboard_folder: Folder for TensorBoard logs, or None for none.
        weights_path: File for the trained weights, or None for none.

    Returns:
        A `RunRecord`.

    Raises:
        InputError: the data are unusable, or the protocol is not the expected one.
        ResourceError: a checkpoint cannot be written.
        FloatingPointError: the loss is infinite or undefined.
    """
    started = time.monotonic()
    environment.use_standard_settings()
    keras.config.set_dtype_policy(run.training.precision)
    keras.utils.set_random_seed(run.seed)
    described = environment.describe()
    dataset = run.data.load(data_folder)
    protocol_hash = run.protocol_hash(dataset.fingerprint)
    if expected_hash not in (None, protocol_hash):
        raise InputError(
            f"The protocol of this run is {protocol_hash[:12]}, and the sweep planned {expected_hash[:12]}: the data "
            "or the code changed in between. Start the sweep again."
        )
    model = compile_model(run)
    history, segments = [], []
    checkpoints = Checkpoints(checkpoint_folder, protocol_hash) if checkpoint_folder else None
    if checkpoints:
        history, segments = checkpoints.restore(model, lambda text: report({"event": "note", "text": text}))
    # An interruption leaves no trace in the record, unless the run was resumed with other versions or elsewhere.
    if not segments or segments[-1].environment != described:
        segments.append(Segment(from_epoch=len(history) + 1, environment=described))
    spent = sum(epoch.seconds for epoch in history)
    for row in _train(model, dataset, run, report, history, tensorboard_folder):
        history.append(row)
        if checkpoints:
            checkpoints.save(model, history, segments)
        report({"event": "epoch", "epochs": run.training.epochs, **row.model_dump()})
    if weights_path:
        save_weights(weights_path, model)
    batch_size = run.training.batch_size
    steps = run.training.epochs * -(-len(dataset.train) // batch_size)
    return RunRecord(
        run=run,
        fingerprint=dataset.fingerprint,
        protocol_hash=protocol_hash,
        **summarize(history),
        history=history,
        params=model.count_params(),
        weights_sha256=weights_hash(model),
        predictions=evaluation.predict(model, dataset, batch_size),
        recalibrated_accuracy=evaluation.recalibrated_accuracy(model, dataset, batch_size, run.seed),
        initial_statistics_share=evaluation.initial_share(model, steps),
        coverage=dataset.coverage,
        skipped=dataset.skipped,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        duration_seconds=round(spent + time.monotonic() - started, 1),
        environment=segments[0].environment,
        resumed=segments[1:],
    )


def _train(model, dataset, run, report, history, tensorboard_folder):
    """Train the epochs that `history` lacks and yield an `Epoch` for each."""
    training = run.training
    progress = _Progress(report, steps=-(-len(dataset.train) // training.batch_size))
    trainer = choose_trainer(model, dataset, training.batch_size, progress, run.execution.implementation)
    curves = _tensorboard_writer(tensorboard_folder) if tensorboard_folder else None
    # After an interruption the curves begin anew, because their writer may not have written the last epochs.
    for row in history if curves else ():
        _add_to_curves(curves, row)
    for epoch in range(len(history), training.epochs):
        began = time.monotonic()
        progress.epoch = epoch
        logs = trainer.run(permutation(len(dataset.train), run.seed, epoch))
        if not all(math.isfinite(value) for value in logs.values()):
            raise FloatingPointError(f"the loss is no longer finite in epoch {epoch + 1}")
        row = Epoch(
            epoch=epoch + 1,
            train_loss=logs["loss"],
            train_accuracy=logs["accuracy"],
            test_loss=logs["val_loss"],
            test_accuracy=logs["val_accuracy"],
            seconds=round(time.monotonic() - began, 2),
        )
        if curves:
            _add_to_curves(curves, row)
        yield row
    if curves:
        curves.close()


def _add_to_curves(curves, row):
    curves.add_scalars("loss", {"train": row.train_loss, "test": row.test_loss}, row.epoch)
    curves.add_scalars("accuracy", {"train": row.train_accuracy, "test": row.test_accuracy}, row.epoch)


def _tensorboard_writer(folder):
    # Those of an earlier start, whose epochs are written again.
    for path in Path(folder).glob("events.out.tfevents.*"):
        remove(path)
    # Keras' own callback works with TensorFlow alone. Imported here, because it sets an environment variable.
    import tensorboardX

    return tensorboardX.SummaryWriter(folder)


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
