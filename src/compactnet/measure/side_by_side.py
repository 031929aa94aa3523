"""Speed of networks: each in a process of its own, side by side in rounds.

A process builds one network, warms up, and then times calls whenever it is asked to; between its turns it waits. So
whatever slows the machine down for a while slows all networks of a round alike, and ratios hold.
"""

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

import numpy as np
from tqdm import tqdm

from compactnet.errors import InputError
from compactnet.measure.runtimes import RUNTIMES, missing_modules
from compactnet.processes import BACKENDS, job_environment

WARM_UP = MappingProxyType({"inference": 5, "training": 2})
"""The kinds of work, and the untimed calls of each."""

DEVICES = ("cpu", "gpu")


@dataclass(frozen=True)
class Work:
    """What is timed, and on what.

    Attributes:
        kind: "inference", or "training" for a step of Adam: forward, backward and update.
        runtime: One of `RUNTIMES`; training takes one of the backends.
        device: "cpu" or "gpu", which takes one of the backends.
        input_shape: (height, width, channels) of a sample.
        batch_size: Samples a call.
        threads: Processor threads.
        core: The processor core that a process may use, or None for any.

    Raises:
        InputError: one of them is out of range.
    """

    kind: str = "inference"
    runtime: str = "tensorflow"
    device: str = "cpu"
    input_shape: tuple = (128, 512, 1)
    batch_size: int = 1
    threads: int = 1
    core: int | None = None

    def __post_init__(self):
        backends_only = self.kind == "training" or self.device == "gpu"
        for name, allowed in (
            ("kind", tuple(WARM_UP)),
            ("device", DEVICES),
            ("runtime", BACKENDS if backends_only else RUNTIMES),
        ):
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"`{name}` must be one of {', '.join(allowed)}. Received: {name}={getattr(self, name)!r}"
                )
        _check_positive(batch_size=self.batch_size, threads=self.threads)


@dataclass(frozen=True)
class Timings:
    """The timed calls of one network.

    Attributes:
        network: Its name.
        seconds: Array of shape (rounds, calls).
        flops: FLOPs of one sample, forward, counted on the network that was timed.
        peak_bytes: Most memory that its process held above what it held before the network was built (on a GPU: most
            memory on it), or None where the system does not tell.
    """

    network: str
    seconds: np.ndarray
    flops: int
    peak_bytes: int | None

    @property
    def quartiles(self):
        """First quartile, median and third quartile of all calls, in seconds."""
        return tuple(float(value) for value in np.percentile(self.seconds, (25, 50, 75)))

    def ratio(self, reference):
        """Return how many times as fast as `reference`: median, least and most over the rounds' medians."""
        ratios = np.median(reference.seconds, axis=1) / np.median(self.seconds, axis=1)
        return float(np.median(ratios)), float(ratios.min()), float(ratios.max())


@dataclass(frozen=True)
class Session:
    """What `side_by_side` measured: one machine, one stretch of time; ratios are taken inside a session alone.

    Attributes:
        work: The `Work`.
        loaded_core: The core that was kept busy meanwhile, or None.
        load_before: The system's load of the minute before, in processes, or None where it does not tell.
        timings: A `Timings` for each network, in the order asked for.
        environment: Versions, processor and commit.
        accelerator: Name of the GPU that ran them, or None.
        started: When, ISO 8601 in UTC.
        finished: When it ended.
    """

    work: Work
    loaded_core: int | None
    load_before: float | None
    timings: tuple
    environment: dict
    accelerator: str | None
    started: str
    finished: str


def side_by_side(specs, work=None, rounds=5, calls=6, together=True, loaded_core=None, stream=None):
    """Time networks in turn.

    Args:
        specs: {name: `NetworkSpec`}.
        work: A `Work`; left out, TensorFlow's inference of one sample of 128x512x1 on one thread.
        rounds: How often each has its turn; the order turns by one from round to round.
        calls: Timed calls a turn.
        together: Whether the processes wait for their next turn. False starts them anew for each turn, for work that
            takes so much memory that they cannot all stay: backends keep what they once took.
        loaded_core: A core to keep busy all the while, to see whether ratios hold on a busy machine.
        stream: Where the progress bar goes; standard error if left out.

    Returns:
        A `Session`.

    Raises:
        InputError: no networks, a number out of range, a runtime or core that is not here, or a network that cannot be
            built or run so.
    """
    work = work or Work()
    _check_positive(rounds=rounds, calls=calls)
    _check_here(work, loaded_core)
    if not specs:
        raise InputError("There is nothing to time: `specs` is empty.")
    started, load = _now(), round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    names = list(specs)
    seconds, summaries = {name: [] for name in names}, {}
    with contextlib.ExitStack() as stack, _bar(len(names) * (rounds + together), work, stream) as bar:
        if loaded_core is not None:
            stack.enter_context(_busy(loaded_core))
        processes = {}
        if together:
            for name in names:
                processes[name] = stack.enter_context(_Process(name, specs[name], work))
                bar.update()
        for turn in range(rounds):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                staying = contextlib.nullcontext(processes[name]) if together else _Process(name, specs[name], work)
                with staying as process:
                    seconds[name].append(process.ask(calls))
                    if turn == rounds - 1:
                        summaries[name] = process.ask("summary")
                    made = process.made
                bar.update()
    timings = tuple(Timings(name, np.array(seconds[name]), **summaries[name]) for name in names)
    return Session(work, loaded_core, load, timings, made["environment"], made["accelerator"], started, _now())


def cores():
    """Return the processor cores that this process may use, or none where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _check_here(work, loaded_core):
    for name, core in (("core", work.core), ("loaded_core", loaded_core)):
        if core is not None and core not in cores():
            raise InputError(f"`{name}` must be None or one of {cores()}. Received: {name}={core!r}")
    if missing := missing_modules(work.runtime):
        raise InputError(
            f"{work.runtime} needs {', '.join(missing)}, not installed here. Install it (LiteRT and ONNX Runtime: "
            "`pip install 'compactnet[runtimes]'`) or choose another runtime."
        )


def _check_positive(**numbers):
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"`{name}` must be an integer of at least 1. Received: {name}={value!r}")


def _now():
    return datetime.now(UTC).isoformat(timespec="seconds")


def _bar(total, work, stream):
    stream = stream or sys.stderr
    shape = "x".join(map(str, work.input_shape))
    # Without a terminal a bar is a line in a log: seldom is enough.
    pause = 0.2 if stream.isatty() else 60.0
    return tqdm(
        total=total,
        desc=f"{work.kind} {shape}, {work.runtime}, {work.device}",
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
    process = subprocess.Popen([sys.executable, "-c", program], env=_environment(Work()))
    try:
        os.sched_setaffinity(process.pid, {core})
        yield
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
    """One network in a process of its own, from entering the block to leaving it."""

    def __init__(self, name, spec, work):
        self.name, self.made = name, None
        self._spec, self._work = spec, work

    def __enter__(self):
        # What its libraries say is shown only if it fails.
        self._log = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "compactnet.measure.timed_process"],
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
            last = (self._log.read().strip().splitlines() or ["it said nothing"])[-1]
            raise InputError(f"Timing {self.name} failed, status {status}: {last}") from error
        if isinstance(answer, InputError):
            raise InputError(f"{self.name} cannot be timed: {answer}")
        return answer
