"""Sizes that the paper's images may have had: which of them our runs rule out."""

from compactnet.checks import format_shape
from compactnet.report.columns import Column, Table
from compactnet.report.published import (
    PUBLISHED_TASKS,
    is_papers_network,
    is_papers_training,
    published_accuracies,
)
from compactnet.report.sources import Sources
from compactnet.report.tables.verdicts import NOT_ENOUGH, PROVISIONAL, verdict_of

EXPERIMENTS = tuple(
    f"evidence-size-{name}"
    for name in (
        "32-mobilenet-025",
        "64-mobilenet-025",
        "32-mobilenet-100",
        "64-mobilenet-100",
        "32-vgg8",
        "32-resnet50",
    )
)
"""Experiments that are made for this table."""
MARGIN = 3.0
"""Percentage points below the printed mean at which a size is rejected."""
LAST_PART = 1 / 3
"""Share of the epochs at the end of a run in which it must no longer improve."""
IMPROVEMENT = 0.5
"""Percentage points that the best accuracy of a run, and the mean, may gain in that part."""

REJECTED = "rejected"
NOT_REJECTED = "not rejected"
IMPROVING = "still improving"
STYLES = {REJECTED: "apart", NOT_REJECTED: "same", IMPROVING: "unknown", NOT_ENOUGH: "unknown"}

NOTES = (
    "Which size did the paper's images have? Its FLOPs are those of 224x224, its text names 32x32. A size is "
    f"*{REJECTED}* for a network where the best epoch of all its runs stays {MARGIN:g} points below the printed mean, "
    "although the run that has it no longer improves: in the last third of its epochs, neither its best accuracy nor "
    f"its mean, against that of the third before, rises by more than {IMPROVEMENT:g} points. The rule was written "
    "before the first run finished, but for the condition on the mean. That one was added when a lucky epoch hid that "
    "a run of 10 epochs was still learning, and it can only keep a size from being rejected.",
    "The best epoch is chosen by the test accuracy, which favours the size. One network that is rejected is enough to "
    f"doubt a size, but {MARGIN:g} points are little where the paper's own runs spread widely: its standard deviation "
    "stands beside. A size is rejected for the training of the config, without augmentation or another learning rate. "
    "Verdicts are *provisional* while planned runs are missing.",
)
COLUMNS = (
    Column("size", "size"),
    Column("model", "network"),
    Column("experiment", "experiment"),
    Column("epochs", "epochs", "d"),
    Column("runs", "runs"),
    Column("best_epoch_percent", "best epoch, %", ".2f", link="records"),
    Column("gain", "rise in the last third", ".2f"),
    Column("published_percent", "paper, %", ".2f"),
    Column("published_std", "std", ".2f"),
    Column("difference", "difference", ".2f"),
    Column("verdict", "verdict", style=lambda row: STYLES[verdict_of(row)]),
)


def image_sizes(sources: Sources):
    """Return a row for each network of the paper and each experiment on its images."""
    published = published_accuracies(sources.published, PUBLISHED_TASKS["ic"], "ic")
    rows = []
    for experiment in sources.experiments:
        data = experiment.data
        if data.source != "cifar10" or not data.complete or not is_papers_training(experiment.training):
            continue
        for network in experiment.networks:
            records = sources.records_of(experiment.name, network.name)
            # The runs of experiments that were not made for this question answer it too, if they are not all borrowed.
            asked = sources.list_unstarted and experiment.name in EXPERIMENTS
            own = any(record.run.experiment == experiment.name for record in records)
            if network.name in published and is_papers_network(network) and (own or asked):
                rows.append(_row(experiment, network, records, published[network.name]))
    rows.sort(key=lambda row: row["pixels"])
    return Table("image_sizes", "Sizes of images: which ones our runs rule out", NOTES, COLUMNS, rows)


def gain(record):
    """Return by how many percentage points a run rises in its last third: its best accuracy or its mean accuracy,
    against that of the third before, whichever rises more."""
    accuracies = [100 * epoch.test_accuracy for epoch in record.history]
    length = max(1, round(len(accuracies) * LAST_PART))
    last, before = accuracies[-length:], accuracies[-2 * length : -length] or [0.0]
    best = max(accuracies) - max(accuracies[:-length], default=0.0)
    # Rounded, so that half a point of 10,000 images is not more than half a point.
    return round(max(best, sum(last) / len(last) - sum(before) / len(before)), 6)


def _row(experiment, network, records, printed):
    height, width, _ = experiment.data.network_input_shape
    planned = len(experiment.runs([network.name]))
    row = {
        "size": format_shape((height, width)),
        "pixels": height * width,
        "model": network.title,
        "experiment": experiment.name,
        "epochs": experiment.training.epochs,
        "runs": f"{len(records)} of {planned}",
        "published_percent": printed.mean,
        "published_std": printed.std,
        "verdict": NOT_ENOUGH,
    }
    if not records:
        return row
    best = max(records, key=lambda record: record.best.test_accuracy)
    accuracy = 100 * best.best.test_accuracy
    if accuracy >= printed.mean - MARGIN:
        verdict = NOT_REJECTED  # more runs cannot change it
    else:
        verdict = ("" if len(records) == planned else PROVISIONAL) + (
            REJECTED if gain(best) <= IMPROVEMENT else IMPROVING
        )
    return row | {
        "best_epoch_percent": accuracy,
        "gain": gain(best),
        "difference": accuracy - printed.mean,
        "verdict": verdict,
        "records": records,
    }
