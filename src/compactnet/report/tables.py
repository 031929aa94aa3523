"""The paper's tables beside ours, from published figures, counts and records."""

from pathlib import Path

import pandas as pd

from compactnet.experiments.config import SECTIONS
from compactnet.experiments.records import read_records
from compactnet.experiments.study import EXECUTION, cells, network_specs, same_budget
from compactnet.measure import CONVENTION, PUBLISHED_CONVENTION, published_mflops
from compactnet.measure.conventions import ASC_INPUT, IC_PUBLISHED_INPUT, SED_INPUT
from compactnet.networks import CATALOGUE
from compactnet.report import published
from compactnet.report.counts import Counts
from compactnet.report.markdown import remove_table, write_table

COUNTING_NOTE = f"FLOPs are counted by the convention *{CONVENTION}*; MFLOPs are 1e6 FLOPs. Parameters are all weights."


PAPER_TABLES = ("table1", "table4")


def write_tables(results_folder, configs, published_folder, counts: Counts, paper_tables=PAPER_TABLES):
    """Write every table that the records below a folder allow.

    Args:
        results_folder: Folder with `records/`; the tables go beside it.
        configs: The `StudyConfig`s whose protocols say which record belongs to which table.
        published_folder: Folder with the paper's figures.
        counts: Where counted figures come from.
        paper_tables: Which of the paper's tables to write.

    Returns:
        Names of the tables written, without their ending.

    Raises:
        InputError: a record or a published table is missing or damaged, or a table cannot be written.
    """
    folder = Path(results_folder)
    records = read_records(folder / "records")
    members, others = sort_records(records, configs)
    planned = planned_cells(configs)
    written = list(paper_tables)
    if "table1" in paper_tables:
        _write_table1(folder, published_folder, counts)
    if "table4" in paper_tables:
        of_table4 = sorted((config for config in configs if config.table == "table4"), key=lambda config: config.name)
        _write_table4(folder, published_folder, counts, of_table4, members)
    groups = {
        f"study_{config.name}": (
            f"Study {config.name}: {config.data.title}",
            ["Runs that follow the config's protocol; no figure of the paper stands beside them."],
            members[config.name],
        )
        for config in configs
        if config.table is None and not config.data.generated
    }
    groups["reduced_budget"] = (
        "Reduced budget",
        [
            "Real data, but fewer epochs or samples than the study's config asks for, or other settings: **none of "
            "these figures may be read beside the paper's**. Each row says its budget; the last column what differs "
            "from the config, where the config is at hand."
        ],
        [record for record in others if not record["generated_data"]],
    )
    groups["generated_data"] = (
        "Generated data",
        [
            "**Generated data**, not the real data set: these runs show that everything works, and nothing about the "
            "networks."
        ],
        [record for record in records if record["generated_data"]],
    )
    for name, (title, notes, selected) in groups.items():
        if selected:
            write_table(folder, name, title, notes, runs_table(selected, planned))
            written.append(name)
        else:
            remove_table(folder, name)
    return written


def planned_cells(configs):
    """Return {(study, network, seed): the `Cell` that a config plans}."""
    return {
        (cell.study, cell.network, cell.seed): cell
        for config in configs
        for cell in cells(config, config.data.official_fingerprint)
    }


def sort_records(records, configs):
    """Tell the records that follow a config's protocol from all others.

    Args:
        records: Records of real and generated data.
        configs: The `StudyConfig`s.

    Returns:
        ({study: its records}, records of no config). Of two records of one cell, run on different backends or thread
        counts, the one finished last is kept in the study.
    """
    planned = planned_cells(configs)
    members, others = {config.name: {} for config in configs}, []
    for record in sorted(records, key=lambda record: record["finished"]):
        key = (record["study"], record["network"], record["seed"])
        if key in planned and same_budget(record["protocol"], planned[key].protocol):
            members[record["study"]][key] = record
        else:
            others.append(record)
    return {study: list(by_cell.values()) for study, by_cell in members.items()}, others


def accuracy(records):
    """Return mean, standard deviation (None below two runs) and best-epoch mean in percent, and the number of runs."""
    last = pd.Series([100 * record["last"]["test_accuracy"] for record in records], dtype=float)
    best = pd.Series([100 * record["best"]["test_accuracy"] for record in records], dtype=float)
    return {
        "mean": last.mean() if len(last) else None,
        "std": last.std(ddof=1) if len(last) > 1 else None,
        "best": best.mean() if len(best) else None,
        "runs": len(last),
    }


