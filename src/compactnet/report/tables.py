"""All tables of a results folder, from published figures, counts and records."""

import json
from pathlib import Path

import pandas as pd

from compactnet.experiments.config import SECTIONS, load_shipped
from compactnet.experiments.ledger import read_failures
from compactnet.experiments.records import read_records
from compactnet.experiments.study import EXECUTION, cells, folds_of, key_of, same_budget
from compactnet.networks import CATALOGUE
from compactnet.report import published
from compactnet.report.counts import Counts
from compactnet.report.feature_maps import read_feature_maps
from compactnet.report.guidelines import guidelines_table
from compactnet.report.markdown import Table, fill_section, remove_table, write_table
from compactnet.report.paper_tables import PAPER_TABLES, Sources, accuracy, samples_used, summary
from compactnet.report.speed_records import read_sessions
from compactnet.report.speed_tables import speed_tables


def read_sources(results_folder, configs, published_folder, counts: Counts):
    """Return the `Sources` of the records below a folder.

    Args:
        results_folder: Folder with `records/`.
        configs: The `StudyConfig`s whose protocols say which record belongs to which table.
        published_folder: Folder with the paper's figures.
        counts: Where counted figures come from.

    Raises:
        InputError: a record is damaged.
    """
    folder = Path(results_folder)
    members, others = sort_records(read_records(folder / "records"), configs)
    by_name = tuple(sorted(configs, key=lambda config: config.name))
    done = {key_of(record) for of_study in members.values() for record in of_study}
    failures, _ = sort_records(read_failures(folder / "failures"), configs)
    missing = {study: [one for one in found if key_of(one) not in done] for study, found in failures.items()}
    kept = read_sessions(folder), read_feature_maps(folder / "records")
    return Sources(Path(published_folder), counts, by_name, members, others, missing, *kept)


def repository_sources(root, results_folder, recount=False):
    """Return the `Sources` of a results folder for the configs, counts and published figures of the repository.

    Args:
        root: The repository's root.
        results_folder: Folder with `records/`.
        recount: Whether to count every network anew.

    Raises:
        InputError: a record, a config or the file of counts is damaged.
    """
    counts = Counts(root / "results" / "complexity.csv", recount=recount)
    return read_sources(results_folder, load_shipped(root / "configs"), root / "results" / "paper", counts)


def all_tables(sources: Sources, paper_tables=tuple(PAPER_TABLES)):
    """Return every table that there are records for.

    Args:
        sources: What `read_sources` returned.
        paper_tables: Which of the paper's tables to make.

    Returns:
        {name: `Table`}, or None in its place where it would have no rows.

    Raises:
        InputError: a published table is missing.
    """
    tables = {name: PAPER_TABLES[name](sources) for name in paper_tables}
    tables["guidelines"] = guidelines_table(sources)
    tables |= speed_tables(sources.published, sources.sessions)
    planned = planned_cells(sources.configs)
    for name, (title, notes, records) in run_tables(sources).items():
        groups = budgets(records, planned)
        tables[name] = Table(name, title, notes, runs_table(groups, planned)) if groups else None
    return tables


def write_tables(folder, sources: Sources, paper_tables=tuple(PAPER_TABLES)):
    """Write every table that there are records for, Tables I and II also into the folder's README.md.

    Args:
        folder: Where the tables go.
        sources: What `read_sources` returned.
        paper_tables: Which of the paper's tables to write.

    Returns:
        Names of the tables written, without their ending; those without rows are removed.

    Raises:
        InputError: a published table is missing, or a table cannot be written.
    """
    folder, tables = Path(folder), all_tables(sources, paper_tables)
    for name, table in tables.items():
        if table is None:
            remove_table(folder, name)
            continue
        write_table(folder, table)
        if name in ("table1", "table2"):
            paragraph, columns = summary(table)
            fill_section(folder / "README.md", name, [(paragraph, table.frame, columns)])
    return [name for name, table in tables.items() if table is not None]


def run_tables(sources: Sources):
    """Return {name of a table: (title, notes, records)} of the tables that show runs alone, without the paper's."""
    configs, members, others = sources.configs, sources.members, sources.others
    records = [*(record for of_study in members.values() for record in of_study), *others]
    groups = {}
    for config in configs:
        if config.data.generated:
            continue
        rows = published.networks(sources.published, config.table) if config.table else []
        groups[f"study_{config.name}"] = (
            f"Study {config.name}: {config.data.description}",
            ["Runs that follow the config's protocol; no figure of the paper stands beside them."],
            [record for record in members[config.name] if record["network"] not in rows],
        )
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
    return groups


