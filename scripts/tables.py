#!/usr/bin/env python3
"""Write the tables from the records in a results folder and from counts of the networks."""

import argparse
import sys
from pathlib import Path

from compactnet.commands import run_command
from compactnet.experiments.config import load_shipped
from compactnet.report.counts import Counts
from compactnet.report.paper_tables import fill_readme
from compactnet.report.tables import read_sources, write_tables

ROOT = Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--results", type=Path, default=ROOT / "results", help="folder with records/ (default: results)"
    )
    parser.add_argument("--recount", action="store_true", help="count every network anew")
    options = parser.parse_args()
    configs = load_shipped(ROOT / "configs")
    counts = Counts(ROOT / "results" / "complexity.csv", recount=options.recount)
    sources = read_sources(options.results, configs, ROOT / "results" / "paper", counts)
    for name in write_tables(options.results, sources):
        print(f"{options.results / name}.csv, .md")
    if options.results.resolve() == ROOT / "results":
        fill_readme(ROOT / "README.md", sources)
    counts.save()


if __name__ == "__main__":
    sys.exit(run_command(main))
