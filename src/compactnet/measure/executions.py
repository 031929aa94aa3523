"""Which backend, implementation and number of threads train the runs of an experiment fastest, found by measuring.

What was found is kept beside the records, so that a sweep that is started again goes on with it: another choice would
change bits, and with them the protocol.
"""

import contextlib
import heapq
import importlib.util
import os
import sys
from dataclasses import dataclass
from typing import Literal

from tqdm import tqdm

from compactnet.errors import InputError, ResourceError
from compactnet.files import file_lock, storage_errors, write_text
from compactnet.measure.epoch_time import BATCHES, SECONDS, EpochTimes, measure_epoch
from compactnet.processes import (
    FAST_BACKENDS,
    available_cores,
    backend,
    processor,
    vector_extensions,
    visible_gpus,
)
from compactnet.schema import Execution, hash_json
from compactnet.validation import Count, StrictModel, read_json

WORTH = 20
"""Measuring goes on only where the runs take more than this many times as long as the measuring."""

HOPELESS = 1.5
"""A way whose first steps take this many times those of the best way so far is not measured further."""


class Timed(StrictModel):
    """What one way of computing a network takes.

    Attributes:
        execution: The `Execution`.
        processes: Number of processes that were timed at once, each with its own threads.
        times: The `EpochTimes`, averaged over the processes.
    """

    execution: Execution
    processes: Count
    times: EpochTimes


class Executions(StrictModel):
    """What was measured for an experiment, one JSON file in the results folder.

    Attributes:
        format: 1.
        machine: Processor, vector extensions and number of cores where it was measured.
        threads: The number of threads that was found to be best; None while it was not compared.
        networks: {hash of a network and its training: its `Timed` ways}
    """

    format: Literal[1] = 1
    machine: str
    threads: Count | None = None
    networks: dict[str, tuple[Timed, ...]]


@dataclass(frozen=True)
class Choice:
    """How the runs of an experiment are computed.

    Attributes:
        runs: The `Run`s, in their order, each with its `Execution`.
        left: Those of them that have no record.
        workers: Number of runs to train at once.
        networks: {name of a network: the `Timed` ways that were measured for it, the chosen one first}
        hours: {(threads, runs at once): hours for the runs that are left}, for what was compared; the chosen one first.
        machine: Where it was measured, or None where nothing was.
    """

    runs: tuple
    left: tuple
    workers: int
    networks: dict
    hours: dict
    machine: str | None


def choose_executions(experiment, runs, records, counts, results, workers=None, measure_all=False, stream=None):
    """Choose the executions of runs.

    A run that has a record keeps the record's; on official data, the record may be another experiment's. For the
    others, what the experiment leaves open is measured: the backend, where KERAS_BACKEND is not set; the implementation
    and oneDNN, where `implementation` is "auto"; the threads, where `threads` is "auto" and the number of workers is
    not given. Nothing is trained.

    Args:
        experiment: The `Experiment`.
        runs: Some of its `Run`s.
        records: The `RunRecord`s that exist.
        counts: {fold name: (training samples, test samples)}
        results: Path of the results folder.
        workers: Number of runs trained at once, or None to choose it: one for each GPU where there are any.
        measure_all: Whether to measure also where there is nothing to choose.
        stream: Stream for the progress bar; standard error if left out.

    Returns:
        A `Choice`.

    Raises:
        InputError: a network cannot be timed.
        ResourceError: a process was killed, or the choice cannot be written.
    """
    done = done_runs(experiment, runs, records)
    left = [run for run in runs if run.key not in done]
    path = results / "executions" / f"{experiment.name}.json"

    def wait():
        tqdm.write(f"Another command chooses how {experiment.name} is trained: waiting.", file=stream or sys.stderr)

    # Two sweeps in one folder take the same choice.
    with contextlib.ExitStack() as stack:
        # For the lock alone: an OSError of the measuring is not one of the folder.
        with storage_errors(path, "Choose another results folder."):
            stack.enter_context(file_lock(path.with_suffix(".lock"), wait))
        chooser = _Chooser(experiment, left, counts, path, workers, stream)
        chosen = chooser.choose(measure_all)
    kept = [done.get(run.key) or run.model_copy(update={"execution": chosen[run.key]}) for run in runs]
    return Choice(
        runs=tuple(kept),
        left=tuple(run for run in kept if run.key not in done),
        workers=workers or chooser.layouts[0][1],
        networks=chooser.networks(),
        hours=chooser.hours,
        machine=chooser.store.machine if chooser.store.networks else None,
    )


def done_runs(experiment, runs, records):
    """Return {key: the run with its record's execution} of those runs that have a record.

    The arguments are those of `choose_executions`.
    """
    # Of two records of a run, that of its own experiment counts.
    records = sorted(records, key=lambda record: record.run.experiment == experiment.name)
    return {
        run.key: run.model_copy(update={"execution": record.run.execution})
        for run in runs
        for record in records
        if _fits(experiment, record, run)
    }


