"""Inference speed of networks: each in a process of its own, side by side in rounds, one sample at a time.

A process builds one network for one runtime, warms up, and then times calls whenever it is asked to; between its turns
it waits. So whatever slows the machine down for a while slows all networks of a round alike, and ratios hold.
"""

import contextlib
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from compactnet.errors import InputError
from compactnet.networks import build, find

RUNTIMES = ("tensorflow", "litert", "onnxruntime")
WARM_UP = 5
TOLERANCE = 1e-3
"""Largest difference of a probability between a runtime and the model; what is faster but wrong is not timed."""


@dataclass(frozen=True)
class Timings:
    """The timed calls of one network on one runtime.

    Attributes:
        network: Its catalogue name.
        runtime: One of `RUNTIMES`.
        seconds: Array of shape (rounds, calls).
        versions: {package: version} of what ran it.
    """

    network: str
    runtime: str
    seconds: np.ndarray
    versions: dict

    @property
    def quartiles(self):
        """First quartile, median and third quartile of all calls, in seconds."""
        return tuple(float(value) for value in np.percentile(self.seconds, (25, 50, 75)))


def side_by_side(networks, runtime="tensorflow", input_shape=(128, 512, 1), threads=1, core=None, rounds=5, calls=10):
    """Time networks in turn.

    Args:
        networks: Catalogue names.
        runtime: One of `RUNTIMES`.
        input_shape: (height, width, channels) of the one sample.
        threads: Processor threads of each.
        core: Processor core to which each is pinned, or None for any.
        rounds: How often each has its turn; the order turns by one from round to round.
        calls: Timed calls a turn.

    Returns:
        [Timings] in the order of `networks`. A conversion, where the runtime needs one, is a plain one in float32.

    Raises:
        InputError: an unknown network or runtime, or a number out of range; or a process ended.
    """
    if runtime not in RUNTIMES:
        raise InputError(f"`runtime` must be one of {', '.join(RUNTIMES)}. Received: runtime={runtime!r}")
    for name, value in (("threads", threads), ("rounds", rounds), ("calls", calls)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"`{name}` must be an integer of at least 1. Received: {name}={value!r}")
    for network in networks:
        find(network)
    processes = []
    try:
        for network in networks:
            job = {"network": network, "runtime": runtime, "input_shape": input_shape, "threads": threads, "core": core}
            processes.append(_Process(job))
        seconds = {network: [] for network in networks}
        for turn in range(rounds):
            first = turn % len(processes)
            for process in processes[first:] + processes[:first]:
                seconds[process.network].append(process.time(calls))
        return [
            Timings(process.network, runtime, np.array(seconds[process.network]), process.versions)
            for process in processes
        ]
    finally:
        for process in processes:
            process.stop()


class _Process:
    def __init__(self, job):
        self.network = job["network"]
        threads = str(job["threads"])
        variables = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {
            **os.environ,
            **dict.fromkeys(variables, threads),
            "TF_NUM_INTEROP_THREADS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "KERAS_BACKEND": "tensorflow",
            # The figures are of the processor.
            "CUDA_VISIBLE_DEVICES": "-1",
        }
        # What its libraries say is shown only if it fails.
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed by `stop`
        self._process = subprocess.Popen(
            [sys.executable, "-m", "compactnet.measure.inference"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=environment,
        )
        try:
            self.versions = self._ask(job)["versions"]
        except BaseException:
            self.stop()
            raise

    def time(self, calls):
        """Return the seconds of some calls."""
        return self._ask({"calls": calls})["seconds"]

    def stop(self):
        """End the process."""
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def _ask(self, request):
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            return json.loads(self._process.stdout.readline())
        except (OSError, ValueError) as error:
            status = self._process.wait()
            self._log.seek(0)
            last = (self._log.read().strip().splitlines() or ["it said nothing"])[-1]
            raise InputError(f"Timing {self.network} failed, status {status}: {last}") from error


def tensorflow_call(model, sample, threads):
    """Return a function that runs a model on a sample as one compiled call, ended when it returns; and versions.

    The threads are those of the process, which its environment says.
    """
    import tensorflow as tf

    compiled = tf.function(lambda values: model(values, training=False), jit_compile=False)
    concrete = compiled.get_concrete_function(tf.TensorSpec(sample.shape, tf.float32))
    values = tf.constant(sample)
    return lambda: concrete(values).numpy(), {"tensorflow": tf.__version__}


def litert_call(model, sample, threads):
    """Return the same for a plain conversion to LiteRT, in float32."""
    from ai_edge_litert.interpreter import Interpreter

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        model.export(path, format="litert", verbose=False)
        interpreter = Interpreter(model_content=path.read_bytes(), num_threads=threads)
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(source["index"], sample.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(source["index"], sample)

    def call():
        interpreter.invoke()
        return interpreter.get_tensor(target["index"])

    return call, {"ai-edge-litert": importlib.metadata.version("ai-edge-litert")}


def onnxruntime_call(model, sample, threads):
    """Return the same for a plain conversion to ONNX, in float32."""
    import onnxruntime

    model(sample)  # the conversion asks for a model that was called
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.export(path, format="onnx", verbose=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    versions = {"onnxruntime": onnxruntime.__version__, "tf2onnx": importlib.metadata.version("tf2onnx")}
    return lambda: session.run(None, {name: sample})[0], versions


CALLS = MappingProxyType({"tensorflow": tensorflow_call, "litert": litert_call, "onnxruntime": onnxruntime_call})
"""What makes a function to time, by runtime."""


def main():
    """Answer the requests of `side_by_side` until standard input ends."""
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    # What a library prints goes to the log.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    job = json.loads(sys.stdin.readline())
    if job["core"] is not None:
        os.sched_setaffinity(0, {job["core"]})
    sample = np.random.default_rng(0).normal(size=(1, *job["input_shape"])).astype(np.float32)
    model = build(job["network"], tuple(job["input_shape"]))
    call, versions = CALLS[job["runtime"]](model, sample, job["threads"])
    reference = np.asarray(model(sample, training=False))
    difference = float(np.abs(call() - reference).max())
    if not difference <= TOLERANCE:
        raise InputError(f"{job['network']} on {job['runtime']} is off by {difference:.1e} from the model itself.")
    for _ in range(WARM_UP):
        call()
    print(json.dumps({"versions": versions}), file=channel)
    for line in sys.stdin:
        seconds = []
        for _ in range(json.loads(line)["calls"]):
            began = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - began)
        print(json.dumps({"seconds": seconds}), file=channel)


if __name__ == "__main__":
    main()
