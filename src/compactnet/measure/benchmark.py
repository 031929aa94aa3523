"""Speed of networks: each in a separate process, interleaved in rounds.

A process builds one network, warms up, and then times calls on request; between its turns it waits. What slows the
machine down for a while then slows all networks of a round alike, and ratios stay valid.
"""

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile

from tqdm import tqdm

from compactnet import environment
from compactnet.checks import check_integer, format_shape
from compactnet.errors import InputError, ResourceError
from compactnet.measure.runtimes import missing_modules
from compactnet.processes import BACKENDS, available_cores, job_environment
from compactnet.schema import NetworkTimings, SpeedRecord, Workload

DEVICES = ("cpu", "gpu")


def pinned_core():
    """Return the core to pin a process to, or None where the system cannot do that, such as on macOS."""
    return available_cores()[0] if _can_pin() else None


def _can_pin():
    return hasattr(os, "sched_setaffinity")


def benchmark(specs, work=None, rounds=5, calls=6, keep_alive=True, loaded_core=None, stream=None):
    """Time networks in turn.

    Args:
        specs: {name: `NetworkSpec`}.
        work: A `Workload` without `deployed`, see `compactnet.deploy.timing.time_deployed`; left out, TensorFlow's
            inference of one sample of 128x512x1 on one thread.
        rounds: Turns of each network; the order rotates by one from round to round.
        calls: Timed calls per turn.
        keep_alive: Whether the processes wait for their next turn. False starts them again for each turn, for work that
            takes too much memory for all of them at once.
        loaded_core: A core to keep busy meanwhile, to see whether ratios stay the same on a busy machine.
        stream: Stream for the progress bar; standard error if left out.

    Returns:
        A `SpeedRecord`.

    Raises:
        InputError: no networks, a number out of range, a runtime or core that this machine lacks, or a network that
            cannot be built or run so.
        ResourceError: a process ended early, for example because memory ran out, or no core was kept busy.
    """
    work = work or Workload()
    check_integer("rounds", rounds)
    check_integer("calls", calls)
    _check_available(work, loaded_core)
    if not specs:
        raise InputError("`specs` is empty: name at least one network to time.")
    started, load = environment.now(), round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    names = list(specs)
    seconds, summaries = {name: [] for name in names}, {}
    with contextlib.ExitStack() as stack, _bar(len(names) * (rounds + keep_alive), work, stream) as bar:
        if loaded_core is not None:
            stack.enter_context(_busy(loaded_core))
        processes = {}
        if keep_alive:
            for name in names:
                processes[name] = stack.enter_context(_Process(name, specs[name], work))
                bar.update()
        for turn in range(rounds):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                kept = contextlib.nullcontext(processes[name]) if keep_alive else _Process(name, specs[name], work)
                with kept as process:
                    seconds[name].append(process.ask(calls))
                    if turn == rounds - 1:
                        summaries[name] = process.ask("summary")
                    made = process.made
                bar.update()
    return SpeedRecord(
        work=work,
        loaded_core=loaded_core,
        load_before=load,
        started=started,
        finished=environment.now(),
        environment=made["environment"],
        accelerator=made["accelerator"],
        networks=[NetworkTimings(network=name, seconds=seconds[name], **summaries[name]) for name in names],
    )


def _check_available(work, loaded_core):
    if work.deployed:
        raise InputError(
            "`benchmark` times networks as they were built. Received: deployed=True. Time exported files with "
            "compactnet.deploy.timing.time_deployed."
        )
    for name, core in (("core", work.core), ("loaded_core", loaded_core)):
        if core is not None and not _can_pin():
            raise InputError(f"`{name}` must be None: this system pins no process to a core. Received: {name}={core!r}")
        if core is not None and core not in available_cores():
            raise InputError(f"`{name}` must be None or one of {available_cores()}. Received: {name}={core!r}")
    if missing := missing_modules(work.runtime):
        raise InputError(
            f"{work.runtime} needs {', '.join(missing)}, which is not installed. Install it (LiteRT and ONNX Runtime: "
            "`.venv/bin/python -m pip install -e '.[runtimes]'` in the clone), or choose another runtime."
        )


def _bar(total, work, stream):
    stream = stream or sys.stderr
    # Without a terminal each update is a line in a log.
    pause = 0.2 if stream.isatty() else 60.0
    return tqdm(
        total=total,
        desc=f"{work.kind} {format_shape(work.input_shape)}, {work.runtime}, {work.device}",
        unit="turn",
        file=stream,
        mininterval=pause,
        maxinterval=pause,
        leave=False,
    )


@contextlib.contextmanager
def _busy(core):
    """Keep a core busy with matrix products."""
    program = "import numpy as np\na = np.ones((512, 512), np.float32)\nwhile True: a @ a"
    # After Ctrl-C it would print a traceback of its own.
    process = subprocess.Popen([sys.executable, "-c", program], env=_environment(Workload()), stderr=subprocess.DEVNULL)
    try:
        os.sched_setaffinity(process.pid, {core})
        yield
        if (status := process.poll()) is not None:
            raise ResourceError(f"The process that keeps core {core} busy ended early, with status {status}.")
    finally:
        process.kill()
        process.wait()


def _environment(work):
    backend = work.runtime if work.runtime in BACKENDS else "tensorflow"
    environment = job_environment(backend, work.threads, "cpu" if work.device == "cpu" else None)
    if work.device == "cpu" and work.threads == 1:
        environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return environment


class _Process:
    """One network in a separate process, which lives as long as the block."""

    def __init__(self, name, spec, work):
        self.name, self.made = name, None
        self._spec, self._work = spec, work

    def __enter__(self):
        # What its libraries print is shown only if it fails.
        self._log = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "compactnet.measure.benchmark_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=_environment(self._work),
        )
        try:
            if self._work.core is not None:
                os.sched_setaffinity(self._process.pid, {self._work.core})
            self.made = self.ask({"name": self.name, "spec": self._spec, "work": self._work})
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception):
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def ask(self, request):
        """Send a request and return the answer."""
        try:
            pickle.dump(request, self._process.stdin)
            self._process.stdin.flush()
            answer = pickle.load(self._process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            status = self._process.wait()
            self._log.seek(0)
            last = (self._log.read().strip().splitlines() or ["no output"])[-1]
            raise ResourceError(f"Timing {self.name} failed, status {status}: {last}") from error
        if isinstance(answer, InputError):
            raise InputError(f"{self.name} cannot be timed: {answer}")
        return answer