def planned_cells(configs):
    """Return {its key: the `Cell` that a config plans}."""
    return {cell.key: cell for config in configs for cell in cells(config, config.data.official_fingerprint)}


def sort_records(records, configs):
    """Tell the records that follow a config's protocol from all others.

    Args:
        records: Records of real and generated data, or failures.
        configs: The `StudyConfig`s.

    Returns:
        ({study: its records}, records of no config). Of two records of one cell, run on different backends or thread
        counts, the one finished last is kept in the study.
    """
    planned = planned_cells(configs)
    members, others = {config.name: {} for config in configs}, []
    for record in sorted(records, key=lambda record: record["finished"]):
        key = key_of(record)
        if key in planned and same_budget(record["protocol"], planned[key].protocol):
            members[record["study"]][key] = record
        else:
            others.append(record)
    return {study: list(by_cell.values()) for study, by_cell in members.items()}, others


def budgets(records, planned):
    """Return lists of runs that share network and budget, over the seeds and over the folds their config plans.

    Args:
        records: Records; of two of one cell and budget, run on different thread counts, the one finished last counts.
        planned: What `planned_cells` returns.
    """
    groups = {}
    for record in sorted(records, key=lambda record: record["finished"]):
        groups.setdefault(_budget(record, planned), {})[key_of(record)] = record
    order = list(CATALOGUE)

    def place(runs):
        network = runs[0]["network"]
        rank = order.index(network) if network in order else len(order)
        return runs[0]["study"], rank, network, runs[0]["protocol"]["training"]["epochs"]

    return sorted((list(by_cell.values()) for by_cell in groups.values()), key=place)


def runs_table(groups, planned):
    """Return a data frame with a row for each of the `budgets`.

    Args:
        groups: What `budgets` returns, not empty.
        planned: What `planned_cells` returns.
    """
    rows = []
    for runs in groups:
        first, last = runs[0], accuracy(runs)
        training, data = first["protocol"]["training"], first["protocol"]["data"]
        train, test = (first["coverage"][split] for split in ("train", "test"))
        folds = sorted({fold for run in runs for fold in folds_of(run["protocol"])})
        rows.append(
            {
                "study": first["study"],
                "network": first["network"],
                "model": first["title"],
                "data": _data_title(data),
                "test_folds": " ".join(map(str, folds)),
                "epochs": training["epochs"],
                "samples_used": f"{samples_used(runs)} {SECTIONS[data['source']].samples}",
                "training_samples": f"{train['used']} of {train['total']}",
                "test_samples": f"{test['used']} of {test['total']}",
                "runs": last.runs,
                "accuracy_last_epoch_percent": last.mean,
                "standard_deviation": last.std,
                "accuracy_best_epoch_percent": accuracy(runs, "best").mean,
                "parameters": first["params"],
                "batch_size": training["batch_size"],
                "learning_rate": f"{training['learning_rate']:g}",
                "precision": training["precision"],
                "backend": first["protocol"]["backend"],
                "minutes_a_run": sum(run["duration_seconds"] for run in runs) / len(runs) / 60,
                "changed_from_the_config": _changes(first, planned),
            }
        )
    return pd.DataFrame(rows).astype({"standard_deviation": float})


def _data_title(data):
    """Return what a table calls the data of a protocol."""
    section = SECTIONS[data["source"]]
    # A data set that only shares the layout has its folder's name.
    shared = "archive" in data and data["archive"] != section.model_fields["archive"].default
    return (data["archive"] if shared else section.title) + (" layout, generated data" if data["generated"] else "")


def _budget(record, planned):
    """Return what runs must share to be averaged: the protocol without seed, threads and, where planned, the fold."""
    shared = {key: value for key, value in record["protocol"].items() if key not in ("seed", "threads")}
    if key_of(record) in planned:
        shared["data"] = {key: value for key, value in shared["data"].items() if key != "test_folds"}
    return record["study"], record["network"], json.dumps(shared, sort_keys=True)


def _changes(record, planned):
    """Return the fields of a record's protocol that differ from its config's, as text."""
    same = [cell for key, cell in planned.items() if key[:3] == key_of(record)[:3]]
    cell = planned.get(key_of(record), same[0] if same else None)
    if cell is None:
        return "(its config is not at hand)"
    before, after = dict(leaves(cell.protocol)), dict(leaves(record["protocol"]))
    names = [name for name in sorted(before | after) if name.split(".")[-1] not in ("fingerprint", *EXECUTION)]
    return ", ".join(f"{name}={after.get(name)}" for name in names if after.get(name) != before.get(name))


def leaves(fields, prefix=""):
    """Yield the pairs (dotted key, value) of nested plain data, such as a protocol."""
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
