"""Milliseconds of both models, timed in turns."""

import os

import keras
import numpy as np

from compactnet.compression.report import Times
from compactnet.measure.runtimes import accelerator, inference_call
from compactnet.processes import available_cores
from compactnet.timing import interleaved

ROUNDS = 15
"""Timed calls of each model."""


def timed(original, compressed):
    """Return the `Times` of inference of one sample by two models, on the current backend.

    Args:
        original: A functional `keras.Model`.
        compressed: Another of the same inputs and outputs.
    """
    backend = keras.config.backend()
    missing = _missing(original)
    if missing:
        return Times(None, None, backend, "", missing)
    threads = processor_threads(backend)
    sample = np.random.default_rng(0).random((1, *original.inputs[0].shape[1:]), dtype="float32")
    models = {"before": original, "after": compressed}
    calls = {name: inference_call(backend, model, sample, threads) for name, model in models.items()}
    timings = interleaved(calls, ROUNDS)
    device = accelerator(backend)
    processor = device or f"{threads} thread{'' if threads == 1 else 's'}"
    return Times(*(1e3 * timings[name].median for name in models), backend, processor)


def processor_threads(backend):
    """Return the threads that a backend may use: those its environment names, or the cores of this process."""
    named = {"tensorflow": "TF_NUM_INTRAOP_THREADS", "jax": "NPROC", "torch": "OMP_NUM_THREADS"}.get(backend, "")
    value = os.environ.get(named, "")
    return int(value) if value.isdigit() and int(value) > 0 else len(available_cores())


def _missing(model):
    """Return why a model cannot be timed, or None."""
    if not isinstance(model.input, keras.KerasTensor) or not isinstance(model.output, keras.KerasTensor):
        return "only models of one input and one output are timed"
    if None in model.inputs[0].shape[1:]:
        return f"the input shape {tuple(model.inputs[0].shape)} leaves sizes open"
    return None
