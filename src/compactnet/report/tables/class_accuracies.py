"""Accuracy on each class, from the predictions that records keep."""

import numpy as np

from compactnet.report.columns import Column, Table
from compactnet.report.sources import Sources
from compactnet.report.tables.run_rows import longest_runs

NOTE = (
    "Share of the test samples of each class that are classified correctly, in percent, by the weights after the last "
    "epoch: the mean over the runs whose predictions are kept. They follow the config or, where no such runs are, are "
    "the longest shorter runs on all data: *epochs* says which. Compare rows with equal epochs only, and none with the "
    "paper."
)
COLUMNS = (
    Column("network", "network"),
    Column("model", "model"),
    Column("epochs", "epochs", "d"),
    Column("runs", "runs", "d"),
    Column("test_samples", "test samples", "d"),
    Column("accuracy_percent", "all classes", ".2f", link="records"),
)


def class_accuracies(sources: Sources):
    """Return a table for each experiment on real data that has a run with predictions."""
    return [_table(experiment, sources) for experiment in sources.real]


def _table(experiment, sources):
    names = experiment.data.class_names
    rows = []
    for network in experiment.networks:
        records = longest_runs(experiment, network.name, sources, usable=lambda record: record.predictions)
        if records:
            shares = np.array([_shares(record, len(names)) for record in records])
            rows.append(
                {
                    "network": network.name,
                    "model": network.title,
                    "epochs": records[0].run.training.epochs,
                    "runs": len(records),
                    "test_samples": min(record.coverage["test"].used for record in records),
                    "accuracy_percent": 100 * np.mean([record.predictions.accuracy for record in records]),
                    "records": records,
                    **{
                        f"{name}_percent": 100 * np.nanmean(of_class)
                        for name, of_class in zip(names, shares.T, strict=True)
                        if not np.isnan(of_class).all()
                    },
                }
            )
    classes = [Column(f"{name}_percent", name, ".1f") for name in names]
    title = f"Classes of {experiment.name}: {experiment.data.description}"
    notes = (*filter(None, [experiment.note]), NOTE)
    return Table(f"classes_{experiment.name}", title, notes, (*COLUMNS, *classes), rows)


def _shares(record, classes):
    """Return the share of correct predictions of each class, NaN where the test split has none of it."""
    labels, right = record.predictions.arrays[0], record.predictions.right
    return [right[labels == number].mean() if (labels == number).any() else np.nan for number in range(classes)]
