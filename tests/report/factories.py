"""Made-up records, benchmarks and feature maps; their values are invented."""

import math

import numpy as np

from compactnet.measure.feature_maps import FeatureMaps, write_feature_maps
from compactnet.measure.speed_records import FAMILIES, write_speed_record
from compactnet.schema import Environment, Epoch, FailureRecord, NetworkTimings, SpeedRecord, Workload, summarize
from tests import factories

VERSIONS = {"tensorflow": "2.21.0", "keras": "3.15.1", "ai-edge-litert": "2.3.0", "onnxruntime": "1.31.1"}
ENVIRONMENT = Environment(processor="made-up processor", versions=VERSIONS, commit="0123456789abcdef")


def planned_run(experiment, network, seed=0, fold=""):
    """Return the run of an experiment with a network, a seed and the name of a fold."""
    return next(run for run in experiment.runs([network]) if (run.seed, run.data.fold_name) == (seed, fold))


def run_record(experiment, network, seed=0, last=0.8, best=0.95, fold="", fingerprint=None, used=None, **fields):
    """Return the record of a run whose test accuracy stays the same until the last epoch.

    Args:
        experiment: The `Experiment`.
        network: Name of the network.
        seed: The seed.
        last: Test accuracy of the last epoch.
        best: Test accuracy of the others.
        fold: Name of the fold.
        fingerprint: Fingerprint of the data; the official one if left out.
        used: {split: samples used}.
        **fields: Fields of the record.
    """
    assert best >= last
    coverage = {"train": {"used": 50_000, "total": 50_000}, "test": {"used": 10_000, "total": 10_000}}
    for split, count in (used or {}).items():
        coverage[split]["used"] = count
    run = planned_run(experiment, network, seed, fold)
    fingerprint = fingerprint or official_fingerprint(run.data)
    return factories.run_record(run, fingerprint, (best, last), coverage=coverage, **fields)


def trained_record(run, history):
    """Return the record of a run with a history, a list of `Epoch`s."""
    fields = {"environment": ENVIRONMENT, "history": history, **summarize(history)}
    return factories.run_record(run, official_fingerprint(run.data), **fields)


def official_fingerprint(data):
    """Return a fingerprint that official data may have: for recordings it ends with that of the files' content."""
    return data.official_fingerprint + ("" if data.source == "cifar10" else "made up")


def speed_record(baseline, finished="2020-01-01", processor="made-up processor", scale=1.0, loaded_core=None, **work):
    """Return a speed record in which the n-th network of a family takes 1/n of the time of the first."""
    seconds = scale * np.array([[0.10, 0.12, 0.11], [0.20, 0.22, 0.21]])
    networks = [
        NetworkTimings(network=name, flops=1_000, peak_bytes=50_000_000, seconds=(seconds / place).tolist())
        for place, name in enumerate([baseline, *FAMILIES[baseline]], 1)
    ]
    return SpeedRecord(
        work=Workload(**work),
        loaded_core=loaded_core,
        load_before=0.1,
        started=finished,
        finished=finished,
        environment=ENVIRONMENT.model_copy(update={"processor": processor}),
        accelerator="made-up GPU" if work.get("device") == "gpu" else None,
        networks=networks,
    )


def feature_maps():
    """Return feature maps of noise."""
    return FeatureMaps(
        maps=np.random.default_rng(0).random((2, 128, 60)).astype(np.float32),
        experiment="asc",
        network="compact_vgg_sum_c2",
        title="MADE UP",
        data="noise",
        generated_data=True,
        protocol_hash="none",
        weights_sha256="none",
        seed=0,
        epochs=1,
        clips="1 of 1",
        sample=0,
        label="none",
        group=0,
        seconds=10.0,
        bands=128,
    )


def write(path, record):
    """Write a record without waiting for the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(record.model_dump_json())


def fill_results(folder, experiments, seeds=None, keep=lambda run: True, failed=lambda run: False):
    """Write a record for each run of some experiments, benchmarks of several runtimes and devices, and feature maps.

    Args:
        folder: The results folder.
        experiments: The `Experiment`s.
        seeds: How many seeds of each experiment, or None for all.
        keep: Function of a `Run` that says whether it has a record.
        failed: Likewise, whether a run without a record has failed.
    """
    for experiment in experiments:
        for number, run in enumerate(experiment.runs(seeds=seeds)):
            path = folder / "records" / run.experiment / f"{run.network.name}-{number}.json"
            if keep(run):
                write(path, _trained(run))
            elif failed(run):
                failure = {"reason": "FloatingPointError: made up", "attempts": 2, "log": "log", "finished": "2020"}
                write(folder / "failures" / path.name, FailureRecord(run=run, **failure))
    for baseline in FAMILIES:
        for runtime in ("tensorflow", "litert", "onnxruntime"):
            write_speed_record(folder, speed_record(baseline, runtime=runtime))
        write_speed_record(folder, speed_record(baseline, device="gpu", scale=0.1))
    write_feature_maps(folder / "records", feature_maps())


def _trained(run):
    """Return a record whose accuracies rise to a plateau, lower for max and large C."""
    factor = getattr(run.network.convolution, "compact_factor", 1)
    is_max = getattr(run.network.convolution, "operation", None) == "max"
    noise = np.random.default_rng([run.seed, *run.network.name.encode()])
    plateau = 0.9 - 0.01 * factor * (1 + is_max) + noise.normal(0, 0.003)
    history = []
    for epoch in range(1, run.training.epochs + 1):
        reached = plateau * (1 - math.exp(-epoch / (6 if is_max else 4)))
        accuracies = {"train_accuracy": reached, "test_accuracy": 0.95 * reached}
        losses = {"train_loss": 1.5 - reached, "test_loss": 1.6 - reached}
        history.append(Epoch(epoch=epoch, **accuracies, **losses, seconds=1.0))
    return trained_record(run, history)
