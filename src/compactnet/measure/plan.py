"""What an experiment will take: runs, data and hours on this machine, from a few measured steps of each network."""

import math
import os
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from compactnet.measure.epoch_time import measure_epoch
from compactnet.processes import visible_gpus


@dataclass(frozen=True)
class NetworkPlan:
    """What the runs of one network take.

    Attributes:
        network: Its name in the experiment.
        left: Number of runs to train.
        step_seconds: Time of a training step.
        run_hours: Hours of one run, evaluation and start included.
    """

    network: str
    left: int
    step_seconds: float
    run_hours: float


@dataclass(frozen=True)
class Plan:
    """What an experiment takes.

    Attributes:
        networks: A `NetworkPlan` for each network with runs to train.
        runs: Number of runs.
        done: Number of runs that have a record.
        download_gigabytes: Size of the official archives, 0 for generated data.
        sample_gigabytes: Size of all samples as networks read them, in units of 1e9 bytes.
        parallel: Number of runs that this machine trains at once without sharing a core or a GPU.
        hours: Hours for all runs to train on this machine.
    """

    networks: tuple
    runs: int
    done: int
    download_gigabytes: float
    sample_gigabytes: float
    parallel: int
    hours: float


def plan(runs, records, data_folder, workers=1, stream=None):
    """Estimate what runs take. Nothing is trained.

    Args:
        runs: The `Run`s of an experiment.
        records: The `RunRecord`s that exist.
        data_folder: Folder of the data sets, which are read only where they are not the official ones.
        workers: Number of runs trained at once.
        stream: Stream for the progress bar; standard error if left out.

    Returns:
        A `Plan`.

    Raises:
        InputError: data that are not official are missing, or a network cannot be timed.
    """
    left = [run for run in runs if not any(_same(record, run) for record in records)]
    counts = {}
    for run in runs:
        if run.data.fold_name not in counts:
            counts[run.data.fold_name] = _count_samples(run.data, data_folder)
    networks = []
    for name in tqdm(dict.fromkeys(run.network.name for run in left), desc="timing", unit="network", file=stream):
        of_network = [run for run in left if run.network.name == name]
        times = measure_epoch(of_network[0], sum(counts[of_network[0].data.fold_name]))
        hours = [_run_seconds(run, times, *counts[run.data.fold_name]) / 3600 for run in of_network]
        networks.append(NetworkPlan(name, len(of_network), times.step, sum(hours) / len(hours)))
    # Runs that share a core or a GPU take turns.
    threads, data = runs[0].execution.threads, runs[0].data
    parallel = max(1, min(workers, (os.cpu_count() or 1) // threads, len(visible_gpus()) or workers))
    itemsize = np.dtype(getattr(data, "storage", "float32")).itemsize
    return Plan(
        networks=tuple(networks),
        runs=len(runs),
        done=len(runs) - len(left),
        download_gigabytes=data.download.gigabytes if data.official_fingerprint else 0.0,
        sample_gigabytes=sum(counts[data.fold_name]) * math.prod(data.sample_shape) * itemsize / 1e9,
        parallel=parallel,
        hours=sum(network.left * network.run_hours for network in networks) / parallel,
    )


def _same(record, run):
    """Say whether a record is the run's, as far as can be told without reading the data."""
    done = record.run
    fits = (done.key, done.execution, done.budget) == (run.key, run.execution, run.budget)
    return fits and record.fingerprint.startswith(run.data.official_fingerprint)


def _count_samples(fold, folder):
    """Return the numbers of training and test samples."""
    if fold.official_fingerprint:
        return fold.official_counts()
    dataset = fold.load(folder)
    return len(dataset.train), len(dataset.test)


def _run_seconds(run, times, train, test):
    """Return the seconds of a run: its start, and all epochs with their evaluation."""
    batch = run.training.batch_size
    epoch = math.ceil(train / batch) * times.step + math.ceil(test / batch) * times.evaluation
    return times.start + run.training.epochs * epoch
