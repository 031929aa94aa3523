"""The process of one network in `side_by_side`: builds it, warms it up, and times its calls on request."""

import os
import pickle
import sys
import time
from pathlib import Path

import keras
import numpy as np

from compactnet import environment
from compactnet.errors import InputError
from compactnet.measure.complexity import complexity
from compactnet.measure.runtimes import PACKAGES, accelerator, accelerator_peak_bytes, inference_call, training_call
from compactnet.measure.side_by_side import WARM_UP
from compactnet.networks import build

SETTLE_SECONDS = 0.1
"""Untimed calls at the start of each turn."""

TOLERANCE = 1e-3
"""Largest difference of a probability between a runtime and the model; what is faster but wrong is not timed."""


def main():
    """Answer requests on standard input until it ends."""
    source, channel = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # What a library prints goes to the log.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(values):
        pickle.dump(values, channel)
        channel.flush()

    job = pickle.load(source)
    work = job["work"]
    try:
        described = environment.describe(PACKAGES.get(work.runtime, ()))
        device = accelerator(described["backend"]) if work.device == "gpu" else None
        if work.device == "gpu" and device is None:
            raise InputError(f"{work.runtime} sees no GPU here. Leave --device gpu out, or install its GPU build.")
        before = _memory("VmRSS")
        model, call = _model_and_call(job["name"], job["spec"], work)
        for _ in range(WARM_UP[work.kind]):
            call()
    except ValueError as error:  # InputError, and what Keras and the layers refuse
        answer(InputError(str(error).strip().splitlines()[0]))
        return
    answer({"environment": described, "accelerator": device})
    while True:
        try:
            request = pickle.load(source)
        except EOFError:
            return
        if request == "summary":
            most = _memory("VmHWM")
            above = most - before if most is not None else None
            peak = accelerator_peak_bytes(described["backend"]) if device else above
            # Counted last: a count copies the model.
            answer({"peak_bytes": peak, "flops": complexity(model).flops})
        else:
            # Where a process waited, caches are cold and the core may sleep, which costs small networks most.
            awake = time.perf_counter() + SETTLE_SECONDS
            while work.kind == "inference" and time.perf_counter() < awake:
                call()
            answer([_seconds(call) for _ in range(request)])


def _seconds(call):
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _model_and_call(name, spec, work):
    generator = np.random.default_rng(0)
    samples = generator.normal(size=(work.batch_size, *work.input_shape)).astype(np.float32)
    model = build(spec, work.input_shape, name=name)
    if work.kind == "training":
        return model, training_call(model, samples, generator.integers(0, model.output_shape[-1], work.batch_size))
    call = inference_call(work.runtime, model, samples, work.threads)
    reference = keras.ops.convert_to_numpy(model(samples, training=False))
    difference = float(np.abs(call() - reference).max())
    if not difference <= TOLERANCE:
        raise InputError(f"on {work.runtime} its output is off by {difference:.1e} from the model itself.")
    return model, call


def _memory(field):
    """Return the resident bytes now (VmRSS) or at most so far (VmHWM), or None where the system does not tell."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(field + ":"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    return None


if __name__ == "__main__":
    main()
