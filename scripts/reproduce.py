#!/usr/bin/env python3
"""Run an experiment: train the runs that have no record yet, then write its tables."""

import argparse
import sys
from pathlib import Path

from compactnet.commands import parse_experiment_options, run_command, suppress_stderr

ROOT = Path(__file__).resolve().parent.parent


def main():
    from compactnet.experiments import launcher, slurm
    from compactnet.experiments.config import load_experiment, load_shipped
    from compactnet.files import check_writable
    from compactnet.measure.counts import CountCache
    from compactnet.report.sources import read_sources
    from compactnet.report.tables import select_tables, write_tables

    options = _parse_options()
    experiment = load_experiment(options.config, options.overrides)
    # Without --set, because the table of the config never takes runs with other settings.
    unchanged = load_experiment(options.config)
    # Only the shipped configs' runs are compared with the paper, whatever another file says.
    known = load_shipped(ROOT / "configs")
    if unchanged.name not in [shipped.name for shipped in known]:
        known.append(unchanged.model_copy(update={"table": None}))
    tables = select_tables(shipped.table for shipped in known if shipped.name == experiment.name)
    runs = experiment.runs(options.only, options.seeds)
    # Problems with the networks are reported before the data are read, which may take long.
    with suppress_stderr():
        for run in {run.network.name: run for run in runs}.values():
            run.build()
    jobs = _make_jobs(runs, options)
    # All that the end needs is checked before weeks of training, not after.
    counts = CountCache(ROOT / "results" / "complexity.csv")
    read_sources(options.results, known, ROOT / "results" / "paper", counts)
    for folder in ("", *(f"{kind}/{experiment.name}" for kind in ("records", "logs", "checkpoints", "locks"))):
        check_writable(options.results / folder)
    if options.launcher == "slurm":
        result = slurm.launch(jobs, sys.stderr, experiment.launcher, options.results / "slurm", options.workers)
    else:
        result = launcher.launch(jobs, sys.stderr, options.workers or 1)
    print(result)
    sources = read_sources(options.results, known, ROOT / "results" / "paper", counts)
    for name in write_tables(options.results, sources, tables):
        print(f"{options.results / name}.csv, .md")
    return 1 if result.failed else 0


def _parse_options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--skip-bad",
        action="append_const",
        const="data.skip_bad=true",
        default=[],
        dest="overrides",
        help="skip clips that are missing or damaged; the records say which",
    )
    parser.add_argument("--launcher", choices=("local", "slurm"), default="local", help="where runs are trained")
    parser.add_argument("--tensorboard", action="store_true", help="write TensorBoard logs to the results folder")
    parser.add_argument("--keep-weights", action="store_true", help="keep the trained weights in the results folder")
    return parse_experiment_options(parser)


def _make_jobs(runs, options):
    """Load each fold once, print its remarks, and return the jobs."""
    from compactnet.schema import Job

    fingerprints = {}
    for fold in {run.data.fold_name: run.data for run in runs}.values():
        dataset = fold.load(options.data)
        fingerprints[fold.fold_name] = dataset.fingerprint
        for remark in dataset.remarks:
            print(f"{fold.description}: {remark}")
    return [
        Job(
            run=run,
            protocol_hash=run.protocol_hash(fingerprints[run.data.fold_name]),
            data_folder=options.data.absolute(),
            results_folder=options.results.absolute(),
            tensorboard=options.tensorboard,
            keep_weights=options.keep_weights,
        )
        for run in runs
    ]


if __name__ == "__main__":
    sys.exit(run_command(main))
