#!/usr/bin/env python3
"""Write report.html, one self-contained page, from the records and figures in a results folder."""

import sys
from pathlib import Path

from compactnet.commands import Parser, add_results_option, check_results, run_command

ROOT = Path(__file__).resolve().parent.parent


def main():
    from compactnet.report.page import write_page
    from compactnet.report.sources import repository_sources

    parser = Parser(description=__doc__)
    add_results_option(parser, ROOT / "results")
    options = parser.parse_args()
    check_results(options.results)
    sources = repository_sources(ROOT, options.results)
    print(write_page(options.results, sources))


if __name__ == "__main__":
    sys.exit(run_command(main))
