"""The process of one network in `benchmark`: builds it, warms it up, and times its calls on request."""

import pickle
import resource
import sys
import time
from types import MappingProxyType

import keras
import numpy as np
import psutil

from compactnet import environment
from compactnet.errors import InputError
from compactnet.measure.runtimes import PACKAGES, accelerator, accelerator_peak_bytes, inference_call, training_call
from compactnet.networks import build
from compactnet.networks.complexity import complexity
from compactnet.processes import output_channel

WARM_UP_CALLS = MappingProxyType({"inference": 5, "training": 2})
"""Untimed calls after a network is built."""

WARM_UP_SECONDS = 0.1
"""Time of the untimed calls at the start of each turn."""

TOLERANCE = 1e-3
"""Largest difference of a probability between a runtime and the model; a wrong output is not timed."""


def main():
    """Answer requests on standard input until it ends."""
    source, channel = sys.stdin.buffer, output_channel("wb")

    def answer(values):
        pickle.dump(values, channel)
        channel.flush()

    job = pickle.load(source)
    work = job["work"]
    environment.use_standard_settings()
    try:
        described = environment.describe(PACKAGES.get(work.runtime, ()))
        device = accelerator(described.backend) if work.device == "gpu" else None
        if work.device == "gpu" and device is None:
            raise InputError(f"{work.runtime} sees no GPU. Run without --device gpu, or install its GPU build.")
        before = psutil.Process().memory_info().rss
        model, call = _model_and_call(job["name"], job["spec"], work)
        for _ in range(WARM_UP_CALLS[work.kind]):
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
            peak = accelerator_peak_bytes(described.backend) if device else _peak_memory() - before
            # Counted last, because counting copies the model.
            answer({"peak_bytes": peak, "flops": complexity(model).flops})
        else:
            # After a pause caches are cold and the core may sleep, which slows small networks most.
            ready = time.perf_counter() + WARM_UP_SECONDS
            while work.kind == "inference" and time.perf_counter() < ready:
                call()
            answer([round(_seconds(call), 7) for _ in range(request)])


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


def _peak_memory():
    """Return the peak resident memory of this process in bytes."""
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
