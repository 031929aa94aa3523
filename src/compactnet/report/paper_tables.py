"""The paper's tables with our figures beside its own."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from compactnet.experiments.study import network_specs
from compactnet.measure import CONVENTION, PUBLISHED_CONVENTION, published_mflops
from compactnet.measure.conventions import ASC_INPUT, IC_PUBLISHED_INPUT, SED_INPUT
from compactnet.networks import CATALOGUE
from compactnet.report import published
from compactnet.report.comparison import PAPER_RUNS, Sample, difference, sample
from compactnet.report.counts import Counts
from compactnet.report.feature_maps import FeatureMaps
from compactnet.report.markdown import Table, fill_section
from compactnet.report.speed_tables import NAMES, SPEED_NOTE, speed_columns

COUNTING_NOTE = f"FLOPs are counted by the convention *{CONVENTION}*; MFLOPs are 1e6 FLOPs. Parameters are all weights."

ACCURACY_NOTE = (
    "Accuracies are test accuracies in percent after the last epoch: mean and standard deviation over the runs; the "
    "best epoch stands apart. An empty cell has no run that follows its config's protocol; the paper's have "
    f"{PAPER_RUNS} runs each. The difference is ours less the paper's, with its 95 % interval by Welch where there are "
    "two runs or more; over several folds there is none, because they are no repetitions. Cells are those done of "
    "those planned; samples are those used of those of the data set."
)

TASKS = MappingProxyType({"dcase2019": "asc", "urbansound8k": "sed", "cifar10": "ic"})
"""What the paper's columns call the task of a data set."""


UNEXPLAINED_NOTE = (
    "No reading of the paper gives the MFLOPs it prints for MobileNet v2 and ShuffleNet v1, though the parameters are "
    "exact. Tried for MobileNet v2 (printed 700.4): as it stands 797.0, strides in the 1x1 convolutions 707.4, without "
    "depthwise convolutions 742.9, without the first widening and the last convolution 711.0. Tried for ShuffleNet v1 "
    "(printed 1221.2): as it stands 1406.4, strides in the 1x1 convolutions 1253.0, without depthwise convolutions "
    "1386.5, with groups in the first unit too 1304.2. Both stand here with their difference."
)


@dataclass(frozen=True)
class Sources:
    """What tables are made of.

    Attributes:
        published: Folder with the paper's figures.
        counts: The `Counts`.
        configs: The `StudyConfig`s, in the order of their columns.
        members: {study: its records}.
        others: Records that follow no config's protocol.
        failures: {study: the failures of its planned cells that have no record}.
        sessions: Sessions of speed, oldest first.
        feature_maps: The `FeatureMaps` that are kept, or None.
    """

    published: Path
    counts: Counts
    configs: tuple
    members: dict
    others: list
    failures: dict
    sessions: list
    feature_maps: FeatureMaps | None

    def of_table(self, table):
        """Return the configs that reproduce one of the paper's tables."""
        return [config for config in self.configs if config.table == table]


SUMMARY = MappingProxyType(
    {
        "model": "model",
        "params_published": "parameters, paper",
        "params_counted": "counted",
        "params_difference": "difference",
        "mflops_published": "MFLOPs, paper",
        "mflops_counted": "counted",
        "mflops_difference": "difference",
        "cpu_ratio_published": "speed ratio, paper's CPU",
        **{f"{runtime}_cpu_ratio": f"measured, {NAMES[runtime]}" for runtime in NAMES},
        "gpu_ratio_published": "paper's GPU",
        **{f"{runtime}_gpu_ratio": f"measured on a GPU, {NAMES[runtime]}" for runtime in NAMES},
        "flops_ratio": "FLOPs ratio",
    }
)
"""Columns of Tables I and II in the folder's README.md."""


def table1(sources: Sources):
    """Return Table I: parameters, FLOPs and speed."""
    return _complexity(sources, "table1", "Table I: parameters, complexity and speed", [])


