#!/usr/bin/env python3
"""Run a study: train the cells that have no record yet, then write its tables."""

import argparse
import sys
from pathlib import Path

from compactnet.commands import chatter_held_back, run_command, study_options
from compactnet.experiments import launcher, slurm
from compactnet.experiments.config import load_config, load_shipped
from compactnet.experiments.job import plan_job
from compactnet.experiments.study import build_network, cells
from compactnet.files import check_writable
from compactnet.report.counts import Counts
from compactnet.report.tables import read_sources, write_tables

ROOT = Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--skip-bad",
        action="append_const",
        const="data.skip_bad=true",
        default=[],
        dest="changes",
        help="go on without clips that are missing or damaged; the records say which",
    )
    parser.add_argument("--launcher", choices=("local", "slurm"), default="local", help="where cells run")
    parser.add_argument("--tensorboard", action="store_true", help="write TensorBoard logs below the results")
    parser.add_argument("--keep-weights", action="store_true", help="keep the trained weights below the results")
    options = study_options(parser)
    config = load_config(options.config, options.changes)
    # Without --set: a changed run never stands in the table of the config it was changed from.
    unchanged = load_config(options.config)
    # Only the shipped configs' runs stand beside the paper, whatever another file says of itself.
    known = load_shipped(ROOT / "configs")
    if unchanged.name not in [shipped.name for shipped in known]:
        known.append(unchanged.model_copy(update={"table": None}))
    paper_tables = tuple(shipped.table for shipped in known if shipped.name == config.name and shipped.table)
    # What is wrong with the networks is said before the data are read, which may take long.
    networks = {cell.network: cell.spec for cell in cells(config, "", options.only, options.seeds)}
    with chatter_held_back():
        for name, spec in networks.items():
            build_network(config, spec, name)
    dataset = config.data.load(options.data)
    for remark in dataset.remarks:
        print(remark)
    planned = cells(config, dataset.fingerprint, options.only, options.seeds)
    del dataset  # each cell reads its own
    # All that the end needs is looked at before weeks of training, not after.
    counts = Counts(ROOT / "results" / "complexity.csv")
    read_sources(options.results, known, ROOT / "results" / "paper", counts)
    for part in ("", *(f"{kind}/{config.name}" for kind in ("records", "logs", "checkpoints", "locks"))):
        check_writable(options.results / part)
    jobs = [
        plan_job(config, cell, options.data, options.results, options.tensorboard, options.keep_weights)
        for cell in planned
    ]
    if options.launcher == "slurm":
        outcome = slurm.launch(jobs, sys.stderr, config.launcher, options.results / "slurm", options.workers)
    else:
        outcome = launcher.launch(jobs, sys.stderr, options.workers or 1)
    print(f"{outcome.done} cells trained, {outcome.skipped} were there, {len(outcome.failed)} failed.")
    sources = read_sources(options.results, known, ROOT / "results" / "paper", counts)
    for name in write_tables(options.results, sources, paper_tables):
        print(f"{options.results / name}.csv, .md")
    return 1 if outcome.failed else 0


if __name__ == "__main__":
    sys.exit(run_command(main))
