"""What a study will take: cells, data and hours on this machine, from a few measured steps of each network."""

import math
import os
from dataclasses import dataclass

from tqdm import tqdm

from compactnet.experiments.study import backend, key_of, same_budget
from compactnet.experiments.timed_epoch import timed_epoch
from compactnet.processes import visible_gpus


@dataclass(frozen=True)
class NetworkPlan:
    """What the cells of one network take.

    Attributes:
        network: Its name in the study.
        done: Cells whose record is there.
        left: Cells to train.
        step_seconds: Time of a training step.
        cell_hours: Hours of one cell, evaluation and start included.
    """

    network: str
    done: int
    left: int
    step_seconds: float
    cell_hours: float


@dataclass(frozen=True)
class Plan:
    """What a study takes.

    Attributes:
        networks: A `NetworkPlan` for each network with cells to train.
        cells: Number of cells.
        done: How many have their record.
        download_gigabytes: Size of the official archives, 0 for generated data.
        sample_gigabytes: Size of all samples as networks read them, in units of 1e9 bytes.
        at_once: How many cells this machine trains at once without sharing a core or a GPU.
        hours: Hours for all that is left on this machine.
    """

    networks: tuple
    cells: int
    done: int
    download_gigabytes: float
    sample_gigabytes: float
    at_once: int
    hours: float


def plan(config, cells, records, data_folder, workers=1, stream=None):
    """Measure and reckon; nothing is trained.

    Args:
        config: The `StudyConfig`.
        cells: Its `Cell`s.
        records: The records that are there.
        data_folder: Folder that holds the data set, which is read only where it is not the official one.
        workers: Number of cells trained at once.
        stream: Where the progress bar goes; standard error if left out.

    Returns:
        A `Plan`.

    Raises:
        InputError: data that are not official are missing, or a network cannot be timed.
    """
    by_key = {}
    for record in records:
        by_key.setdefault(key_of(record), []).append(record["protocol"])
    done = [cell for cell in cells if any(_same(protocol, cell) for protocol in by_key.get(cell.key, ()))]
    left = [cell for cell in cells if cell not in done]
    counts = {}
    for cell in cells:
        if cell.part not in counts:
            counts[cell.part] = _counts(cell.data, data_folder)
    networks = []
    for name in tqdm(dict.fromkeys(cell.network for cell in left), desc="timing", unit="network", file=stream):
        of_network = [cell for cell in left if cell.network == name]
        times = timed_epoch(config, name, backend(), sum(counts[of_network[0].part]))
        seconds = [
            times.start + config.training.epochs * _epoch(config, times, *counts[cell.part]) for cell in of_network
        ]
        networks.append(
            NetworkPlan(
                name,
                sum(cell.network == name for cell in done),
                len(of_network),
                times.step,
                sum(seconds) / len(seconds) / 3600,
            )
        )
    # Runs that share a core or a GPU take turns at it.
    at_once = max(1, min(workers, (os.cpu_count() or 1) // config.threads, len(visible_gpus()) or workers))
    train, test = next(iter(counts.values()))
    height, width, channels = config.data.sample_shape
    itemsize = {"float16": 2}.get(getattr(config.data, "storage", "float32"), 4)
    return Plan(
        networks=tuple(networks),
        cells=len(cells),
        done=len(done),
        download_gigabytes=config.data.download.gigabytes if config.data.official_fingerprint else 0.0,
        sample_gigabytes=(train + test) * height * width * channels * itemsize / 1e9,
        at_once=at_once,
        hours=sum(network.left * network.cell_hours for network in networks) / at_once,
    )


def _same(protocol, cell):
    """Say whether a record is the cell's, as far as can be told without reading the data."""
    executed = (protocol["backend"], protocol["threads"]) == (cell.protocol["backend"], cell.protocol["threads"])
    return executed and same_budget(protocol, cell.protocol)


def _counts(data, folder):
    """Return the numbers of training and test samples."""
    if data.official_fingerprint:
        return data.official_counts()
    dataset = data.load(folder)
    return len(dataset.train), len(dataset.test)


def _epoch(config, times, train, test):
    """Return the seconds of an epoch and its evaluation."""
    batch = config.training.batch_size
    return math.ceil(train / batch) * times.step + math.ceil(test / batch) * times.evaluation