def table2(sources: Sources):
    """Return Table II: the same of the efficient networks."""
    title = "Table II: parameters, complexity and speed of efficient networks"
    return _complexity(sources, "table2", title, [UNEXPLAINED_NOTE])


def fill_readme(path, sources: Sources):
    """Write the main table into the project's README: Table I with parameters, complexity and speed, and no more."""
    table = table1(sources)
    columns = {
        "model": "network",
        "params_counted": "parameters",
        "params_difference": "from the paper's",
        "mflops_counted": "MFLOPs",
        "mflops_difference": "from the paper's",
        "tensorflow_cpu_samples_per_s": "samples/s on one thread",
        "tensorflow_cpu_ratio": "times as fast",
        "cpu_ratio_published": "the paper's",
        "flops_ratio": "by FLOPs",
    }
    shown = {name: heading for name, heading in columns.items() if name in table.frame}
    paragraph = (
        "Table I at 128x512x1: parameters and FLOPs as counted, and the speed of inference on TensorFlow as a multiple "
        "of the family's uncompressed network (VGG-8, ResNet, 1.0 MobileNet v1)."
    )
    fill_section(path, "table1", [(paragraph, table.frame, shown)])


def summary(table: Table):
    """Return the paragraph and the {column: its heading} by which Table I or II stands in the README of results."""
    paragraph = f"{table.title}. Ratios are to the family's uncompressed network."
    remarks = [note for note in table.notes if note == UNEXPLAINED_NOTE]
    return " ".join([paragraph, *remarks]), {name: text for name, text in SUMMARY.items() if name in table.frame}


def _complexity(sources, table, title, remarks):
    paper, counts = published.read(sources.published, table), sources.counts
    wanted = [
        (name, CATALOGUE[name], ASC_INPUT)
        for model in paper["model"]
        for operation in ("sum", "max", "average")
        if (name := published.network_of(model, operation))
    ]
    counts.prepare(wanted)
    rows = []
    for row in paper.itertuples():
        name = published.network_of(row.model)
        count = counts.get(name, CATALOGUE[name], ASC_INPUT)
        average_name = published.network_of(row.model, "average")
        average = counts.get(average_name, CATALOGUE[average_name], ASC_INPUT)
        has_average = pd.notna(row.mflops_average)
        rows.append(
            {
                "model": row.model,
                "network": name,
                "params_published": row.params,
                "params_counted": count.params,
                "params_difference": count.params - row.params,
                "mflops_published": row.mflops_max_or_sum,
                "mflops_counted": count.mflops,
                "mflops_difference": count.mflops - row.mflops_max_or_sum,
                "mflops_average_published": row.mflops_average,
                "mflops_average_counted": average.mflops if has_average else None,
                "mflops_average_difference": average.mflops - row.mflops_average if has_average else None,
                "weight_bytes": count.weight_bytes,
                "peak_activation_bytes": count.peak_activation_bytes,
                "convention": CONVENTION,
            }
        )
    speeds = speed_columns(rows, sources.sessions, counts, sources.published)
    notes = [
        COUNTING_NOTE + " Input 128x512x1, 10 classes, batch 1. Where the paper prints two figures, the first is for "
        "sum and max, the second for average. The paper prints one decimal.",
        *remarks,
        SPEED_NOTE,
    ]
    headings = {
        "model": "model",
        "network": "network",
        "params_published": "parameters, paper",
        "params_counted": "counted",
        "params_difference": "difference",
        "mflops_published": "MFLOPs, paper",
        "mflops_counted": "counted",
        "mflops_difference": "difference",
        "mflops_average_published": "MFLOPs (average), paper",
        "mflops_average_counted": "counted",
        "mflops_average_difference": "difference",
        "weight_bytes": "bytes of weights (float32)",
        "peak_activation_bytes": "peak bytes of activations",
    }
    return Table(table, title, notes, pd.DataFrame(rows), {"Parameters and complexity": headings, **speeds})


