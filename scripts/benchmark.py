#!/usr/bin/env python3
"""Time the interchannel operation, training steps, inference and log-mel on this machine, as ratios within one run."""

import argparse
import contextlib
import dataclasses
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import librosa
import numpy as np
import soundfile

from compactnet.commands import run_command
from compactnet.data import SCENES, dcase2019
from compactnet.data.extraction import features_of
from compactnet.data.feature_store import WORKER_ENVIRONMENT, FeatureStore
from compactnet.errors import InputError
from compactnet.experiments.environment import processor
from compactnet.measure import inference, speed
from compactnet.measure.conventions import ASC_INPUT
from compactnet.networks import CATALOGUE, build
from compactnet.report import published
from compactnet.report.counts import Counts

ROOT = Path(__file__).resolve().parent.parent
FAMILIES = {
    "vgg8": ["xvgg8", "compact_vgg_sum_c2", "compact_vgg_sum_c4", "compact_vgg_sum_c8"],
    "resnet50": ["compact_resnet_sum_c2", "compact_resnet_sum_c4", "compact_resnet_sum_c8"],
    "mobilenet_v1_100": [
        "compact_mobilenet_sum_c2",
        "compact_mobilenet_sum_c4",
        "compact_mobilenet_sum_c8",
        "mobilenet_v1_050",
        "mobilenet_v1_025",
        "mobilenet_v2_100",
        "shufflenet_v1_200",
        "shufflenet_v2_200",
    ],
}
"""The networks of Tables I and II, by the network that their speed is a multiple of."""

STEP_NETWORKS = ("xvgg8", "compact_vgg_sum_c2", "compact_vgg_max_c2")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--part",
        choices=("operation", "step", "inference", "features", "clip", "all"),
        default="all",
        help="what to time (default: all; clip: one core's share of features, in this process)",
    )
    parser.add_argument(
        "--runtime", choices=inference.RUNTIMES, default="tensorflow", help="what runs inference (default: tensorflow)"
    )
    parser.add_argument("--rounds", type=int, default=30, help="timed calls of each candidate (default: 30)")
    options = parser.parse_args()
    if options.rounds < 3:
        raise InputError(f"--rounds takes a number of at least 3. Received: {options.rounds}")
    if options.part == "clip":
        _one_clip(options.rounds)
        return
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise InputError("The benchmark times TensorFlow: leave KERAS_BACKEND out or set it to tensorflow.")
    import tensorflow as tf

    threads = tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count()
    print(f"{processor()}, {os.cpu_count()} cores, {threads} threads, TensorFlow {tf.__version__}")
    if options.part in ("operation", "all"):
        _operation(options.rounds)
    if options.part in ("step", "all"):
        _step(options.rounds)
    if options.part in ("inference", "all"):
        _inference(options.rounds, options.runtime)
    if options.part in ("features", "all"):
        _features(options.rounds)


def _operation(rounds):
    print("\nInterchannel operation, forward and backward, (32, 16, 16, 128):")
    for factor in (2, 4, 8):
        for operation in ("sum", "max", "average"):
            timings = speed.interchannel_operation(operation, factor, rounds=3 * rounds)
            base = timings["reshape and reduce"].median
            figures = ", ".join(
                f"{name} {1e3 * timing.median:.2f} ms ({base / timing.median:.2f}x as fast)"
                for name, timing in timings.items()
                if name != "reshape and reduce"
            )
            print(f"  {operation}, C={factor}: reshape and reduce {1e3 * base:.2f} ms, {figures}")


def _step(rounds):
    print("\nTraining step, batch 32, 32x32x3, 'same' padding, Adam:")
    models = {}
    for name in STEP_NETWORKS:
        spec = CATALOGUE[name]
        spec = dataclasses.replace(spec, skeleton=dataclasses.replace(spec.skeleton, padding="same"))
        models[name] = build(spec, (32, 32, 3), name=name)
    timings = speed.training_step(models, rounds=rounds)
    for name, (middle, low, high) in speed.ratios(timings, STEP_NETWORKS[0]).items():
        print(
            f"  {name}: {1e3 * timings[name].median:.1f} ms, {middle:.3f} of {STEP_NETWORKS[0]} ({low:.3f}-{high:.3f})"
        )
    for name, model in models.items():
        kinds = speed.seconds_by_kind(model)
        total = sum(kinds.values())
        shares = ", ".join(f"{kind} {100 * seconds / total:.0f} %" for kind, seconds in kinds.items())
        print(f"  where the time goes, {name} ({1e3 * total:.0f} ms layer by layer): {shares}")


