#!/usr/bin/env python3
"""Time the interchannel operation, training steps, inference, log-mel and the grid on this machine, within one run."""

import argparse
import contextlib
import os
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
from compactnet.data.samples import generate_cifar10
from compactnet.environment import processor
from compactnet.errors import InputError
from compactnet.experiments.config import SPEED, NetworkConfig, load_config
from compactnet.experiments.job import plan_job
from compactnet.experiments.launcher import launch
from compactnet.experiments.records import read_records
from compactnet.experiments.study import cells, network_specs
from compactnet.files import check_writable
from compactnet.measure import speed
from compactnet.measure.conventions import ASC_INPUT, SED_INPUT
from compactnet.measure.runtimes import RUNTIMES
from compactnet.measure.side_by_side import DEVICES, Work, cores, side_by_side
from compactnet.networks import CATALOGUE, build
from compactnet.processes import BACKENDS, job_environment
from compactnet.report.figures import write_figures
from compactnet.report.speed_records import FAMILIES, machine, read_sessions, write_session
from compactnet.report.speed_tables import printed_speeds
from compactnet.report.tables import repository_sources, write_tables

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("inference", "training", "operation", "layers", "features", "grid")
INPUTS = {ASC_INPUT: (1, 3, False), SED_INPUT: (1, 3, False), (32, 32, 3): (5, 10, True)}
"""Inputs of training steps; turns, timed steps a turn, and whether the memory of all networks fits at once."""

