"""Records of speed: one JSON file a session of `side_by_side`, the only source of a speed in a table or figure."""

import dataclasses
import json
from pathlib import Path
from types import MappingProxyType

import numpy as np

from compactnet.errors import InputError
from compactnet.experiments.config import SPEED
from compactnet.experiments.study import hash_of
from compactnet.files import write_text
from compactnet.measure.conventions import ASC_INPUT
from compactnet.measure.side_by_side import Session, Timings, Work

FORMAT = 1

FAMILIES = MappingProxyType(
    {
        "vgg8": ("xvgg8", "compact_vgg_sum_c2", "compact_vgg_sum_c4", "compact_vgg_sum_c8"),
        "resnet50": ("compact_resnet_sum_c2", "compact_resnet_sum_c4", "compact_resnet_sum_c8"),
        "mobilenet_v1_100": (
            "mobilenet_v1_050",
            "mobilenet_v1_025",
            "compact_mobilenet_sum_c2",
            "compact_mobilenet_sum_c4",
            "compact_mobilenet_sum_c8",
            "mobilenet_v2_100",
            "mobilenet_v2_050",
            "mobilenet_v2_025",
            "shufflenet_v1_200",
            "shufflenet_v1_100",
            "shufflenet_v1_050",
            "shufflenet_v2_200",
            "shufflenet_v2_100",
            "shufflenet_v2_050",
        ),
    }
)
"""The networks of Tables I and II and Fig. 4, by the uncompressed network that their speed is a multiple of."""


def write_session(folder, session: Session):
    """Write a session; one of the same work on the same machine is replaced.

    Args:
        folder: Results folder; the record goes to `records/speed` below it.
        session: What `side_by_side` returned; its first network is the one that ratios refer to.

    Returns:
        The record's path.
    """
    work = dataclasses.asdict(session.work)
    machine = hash_of([work, session.loaded_core, session.environment["processor"], session.accelerator])[:8]
    shape = "x".join(map(str, session.work.input_shape))
    state = "" if session.loaded_core is None else "-loaded"
    name = f"{session.work.kind}-{shape}-{session.work.runtime}-{session.work.device}{state}"
    path = Path(folder) / "records" / SPEED / f"{name}-{session.timings[0].network}-{machine}.json"
    record = {
        "format": FORMAT,
        "work": work,
        "loaded_core": session.loaded_core,
        "load_before": session.load_before,
        "started": session.started,
        "finished": session.finished,
        "environment": session.environment,
        "accelerator": session.accelerator,
        "networks": [
            {
                "network": timing.network,
                "flops": timing.flops,
                "peak_bytes": timing.peak_bytes,
                "seconds": timing.seconds.round(7).tolist(),
            }
            for timing in session.timings
        ],
    }
    write_text(path, json.dumps(record, indent=1) + "\n")
    return path


def read_sessions(folder):
    """Return the sessions below `records/speed` of a results folder, oldest first.

    Raises:
        InputError: a file there is no such record.
    """
    sessions = [_read(path) for path in sorted((Path(folder) / "records" / SPEED).glob("*.json"))]
    return sorted(sessions, key=lambda session: session.finished)


def _read(path):
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] != FORMAT:
            raise ValueError(f"its format is {record['format']!r}, and this version reads {FORMAT}")
        timings = []
        for row in record["networks"]:
            seconds = np.array(row["seconds"], dtype=float)
            if seconds.ndim != 2 or not seconds.size or not (seconds > 0).all():
                raise ValueError(f"{row['network']} has no rounds of positive seconds")
            timings.append(Timings(row["network"], seconds, row["flops"], row["peak_bytes"]))
        if not timings:
            raise ValueError("it has no networks")
        work = Work(**{**record["work"], "input_shape": tuple(record["work"]["input_shape"])})
        fields = ("environment", "accelerator", "started", "finished")
        before = (record["loaded_core"], record["load_before"])
        session = Session(work, *before, tuple(timings), *(record[field] for field in fields))
        machine(session)  # what every row says must be there
        return session
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is not a record of speed: {error}. Move it away, or time it again.") from error


def newest(sessions, base, runtime, device):
    """Return the last session of the paper's measurement, or None.

    That is inference of one sample of 128x512x1 on one thread, of a machine otherwise idle.

    Args:
        sessions: What `read_sessions` returns.
        base: Name of the session's first network.
        runtime: One of `RUNTIMES`.
        device: "cpu" or "gpu".
    """
    wanted = ("inference", runtime, device, ASC_INPUT, 1, 1)
    found = [
        session
        for session in sessions
        if session.loaded_core is None
        and session.timings[0].network == base
        and dataclasses.astuple(session.work)[: len(wanted)] == wanted
    ]
    return found[-1] if found else None


def machine(session):
    """Return what a row says about where it was timed: processor, threads, pinning and versions."""
    work, environment = session.work, session.environment
    where = session.accelerator if work.device == "gpu" else environment["processor"]
    threads = f"{work.threads} thread{'s' if work.threads > 1 else ''}"
    core = "any core" if work.core is None else f"core {work.core}"
    package = {"litert": "ai-edge-litert"}.get(work.runtime, work.runtime)
    names = dict.fromkeys([package, "keras"])
    versions = ", ".join(f"{name} {environment['versions'][name]}" for name in names)
    return f"{where}, {threads}, {core}, {versions}"
