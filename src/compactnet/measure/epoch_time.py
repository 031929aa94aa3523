"""Time of a run's epochs, measured in a separate process: `python -m compactnet.measure.epoch_time`.

The process trains the run's model with the code that trains runs, on a few batches of noise, and keeps nothing.
"""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from compactnet.errors import InputError, ResourceError
from compactnet.processes import job_environment, output_channel, visible_gpus
from compactnet.schema import Run
from compactnet.validation import StrictModel

SECONDS = 4.0
"""Approximate time that the measured epoch trains; a slow network makes `BATCHES` all the same."""

BATCHES = 8
"""Batches of an epoch that warms up, and of every evaluation."""


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
    limit: float | None
    began: float


def measure_epoch(run, samples, processes=1, limit=None):
    """Measure the epochs of a run on this machine.

    Args:
        run: The `Run`.
        samples: Samples of both splits, whose size decides where they are kept.
        processes: Number of processes that measure it at once, as many as will train at once; each has a GPU in turn,
            as in training.
        limit: Seconds of a step above which a first, rough figure is enough; None to measure in any case.

    Returns:
        The `EpochTimes`, averaged over the processes.

    Raises:
        InputError: the process failed.
        ResourceError: the process was killed.
    """
    request, gpus = _Request(run=run, samples=samples, limit=limit, began=time.time()), visible_gpus()
    devices = [gpus[number % len(gpus)] if gpus else None for number in range(processes)]
    with ThreadPoolExecutor(processes) as pool:
        found = list(pool.map(_in_process, [request] * processes, devices))
    return EpochTimes(
        **{name: sum(getattr(times, name) for times in found) / processes for name in EpochTimes.model_fields}
    )


def _in_process(request, device):
    """Return the `EpochTimes` that a process measures on a GPU, or on what this process was given."""
    run, execution = request.run, request.run.execution
    ended = subprocess.run(
        [sys.executable, "-m", "compactnet.measure.epoch_time"],
        input=request.model_dump_json(),
        capture_output=True,
        text=True,
        env=job_environment(execution.backend, execution.threads, device, execution.onednn),
        check=False,
    )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["no output"])[-1]
        kind = ResourceError if ended.returncode < 0 else InputError  # killed, for example because memory ran out
        raise kind(f"{run.network.name} cannot be timed, status {ended.returncode}: {last}")
    return EpochTimes.model_validate_json(ended.stdout.splitlines()[-1])


def main():
    """Answer the request on standard input."""
    with output_channel() as channel:
        request = _Request.model_validate_json(sys.stdin.read())
        channel.write(_measure(request).model_dump_json() + "\n")


def _measure(request):
    import keras
    import numpy as np

    from compactnet.environment import use_standard_settings
    from compactnet.experiments.trainers import choose_trainer, compile_model

    run, limit = request.run, request.limit
    use_standard_settings()
    keras.config.set_dtype_policy(run.training.precision)
    model = compile_model(run)
    ends, size = [], run.training.batch_size
    trainer = choose_trainer(
        model,
        _noise(run),
        size,
        lambda done, logs: ends.append(_now(logs)),
        run.execution.implementation,
        stored_bytes=request.samples * run.data.sample_bytes,
    )

    def epoch(batches):
        """Return the seconds of the training and of the evaluation of an epoch."""
        opened = time.perf_counter()
        trainer.run(np.tile(np.arange(size), batches))  # the same batch of noise each time
        closed = time.perf_counter()
        return ends[-1] - opened, closed - ends[-1]

    epoch(BATCHES)  # traces and compiles
    start = time.time() - request.began
    training, evaluation = epoch(BATCHES)
    step = training / BATCHES
    if limit is None or step < limit:
        batches = max(BATCHES, round(SECONDS / step))
        training, evaluation = epoch(batches)
        step = training / batches
    return EpochTimes(start=max(start - BATCHES * step, 0), step=step, evaluation=evaluation / BATCHES)


def _now(logs):
    float(logs["loss"])  # the step has ended when its loss is known
    return time.perf_counter()


def _noise(run):
    """Return a `Dataset` of noise with one batch to train on and `BATCHES` batches to test on."""
    import numpy as np

    from compactnet.data import Dataset, Split

    generator, size, classes = np.random.default_rng(0), run.training.batch_size, run.data.classes

    def split(count):
        samples = generator.random((size, *run.data.sample_shape), np.float32)
        labels = generator.integers(0, classes, count * size)
        return Split(samples, labels, np.tile(np.arange(size), count))

    names = tuple(map(str, range(classes)))
    flat = np.zeros((1, 1, 1), np.float32)
    return Dataset(split(1), split(BATCHES), names, flat, flat + 1, "", {}, True)


if __name__ == "__main__":
    main()