TURNS = 5
LAYER_NETWORKS = ("xvgg8", "compact_vgg_sum_c2", "compact_vgg_max_c2")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--part",
        nargs="+",
        choices=(*PARTS, "clip"),
        default=PARTS,
        help="what to time (default: all but clip, one core's share of features, in this process)",
    )
    parser.add_argument("--family", nargs="+", choices=tuple(FAMILIES), default=tuple(FAMILIES), help="default: all")
    parser.add_argument("--runtime", nargs="+", choices=RUNTIMES, default=["tensorflow"], help="default: tensorflow")
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="where networks run (default: cpu)")
    parser.add_argument("--loaded", action="store_true", help="keep another core busy while inference is timed")
    parser.add_argument("--rounds", type=int, default=30, help="timed calls of each candidate (default: 30)")
    parser.add_argument("--results", type=Path, default=ROOT / "runs", help="folder for records/speed (default: runs)")
    options = parser.parse_args()
    if options.rounds < 3:
        raise InputError(f"--rounds takes a number of at least 3. Received: {options.rounds}")
    if "clip" in options.part:
        _one_clip(options.rounds)
        return
    in_process = {"operation", "layers"} & set(options.part)
    if in_process and os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise InputError("The benchmark times TensorFlow: leave KERAS_BACKEND out or set it to tensorflow.")
    core = next(iter(cores()), None)
    if options.loaded and len(cores()) < 2:
        raise InputError("--loaded needs a second processor core, which this process has not.")
    print(f"{processor()}, {os.cpu_count()} cores")
    sessions = []
    if "inference" in options.part:
        for runtime in options.runtime:
            work = Work("inference", runtime, options.device, ASC_INPUT, core=None if options.device == "gpu" else core)
            loaded_core = cores()[-1] if options.loaded else None
            calls = max(1, options.rounds // TURNS)
            sessions += _networks(options, work, TURNS, calls, loaded_core=loaded_core)
    if "training" in options.part:
        for runtime in options.runtime:
            if runtime not in BACKENDS:
                print(f"\n{runtime} does not train.")
                continue
            for shape, turns in INPUTS.items():
                work = Work("training", runtime, options.device, shape, batch_size=32, threads=len(cores()) or 1)
                sessions += _networks(options, work, *turns)
    if sessions:
        _write_report(options.results)
    if "operation" in options.part:
        _operation(options.rounds)
    if "layers" in options.part:
        _layers()
    if "features" in options.part:
        _features(options.rounds)
    if "grid" in options.part:
        _grid(max(3, options.rounds // 5))


def _networks(options, work, turns, calls, together=True, loaded_core=None):
    """Time the networks of each family beside its first one, keep the record and print what was found."""
    check_writable(options.results / "records" / SPEED)
    read_sessions(options.results)  # what is damaged there is said before, not after
    paper = printed_speeds(ROOT / "results" / "paper")
    shape = "x".join(map(str, work.input_shape))
    print(f"\n{work.kind}, {work.runtime}, {work.device}, batch {work.batch_size}, {shape}:", flush=True)
    sessions = []
    for base in options.family:
        names = [base, *FAMILIES[base]]
        session = side_by_side(_specs(names, work.input_shape), work, turns, calls, together, loaded_core)
        sessions.append(session)
        write_session(options.results, session)
        first = session.timings[0]
        load = "" if session.load_before is None else f"; load before: {session.load_before}"
        print(f"  {machine(session)}{load}")
        for timing in session.timings:
            low, middle, high = (1e3 * seconds for seconds in timing.quartiles)
            ratio, least, most = timing.ratio(first)
            line = (
                f"  {timing.network}: {middle:.1f} ms ({low:.1f}-{high:.1f}), "
                f"{1e3 * work.batch_size / middle:.2f} samples/s, {ratio:.2f}x as fast as {base} "
                f"({least:.2f}-{most:.2f}); FLOPs {first.flops / timing.flops:.2f}x"
            )
            if work.kind == "inference" and timing.network in paper:
                line += f", paper {paper[timing.network][work.device] / paper[base][work.device]:.2f}x"
            if work.kind == "training" and timing.peak_bytes:
                line += f", peak memory {timing.peak_bytes / 1e6:,.0f} MB"
            print(line, flush=True)
    return sessions


def _specs(names, input_shape):
    """Return the networks: the catalogue's, but at the input of images those of configs/ic.yaml."""
    images = load_config(ROOT / "configs" / "ic.yaml")
    if input_shape != images.data.sample_shape:
        return {name: CATALOGUE[name] for name in names}
    networks = [NetworkConfig(name=name, base=name) for name in names]
    return network_specs(images.model_copy(update={"networks": networks}))


def _write_report(folder):
    sources = repository_sources(ROOT, folder)
    for name in write_tables(folder, sources, ("table1", "table2")):
        print(f"{folder / name}.csv, .md")
    for name in write_figures(folder, sources):
        print(f"{folder / name}.png, .svg")


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


def _layers():
    """Say where the time of a training step goes."""
    print("\nTraining step layer by layer, batch 32, 32x32x3, 'same' padding:")
    for name, spec in _specs(LAYER_NETWORKS, (32, 32, 3)).items():
        kinds = speed.seconds_by_kind(build(spec, (32, 32, 3), name=name))
        total = sum(kinds.values())
        shares = ", ".join(f"{kind} {100 * seconds / total:.0f} %" for kind, seconds in kinds.items())
        print(f"  {name} ({1e3 * total:.0f} ms): {shares}")


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


def _grid(count):
    """Say what a job costs beyond its run and importing Keras: starting, planning, locks, records, ending."""
    print(f"\nGrid of {count} short cells of generated images, one after the other:", flush=True)
    config = load_config(
        ROOT / "configs" / "sample" / "ic.yaml", ["networks=[xvgg8]", f"seeds={list(range(count))}", "threads=1"]
    )
    with tempfile.TemporaryDirectory() as folder:
        generate_cifar10(folder)
        planned = cells(config, config.data.load(folder).fingerprint)
        jobs = [plan_job(config, cell, folder, folder) for cell in planned]
        importing = []
        for _ in range(3):
            began = time.perf_counter()
            environment = job_environment(jobs[0]["backend"], jobs[0]["threads"])
            subprocess.run([sys.executable, "-c", "import keras"], env=environment, check=True, capture_output=True)
            importing.append(time.perf_counter() - began)
        began = time.perf_counter()
        with open(os.devnull, "w") as nowhere:
            launch(jobs, nowhere)
        whole = (time.perf_counter() - began) / count
        run = statistics.mean(record["duration_seconds"] for record in read_records(Path(folder) / "records"))
    keras_seconds = statistics.median(importing)
    print(
        f"  {whole:.2f} s a job: the run, from loading data to its end, {run:.2f} s, importing Keras "
        f"{keras_seconds:.2f} s, all else {whole - run - keras_seconds:.2f} s"
    )


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
