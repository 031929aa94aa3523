"""What an experiment will take: runs, data and hours on this machine, from a few measured steps of each network."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compactnet.experiments.evaluation import few_steps
from compactnet.measure.executions import choose_executions, of_these_data, run_seconds


@dataclass(frozen=True)
class NetworkPlan:
    """What the runs of one network take.

    Attributes:
        network: Its name in the experiment.
        left: Number of runs to train.
        execution: The `Execution` that is fastest here.
        step_seconds: Time of a training step.
        run_hours: Hours of one run, evaluation and start included.
    """

    network: str
    left: int
    execution: object
    step_seconds: float
    run_hours: float


@dataclass(frozen=True)
class Plan:
    """What an experiment takes.

    Attributes:
        networks: A `NetworkPlan` for each network with runs to train.
        runs: Number of runs.
        done: Number of runs that have a record.
        download_gigabytes: Size of the official archives, 0 for generated data and where the data are there already.
        sample_gigabytes: Size of all samples as networks read them, in units of 1e9 bytes.
        hours: {(threads, runs at once): hours for all runs to train}, of what was compared; the recommended one first.
            Empty where nothing is left.
        machine: Where it was measured, or None where nothing was.
        warnings: Sentences about networks that train for too few steps.
    """

    networks: tuple
    runs: int
    done: int
    download_gigabytes: float
    sample_gigabytes: float
    hours: dict
    machine: str | None
    warnings: tuple


def plan(experiment, runs, records, data_folder, results, workers=None, stream=None):
    """Estimate what runs take. Nothing is trained.

    Args:
        experiment: The `Experiment`.
        runs: Some of its `Run`s.
        records: The `RunRecord`s that exist.
        data_folder: Folder of the data sets, which are read only where they are not the official ones.
        results: Path of the results folder; the measured executions are kept there.
        workers: Number of runs trained at once; None for the fastest.
        stream: Stream for the progress bar; standard error if left out.

    Returns:
        A `Plan`.

    Raises:
        InputError: data that are not official are missing, or a network cannot be timed.
    """
    counts, fingerprints = {}, {}
    for name, fold in {run.data.fold_name: run.data for run in runs}.items():
        if fold.official_fingerprint:
            counts[name] = fold.official_counts()
        else:
            dataset = fold.load(data_folder)
            counts[name], fingerprints[name] = (len(dataset.train), len(dataset.test)), dataset.fingerprint
    records = of_these_data(records, fingerprints)
    choice = choose_executions(experiment, runs, records, counts, results, workers, measure_all=True, stream=stream)
    networks = []
    for name, (best, *_) in choice.networks.items():
        left = [run for run in choice.left if run.network.name == name]
        hours = [run_seconds(run, best.times, *counts[run.data.fold_name]) / 3600 for run in left]
        networks.append(NetworkPlan(name, len(left), best.execution, best.times.step, sum(hours) / len(hours)))
    data = runs[0].data
    itemsize = np.dtype(getattr(data, "storage", "float32")).itemsize
    return Plan(
        networks=tuple(networks),
        runs=len(runs),
        done=len(runs) - len(choice.left),
        download_gigabytes=_to_download(data, Path(data_folder)),
        sample_gigabytes=sum(counts[data.fold_name]) * math.prod(data.sample_shape) * itemsize / 1e9,
        hours=choice.hours,
        machine=choice.machine,
        warnings=tuple(few_steps(runs, {name: train for name, (train, _) in counts.items()})),
    )


def _to_download(data, folder):
    """Return the gigabytes of the archives of data that are not there yet."""
    there = not data.official_fingerprint or (folder / data.download.folder).is_dir()
    return 0.0 if there else data.download.gigabytes