def _inference(rounds, runtime):
    """Time the networks of Tables I and II, each family beside its first network."""
    core = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    counts = Counts(ROOT / "results" / "complexity.csv")
    paper = {row["model"]: row for table in ("table1", "table2") for _, row in _published(table).iterrows()}
    print(f"\nInference with {runtime}, batch 1, {'x'.join(map(str, ASC_INPUT))}, one thread, core {core}:")
    for base, others in FAMILIES.items():
        timings = inference.side_by_side(
            [base, *others], runtime, ASC_INPUT, threads=1, core=core, rounds=5, calls=max(6, rounds // 5)
        )
        for timing in timings:
            ratios = np.median(timings[0].seconds, axis=1) / np.median(timing.seconds, axis=1)
            counted = [counts.get(name, CATALOGUE[name], ASC_INPUT).flops for name in (base, timing.network)]
            printed = [paper[row_title(name)]["cpu_samples_per_s"] for name in (timing.network, base)]
            first, middle, third = (1e3 * seconds for seconds in timing.quartiles)
            print(
                f"  {timing.network}: {middle:.1f} ms ({first:.1f}-{third:.1f}), {1e3 / middle:.2f} samples/s, "
                f"{np.median(ratios):.2f}x as fast as {base} ({ratios.min():.2f}-{ratios.max():.2f}); "
                f"paper {printed[0] / printed[1]:.2f}x, FLOPs {counted[0] / counted[1]:.2f}x"
            )


def row_title(name):
    """Return what the paper's speed columns call a network: they do not tell sum from maximum and average."""
    return re.sub("CompactNet-[SMA]", "CompactNet", CATALOGUE[name].title)


def _published(table):
    return published.read(ROOT / "results" / "paper", table)


def _features(rounds):
    """Time a generated clip in the format of acoustic scenes, from the file to the picture, and the feature store."""
    print(
        "\nLog-mel of a generated clip of 10 s, 48 kHz, stereo, 24 bit, from the file to the array, one core:",
        flush=True,
    )
    for title, settings in (
        ("with the memory settings of the feature store's processes", WORKER_ENVIRONMENT),
        ("without", {}),
    ):
        print(f"  {title}, for all alike:", flush=True)
        command = [sys.executable, __file__, "--part", "clip", "--rounds", str(rounds)]
        subprocess.run(command, env={**os.environ, **settings}, check=True)
    print("\nFeature store, clips a second once the processes run:", flush=True)
    with _clip() as path:
        seconds = {1: [], 2: []}
        for _ in range(min(rounds, 5)):
            for processes, times in seconds.items():
                times.append((_fill(path, 300, processes) - _fill(path, 60, processes)) / 240)
    one, two = (statistics.median(times) for times in seconds.values())
    print(f"  one process {1 / one:.1f}, two {1 / two:.1f}: {one / two:.2f} times as many")


@contextlib.contextmanager
def _clip():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.wav"
        noise = np.random.default_rng(0).normal(0, 0.1, (480_000, 2))
        soundfile.write(path, np.clip(noise, -1, 1), 48_000, subtype="PCM_24")
        yield path


def _fill(path, count, processes):
    """Return the seconds that `count` clips, all of them the same, take."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        names = [f"{number}.wav" for number in range(count)]
        for name in names:
            os.link(path, Path(folder) / name)
        store = FeatureStore(folder, "benchmark", folder, names, dcase2019.FEATURES)
        began = time.perf_counter()
        with open(os.devnull, "w") as nowhere:
            store.fill(np.arange(count), processes, nowhere)
        return time.perf_counter() - began


def _one_clip(rounds):
    def reference(path, fft):
        samples, rate = librosa.load(path, sr=SCENES.sample_rate)
        return librosa.feature.melspectrogram(
            y=samples,
            sr=rate,
            n_fft=fft,
            hop_length=SCENES.hop,
            win_length=SCENES.window,
            window="hamming",
            pad_mode="constant",
            n_mels=SCENES.bands,
        )

    def read_and_resample(path):
        samples, rate = soundfile.read(path, dtype="float32")
        mono = samples[:, 0] + samples[:, 1]
        return librosa.resample(mono, orig_sr=rate, target_sr=SCENES.sample_rate, res_type="soxr_hq")

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with _clip() as path:
        candidates = {
            "ours": lambda: features_of(path, dcase2019.FEATURES, "float32"),
            "librosa, FFT 2048": lambda: reference(path, 2_048),
            "librosa, FFT 1724": lambda: reference(path, 1_724),
            "the floor, reading and resampling alone": lambda: read_and_resample(path),
        }
        timings = speed.interleaved(candidates, rounds)
    for name, (middle, low, high) in speed.ratios(timings, "ours").items():
        print(f"    {name}: {1e3 * timings[name].median:.1f} ms, {middle:.2f} of ours ({low:.2f}-{high:.2f})")


if __name__ == "__main__":
    sys.exit(run_command(main))
