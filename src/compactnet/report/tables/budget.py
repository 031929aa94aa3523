"""What the experiments on real data cost, so that a reader can plan them."""

import math

from compactnet.measure import CONVENTION
from compactnet.report.columns import Column, Table
from compactnet.report.sources import Sources

RATE = 10e12
"""Floating-point operations a second that a GPU is assumed to sustain."""
STEP_SECONDS = 0.008
"""Time that a step on a GPU is assumed to take at least."""

NOTE = (
    f"Hours are computed, not measured: FLOPs (*{CONVENTION}*) of training, three times those of inference, and of the "
    f"test data after each epoch, at {RATE / 1e12:g} TFLOP/s in float32, and at least {1000 * STEP_SECONDS:g} ms a "
    "step. `make plan` times the steps of your machine. *Done here* counts the runs in `results/`, also those "
    "that another experiment has done. Commands with `RESULTS=results` skip those of the same data and, where "
    "`KERAS_BACKEND` is set, of that backend; without it they write to `runs/` and begin anew. Hours are missing where "
    "the number of samples is not known before the first run. An interrupted command resumes where it stopped."
)
COLUMNS = (
    Column("experiment", "experiment"),
    Column("command", "command"),
    Column("data", "data"),
    Column("runs", "runs", "d"),
    Column("done", "done here", "d"),
    Column("epochs", "epochs", "d"),
    Column("thousand_steps", "thousand steps", ".0f"),
    Column("petaflops", "PFLOPs", ".1f"),
    Column("hours", "hours on a GPU", ".1f"),
)


def budget(sources: Sources):
    """Return a row for each experiment of the paper and each of `configs/evidence/`, where tables list them all."""
    rows = [
        _row(experiment, sources)
        for experiment in (sources.experiments if sources.list_unstarted else ())
        if experiment.table or experiment.name.startswith("evidence-")
    ]
    return Table("budget", "Budget: what the experiments cost", (NOTE,), COLUMNS, rows, on_page=False)


def command(task, name):
    """Return the command that starts an experiment or goes on with it.

    Args:
        task: "asc", "sed" or "ic".
        name: Name of the experiment.
    """
    path = f"evidence/{name.removeprefix('evidence-')}" if name.startswith("evidence-") else name
    return f"make reproduce-{task}" + ("" if name == task else f" CONFIG=configs/{path}.yaml")


def _row(experiment, sources):
    inputs = experiment.data.network_input_shape, experiment.data.classes
    sources.counts.prepare([(network.name, network, *inputs) for network in experiment.networks])
    row = {
        "experiment": experiment.name,
        "command": command(experiment.data.paper_task, experiment.name),
        "data": experiment.data.description,
        "runs": len(experiment.runs()),
        "done": len(sources.members[experiment.name]),
        "epochs": experiment.training.epochs,
    }
    steps, flops, seconds = 0, 0.0, 0.0
    for run in experiment.runs():
        counts = _samples(run.data, sources.members[experiment.name])
        if counts is None:
            return row
        train, test = counts
        count = run.training.epochs * math.ceil(train / run.training.batch_size)
        mflops = sources.counts.get(run.network.name, run.network, *inputs).mflops
        of_run = 1e6 * mflops * run.training.epochs * (3 * train + test)
        steps, flops = steps + count, flops + of_run
        seconds += max(of_run / RATE, count * STEP_SECONDS)
    return row | {
        "thousand_steps": steps / 1e3,
        "petaflops": flops / 1e15,
        "hours": seconds / 3600,
    }


def _samples(fold, records):
    """Return the numbers of training and test samples: those of the data set, or what its first record used."""
    for record in records:
        if record.run.data == fold:
            return record.coverage["train"].used, record.coverage["test"].used
    return fold.official_counts()
