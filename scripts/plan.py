#!/usr/bin/env python3
"""Say what a study will take: cells, data and hours on this machine, from a few measured steps. Nothing is trained."""

import argparse
import sys

from compactnet.commands import run_command, study_options
from compactnet.experiments.config import load_config
from compactnet.experiments.records import read_records
from compactnet.experiments.study import cells
from compactnet.report.plan import plan


def main():
    options = study_options(argparse.ArgumentParser(description=__doc__))
    config = load_config(options.config, options.changes)
    planned = cells(config, config.data.official_fingerprint, options.only, options.seeds)
    records = read_records(options.results / "records")
    found = plan(config, planned, records, options.data, options.workers or 1)
    print(f"{config.name}: {found.cells} cells, {found.done} done, {found.cells - found.done} to train")
    if found.download_gigabytes:
        print(
            f"data: {found.download_gigabytes:g} GB to download, {found.sample_gigabytes:.2f} GB as networks read them"
        )
    else:
        print(f"data: {found.sample_gigabytes:.4f} GB as networks read them")
    for network in found.networks:
        print(
            f"  {network.network}: {network.left} cells of {_time(network.cell_hours)} "
            f"({1e3 * network.step_seconds:.0f} ms a step)"
        )
    print(f"{_time(found.hours)} on this machine, {found.at_once} at once, {config.threads} threads each")


def _time(hours):
    """Return a length of time in the unit that suits it."""
    if hours > 48:
        return f"{hours / 24:.1f} days"
    return f"{hours:.1f} hours" if hours > 2 else f"{60 * hours:.1f} minutes"


if __name__ == "__main__":
    sys.exit(run_command(main))
