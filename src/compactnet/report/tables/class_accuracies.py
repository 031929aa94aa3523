"""Accuracy on each class, from the predictions that records keep."""

import numpy as np

from compactnet.report.columns import Column, Table
from compactnet.report.sources import Sources
from compactnet.report.tables.run_rows import longest_runs

NOTE = (
    "Share of the test samples of each class that are classified right, in percent, of the weights after the last "
    "epoch: the mean over the runs whose predictions are kept. *Epochs* says how long they were trained. Numbers "
    "under the classes are those of test samples."
)
COLUMNS = (
    Column("network", "network"),
    Column("model", "model"),
    Column("epochs", "epochs", "d"),
    Column("runs", "runs", "d"),
    Column("accuracy_percent", "all classes", ".2f", link="records"),
)


def class_accuracies(sources: Sources):
    """Return a table for each experiment on real data that has a run with predictions."""
    return [_table(experiment, sources) for experiment in sources.experiments if not experiment.data.generated]


def _table(experiment, sources):
    counts, rows = None, []
    for network in experiment.networks:
        records = [one for one in longest_runs(experiment, network.name, sources) if one.predictions]
        if not records:
            continue
        labels = records[0].predictions.arrays[0]
        counts = np.bincount(labels, minlength=experiment.data.classes)
        right = np.mean([record.predictions.right for record in records], axis=0)
        shares = {
            f"{name}_percent": 100 * right[labels == number].mean()
            for number, name in enumerate(experiment.data.class_names)
            if counts[number]
        }
        rows.append(
            {
                "network": network.name,
                "model": network.title,
                "epochs": records[0].run.training.epochs,
                "runs": len(records),
                "accuracy_percent": 100 * right.mean(),
                "records": records,
                **shares,
            }
        )
    classes = [
        Column(f"{name}_percent", f"{name} ({count:,})", ".1f")
        for name, count in zip(experiment.data.class_names, () if counts is None else counts, strict=bool(rows))
    ]
    title = f"Classes of {experiment.name}: {experiment.data.description}"
    return Table(f"classes_{experiment.name}", title, (NOTE,), (*COLUMNS, *classes), rows)
