"""Made-up records, sessions and feature maps; the figures in them are invented, and no page of ours shows them."""

import json
import math

import numpy as np

from compactnet.data import cifar10
from compactnet.data.dataset import fingerprint
from compactnet.experiments.study import cells
from compactnet.measure.side_by_side import Session, Timings, Work
from compactnet.report.feature_maps import FeatureMaps, write_feature_maps
from compactnet.report.speed_records import FAMILIES, write_session

OFFICIAL = fingerprint(cifar10.OFFICIAL_MD5)
VERSIONS = {"tensorflow": "2.21.0", "keras": "3.15.1", "ai-edge-litert": "2.3.0", "onnxruntime": "1.31.1"}


def record(config, network, seed=0, last=0.8, best=0.95, content=OFFICIAL, finished="2020-01-01", part="", used=None):
    (cell,) = (cell for cell in cells(config, content, only=[network]) if (cell.seed, cell.part) == (seed, part))
    assert best >= last
    others = {"train_accuracy": 0.5, "train_loss": 1.0, "test_loss": 1.5, "seconds": 1.0}
    history = [{"epoch": place, "test_accuracy": value, **others} for place, value in ((1, best), (2, last))]
    return _of_cell(config, cell, history, finished, used)


def _of_cell(config, cell, history, finished="2020-01-01", used=None):
    total = {"train": {"used": 50_000, "total": 50_000}, "test": {"used": 10_000, "total": 10_000}}
    for side, count in (used or {}).items():
        total[side]["used"] = count
    return {
        "format": 1,
        "study": config.name,
        "network": cell.network,
        "title": cell.spec.title,
        "seed": cell.seed,
        "protocol": cell.protocol,
        "protocol_hash": cell.protocol_hash,
        "history": history,
        "last": history[-1],
        "best": max(history, key=lambda epoch: epoch["test_accuracy"]),
        "coverage": total,
        "params": 1,
        "generated_data": config.data.generated,
        "finished": finished,
        "duration_seconds": 60.0,
    }


def session(base, finished="2020-01-01", processor="made-up processor", scale=1.0, loaded_core=None, **work):
    """A session in which the n-th network of a family takes 1/n of its first one's time."""
    names = [base, *FAMILIES[base]]
    seconds = scale * np.array([[0.10, 0.12, 0.11], [0.20, 0.22, 0.21]])
    timings = tuple(Timings(name, seconds / (1 + place), 1_000, 50_000_000) for place, name in enumerate(names))
    environment = {"processor": processor, "versions": VERSIONS, "commit": "0123456789abcdef"}
    accelerator = "made-up GPU" if work.get("device") == "gpu" else None
    return Session(Work(**work), loaded_core, 0.1, timings, environment, accelerator, finished, finished)


def complete(folder, configs, seeds=None, keep=lambda cell: True, failed=lambda cell: False):
    """Write a record for each cell of some configs, sessions of all runtimes and devices, and feature maps.

    Args:
        folder: The results folder.
        configs: The `StudyConfig`s.
        seeds: How many seeds of each config, or None for all.
        keep: Function of a `Cell` that says whether it has a record.
        failed: Likewise, whether a cell that has none has failed.
    """
    for config in configs:
        for cell in cells(config, config.data.official_fingerprint + "made up", seeds=seeds):
            path = folder / "records" / cell.record_name
            if keep(cell):
                write(path, _whole(config, cell))
            elif failed(cell):
                write(folder / "failures" / cell.record_name, _failure(cell))
    for base in FAMILIES:
        for runtime in ("tensorflow", "litert", "onnxruntime"):
            write_session(folder, session(base, runtime=runtime))
        write_session(folder, session(base, device="gpu", scale=0.1))
    write_feature_maps(folder / "records", maps())


def maps():
    """Feature maps of noise."""
    facts = {
        "study": "asc", "network": "compact_vgg_sum_c2", "title": "MADE UP", "data": "noise", "generated_data": True,
        "seed": 0, "epochs": 1, "sample": 0, "label": "none", "group": 0, "seconds": 10.0, "bands": 128,
        "clips": "1 of 1", "protocol_hash": "none", "weights_sha256": "none",
    }  # fmt: skip
    return FeatureMaps(np.random.default_rng(0).random((2, 128, 60)).astype(np.float32), facts)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def _whole(config, cell):
    """A record with a curve over all epochs: accuracies rise to a plateau that sinks with max and C."""
    convolution = cell.protocol["network"]["convolution"]
    factor, worst = convolution.get("compact_factor", 1), convolution.get("operation") == "max"
    noise = np.random.default_rng([cell.seed, *cell.network.encode()])
    plateau = 0.9 - 0.01 * factor * (1 + worst) + noise.normal(0, 0.003)
    history = []
    for epoch in range(1, config.training.epochs + 1):
        reached = plateau * (1 - math.exp(-epoch / (6 if worst else 4)))
        figures = {"train_accuracy": reached, "test_accuracy": 0.95 * reached, "train_loss": 1.5 - reached}
        history.append({"epoch": epoch, **figures, "test_loss": 1.6 - reached, "seconds": 1.0})
    environment = {"processor": "made-up processor", "versions": VERSIONS, "commit": "0123456789abcdef"}
    return {**_of_cell(config, cell, history), "environment": environment, "skipped": {}}


def _failure(cell):
    return {
        "study": cell.study,
        "network": cell.network,
        "seed": cell.seed,
        "protocol": cell.protocol,
        "reason": "FloatingPointError: made up",
        "attempts": 2,
        "finished": "2020-01-01",
    }
