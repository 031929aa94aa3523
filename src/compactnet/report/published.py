"""The paper's published values, from results/paper/*.csv."""

import csv
from pathlib import Path

from compactnet.errors import InputError
from compactnet.networks import CATALOGUE
from compactnet.report.comparison import PAPER_RUNS, Sample

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
        raise InputError(f"The published values {path} are missing. Run this from the repository's root.")
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


def published_speeds(folder):
    """Return {network: {"cpu": samples per second, "gpu": samples per second}} of Tables I and II of the paper."""
    return {
        network_of(row["model"]): {device: row[f"{device}_samples_per_s"] for device in ("cpu", "gpu")}
        for table in ("table1", "table2")
        for row in read(folder, table)
    }
