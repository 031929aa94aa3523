"""The paper's published figures, as results/paper/*.csv hold them."""

from pathlib import Path

import pandas as pd

from compactnet.errors import InputError
from compactnet.networks import CATALOGUE

NETWORK_OF_TITLE = {spec.title: name for name, spec in CATALOGUE.items()}


def read(folder, table):
    """Return a published table as a data frame, in the paper's order.

    Args:
        folder: Folder with the files, `results/paper` in the repository.
        table: Name without the ending, such as "table4".

    Raises:
        InputError: the file is missing.
    """
    path = Path(folder) / f"{table}.csv"
    if not path.is_file():
        raise InputError(f"The published figures {path} are missing. Run this from the repository's root.")
    return pd.read_csv(path)


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
    return [network_of(model) for model in read(folder, table)["model"]]
