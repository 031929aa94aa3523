"""What the tables of runs share: runs grouped over seeds and folds, and a row for each group."""

import json

from compactnet.networks import CATALOGUE
from compactnet.report.columns import Column
from compactnet.report.comparison import accuracy, sampling_std
from compactnet.report.tables.accuracy_columns import samples_used

ACCURACIES = (
    Column("runs", "runs", "d"),
    Column("accuracy_last_epoch_percent", "accuracy, last epoch, %", ".2f", link="records"),
    Column("std", "std", ".2f"),
    Column("sampling_std", "std over test sets", ".2f"),
    Column("recalibrated_accuracy_percent", "recalibrated, %", ".2f"),
    Column("accuracy_best_epoch_percent", "accuracy, best epoch, %", ".2f"),
)
ACCURACIES_NOTE = (
    "*Std over test sets* is the standard deviation in percentage points that the accuracy of one network would have "
    "over many test sets of this size. *Recalibrated* is the accuracy of the same weights with the statistics of batch "
    "normalization taken from 100 training batches anew; it tells how far the moving statistics lag behind, and is "
    "never the result."
)
COLUMNS = (
    Column("experiment", "experiment"),
    Column("network", "network"),
    Column("model", "model"),
    Column("data", "data"),
    Column("test_folds", "test folds"),
    Column("epochs", "epochs", "d"),
    Column("samples_used", "samples used"),
    Column("training_samples", "training samples"),
    Column("test_samples", "test samples"),
    *ACCURACIES,
    Column("parameters", "parameters", "d"),
    Column("batch_size", "batch size", "d"),
    Column("learning_rate", "learning rate", "g"),
    Column("precision", "precision"),
    Column("backend", "backend"),
    Column("minutes_a_run", "minutes per run", ".2f"),
    Column("changed_from_the_config", "changed from the config"),
)


def accuracy_row(records):
    """Return the values of `ACCURACIES`, and what they link to."""
    last = accuracy(records)
    recalibrated = [record.recalibrated_accuracy for record in records]
    return {
        "runs": last.runs,
        "accuracy_last_epoch_percent": last.mean,
        "std": last.std,
        "sampling_std": sampling_std(last.mean, min(record.coverage["test"].used for record in records)),
        # A mean over some of the runs would not be comparable with that of all.
        "recalibrated_accuracy_percent": None if None in recalibrated else 100 * sum(recalibrated) / len(records),
        "accuracy_best_epoch_percent": accuracy(records, "best").mean,
        "records": records,
    }


def minutes_per_run(records):
    """Return the mean duration of runs in minutes."""
    return sum(record.duration_seconds for record in records) / len(records) / 60


def longest_runs(experiment, network, sources, usable=lambda record: True):
    """Return the records of a network that follow a config, or else those of its longest shorter runs on all data.

    The arguments are those of `runs_by_epochs`; the records have equal training, one for each seed and fold.
    """
    found = runs_by_epochs(experiment, network, sources, usable)
    return found.get(max((epochs for epochs in found if epochs <= experiment.training.epochs), default=None), [])


def runs_by_epochs(experiment, network, sources, usable=lambda record: True):
    """Return the records of a network on all data that follow a config but for their number of epochs.

    Args:
        experiment: The `Experiment`.
        network: Name of the network.
        sources: The `Sources`.
        usable: Function of a record that says whether it counts.

    Returns:
        {epochs: `RunRecord`s, one for each seed and fold}
    """
    planned = {run.key: run for run in experiment.runs([network])}
    shorter = {}
    for record in sorted(sources.others, key=lambda record: record.finished):
        run, config = record.run, planned.get(record.run.key)
        whole = all(split.used == split.total for split in record.coverage.values())
        if not config or not whole or not usable(record):
            continue
        training = config.training.model_copy(update={"epochs": run.training.epochs})
        if run.budget == config.model_copy(update={"training": training}).budget:
            shorter.setdefault(run.training.epochs, {})[run.key] = record
    found = {epochs: list(by_key.values()) for epochs, by_key in shorter.items()}
    members = [record for record in sources.records_of(experiment.name, network) if usable(record)]
    return found | ({experiment.training.epochs: members} if members else {})


def run_rows(records, sources):
    """Return a row with the values of `COLUMNS` for each network and budget, over seeds and planned folds.

    Args:
        records: `RunRecord`s. If two have the same run and budget, with different thread counts, the one
            finished last counts.
        sources: The `Sources`, whose experiments say what was changed.
    """
    groups = {}
    for record in sorted(records, key=lambda record: record.finished):
        groups.setdefault(_shared(record, sources), {})[record.run.key] = record
    return [_row(list(by_key.values()), sources) for by_key in sorted(groups.values(), key=_place)]


def _shared(record, sources):
    """Return what runs must share to be averaged: all but the seed, the threads and, if it is planned, the fold."""
    run = record.run
    budget = {name: value for name, value in run.budget.items() if name != "seed"}
    if run.key in sources.planned:
        (experiment,) = (one for one in sources.experiments if one.name == run.experiment)
        first, *folds = [fold.protocol() for fold in experiment.data.folds()]
        of_fold = {name for name in first if any(fold.get(name) != first[name] for fold in folds)}
        budget["data"] = {name: value for name, value in budget["data"].items() if name not in of_fold}
    shared = [run.execution.title, record.fingerprint, budget]
    return run.experiment, run.network.name, json.dumps(shared, sort_keys=True)


def _place(by_key):
    run = next(iter(by_key.values())).run
    name, order = run.network.name, list(CATALOGUE)
    return run.experiment, order.index(name) if name in order else len(order), name, run.training.epochs


def _row(records, sources):
    run, coverage = records[0].run, records[0].coverage
    folds = {record.run.data.fold_name.removeprefix("fold") for record in records}
    return {
        "experiment": run.experiment,
        "network": run.network.name,
        "model": run.network.title,
        "data": run.data.name + (" layout, generated data" if run.data.generated else ""),
        "test_folds": " ".join(sorted(folds, key=lambda fold: (len(fold), fold))),
        "epochs": run.training.epochs,
        "samples_used": f"{samples_used(records)} {run.data.unit}",
        "training_samples": f"{coverage['train'].used} of {coverage['train'].total}",
        "test_samples": f"{coverage['test'].used} of {coverage['test'].total}",
        **accuracy_row(records),
        "parameters": records[0].params,
        "batch_size": run.training.batch_size,
        "learning_rate": run.training.learning_rate,
        "precision": run.training.precision,
        "backend": run.execution.title,
        "minutes_a_run": minutes_per_run(records),
        "changed_from_the_config": _changes(run, sources.planned),
    }


def _changes(run, planned):
    """Return the fields of a run's budget that differ from its config's, as text."""
    # The planned run itself or, for another fold or seed, one of the same network.
    alike = (one for length in (4, 3, 2) for key, one in planned.items() if key[:length] == run.key[:length])
    config = next(alike, None)
    if config is None:
        return "(configs/ has no such experiment with this network)"
    before, after = dict(flatten(config.budget)), dict(flatten(run.budget))
    names = sorted(before | after)
    return ", ".join(f"{name}={after.get(name)}" for name in names if after.get(name) != before.get(name))


def flatten(fields, prefix=""):
    """Yield the pairs (dotted key, value) of nested plain data, such as a budget."""
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
