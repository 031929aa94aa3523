#!/usr/bin/env python3
"""Estimate runs, data and hours of an experiment on this machine, from a few measured steps. Nothing is trained."""

import sys

from compactnet.commands import Parser, parse_experiment_options, run_command


def main():
    from compactnet.checks import format_count
    from compactnet.experiments.config import load_experiment
    from compactnet.experiments.records import read_records
    from compactnet.measure.plan import plan

    options = parse_experiment_options(Parser(description=__doc__))
    experiment = load_experiment(options.config, options.overrides)
    runs = experiment.runs(options.only, options.seeds)
    records = read_records(options.results / "records")
    found = plan(experiment, runs, records, options.data, options.results, options.workers)
    print(
        f"{experiment.name}: {format_count(found.runs, 'run')}, {found.done} done, {found.runs - found.done} to train"
    )
    if found.download_gigabytes:
        print(
            f"data: {found.download_gigabytes:g} GB to download, {found.sample_gigabytes:.2f} GB as networks read them"
        )
    else:
        print(f"data: {found.sample_gigabytes:.4f} GB as networks read them")
    for network in found.networks:
        print(
            f"  {network.network}: {format_count(network.left, 'run')} of {_format_hours(network.run_hours)} "
            f"({1e3 * network.step_seconds:.0f} ms per step; {network.execution.title})"
        )
    for number, ((threads, at_once), hours) in enumerate(found.hours.items()):
        text = f"{format_count(at_once, 'run')} at once with {format_count(threads, 'thread')}: {_format_hours(hours)}"
        print(text + (", which is what make reproduce-* does" if number == 0 and len(found.hours) > 1 else ""))
    for sentence in found.warnings:
        print(sentence)
    if found.machine:
        print(f"measured on {found.machine}; {options.results}/executions/{experiment.name}.json keeps it")


def _format_hours(hours):
    """Return a length of time in a suitable unit."""
    if hours > 48:
        return f"{hours / 24:.1f} days"
    return f"{hours:.1f} hours" if hours > 2 else f"{60 * hours:.1f} minutes"


if __name__ == "__main__":
    sys.exit(run_command(main))