def runs_table(records, planned):
    """Return a data frame with a row for each network and budget, over its seeds.

    Args:
        records: Records; of two of one seed and budget, run on different thread counts, the one finished last counts.
        planned: What `planned_cells` returns.
    """
    groups = {}
    for record in sorted(records, key=lambda record: record["finished"]):
        groups.setdefault(_budget(record), {})[record["seed"]] = record
    rows = []
    for by_seed in groups.values():
        runs = list(by_seed.values())
        first, figures = runs[0], accuracy(runs)
        training, data = first["protocol"]["training"], first["protocol"]["data"]
        train, test = (first["coverage"][split] for split in ("train", "test"))
        rows.append(
            {
                "study": first["study"],
                "network": first["network"],
                "model": first["title"],
                "data": SECTIONS[data["source"]].title + (" layout, generated data" if data["generated"] else ""),
                "epochs": training["epochs"],
                "training_samples": f"{train['used']} of {train['total']}",
                "test_samples": f"{test['used']} of {test['total']}",
                "runs": figures["runs"],
                "accuracy_last_epoch_percent": figures["mean"],
                "standard_deviation": figures["std"],
                "accuracy_best_epoch_percent": figures["best"],
                "parameters": first["params"],
                "batch_size": training["batch_size"],
                "learning_rate": f"{training['learning_rate']:g}",
                "precision": training["precision"],
                "backend": first["protocol"]["backend"],
                "minutes_a_run": sum(run["duration_seconds"] for run in runs) / len(runs) / 60,
                "changed_from_the_config": _changes(first, planned),
            }
        )
    order = list(CATALOGUE)
    frame = pd.DataFrame(rows)
    frame["standard_deviation"] = frame["standard_deviation"].astype(float)
    rank = frame["network"].map(lambda name: order.index(name) if name in order else len(order))
    keys = pd.DataFrame({"study": frame["study"], "rank": rank, "network": frame["network"], "epochs": frame["epochs"]})
    return frame.loc[keys.sort_values(list(keys.columns), kind="stable").index]


def _budget(record):
    """Return what runs must share to be averaged: all of the protocol but the seed and the thread count."""
    shared = {key: value for key, value in record["protocol"].items() if key not in ("seed", "threads")}
    return record["study"], record["network"], repr(sorted(shared.items()))


def _changes(record, planned):
    """Return the fields of a record's protocol that differ from its config's, as text."""
    cell = planned.get((record["study"], record["network"], record["seed"]))
    if cell is None:
        return "(its config is not at hand)"
    before, after = dict(_leaves(cell.protocol)), dict(_leaves(record["protocol"]))
    names = [name for name in sorted(before | after) if name.split(".")[-1] not in ("fingerprint", *EXECUTION)]
    return ", ".join(f"{name}={after.get(name)}" for name in names if after.get(name) != before.get(name))


def _leaves(fields, prefix=""):
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _write_table1(folder, published_folder, counts):
    paper = published.read(published_folder, "table1")
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
    notes = [
        COUNTING_NOTE + " Input 128x512x1, 10 classes, batch 1. Where the paper prints two figures, the first is for "
        "sum and max, the second for average. The paper prints one decimal.",
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
    write_table(folder, "table1", "Table I: parameters and complexity", notes, pd.DataFrame(rows), {"": headings})


def _write_table4(folder, published_folder, counts, configs, members):
    paper = published.read(published_folder, "table4")
    names = [published.network_of(model) for model in paper["model"]]
    inputs = {"sed": {"128x201x1": SED_INPUT}, "ic": {"224x224x3": IC_PUBLISHED_INPUT}}
    specs = {"128x201x1": CATALOGUE, "224x224x3": CATALOGUE}
    for config in configs:
        shape = (*(config.data.resize_to or config.data.sample_shape[:2]), 3)
        label = "x".join(str(extent) for extent in shape)
        inputs["ic"][label], specs[label] = shape, network_specs(config)
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
            runs = [record for record in members[config.name] if record["network"] == name]
            figures = accuracy(runs)
            published_mean = paper_row["ic_accuracy_percent"]
            row |= {
                f"{config.name}_accuracy_published": published_mean,
                f"{config.name}_accuracy_published_std": paper_row["ic_accuracy_std"],
                f"{config.name}_accuracy": figures["mean"],
                f"{config.name}_accuracy_std": figures["std"],
                f"{config.name}_runs": figures["runs"] or None,
                f"{config.name}_accuracy_difference": figures["mean"] - published_mean if runs else None,
                f"{config.name}_accuracy_best_epoch": figures["best"],
            }
        rows.append(row)
    frame = pd.DataFrame(rows)
    for column in frame.columns:
        if column.endswith("_runs"):
            frame[column] = frame[column].astype("Int64")
        elif "accuracy" in column:
            frame[column] = frame[column].astype(float)
    notes = [
        COUNTING_NOTE,
        f"The paper's complexity columns were not counted at the tasks' own inputs: *{PUBLISHED_CONVENTION}* gives "
        "them. The counted figures are those of the real graphs at the inputs named in their headings.",
        "Accuracies are test accuracies in percent after the last epoch: mean and standard deviation over the runs; "
        "the best epoch stands apart. An empty cell has no run that follows its config's protocol; the paper's have "
        "five runs each.",
    ]
    sections = {f"Complexity, {task.upper()}": _complexity_headings(frame, task) for task in inputs}
    sections |= {_accuracy_title(config): _accuracy_headings(config) for config in configs}
    write_table(folder, "table4", "Table IV: complexity and accuracy", notes, frame, sections)


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


def _accuracy_title(config):
    size = config.data.resize_to or config.data.sample_shape[:2]
    return f"Accuracy, {config.data.title} at {size[0]}x{size[1]} (configs/{config.name}.yaml)"


def _accuracy_headings(config):
    return {
        "model": "model",
        f"{config.name}_accuracy_published": "paper, %",
        f"{config.name}_accuracy_published_std": "std",
        f"{config.name}_accuracy": "ours, %",
        f"{config.name}_accuracy_std": "std",
        f"{config.name}_runs": "runs",
        f"{config.name}_accuracy_difference": "difference",
        f"{config.name}_accuracy_best_epoch": "ours, best epoch, %",
    }
