"""What Tables III and IV share: our accuracies next to the paper's."""

from dataclasses import replace

from compactnet.report.columns import MODEL, Column, Section
from compactnet.report.comparison import CONFIDENCE, PAPER_RUNS, accuracy, difference
from compactnet.report.published import published_accuracy

ACCURACY_NOTE = (
    "Accuracies are test accuracies in percent after the last epoch, as mean and standard deviation over the runs; the "
    "best epoch has a column of its own. They come only from runs that follow the named config; without such a run "
    "they are empty. The difference is ours minus the paper's, with its 95 % confidence interval by Welch if there are "
    "two runs or more. Runs on several folds are not repetitions, so they have no interval. The paper does not say how "
    f"many runs its means have. We assume {PAPER_RUNS}: each mean is an even number of hundredths, as means of five "
    "accuracies with one decimal are. *Done* counts runs, of those planned; the last column counts the samples used, "
    "of those in the data set."
)


def accuracy_columns(experiment):
    """Return the accuracy `Column`s of an experiment."""
    name = experiment.name
    return (
        Column(f"{name}_accuracy_published", "paper, %", ".2f"),
        Column(f"{name}_accuracy_published_std", "std", ".2f"),
        Column(f"{name}_accuracy", "ours, %", ".2f", link=f"{name}_records"),
        Column(f"{name}_accuracy_std", "std", ".2f"),
        Column(f"{name}_runs", "runs", "d"),
        Column(f"{name}_accuracy_difference", "difference", ".2f", lambda row: _style(row, name)),
        Column(f"{name}_accuracy_difference_low", "from", ".2f"),
        Column(f"{name}_accuracy_difference_high", "to", ".2f"),
        Column(f"{name}_accuracy_best_epoch", "ours, best epoch, %", ".2f"),
        Column(f"{name}_runs_done", "done"),
        Column(f"{name}_samples", experiment.data.unit),
    )


def accuracy_section(experiment, rows):
    """Return the `Section` with the accuracies of an experiment, and how many of its rows differ from the paper."""
    title = f"Accuracy, {experiment.data.description} (configs/{experiment.name}.yaml)"
    differ, tested = rows_that_differ(experiment, rows)
    note = (
        f"{differ} of {tested} rows with an interval differ significantly from the paper; "
        f"{(1 - CONFIDENCE) * tested:.2g} would be expected by chance."
    )
    return Section(title, (MODEL, *accuracy_columns(experiment)), note if tested else "")


def rows_that_differ(experiment, rows):
    """Return (how many rows differ significantly from the paper, how many have an interval)."""
    tested = [style for row in rows if (style := _style(row, experiment.name)) in ("above", "below", "same")]
    return sum(style != "same" for style in tested), len(tested)


def accuracy_values(experiment, printed, network, sources):
    """Return the values of the accuracy columns for a network.

    Args:
        experiment: The `Experiment`.
        printed: The network's row in the paper's table.
        network: Its name.
        sources: The `Sources`.

    Returns:
        {column: value}, empty if the experiment does not have the network.
    """
    if all(one.name != network for one in experiment.networks):
        return {}
    records = sources.records_of(experiment.name, network)
    paper = published_accuracy(printed, experiment.data.paper_task)
    values = {
        "accuracy_published": paper.mean,
        "accuracy_published_std": paper.std,
        "runs_done": runs_done(experiment, network, sources),
    }
    if records:
        ours = accuracy(records)
        apart = difference(repeated(experiment, ours), paper)
        values |= {
            "accuracy": ours.mean,
            "accuracy_std": ours.std,
            "runs": ours.runs,
            "accuracy_difference": apart.value,
            "accuracy_difference_low": apart.low,
            "accuracy_difference_high": apart.high,
            "accuracy_best_epoch": accuracy(records, "best").mean,
            "samples": samples_used(records),
            "records": records,
        }
    return {f"{experiment.name}_{name}": value for name, value in values.items()}


def repeated(experiment, of):
    """Return a `Sample` of an experiment's runs, without its standard deviation where these are of several folds:
    they are no repetitions, and a difference then has no interval."""
    return of if len(experiment.data.folds()) == 1 else replace(of, std=None)


def _style(row, name):
    low, high = (row.get(f"{name}_accuracy_difference_{end}") for end in ("low", "high"))
    if low is None:
        return "unknown" if f"{name}_accuracy_difference" in row else ""
    return "above" if low > 0 else "below" if high < 0 else "same"


def runs_done(experiment, network, sources):
    """Return how many runs of a network are done of those planned, and how many failed, as text."""
    planned = len(experiment.runs([network]))
    failed = sum(failure.run.network.name == network for failure in sources.failures[experiment.name])
    done = f"{len(sources.records_of(experiment.name, network))} of {planned}"
    return f"{done}, {failed} failed" if failed else done


def samples_used(records):
    """Return how many samples runs used of how many, as text: the fewest where they differ."""
    used = min(sum(split.used for split in record.coverage.values()) for record in records)
    return f"{used:,} of {sum(split.total for split in records[0].coverage.values()):,}"