def of_these_data(records, fingerprints):
    """Return records without those of other data.

    Args:
        records: `RunRecord`s.
        fingerprints: {fold name: fingerprint of the data}, for the folds that were read.
    """
    return [one for one in records if fingerprints.get(one.run.data.fold_name, one.fingerprint) == one.fingerprint]


def candidates(experiment, threads):
    """Return the `Execution`s that an experiment allows with a number of threads, the likeliest to be fast first."""
    if experiment.implementation != "auto":
        ways = [{"backend": backend(), "implementation": experiment.implementation}]
    else:
        ways = _open_ways(experiment)
    return [Execution(threads=threads, recompute=experiment.recompute, **way) for way in ways]


def _open_ways(experiment):
    # Fast forms are for processors, and in float32.
    fast_forms = not visible_gpus() and experiment.training.precision == "float32"
    if os.environ.get("KERAS_BACKEND") or not fast_forms:
        backends = [backend()]
    else:
        backends = [name for name in FAST_BACKENDS if _installed(name)]
    kinds = {"tensorflow": [{"onednn": True}, {"onednn": False}], "jax": [{}]} if fast_forms else {}
    fast = [{"backend": name, "implementation": "fast", **kind} for name in backends for kind in kinds.get(name, [])]
    # Without oneDNN, and Keras' own layers, last.
    fast.sort(key=lambda way: way.get("onednn") is False)
    return fast + [{"backend": name, "implementation": "keras"} for name in backends]


def _installed(module):
    return importlib.util.find_spec(module) is not None


