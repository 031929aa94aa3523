#!/usr/bin/env python3
"""Write report.html, one self-contained page, from the records and figures in a results folder."""

import argparse
import sys
from pathlib import Path

from compactnet.commands import run_command
from compactnet.experiments.config import load_shipped
from compactnet.report.counts import Counts
from compactnet.report.page import write_page
from compactnet.report.tables import read_sources

ROOT = Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--results", type=Path, default=ROOT / "results", help="folder with records/ (default: results)"
    )
    options = parser.parse_args()
    counts = Counts(ROOT / "results" / "complexity.csv")
    sources = read_sources(options.results, load_shipped(ROOT / "configs"), ROOT / "results" / "paper", counts)
    print(write_page(options.results, sources))


if __name__ == "__main__":
    sys.exit(run_command(main))
