"""The paper's published values, from results/paper/*.csv."""

import csv
import math
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

from compactnet.errors import InputError
from compactnet.measure.conventions import ASC_INPUT, published_mflops
from compactnet.measure.speed_records import PAPER_WORK
from compactnet.networks import CATALOGUE
from compactnet.report.comparison import PAPER_RUNS, Sample
from compactnet.schema import Training

PUBLISHED_TASKS = MappingProxyType({"asc": "table3", "sed": "table4", "ic": "table4"})
"""The paper's tables with the accuracies of a task."""
INTERPOLATED = ("mobilenet_v1_025", "mobilenet_v1_050", "mobilenet_v1_100")
NETWORK_OF_TITLE = {spec.title: name for name, spec in CATALOGUE.items()}


def read(folder, table):
    """Return the rows of a published table as dicts, in the paper's order; a missing number is None.

    Args:
        folder: Folder with the files, `results/paper` in the repository.
        table: Name without the ending, such as "table4".

    Raises:
        InputError: the file is missing.
    """
    path = Path(folder) / f"{table}.csv"
    if not path.is_file():
        raise InputError(f"The published values {path} are missing. Restore the file with git.")
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {name: text if name == "model" else _number(text) for name, text in row.items()}
            for row in csv.DictReader(file)
        ]


def _number(text):
    if not text:
        return None
    return int(text) if text.isdigit() else float(text)


def network_of(model, operation="sum"):
    """Return the catalogue name of a row of the paper.

    Args:
        model: The row's name. Table I leaves the operation out: "VGG-like CompactNet (C=2)".
        operation: The operation meant where the row's name leaves it out.
    """
    letter = {"sum": "S", "max": "M", "average": "A"}[operation]
    return NETWORK_OF_TITLE[model.replace("CompactNet (", f"CompactNet-{letter} (")]


def networks(folder, table):
    """Return the catalogue names of a published table's rows."""
    return [network_of(row["model"]) for row in read(folder, table)]


def published_accuracy(row, task):
    """Return the `Sample` of a row's accuracy in Table III or IV of the paper.

    Args:
        row: A row of `read`.
        task: "asc", "sed" or "ic".
    """
    return Sample(row[f"{task}_accuracy_percent"], row[f"{task}_accuracy_std"], PAPER_RUNS)


def is_papers_network(network):
    """Say whether a `Network` of an experiment is the catalogue's of its name, but for padding, which the size of
    images decides."""
    if network.name not in CATALOGUE:
        return False
    ours, papers = network.architecture(), CATALOGUE[network.name].architecture()
    for architecture in (ours, papers):
        architecture["skeleton"].pop("padding", None)
    return ours == papers


def is_papers_training(training):
    """Say whether a `Training` is the paper's, but for the epochs, which it does not state."""
    return training == Training(epochs=training.epochs)


def published_accuracies(folder, table, task):
    """Return {network: `Sample`} of a task in Table III or IV of the paper."""
    return {network_of(row["model"]): published_accuracy(row, task) for row in read(folder, table)}


def published_terms(folder, counts, data, network):
    """Return the accuracy of a network in the paper as pairs (weight, `Sample`) whose sum it is, or None.

    A MobileNet v1 of a width that the paper lacks lies between those of the next widths, linearly in the logarithm of
    its FLOPs.

    Args:
        folder: Folder with the published values.
        counts: A `CountCache`.
        data: The section of the data set.
        network: The `Network`.
    """
    table, task = data.paper_table, data.paper_task
    accuracies = published_accuracies(folder, table, task) if table else {}
    if network.name in accuracies and is_papers_network(network):
        return [(1.0, accuracies[network.name])]
    plain = CATALOGUE[INTERPOLATED[0]]
    of_plain = (network.skeleton.kind, network.convolution) == (plain.skeleton.kind, plain.convolution)
    if not of_plain or not set(INTERPOLATED) <= set(accuracies):
        return None
    mflops = counts.get(network.name, network, ASC_INPUT).mflops
    # On the paper's scale, where its own networks are.
    return _between_mobilenets(folder, task, round(published_mflops(task, mflops, network), 1))


def equal_flops_terms(folder, task, network):
    """Return the accuracy of a MobileNet v1 with the FLOPs of a network of the paper, as `published_terms` does."""
    flops = {network_of(row["model"]): row[f"{task}_mflops"] for row in read(folder, PUBLISHED_TASKS[task])}
    return _between_mobilenets(folder, task, flops[network])


def _between_mobilenets(folder, task, mflops):
    rows = {network_of(row["model"]): row for row in read(folder, PUBLISHED_TASKS[task])}
    points = {rows[name][f"{task}_mflops"]: published_accuracy(rows[name], task) for name in INTERPOLATED}
    return interpolation(mflops, points)


def interpolation(mflops, points):
    """Return the pairs (weight, `Sample`) whose sum lies between two points, linearly in log FLOPs.

    Args:
        mflops: Where, in MFLOPs.
        points: {MFLOPs: `Sample`}, at least two; outside of them, None is returned.
    """
    known = sorted(points)
    for low, high in pairwise(known):
        if low <= mflops <= high:
            share = math.log(mflops / low) / math.log(high / low)
            return [(1 - share, points[low]), (share, points[high])]
    return None


def published_speeds(folder):
    """Return {network: {"cpu": samples per second, "gpu": samples per second}} of Tables I and II of the paper."""
    return {
        network_of(row["model"]): {device: row[f"{device}_samples_per_s"] for device in ("cpu", "gpu")}
        for table in ("table1", "table2")
        for row in read(folder, table)
    }


def published_speedup(speeds, record, timings):
    """Return how many times as fast as the record's first network a network is in the paper, or None.

    Args:
        speeds: What `published_speeds` returns.
        record: A `SpeedRecord`. The paper timed what `PAPER_WORK` says.
        timings: The network's `Timings` in it.
    """
    baseline, work = record.networks[0].network, record.work
    if not {baseline, timings.network} <= speeds.keys():
        return None
    if any(getattr(work, field) != value for field, value in PAPER_WORK.items()):
        return None
    return speeds[timings.network][work.device] / speeds[baseline][work.device]