def table3(sources: Sources):
    """Return Table III: complexity and accuracy on acoustic scenes."""
    counts, configs = sources.counts, sources.of_table("table3")
    paper = published.read(sources.published, "table3")
    names = published.networks(sources.published, "table3")
    counts.prepare([(name, CATALOGUE[name], ASC_INPUT) for name in names])
    rows = []
    for paper_row, name in zip(paper.to_dict("records"), names, strict=True):
        counted = counts.get(name, CATALOGUE[name], ASC_INPUT).mflops
        row = {
            "model": paper_row["model"],
            "network": name,
            "mflops_published": paper_row["mflops"],
            "mflops_counted": counted,
            "mflops_difference": counted - paper_row["mflops"],
            "convention": CONVENTION,
        }
        for config in configs:
            row |= _accuracy_columns(config, paper_row, "asc", name, sources)
        rows.append(row)
    frame = _typed(pd.DataFrame(rows))
    headings = {
        "model": "model",
        "mflops_published": "MFLOPs, paper",
        "mflops_counted": "counted",
        "mflops_difference": "difference",
    }
    sections = {f"Complexity at {'x'.join(map(str, ASC_INPUT))}": headings}
    sections |= {_accuracy_title(config): _accuracy_headings(config) for config in configs}
    return Table("table3", "Table III: acoustic scenes", [COUNTING_NOTE, ACCURACY_NOTE], frame, sections)


def table4(sources: Sources):
    """Return Table IV: complexity and accuracy on sound events and images."""
    counts, configs = sources.counts, sources.of_table("table4")
    paper = published.read(sources.published, "table4")
    names = published.networks(sources.published, "table4")
    inputs = {"sed": {"128x201x1": SED_INPUT}, "ic": {"224x224x3": IC_PUBLISHED_INPUT}}
    specs = {"128x201x1": CATALOGUE, "224x224x3": CATALOGUE}
    for config in configs:
        shape = _input_shape(config)
        label = "x".join(str(extent) for extent in shape)
        inputs[TASKS[config.data.source]][label], specs[label] = shape, network_specs(config)
    labelled = {label: shape for by_label in inputs.values() for label, shape in by_label.items()}
    counts.prepare(
        [(name, CATALOGUE[name], ASC_INPUT) for name in names]
        + [(name, specs[label][name], shape) for label, shape in labelled.items() for name in names]
    )
    rows = []
    for paper_row, name in zip(paper.to_dict("records"), names, strict=True):
        row = {"model": paper_row["model"], "network": name}
        asc = counts.get(name, CATALOGUE[name], ASC_INPUT).mflops
        for task, by_label in inputs.items():
            convention = published_mflops(task, asc, CATALOGUE[name])
            row[f"{task}_mflops_published"] = paper_row[f"{task}_mflops"]
            row[f"{task}_mflops_published_convention"] = convention
            row[f"{task}_mflops_difference"] = convention - paper_row[f"{task}_mflops"]
            for label, shape in by_label.items():
                counted = counts.get(name, specs[label][name], shape).mflops
                row[f"{task}_mflops_counted_{label}"] = counted
                row[f"{task}_mflops_counted_{label}_difference"] = counted - paper_row[f"{task}_mflops"]
        row["convention"] = CONVENTION
        for config in configs:
            row |= _accuracy_columns(config, paper_row, TASKS[config.data.source], name, sources)
        rows.append(row)
    frame = _typed(pd.DataFrame(rows))
    notes = [
        COUNTING_NOTE,
        f"The paper's complexity columns were not counted at the tasks' own inputs: *{PUBLISHED_CONVENTION}* gives "
        "them. The counted figures are those of the real graphs at the inputs named in their headings.",
        ACCURACY_NOTE,
    ]
    sections = {f"Complexity, {task.upper()}": _complexity_headings(frame, task) for task in inputs}
    sections |= {_accuracy_title(config): _accuracy_headings(config) for config in configs}
    return Table("table4", "Table IV: complexity and accuracy", notes, frame, sections)


