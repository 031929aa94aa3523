#!/usr/bin/env python3
"""Run a study: train the cells that have no record yet, then write its tables."""

import argparse
import sys
from pathlib import Path

from compactnet.commands import chatter_held_back, run_command
from compactnet.errors import InputError
from compactnet.experiments.config import load_config, load_shipped
from compactnet.experiments.launcher import launch
from compactnet.experiments.records import read_records
from compactnet.experiments.study import build_network, cells
from compactnet.files import check_writable
from compactnet.report.counts import Counts
from compactnet.report.tables import read_sources, write_tables

ROOT = Path(__file__).resolve().parent.parent


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="YAML file, such as configs/ic.yaml")
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="folder that holds the data set (default: data)"
    )
    parser.add_argument(
        "--results", type=Path, default=Path("runs"), help="folder for records and tables (default: runs)"
    )
    parser.add_argument("--only", nargs="+", metavar="NETWORK", help="train these networks of the study only")
    parser.add_argument("--seeds", type=int, metavar="N", help="use the first N seeds of the config")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes", help="change a key")
    parser.add_argument(
        "--skip-bad",
        action="append_const",
        const="data.skip_bad=true",
        dest="changes",
        help="go on without clips that are missing or damaged; the records say which",
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="cells trained at once (default: 1)")
    parser.add_argument("--tensorboard", action="store_true", help="write TensorBoard logs below the results")
    return parser.parse_args()


def main():
    options = arguments()
    if options.workers < 1:
        raise InputError(f"--workers takes a number of at least 1. Received: {options.workers}")
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
    read_records(options.results / "records")
    for part in ("", f"records/{config.name}", f"logs/{config.name}"):
        check_writable(options.results / part)
    outcome = launch(config, planned, options.data, options.results, options.workers, options.tensorboard)
    print(f"{outcome.done} cells trained, {outcome.skipped} were there, {len(outcome.failed)} failed.")
    counts = Counts(ROOT / "results" / "complexity.csv")
    sources = read_sources(options.results, known, ROOT / "results" / "paper", counts)
    for name in write_tables(options.results, sources, paper_tables):
        print(f"{options.results / name}.csv, .md")
    return 1 if outcome.failed else 0


if __name__ == "__main__":
    sys.exit(run_command(main))
