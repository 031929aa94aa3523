"""Speed of networks as deployed: folded, exported to files, and timed in turns in their runtime."""

import os
import tempfile
import time
from pathlib import Path
from types import MappingProxyType

import numpy as np
from tqdm import tqdm

from compactnet import environment
from compactnet.checks import format_shape
from compactnet.deploy.converting import SUPPORTED, missing_converters
from compactnet.deploy.exporting import converted_files, milliseconds_of
from compactnet.deploy.folding import candidate_forms, random_samples
from compactnet.errors import InputError
from compactnet.measure.speed_records import DISTRIBUTIONS
from compactnet.networks import build
from compactnet.networks.complexity import complexity
from compactnet.schema import NetworkTimings, SpeedRecord, Workload

FORMATS = MappingProxyType(
    {"tensorflow": "saved_model", "litert": "litert", "onnxruntime": "onnx", "openvino": "openvino"}
)
"""{runtime of a `Workload`: format of the file that it runs}"""

CALIBRATION_SAMPLES = 4
"""Random samples that int8 files of untrained networks are calibrated on: speed does not depend on the values."""

WARM_UP_SECONDS = 0.1
"""Time of untimed calls before each turn."""


def time_deployed(specs, work: Workload, rounds=5, calls=6, stream=None):
    """Export untrained networks in their fastest forms and time the files in turns, in this process.

    The process must be pinned to the core of `work` and have one thread.

    Args:
        specs: {name: `NetworkSpec`}.
        work: A `Workload` with `deployed`: inference of one sample on one thread.
        rounds: Turns of each file; the order rotates by one from round to round.
        calls: Timed calls per turn.
        stream: Stream for the progress bar; standard error if left out.

    Returns:
        A `SpeedRecord`.

    Raises:
        InputError: the work is of another kind, a converter is missing, or a network cannot be converted.
    """
    format = FORMATS.get(work.runtime)
    if format is None:
        raise InputError(f"Exported files run on {', '.join(FORMATS)}. Received: {work.runtime}")
    if work.precision not in SUPPORTED[format]:
        raise InputError(f"{work.runtime} runs {', '.join(SUPPORTED[format])}. Received: precision={work.precision!r}")
    other = {"kind": "inference", "deployed": True, "device": "cpu", "batch_size": 1, "threads": 1}
    if wrong := [name for name, value in other.items() if getattr(work, name) != value]:
        raise InputError(
            "Exported files run one sample at a time on one thread of the processor. Received: "
            f"{', '.join(f'{name}={getattr(work, name)!r}' for name in wrong)}"
        )
    if missing := missing_converters(format):
        raise InputError(f"{work.runtime} needs {', '.join(missing)}, which is not installed.")
    started, load = environment.now(), round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    run, made = {}, {}
    title = f"{work.runtime}, {work.precision}, {format_shape(work.input_shape)}"
    with tempfile.TemporaryDirectory() as folder:
        for name, spec in tqdm(specs.items(), desc=f"exporting for {title}", unit="network", file=stream, leave=False):
            model = build(spec, work.input_shape, name=name)
            forms = candidate_forms(model)
            samples = random_samples(model, CALIBRATION_SAMPLES)[0]
            # Classes of an untrained network are chance, so its int8 file is timed, not judged.
            files, _ = converted_files(
                model,
                forms or ["slices"],
                format,
                work.precision,
                samples if work.precision == "int8" else None,
                (samples[:1], None),
                Path(folder) / name,
                bounded=work.precision == "float32",
            )
            milliseconds = milliseconds_of(files, samples[:1])
            best = min(milliseconds, key=milliseconds.get)
            run[name] = files[best].running.run
            made[name] = {"interchannel": best, "milliseconds_by_form": milliseconds} if forms else {}
            made[name]["flops"] = complexity(model).flops
        seconds = _time(run, samples[:1], rounds, calls)
    return SpeedRecord(
        work=work,
        loaded_core=None,
        load_before=load,
        started=started,
        finished=environment.now(),
        environment=environment.describe((DISTRIBUTIONS.get(work.runtime, work.runtime),)),
        accelerator=None,
        networks=[NetworkTimings(network=name, peak_bytes=None, seconds=seconds[name], **made[name]) for name in specs],
    )


def _time(run, sample, rounds, calls):
    names, seconds = list(run), {name: [] for name in run}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            ready = time.perf_counter() + WARM_UP_SECONDS
            while time.perf_counter() < ready:
                run[name](sample)
            seconds[name].append([round(_seconds(run[name], sample), 7) for _ in range(calls)])
    return seconds


def _seconds(function, sample):
    began = time.perf_counter()
    np.asarray(function(sample))
    return time.perf_counter() - began
