#!/usr/bin/env python3
"""Write the figures from the records in a results folder."""

import sys
from pathlib import Path

from compactnet.commands import Parser, add_results_option, check_results, run_command

ROOT = Path(__file__).resolve().parent.parent


def main():
    from compactnet.report.figures import write_figures
    from compactnet.report.sources import repository_sources

    parser = Parser(description=__doc__)
    add_results_option(parser, ROOT / "results")
    options = parser.parse_args()
    check_results(options.results)
    sources = repository_sources(ROOT, options.results)
    for name in write_figures(options.results, sources):
        print(f"{options.results / name}.png, .svg")


if __name__ == "__main__":
    sys.exit(run_command(main))