def _complexity_headings(frame, task):
    words = {
        f"{task}_mflops_published": "MFLOPs, paper",
        f"{task}_mflops_published_convention": "by its convention",
        f"{task}_mflops_difference": "difference",
    }
    headings = {"model": "model"}
    for column in frame.columns:
        kind = column.removeprefix(f"{task}_mflops_counted_")
        if column in words:
            headings[column] = words[column]
        elif kind != column:
            headings[column] = "difference from the paper" if kind.endswith("_difference") else f"counted at {kind}"
    return headings


def _input_shape(config):
    """Return (height, width, channels) of what the network's convolutions see."""
    height, width, channels = config.data.sample_shape
    return (*(config.data.resize_to or (height, width)), channels)


def accuracy(records, epoch="last"):
    """Return the `Sample` of the test accuracies of some runs in percent, or None where there are none.

    Args:
        records: Records.
        epoch: "last" or "best".
    """
    values = [100 * record[epoch]["test_accuracy"] for record in records]
    return sample(values) if values else None


def published_accuracy(paper_row, task):
    """Return the `Sample` behind a row's accuracy in Table III or IV of the paper."""
    return Sample(paper_row[f"{task}_accuracy_percent"], paper_row[f"{task}_accuracy_std"], PAPER_RUNS)


def _accuracy_columns(config, paper_row, task, network, sources):
    runs = [record for record in sources.members[config.name] if record["network"] == network]
    ours, paper = accuracy(runs), published_accuracy(paper_row, task)
    # Folds are no replicates: the deviation over them is another thing than the paper's over its runs.
    over_folds = len(config.data.parts()) > 1
    apart = difference(replace(ours, std=None) if over_folds else ours, paper) if runs else None
    planned = len(config.seeds) * len(config.data.parts())
    failed = sum(failure["network"] == network for failure in sources.failures[config.name])
    columns = {
        "accuracy_published": paper.mean,
        "accuracy_published_std": paper.std,
        "accuracy": ours.mean if runs else None,
        "accuracy_std": ours.std if runs else None,
        "runs": len(runs) or None,
        "accuracy_difference": apart.value if runs else None,
        "accuracy_difference_low": apart.low if runs else None,
        "accuracy_difference_high": apart.high if runs else None,
        "accuracy_best_epoch": accuracy(runs, "best").mean if runs else None,
        "cells": f"{len(runs)} of {planned}" + (f", {failed} failed" if failed else ""),
        "samples": samples_used(runs),
    }
    return {f"{config.name}_{name}": value for name, value in columns.items()}


def samples_used(records):
    """Return how many samples some runs used of how many, as text: the fewest where they differ; None without runs."""
    if not records:
        return None
    sides = [[record["coverage"][side] for side in ("train", "test")] for record in records]
    used = min(sum(side["used"] for side in both) for both in sides)
    return f"{used:,} of {sum(side['total'] for side in sides[0]):,}"


def _typed(frame):
    """Return the frame with types that empty columns have as well."""
    for column in frame.columns:
        if column.endswith("_runs"):
            frame[column] = frame[column].astype("Int64")
        elif "accuracy" in column and not column.endswith(("_cells", "_samples")):
            frame[column] = frame[column].astype(float)
    return frame


def _accuracy_title(config):
    return f"Accuracy, {config.data.description} (configs/{config.name}.yaml)"


def _accuracy_headings(config):
    return {
        "model": "model",
        f"{config.name}_accuracy_published": "paper, %",
        f"{config.name}_accuracy_published_std": "std",
        f"{config.name}_accuracy": "ours, %",
        f"{config.name}_accuracy_std": "std",
        f"{config.name}_runs": "runs",
        f"{config.name}_accuracy_difference": "difference",
        f"{config.name}_accuracy_difference_low": "from",
        f"{config.name}_accuracy_difference_high": "to",
        f"{config.name}_accuracy_best_epoch": "ours, best epoch, %",
        f"{config.name}_cells": "cells",
        f"{config.name}_samples": config.data.samples,
    }


PAPER_TABLES = MappingProxyType({"table1": table1, "table2": table2, "table3": table3, "table4": table4})
"""What makes each of the paper's tables."""
