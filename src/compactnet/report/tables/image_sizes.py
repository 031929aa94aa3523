"""Sizes that the paper's images may have had: which of them our runs rule out."""

from compactnet.checks import format_shape
from compactnet.report.columns import Column, Table
from compactnet.report.published import PUBLISHED_TASKS, published_accuracies
from compactnet.report.sources import Sources
from compactnet.report.tables.verdicts import NOT_ENOUGH

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
"""Percentage points that the best epoch of a run may gain in that part."""

REJECTED = "rejected"
NOT_REJECTED = "not rejected"
IMPROVING = "still improving"
STYLES = {REJECTED: "apart", NOT_REJECTED: "same", IMPROVING: "unknown", NOT_ENOUGH: "unknown"}

NOTE = (
    "Which size did the paper's images have? Its FLOPs are those of 224x224, its text names 32x32. A size is "
    f"*{REJECTED}* where no run reaches the printed mean less {MARGIN:g} points in its best epoch, and one of them no "
    f"longer improves: in its last third, the best epoch gains at most {IMPROVEMENT:g} points. The best epoch is "
    "chosen by the test accuracy, which favours the size. The rule was written before the first run. Runs are those "
    "that follow a config; a rejected size is rejected for the training of that config, without augmentation or "
    "another learning rate."
)
COLUMNS = (
    Column("size", "size"),
    Column("model", "network"),
    Column("experiment", "experiment"),
    Column("epochs", "epochs", "d"),
    Column("runs", "runs"),
    Column("best_epoch_percent", "best epoch, %", ".2f", link="records"),
    Column("gain", "gained in the last third", ".2f"),
    Column("published_percent", "paper, %", ".2f"),
    Column("difference", "difference", ".2f"),
    Column("verdict", "verdict", style=lambda row: STYLES[row["verdict"]]),
)


def image_sizes(sources: Sources):
    """Return a row for each network of the paper and each experiment on its images."""
    published = published_accuracies(sources.published, PUBLISHED_TASKS["ic"], "ic")
    rows = []
    for experiment in sources.experiments:
        if experiment.data.source != "cifar10" or experiment.data.generated or experiment.table:
            continue
        for network in experiment.networks:
            records = sources.records_of(experiment.name, network.name)
            # The runs of experiments that were not made for this question answer it too.
            asked = sources.list_unstarted and experiment.name in EXPERIMENTS
            if network.name in published and (records or asked):
                rows.append(_row(experiment, network, records, published[network.name].mean))
    rows.sort(key=lambda row: row["pixels"])
    return Table("image_sizes", "Sizes of images: which ones our runs rule out", (NOTE,), COLUMNS, rows)


def gain(record):
    """Return how many percentage points the best epoch of a run gains in its last third."""
    accuracies = [100 * epoch.test_accuracy for epoch in record.history]
    last = max(1, round(len(accuracies) * LAST_PART))
    return max(accuracies) - max(accuracies[:-last], default=0.0)


def _row(experiment, network, records, printed):
    height, width, _ = experiment.data.network_input_shape
    row = {
        "size": format_shape((height, width)),
        "pixels": height * width,
        "model": network.title,
        "experiment": experiment.name,
        "epochs": experiment.training.epochs,
        "runs": f"{len(records)} of {len(experiment.runs([network.name]))}",
        "published_percent": printed,
        "verdict": NOT_ENOUGH,
    }
    if not records:
        return row
    best, least = max(100 * record.best.test_accuracy for record in records), min(map(gain, records))
    below = REJECTED if least <= IMPROVEMENT else IMPROVING
    return row | {
        "best_epoch_percent": best,
        "gain": least,
        "difference": best - printed,
        "verdict": below if best < printed - MARGIN else NOT_REJECTED,
        "records": records,
    }
