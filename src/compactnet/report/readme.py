"""The short tables in the project's README."""

from compactnet.report.columns import select
from compactnet.report.published import PUBLISHED_TASKS
from compactnet.report.sources import Sources
from compactnet.report.tables.budget import budget, command
from compactnet.report.tables.contrasts import contrasts
from compactnet.report.tables.table1 import table1
from compactnet.report.text import fill_section

NOTE = (
    "Table I with 128x512x1 inputs: parameters and MFLOPs counted, and the speed of inference as a multiple of the "
    "uncompressed network's in the same family (VGG-8, ResNet, 1.0 MobileNet v1), measured with TensorFlow on one CPU "
    "thread."
)
HEADINGS = {
    "model": "network",
    "params_counted": "parameters",
    "mflops_counted": "MFLOPs",
    "mflops_difference": "difference from the paper's MFLOPs",
    "tensorflow_cpu_ratio": "times as fast",
    "cpu_ratio_published": "times as fast, paper",
}

CONTRASTS_NOTE = (
    "Differences of mean test accuracy over the last three epochs, in percentage points with their 95 % intervals, "
    "after few epochs on CIFAR-10 at 32x32. Verdicts are adjusted for the number of claims of an experiment, and "
    "*provisional* while planned runs are missing; *runs* has those of the two networks. Some claims are the paper's, "
    "such as G3; others are questions of our own, such as whether a compact network beats a plain one of equal FLOPs, "
    "and what the activation before the sum does. A verdict that the last epoch alone changes is weak. The paper does "
    "not state its epochs, and the size of its images is open."
)
CONTRASTS_HEADINGS = {
    "experiment": "experiment",
    "claim": "claim",
    "difference": "difference",
    "low": "from",
    "high": "to",
    "verdict": "verdict",
    "last_epoch_verdict": "by the last epoch alone",
    "runs": "runs",
    "paper_difference": "paper",
}

BUDGET_HEADINGS = {
    "command": "command",
    "data": "data",
    "runs": "runs",
    "done": "done here",
    "thousand_steps": "thousand steps",
    "hours": "hours on a GPU",
}


def fill_readme(path, sources: Sources):
    """Write the main columns of Table I, the contrasts that have runs, and what the paper's experiments cost."""
    table = table1(sources)
    fill_section(path, table.name, NOTE, select(table.columns, HEADINGS), table.rows)
    compared = contrasts(sources)
    rows = [row for row in compared.rows if "difference" in row]
    fill_section(path, compared.name, CONTRASTS_NOTE, select(compared.columns, CONTRASTS_HEADINGS), rows)
    costs = budget(sources)
    rows = [row for row in costs.rows if row["command"] in [command(task, task) for task in PUBLISHED_TASKS]]
    fill_section(path, costs.name, costs.notes[0], select(costs.columns, BUDGET_HEADINGS), rows)