def run_seconds(run, times, train, test):
    """Return the seconds of a run: its start, all epochs with their evaluation, and two more evaluations at the end.

    The training batches of `recalibrated_accuracy` are left out: seconds, or up to a minute.

    Args:
        run: The `Run`.
        times: Its `EpochTimes`.
        train: Number of training samples.
        test: Number of test samples.
    """
    batch = run.training.batch_size
    steps, evaluated, epochs = -(-train // batch), -(-test // batch), run.training.epochs
    return times.start + epochs * steps * times.step + (epochs + 2) * evaluated * times.evaluation


class _Chooser:
    def __init__(self, experiment, left, counts, path, workers, stream):
        self._experiment, self._counts, self._path, self._stream = experiment, counts, path, stream
        self._runs, self._left = left, {}
        for run in left:
            self._left.setdefault(run.network.name, []).append(run)
        self.store = self._read()
        self.layouts = self._possible_layouts(workers)
        self._dropped = False  # whether a layout did not work
        self.hours = {}

    def choose(self, measure_all):
        """Return {key of a run: its `Execution`}."""
        undecided = len(self.layouts) > 1 or len(self._ways(self.layouts[0])) > 1
        if self._left and (undecided or measure_all):
            self._measure(undecided)
            self._decide_layout()
            self._write()
        return {
            run.key: self._best(name, self.layouts[0]).execution
            if self._timed(name, self.layouts[0])
            else self._ways(self.layouts[0])[0]
            for name, runs in self._left.items()
            for run in runs
        }

    def networks(self):
        """Return the measured ways of each network, the chosen one first."""
        found = {}
        for name in self._left:
            if timed := self._timed(name, self.layouts[0]):
                best = self._best(name, self.layouts[0])
                found[name] = (best, *(way for way in timed if way is not best))
        return found

    def _read(self):
        machine = f"{processor()}, {', '.join(vector_extensions() or ())}, {len(available_cores())} cores"
        if not self._path.exists():
            return Executions(machine=machine, networks={})
        return read_json(Executions, self._path, "Delete it to measure again.")

    def _write(self):
        write_text(self._path, self.store.model_dump_json(indent=2) + "\n")

    def _possible_layouts(self, workers):
        """Return pairs (threads, runs at once)."""
        cores, gpus = len(available_cores()), len(visible_gpus())
        workers = workers or gpus or None
        threads = self._experiment.threads
        if threads == "auto":
            if workers is None and self.store.threads is None and cores > 1:
                return [(cores, 1), (1, cores)]
            threads = self.store.threads if workers is None else None
            threads = threads or max(1, cores // (workers or 1))
            workers = workers or max(1, cores // threads)
        # Runs that share a core or a GPU take turns.
        return [(threads, max(1, min(workers or 1, gpus or cores // threads)))]

    def _ways(self, layout):
        return candidates(self._experiment, layout[0])

    def _measure(self, undecided):
        first, *others = self._ways(self.layouts[0])
        # Where the threads are decided, a network with any measured way has its choice.
        decided = self.store.threads is not None
        names = [name for name in self._left if not (decided and self._timed(name, self.layouts[0]))]
        more = len(others) + len(self.layouts) - 1
        planned = len(names) * (1 + more if undecided else 1)
        with tqdm(total=planned, desc="timing", unit="way", file=self._stream) as bar:
            for name in names:
                self._time_first(name, first)
                bar.update()
            if not undecided or not names or not self._worth(names, first, more):
                self.layouts = self.layouts[:1]
                bar.update(planned - bar.n)
                return
            for name in names:
                for way in others:
                    self._try(name, self.layouts[0], way)
                    bar.update()
                for layout in self.layouts[1:]:
                    best = self._best(name, self.layouts[0]).execution
                    if not self._try(name, layout, best.model_copy(update={"threads": layout[0]})):
                        self.layouts.remove(layout)
                        self._dropped = True
                    bar.update()
            bar.update(planned - bar.n)

    def _worth(self, names, first, others):
        """Say whether the runs take so long that it is worth to measure `others` ways of each network too."""
        # From what is kept, not from a clock, so that a sweep that is started again decides likewise.
        layout = self.layouts[0]
        firsts = {name: way for name in names for way in self._timed(name, layout) if way.execution == first}
        measuring = sum(way.times.start + SECONDS + BATCHES * way.times.step for way in firsts.values())
        hours = sum(self._hours(name, way) for name, way in firsts.items())
        return 3600 * hours > WORTH * others * measuring

    def _time_first(self, name, execution):
        """Measure the first way of a network, without which nothing is known of it."""
        at_once = self.layouts[0][1]
        try:
            self._time(name, self.layouts[0], execution)
        except (InputError, ResourceError) as error:
            if at_once == 1:
                raise
            raise type(error)(
                f"{' '.join(error.lines)}. {at_once} were timed at once: set WORKERS=1 for one at a time."
            ) from error

    def _try(self, name, layout, execution):
        """Measure a way of a network that is not the only one, and say whether it works."""
        try:
            self._time(name, layout, execution)
        except (InputError, ResourceError) as error:
            at_once = f"{layout[1]} at once, " if layout[1] > 1 else ""
            tqdm.write(f"{execution.title}, {at_once}is left out: {error}", file=self._stream or sys.stderr)
            return False
        return True

    def _time(self, name, layout, execution):
        """Measure a way of a network, unless it is known."""
        processes = layout[1]
        if any((way.execution, way.processes) == (execution, processes) for way in self._timed(name)):
            return
        run = self._left[name][0].model_copy(update={"execution": execution})
        known = self._timed(name, layout)
        limit = HOPELESS * min(way.times.step for way in known) if known else None
        times = measure_epoch(run, sum(self._counts[run.data.fold_name]), processes, limit)
        timed = Timed(execution=execution, processes=processes, times=times)
        self.store.networks[self._hash(name)] = (*self._timed(name), timed)
        # Once the threads are decided, any way that is kept is a network's choice: what is measured then is kept whole.
        if self.store.threads is None:
            self._write()

    def _timed(self, name, layout=None):
        """Return what was measured for a network; with a layout, those of its ways that the experiment allows."""
        ways = self.store.networks.get(self._hash(name), ())
        if layout is None:
            return ways
        allowed = self._ways(layout)
        return [way for way in ways if way.execution in allowed and way.processes == layout[1]]

    def _hash(self, name):
        run = self._left[name][0]
        training = run.training.model_dump(mode="json", exclude={"epochs"})
        sizes = [run.data.sample_shape, run.data.network_size, run.data.classes]
        return hash_json([run.network.architecture(), sizes, training])

    def _best(self, name, layout):
        return min(self._timed(name, layout), key=lambda way: self._hours(name, way))

    def _hours(self, name, way):
        runs = self._left[name]
        return sum(run_seconds(run, way.times, *self._counts[run.data.fold_name]) for run in runs) / 3600

    def _layout_hours(self, layout):
        """Return the hours of all runs that are left, with `layout[1]` of them at once."""
        best = {name: self._best(name, layout).times for name in self._left}
        # Each run begins, in its order, where the first one before it ends.
        ends = [0.0] * layout[1]
        for run in self._runs:
            seconds = run_seconds(run, best[run.network.name], *self._counts[run.data.fold_name])
            heapq.heapreplace(ends, ends[0] + seconds)
        return max(ends) / 3600

    def _decide_layout(self):
        hours = {layout: self._layout_hours(layout) for layout in self.layouts}
        self.layouts = sorted(hours, key=hours.get)
        self.hours = {layout: hours[layout] for layout in self.layouts}
        if len(hours) > 1 or self._dropped:
            self.store = self.store.model_copy(update={"threads": self.layouts[0][0]})


def _fits(experiment, record, run):
    """Say whether a record is the run's, as far as can be told without reading the data."""
    done = record.run
    if done.experiment != run.experiment and not run.data.official_fingerprint:
        return False
    if (done.key[1:], done.budget) != (run.key[1:], run.budget):
        return False
    if not record.fingerprint.startswith(run.data.official_fingerprint):
        return False
    return _allows(experiment, done.execution)


def _allows(experiment, execution):
    """Say whether an experiment may have been computed in this way, on whatever machine."""
    if experiment.threads not in ("auto", execution.threads) or experiment.recompute != execution.recompute:
        return False
    if experiment.implementation == "auto":
        return not os.environ.get("KERAS_BACKEND") or execution.backend == backend()
    return (execution.backend, execution.implementation) == (backend(), experiment.implementation)
