#!/usr/bin/env python3
"""Run an experiment: train the runs that have no record yet, then write its tables."""

import sys
from pathlib import Path

from compactnet.commands import Parser, parse_experiment_options, run_command, suppress_stderr

ROOT = Path(__file__).resolve().parent.parent


def main():
    from compactnet.errors import InputError
    from compactnet.experiments import launcher, slurm
    from compactnet.experiments.checkpoints import of_other_protocols
    from compactnet.experiments.config import load_experiment, load_shipped
    from compactnet.experiments.evaluation import few_steps
    from compactnet.experiments.records import is_done, read_records
    from compactnet.files import check_writable, file_lock
    from compactnet.measure.executions import choose_executions, done_runs, of_these_data
    from compactnet.report.sources import repository_sources
    from compactnet.report.tables import select_tables, write_tables

    options = _parse_options()
    # Without --set, because the table of the config never takes runs with other settings.
    unchanged = load_experiment(options.config)
    if options.skip_bad:
        if not hasattr(unchanged.data, "skip_bad"):
            raise InputError(f"--skip-bad is for recordings, and the data of {options.config} are none. Leave it out.")
        options.overrides.append("data.skip_bad=true")
    experiment = load_experiment(options.config, options.overrides)
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
    fingerprints, sizes = _load_folds(runs, options)
    for sentence in few_steps(runs, {name: train for name, (train, _) in sizes.items()}):
        print(sentence)
    # All that the end needs is checked before weeks of training, not after.
    repository_sources(ROOT, options.results, known)
    for folder in (
        "",
        *(f"{kind}/{experiment.name}" for kind in ("records", "logs", "checkpoints")),
        "locks",
        "executions",
    ):
        check_writable(options.results / folder)
    workers = options.workers
    found = of_these_data(read_records(options.results / "records"), fingerprints)
    if options.launcher == "local":
        choice = choose_executions(experiment, runs, found, sizes, options.results, options.workers)
        runs, workers = choice.runs, choice.workers
    else:  # nothing is measured here: a cluster's nodes may differ from this machine
        done = done_runs(experiment, runs, found)
        runs = [done.get(run.key, run) for run in runs]
    jobs = [_make_job(run, fingerprints, options) for run in runs]
    for job in jobs:
        if not is_done(job) and not job.checkpoints.exists() and (others := of_other_protocols(job)):
            print(
                f"{job.title} begins anew: its checkpoints in {others[-1]} are from other data, code, threads or "
                "another backend. Delete them if you do not need them."
            )
    if options.launcher == "slurm":
        result = slurm.launch(jobs, sys.stderr, experiment.launcher, options.results / "slurm", workers)
    else:
        result = launcher.launch(jobs, sys.stderr, workers)
    print(result)
    # Of two commands that end at once, the later one writes what both have done.
    with file_lock(options.results / "locks" / "tables.lock"):
        sources = repository_sources(ROOT, options.results, known)
        written = write_tables(options.results, sources, tables)
    for name in written:
        print(f"{options.results / name}.csv, .md")
    return 1 if result.failed else 0


def _parse_options():
    parser = Parser(description=__doc__)
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="skip clips that are missing or damaged; the records say which",
    )
    parser.add_argument("--launcher", choices=("local", "slurm"), default="local", help="where runs are trained")
    parser.add_argument("--tensorboard", action="store_true", help="write TensorBoard logs to the results folder")
    parser.add_argument("--keep-weights", action="store_true", help="keep the trained weights in the results folder")
    return parse_experiment_options(parser)


def _load_folds(runs, options):
    """Load each fold once and print its remarks; return {fold name: fingerprint} and {fold name: sample counts}."""
    fingerprints, counts = {}, {}
    for name, fold in {run.data.fold_name: run.data for run in runs}.items():
        dataset = fold.load(options.data)
        fingerprints[name] = dataset.fingerprint
        counts[name] = len(dataset.train), len(dataset.test)
        for remark in dataset.remarks:
            print(f"{fold.description}: {remark}")
    return fingerprints, counts


def _make_job(run, fingerprints, options):
    from compactnet.schema import Job

    return Job(
        run=run,
        protocol_hash=run.protocol_hash(fingerprints[run.data.fold_name]),
        data_folder=options.data.absolute(),
        results_folder=options.results.absolute(),
        tensorboard=options.tensorboard,
        keep_weights=options.keep_weights,
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
