#!/usr/bin/env python3
"""Write the tables from the records in a results folder and from counts of the networks."""

import argparse
import sys
from pathlib import Path

from compactnet.commands import run_command
from compactnet.report.paper_tables import fill_readme
from compactnet.report.tables import repository_sources, write_tables

ROOT = Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--results", type=Path, default=ROOT / "results", help="folder with records/ (default: results)"
    )
    parser.add_argument("--recount", action="store_true", help="count every network anew")
    options = parser.parse_args()
    sources = repository_sources(ROOT, options.results, options.recount)
    for name in write_tables(options.results, sources):
        print(f"{options.results / name}.csv, .md")
    if options.results.resolve() == ROOT / "results":
        fill_readme(ROOT / "README.md", sources)
    sources.counts.save()


if __name__ == "__main__":
    sys.exit(run_command(main))
