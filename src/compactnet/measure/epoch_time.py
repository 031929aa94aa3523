"""Time of a run's epochs, measured in a separate process: `python -m compactnet.measure.epoch_time`.

The process trains the run's model with the code that trains runs, on a few batches of noise, and keeps nothing.
"""

import subprocess
import sys
import time

from compactnet.errors import InputError, ResourceError
from compactnet.processes import job_environment, output_channel
from compactnet.schema import Run
from compactnet.validation import StrictModel

SECONDS = 4.0
"""Approximate time that the measured epoch trains; a slow network makes `MIN_BATCHES` all the same."""

MIN_BATCHES = 6
MAX_EVALUATED = 100


class EpochTimes(StrictModel):
    """What a run's epochs consist of.

    Attributes:
        start: Seconds from the start of the process until everything is traced or compiled.
        step: Seconds of a training step, feeding included.
        evaluation: Seconds of an evaluated batch.
    """

    start: float
    step: float
    evaluation: float


class _Request(StrictModel):
    run: Run
    samples: int


def measure_epoch(run, samples):
    """Measure the epochs of a run on this machine.

    Args:
        run: The `Run`.
        samples: Samples of both splits, whose size decides where they are kept.

    Returns:
        The `EpochTimes`.

    Raises:
        InputError: the process failed.
        ResourceError: the process was killed.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "compactnet.measure.epoch_time"],
        input=_Request(run=run, samples=samples).model_dump_json(),
        capture_output=True,
        text=True,
        env=job_environment(run.execution.backend, run.execution.threads),
        check=False,
    )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["no output"])[-1]
        kind = ResourceError if ended.returncode < 0 else InputError  # killed, for example because memory ran out
        raise kind(f"{run.network.name} cannot be timed, status {ended.returncode}: {last}")
    return EpochTimes.model_validate_json(ended.stdout.splitlines()[-1])


def main():
    """Answer the request on standard input."""
    began = time.perf_counter()
    with output_channel() as channel:
        request = _Request.model_validate_json(sys.stdin.read())
        channel.write(_measure(request.run, request.samples, began).model_dump_json() + "\n")


def _measure(run, samples, began):
    import keras
    import numpy as np

    from compactnet.experiments.trainers import choose_trainer, compile_model

    keras.config.set_dtype_policy(run.training.precision)
    model = compile_model(run)
    ends, size = [], run.training.batch_size

    def trainer(evaluated):
        stored = samples * run.data.sample_bytes
        return choose_trainer(model, _noise(run, evaluated), size, lambda done, logs: ends.append(_now(logs)), stored)

    def order_of(batches):
        return np.tile(np.arange(size), batches)  # the same batch of noise each time

    first, order = trainer(MIN_BATCHES), order_of(MIN_BATCHES)
    first.run(order)
    ready = time.perf_counter()
    first.run(order)
    spent = time.perf_counter() - ready
    batches = max(MIN_BATCHES, round(SECONDS * MIN_BATCHES / spent))
    evaluated = min(batches, MAX_EVALUATED)
    second, order = trainer(evaluated), order_of(batches)
    second.run(order_of(1))  # other sizes may be compiled again
    ends.clear()
    opened = time.perf_counter()
    second.run(order)
    closed = time.perf_counter()
    return EpochTimes(
        start=ready - began - spent,
        step=(ends[-1] - opened) / batches,
        evaluation=(closed - ends[-1]) / evaluated,
    )


def _now(logs):
    float(logs["loss"])  # the step has ended when its loss is known
    return time.perf_counter()


def _noise(run, evaluated):
    """Return a `Dataset` of noise with one batch to train on and `evaluated` batches to test on."""
    import numpy as np

    from compactnet.data import Dataset, Split

    generator, size, classes = np.random.default_rng(0), run.training.batch_size, run.data.classes

    def split(count):
        samples = generator.random((size, *run.data.sample_shape), np.float32)
        labels = generator.integers(0, classes, count * size)
        return Split(samples, labels, np.tile(np.arange(size), count))

    names = tuple(map(str, range(classes)))
    flat = np.zeros((1, 1, 1), np.float32)
    return Dataset(split(1), split(evaluated), names, flat, flat + 1, "", {}, True)


if __name__ == "__main__":
    main()
