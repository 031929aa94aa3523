#!/usr/bin/env python3
"""Write the tables from the records in a results folder and from counts of the networks."""

import sys
from pathlib import Path

from compactnet.commands import Parser, add_results_option, check_results, run_command

ROOT = Path(__file__).resolve().parent.parent


def main():
    from compactnet.report.choosing import fill_choosing
    from compactnet.report.readme import fill_readme
    from compactnet.report.reproduction import fill_reproduction
    from compactnet.report.sources import repository_sources
    from compactnet.report.tables import write_tables

    parser = Parser(description=__doc__)
    add_results_option(parser, ROOT / "results")
    parser.add_argument("--recount", action="store_true", help="count every network again")
    options = parser.parse_args()
    check_results(options.results)
    sources = repository_sources(ROOT, options.results, recount=options.recount)
    for name in write_tables(options.results, sources):
        print(f"{options.results / name}.csv, .md")
    if options.results.resolve() == ROOT / "results":
        fill_readme(ROOT / "README.md", sources)
        fill_choosing(ROOT / "docs" / "choosing.md", sources)
        fill_reproduction(ROOT / "docs" / "reproduction.md", sources)
        sources.counts.save()


if __name__ == "__main__":
    sys.exit(run_command(main))
