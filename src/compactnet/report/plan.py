"""What a study will take: cells, data and hours on this machine, from a few measured steps of each network."""

import math
import os
import time
from dataclasses import dataclass

from compactnet.experiments.study import backend, key_of, same_budget
from compactnet.measure.side_by_side import Work, side_by_side

STEPS = 6
"""Timed steps of each network."""

EVALUATION = 1 / 3
"""An evaluated batch's time in training steps: a step goes forward once and, for weights and for inputs, back."""


@dataclass(frozen=True)
class NetworkPlan:
    """What the cells of one network take.

    Attributes:
        network: Its name in the study.
        done: Cells whose record is there.
        left: Cells to train.
        step_seconds: Median time of a training step.
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
        at_once: How many cells this machine trains at once without sharing a core.
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
    height, width, channels = config.data.sample_shape
    shape = (*(config.data.resize_to or (height, width)), channels)
    networks = []
    for name in dict.fromkeys(cell.network for cell in left):
        of_network = [cell for cell in left if cell.network == name]
        work = Work("training", backend(), "cpu", shape, config.training.batch_size, config.threads)
        began = time.monotonic()
        session = side_by_side({name: of_network[0].spec}, work, rounds=1, calls=STEPS, stream=stream)
        (timing,) = session.timings
        start = time.monotonic() - began - timing.seconds.sum()
        step = timing.quartiles[1]
        seconds = [start + config.training.epochs * step * _steps(config, *counts[cell.part]) for cell in of_network]
        networks.append(
            NetworkPlan(
                name,
                sum(cell.network == name for cell in done),
                len(of_network),
                step,
                sum(seconds) / len(seconds) / 3600,
            )
        )
    at_once = max(1, min(workers, (os.cpu_count() or 1) // config.threads))
    train, test = next(iter(counts.values()))
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


def _steps(config, train, test):
    """Return the training steps that an epoch and its evaluation are worth."""
    batch = config.training.batch_size
    return math.ceil(train / batch) + EVALUATION * math.ceil(test / batch)
