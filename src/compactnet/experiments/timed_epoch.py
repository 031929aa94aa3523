"""What a run's epochs take, measured in a process of its own: `python -m compactnet.experiments.timed_epoch`.

The same model, made and trained by the same code as a cell's, on a few batches of noise; nothing is kept.
"""

import dataclasses
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass

from compactnet.errors import InputError
from compactnet.experiments.config import StudyConfig
from compactnet.processes import job_environment

SECONDS = 4.0
"""About how long the measured epoch trains; a slow network makes `LEAST_BATCHES` all the same."""

LEAST_BATCHES = 6
MOST_EVALUATED = 100


@dataclass(frozen=True)
class EpochTimes:
    """What a cell's epochs consist of.

    Attributes:
        start: Seconds from the start of the process until everything is traced or compiled.
        step: Seconds of a training step, feeding it included.
        evaluation: Seconds of an evaluated batch.
    """

    start: float
    step: float
    evaluation: float


def timed_epoch(config, network, backend, samples):
    """Measure one network of a study on this machine.

    Args:
        config: The `StudyConfig`.
        network: Name of the network in the study.
        backend: One of `BACKENDS`.
        samples: Samples of both splits, by whose size a run decides where it keeps them.

    Returns:
        The `EpochTimes`.

    Raises:
        InputError: the process failed.
    """
    job = {"config": config.model_dump(mode="json"), "network": network, "samples": samples}
    ended = subprocess.run(
        [sys.executable, "-m", "compactnet.experiments.timed_epoch"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        env=job_environment(backend, config.threads),
        check=False,
    )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise InputError(f"{network} cannot be timed, status {ended.returncode}: {last}")
    return EpochTimes(**json.loads(ended.stdout.splitlines()[-1]))


def main():
    """Answer the job on standard input."""
    began = time.perf_counter()
    # What a library prints goes to the log.
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    job = json.load(sys.stdin)
    times = _measure(StudyConfig.model_validate(job["config"]), job["network"], job["samples"], began)
    channel.write(json.dumps(dataclasses.asdict(times)) + "\n")
    channel.close()


def _measure(config, network, samples, began):
    import keras
    import numpy as np

    from compactnet.experiments.epochs import compiled, epochs
    from compactnet.experiments.study import network_specs

    keras.config.set_dtype_policy(config.training.precision)
    model = compiled(config, network_specs(config)[network], network)
    ends, size = [], config.training.batch_size

    def trainer(evaluated):
        stored = samples * config.data.stored_bytes
        return epochs(model, _noise(config, evaluated), size, lambda done, logs: ends.append(_now(logs)), stored)

    def order_of(batches):
        return np.tile(np.arange(size), batches)  # one batch of noise does for all

    first, order = trainer(LEAST_BATCHES), order_of(LEAST_BATCHES)
    first.run(order)
    ready = time.perf_counter()
    first.run(order)
    spent = time.perf_counter() - ready
    batches = max(LEAST_BATCHES, round(SECONDS * LEAST_BATCHES / spent))
    evaluated = min(batches, MOST_EVALUATED)
    second, order = trainer(evaluated), order_of(batches)
    second.run(order_of(1))  # other sizes may be compiled anew
    ends.clear()
    opened = time.perf_counter()
    second.run(order)
    closed = time.perf_counter()
    start = ready - began - spent
    return EpochTimes(start, (ends[-1] - opened) / batches, (closed - ends[-1]) / evaluated)


def _now(logs):
    float(logs["loss"])  # the step has ended when its loss is known
    return time.perf_counter()


def _noise(config, evaluated):
    """Return a `Dataset` of noise with one batch to train on and some to evaluate."""
    import numpy as np

    from compactnet.data.dataset import Dataset, Split

    generator, size = np.random.default_rng(0), config.training.batch_size

    def split(count):
        samples = generator.random((size, *config.data.sample_shape), np.float32)
        labels = generator.integers(0, config.data.classes, count * size)
        return Split(samples, labels, np.tile(np.arange(size), count))

    names = tuple(map(str, range(config.data.classes)))
    flat = np.zeros((1, 1, 1), np.float32)
    return Dataset(split(1), split(evaluated), names, flat, flat + 1, "", {}, True)


if __name__ == "__main__":
    main()
