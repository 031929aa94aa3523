"""The networks of runs that kept their weights, and their data."""

from pathlib import Path

from compactnet.errors import InputError
from compactnet.experiments.records import read_record
from compactnet.networks.weights import load_weights


def weights_path(record_path):
    """Return the path of the weights that a run with `--keep-weights` wrote, from the path of its record."""
    path = Path(record_path).resolve()
    records = path.parent.parent
    return records.parent / "weights" / path.parent.name / f"{path.stem}.npz"


def load_trained(record_path):
    """Return the record of a run that kept its weights, and its trained network.

    Args:
        record_path: Path of the record, in the results folder where the run wrote it.

    Returns:
        The `RunRecord` and the Keras model, not compiled.

    Raises:
        InputError: the file is not a record, or the weights are missing or those of another run.
    """
    record = read_record(record_path)
    model = record.run.build()
    load_weights(weights_path(record_path), model, record.weights_sha256)
    return record, model


def load_data(record, data_folder):
    """Return the data set that a run was trained on.

    Args:
        record: Its `RunRecord`.
        data_folder: The data folder.

    Raises:
        InputError: the data are missing, or not those of the run.
    """
    dataset = record.run.data.load(data_folder)
    if dataset.fingerprint != record.fingerprint:
        raise InputError(f"{data_folder} does not hold the data that the run was trained on. Give their folder.")
    return dataset
