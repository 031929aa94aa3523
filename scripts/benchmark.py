#!/usr/bin/env python3
"""Time inference, training steps, the interchannel operation, log-mel and the overhead of a sweep on this machine."""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from compactnet.commands import Parser, add_results_option, run_command

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("inference", "deployed", "training", "operation", "layers", "features", "sweep")
IN_THIS_PROCESS = ("clip", "files")
OF_NETWORKS = ("inference", "training")
USED_BY = {
    "family": (*OF_NETWORKS, "deployed", "files"),
    "runtime": (*OF_NETWORKS, "deployed", "files"),
    "precision": ("deployed", "files"),
    "only": ("deployed", "files"),
    "loaded": ("inference",),
    "rounds": ("inference", "deployed", "files", "operation", "features", "clip", "sweep"),
}
"""{option: parts that use it}"""

TURNS = 5
IMAGE_INPUT = (32, 32, 3)
LAYER_NETWORKS = ("xvgg8", "compact_vgg_sum_c2", "compact_vgg_max_c2")


def main():
    from compactnet.errors import InputError
    from compactnet.measure.benchmark import DEVICES, pinned_core
    from compactnet.measure.conventions import ASC_INPUT, SED_INPUT
    from compactnet.measure.runtimes import RUNTIMES
    from compactnet.measure.speed_records import FAMILIES
    from compactnet.processes import available_cores, backend, processor
    from compactnet.schema import Workload

    parser = Parser(description=__doc__)
    parser.add_argument(
        "--part",
        nargs="+",
        choices=(*PARTS, *IN_THIS_PROCESS),
        help="what to time (default: all but clip and files, which time log-mel of one clip and the exported files of "
        "one family in this process; with --config or --device gpu inference and training)",
    )
    parser.add_argument("--family", nargs="+", choices=tuple(FAMILIES), help="default: all")
    parser.add_argument(
        "--config",
        type=Path,
        help="time the networks of this experiment, with its input, instead of the families: those of a skeleton in "
        "turns, as multiples of the first of them",
    )
    parser.add_argument("--runtime", nargs="+", choices=(*RUNTIMES, "openvino"), help="default: tensorflow")
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=("float32", "float16", "int8", "int8_dynamic"),
        help="of the files of the part deployed (default: float32 int8; TensorFlow runs float32 alone)",
    )
    parser.add_argument("--only", nargs="+", metavar="NETWORK", help="of the part deployed, besides the baselines")
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="where networks run (default: cpu)")
    parser.add_argument("--loaded", action="store_true", help="keep another core busy while inference is timed")
    parser.add_argument(
        "--rounds",
        type=int,
        help=f"timed calls of inference, in {TURNS} rounds, and of features; operation makes three times as many, "
        "sweep a fifth as many runs, and training has numbers of its own (at least 3, default: 30)",
    )
    add_results_option(parser, ROOT / "runs")
    options = parser.parse_args()
    if options.rounds is not None and options.rounds < 3:
        raise InputError(f"--rounds takes a number of at least 3. Received: {options.rounds}")
    if options.config:
        _check_goes_with_config(options)
    given = options.part or ()
    if not given and (options.config or options.device == "gpu"):
        options.part = OF_NETWORKS
    if options.part:
        _check_parts(options, given)  # before the defaults, which may be of no use to a part
    options.part = options.part or PARTS
    options.family = options.family or tuple(FAMILIES)
    options.runtime = options.runtime or ["tensorflow"]
    options.precision = options.precision or ["float32", "int8"]
    options.rounds = options.rounds or 30
    _check_timed(options, given)
    exported = _exported(options)
    if "clip" in options.part:
        _clip(options.rounds)
        return
    if "files" in options.part:
        _files(options, exported)
        return
    if {"operation", "layers"} & set(options.part) and backend() != "tensorflow":
        raise InputError("The parts operation and layers time TensorFlow. Unset KERAS_BACKEND, or choose other parts.")
    cores = available_cores()
    if options.loaded and len(cores) < 2:
        raise InputError("--loaded needs a second processor core, and this process may use one only.")
    print(f"{processor()}, {os.cpu_count()} cores")
    core = pinned_core() if options.device == "cpu" else None
    loaded_core = cores[-1] if options.loaded else None
    if options.config:
        _experiment(options, core, len(cores), loaded_core)
        _write_report(options.results)
        return
    if "inference" in options.part:
        for runtime in options.runtime:
            if not _times("inference", runtime, options):
                continue  # it runs exported files alone
            work = Workload(runtime=runtime, device=options.device, input_shape=ASC_INPUT, core=core)
            _networks(options, work, rounds=TURNS, calls=max(1, options.rounds // TURNS), loaded_core=loaded_core)
    if "deployed" in options.part:
        _deployed(options, exported)
    if "training" in options.part:
        for runtime in options.runtime:
            if not _times("training", runtime, options):
                print(f"\n{runtime} does not train.")
                continue
            shared = {"kind": "training", "runtime": runtime, "device": options.device, "batch_size": 32}
            for shape in (ASC_INPUT, SED_INPUT):
                work = Workload(**shared, input_shape=shape, threads=len(cores))
                # The memory of all networks does not fit at once, so each is built again for each round.
                _networks(options, work, rounds=3, calls=1, keep_alive=False)
            work = Workload(**shared, input_shape=IMAGE_INPUT, threads=len(cores))
            _networks(options, work, rounds=5, calls=10)
    if {"inference", "deployed", "training"} & set(options.part):
        _write_report(options.results)
    if "operation" in options.part:
        _operation(options.rounds)
    if "layers" in options.part:
        _layers()
    if "features" in options.part:
        _features(options.rounds)
    if "sweep" in options.part:
        _sweep(max(3, options.rounds // 5))


def _check_goes_with_config(options):
    """Refuse what says which networks are timed, or how files are; an experiment has its own networks and no files."""
    from compactnet.errors import InputError
    from compactnet.measure.runtimes import RUNTIMES

    other = [f"--part {part}" for part in options.part or () if part not in OF_NETWORKS]
    other += [f"--{name}" for name in ("family", "only", "precision") if getattr(options, name)]
    other += [f"--runtime {runtime}" for runtime in options.runtime or () if runtime not in RUNTIMES]
    if other:
        raise InputError(
            f"--config times the networks of an experiment, with --part {' or '.join(OF_NETWORKS)}, and does not "
            f"go with {', '.join(other)}. Leave one of the two out."
        )


def _check_parts(options, given):
    """Refuse a part that would be left out, and an option that no part uses; `given` has the parts that were named."""
    from compactnet.errors import InputError

    chosen = set(options.part)
    asked = f"--part {' '.join(given)}" if given else f"--device {options.device}"
    if len(chosen) > 1 and (alone := chosen.intersection(IN_THIS_PROCESS)):
        raise InputError(f"--part {min(alone)} stands alone. Received: {asked}. Leave the others out.")
    for name, parts in USED_BY.items():
        if getattr(options, name) and not chosen.intersection(parts):
            raise InputError(f"--{name} goes with --part {' or '.join(parts)}. Received: {asked}. Leave --{name} out.")
    if options.device == "gpu" and not chosen <= set(OF_NETWORKS):
        raise InputError(
            f"--device gpu goes with --part {' and '.join(OF_NETWORKS)}. Received: {asked}. Leave the others out."
        )


def _check_timed(options, given):
    """Refuse one of the `given` parts, and a runtime, for which nothing would be timed."""
    from compactnet.deploy.converting import SUPPORTED
    from compactnet.deploy.timing import FORMATS
    from compactnet.errors import InputError
    from compactnet.measure.runtimes import RUNTIMES
    from compactnet.processes import BACKENDS

    parts = [part for part in options.part if part in USED_BY["runtime"]]
    timed = [(part, runtime) for part in parts for runtime in options.runtime if _times(part, runtime, options)]
    idle = [f"--part {part}" for part in parts if part in given and part not in [part for part, _ in timed]]
    if parts:
        idle += [f"--runtime {name}" for name in options.runtime if name not in [runtime for _, runtime in timed]]
    if idle:
        files = ", ".join(f"{runtime} ({', '.join(SUPPORTED[format])})" for runtime, format in FORMATS.items())
        raise InputError(
            f"Nothing would be timed for {', '.join(idle)}. Leave it out, or choose another runtime or precision: "
            f"inference runs on {', '.join(RUNTIMES)}; training, and all on a GPU, on {', '.join(BACKENDS)}; exported "
            f"files on {files}."
        )


def _times(part, runtime, options):
    """Say whether a part that uses `--runtime` times something on this one."""
    from compactnet.measure.runtimes import RUNTIMES
    from compactnet.processes import BACKENDS

    if part in ("deployed", "files"):
        return bool(_precisions(runtime, options))
    return runtime in (BACKENDS if part == "training" or options.device == "gpu" else RUNTIMES)


def _precisions(runtime, options):
    """Return those of `--precision` in which a runtime runs exported files."""
    from compactnet.deploy.converting import SUPPORTED
    from compactnet.deploy.timing import FORMATS

    return [precision for precision in options.precision if precision in SUPPORTED.get(FORMATS.get(runtime), ())]


def _exported(options):
    """Return {baseline: other networks} of the part deployed, without families of which `--only` names none."""
    from compactnet.errors import InputError
    from compactnet.measure.speed_records import FAMILIES

    families = {baseline: FAMILIES[baseline] for baseline in options.family}
    known = [name for names in families.values() for name in names]
    only = options.only or known
    if unknown := [name for name in only if name not in known]:
        raise InputError(
            f"--only takes networks of the chosen families besides their baselines: {', '.join(known)}. Received: "
            f"{', '.join(unknown)}"
        )
    kept = {baseline: [name for name in names if name in only] for baseline, names in families.items()}
    return {baseline: names for baseline, names in kept.items() if names}


def _experiment(options, core, threads, loaded_core):
    """Time the networks of the experiment of `--config`."""
    from compactnet.errors import InputError
    from compactnet.experiments.config import load_experiment
    from compactnet.networks import CATALOGUE
    from compactnet.report.published import is_papers_network
    from compactnet.schema import Workload

    experiment = load_experiment(options.config)
    for network in experiment.networks:
        if network.name in CATALOGUE and not is_papers_network(network):
            raise InputError(
                f"{options.config} changes {network.name}, a network of the catalogue, and speeds are kept by name. "
                "Give the changed network a name of its own, with `name` and `base`."
            )
    families = {}
    for network in experiment.networks:
        families.setdefault(network.skeleton.kind, {})[network.name] = network
    shape = experiment.data.network_input_shape
    for runtime in options.runtime:
        if "inference" in options.part and _times("inference", runtime, options):
            work = Workload(runtime=runtime, device=options.device, input_shape=shape, core=core)
            _announce(options, work)
            for specs in families.values():
                calls = max(1, options.rounds // TURNS)
                _family(options, specs, work, rounds=TURNS, calls=calls, loaded_core=loaded_core)
        if "training" in options.part and _times("training", runtime, options):
            work = Workload(
                kind="training",
                runtime=runtime,
                device=options.device,
                input_shape=shape,
                batch_size=experiment.training.batch_size,
                threads=threads,
            )
            _announce(options, work)
            for specs in families.values():
                _family(options, specs, work, rounds=3, calls=5)


def _deployed(options, networks):
    """Time exported files, each family in a process of its own that has one thread of one core."""
    from compactnet.processes import job_environment

    for runtime in options.runtime:
        for precision in _precisions(runtime, options):
            for family, names in networks.items():
                arguments = ["--runtime", runtime, "--precision", precision, "--family", family, "--only", *names]
                arguments += ["--rounds", str(options.rounds), "--results", str(options.results)]
                title = f"Timing {precision} files of the family {family} on {runtime}"
                _run_part("files", arguments, job_environment("tensorflow", 1, "cpu"), title)


def _run_part(part, arguments, environment, title):
    """Run a part of this script in a process of its own, which says itself what goes wrong."""
    from compactnet.errors import InputError, ResourceError

    command = [sys.executable, __file__, "--part", part, *arguments]
    status = subprocess.run(command, env=environment, check=False).returncode
    if status:
        raise (InputError if status == 2 else ResourceError)(f"{title} failed, status {status}.")


def _files(options, networks):
    """Time the exported files of one family, precision and runtime in this process."""
    from compactnet.deploy.timing import time_deployed
    from compactnet.errors import InputError
    from compactnet.measure.benchmark import pinned_core
    from compactnet.measure.conventions import ASC_INPUT
    from compactnet.schema import Workload

    core = pinned_core()
    if core is not None:
        os.sched_setaffinity(0, {core})
    if max(len(options.runtime), len(options.precision), len(options.family)) > 1:
        raise InputError(
            "--part files takes one --runtime, one --precision and one --family; --part deployed takes more."
        )
    (runtime,), (precision,), (baseline,) = options.runtime, options.precision, options.family
    work = Workload(runtime=runtime, input_shape=ASC_INPUT, core=core, deployed=True, precision=precision)
    specs = _specs([baseline, *networks[baseline]], ASC_INPUT)
    _announce(options, work)
    _record(options, time_deployed(specs, work, TURNS, max(1, options.rounds // TURNS)))


def _networks(options, work, **arguments):
    """Time the networks of each family together with their baseline, write the records and print the results."""
    from compactnet.measure.speed_records import FAMILIES

    _announce(options, work)
    for baseline in options.family:
        _family(options, _specs([baseline, *FAMILIES[baseline]], work.input_shape), work, **arguments)


def _announce(options, work):
    from compactnet.checks import format_shape
    from compactnet.files import check_writable
    from compactnet.measure.speed_records import read_speed_records
    from compactnet.schema import SPEED

    check_writable(options.results / "records" / SPEED)
    read_speed_records(options.results)  # a damaged record is reported now, not after the benchmark
    shape = format_shape(work.input_shape)
    how = f"exported in {work.precision}, " if work.deployed else ""
    print(f"\n{work.kind}, {how}{work.runtime}, {work.device}, batch {work.batch_size}, {shape}:", flush=True)


def _family(options, specs, work, **arguments):
    """Time networks in turns, the first as the baseline, write the record and print the results."""
    from compactnet.measure.benchmark import benchmark

    _record(options, benchmark(specs, work, **arguments))


def _record(options, record):
    """Write a speed record and print it."""
    from compactnet.measure.speed_records import describe_machine, write_speed_record
    from compactnet.report.published import published_speeds, published_speedup

    paper, work = published_speeds(ROOT / "results" / "paper"), record.work
    write_speed_record(options.results, record)
    load = "" if record.load_before is None else f"; load before: {record.load_before}"
    print(f"  {describe_machine(record)}{load}")
    reference = record.networks[0]
    baseline = reference.network
    for timings in record.networks:
        low, middle, high = (1e3 * seconds for seconds in timings.quartiles)
        speedup, least, most = timings.speedup(reference)
        line = (
            f"  {timings.network}: {middle:.1f} ms ({low:.1f}-{high:.1f}), "
            f"{1e3 * work.batch_size / middle:.2f} samples/s, {speedup:.2f}x as fast as {baseline} "
            f"({least:.2f}-{most:.2f}); FLOPs {reference.flops / timings.flops:.2f}x"
        )
        if printed := published_speedup(paper, record, timings):
            line += f", paper {printed:.2f}x"
        if timings.milliseconds_by_form:
            tried = ", ".join(f"{form} {value:.2f}" for form, value in timings.milliseconds_by_form.items())
            line += f"; as {timings.interchannel} (ms: {tried})"
        if work.kind == "training" and timings.peak_bytes:
            line += f", peak memory {timings.peak_bytes / 1e6:,.0f} MB"
        print(line, flush=True)


def _specs(names, input_shape):
    """Return {name: spec} of catalogue networks; for images with the skeletons of configs/ic.yaml."""
    from compactnet.experiments.config import load_experiment
    from compactnet.networks import CATALOGUE

    if tuple(input_shape) != IMAGE_INPUT:
        return {name: CATALOGUE[name] for name in names}
    images = load_experiment(ROOT / "configs" / "ic.yaml", [f"networks=[{', '.join(names)}]"])
    return {network.name: network for network in images.networks}


def _write_report(folder):
    from compactnet.report.figures import write_figures
    from compactnet.report.sources import repository_sources
    from compactnet.report.tables import PAPER_TABLES, rivals, speed_inference, speed_training, write_tables

    sources = repository_sources(ROOT, folder)
    tables = (PAPER_TABLES["table1"], PAPER_TABLES["table2"], rivals, speed_inference, speed_training)
    for name in write_tables(folder, sources, tables):
        print(f"{folder / name}.csv, .md")
    for name in write_figures(folder, sources):
        print(f"{folder / name}.png, .svg")


def _operation(rounds):
    from compactnet.measure import speed

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
    """Print the share of each kind of layer in a training step."""
    from compactnet.measure import speed
    from compactnet.networks import build

    print("\nTraining step layer by layer, batch 32, 32x32x3, 'same' padding:")
    for name, spec in _specs(LAYER_NETWORKS, (32, 32, 3)).items():
        kinds = speed.seconds_by_kind(build(spec, (32, 32, 3), name=name))
        total = sum(kinds.values())
        shares = ", ".join(f"{kind} {100 * seconds / total:.0f} %" for kind, seconds in kinds.items())
        print(f"  {name} ({1e3 * total:.0f} ms): {shares}")


def _features(rounds):
    """Time log-mel of a generated clip, from file to array, and the feature store."""
    from compactnet.data.feature_store import WORKER_ENVIRONMENT

    print("\nLog-mel of a generated clip of 10 s, 48 kHz, stereo, 24 bit, from file to array, one core:", flush=True)
    for title, settings in (
        ("with the memory settings of the feature store's processes", WORKER_ENVIRONMENT),
        ("without", {}),
    ):
        print(f"  {title}, for all candidates:", flush=True)
        _run_part("clip", ["--rounds", str(rounds)], {**os.environ, **settings}, "Timing log-mel")
    print("\nFeature store, clips per second once the processes run:", flush=True)
    with _noise_clip() as path:
        seconds = {1: [], 2: []}
        for _ in range(min(rounds, 5)):
            for processes, times in seconds.items():
                times.append((_fill(path, 300, processes) - _fill(path, 60, processes)) / 240)
    one, two = (statistics.median(times) for times in seconds.values())
    print(f"  one process {1 / one:.1f}, two {1 / two:.1f}: {one / two:.2f} times as many")


@contextlib.contextmanager
def _noise_clip():
    import numpy as np
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.wav"
        noise = np.random.default_rng(0).normal(0, 0.1, (480_000, 2))
        soundfile.write(path, np.clip(noise, -1, 1), 48_000, subtype="PCM_24")
        yield path


def _fill(path, count, processes):
    """Return the seconds that `count` copies of a clip take."""
    from compactnet.data import dcase2019
    from compactnet.data.feature_store import FeatureStore

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        names = [f"{number}.wav" for number in range(count)]
        for name in names:
            os.link(path, Path(folder) / name)
        store = FeatureStore(folder, "benchmark", folder, names, dcase2019.FEATURES)
        began = time.perf_counter()
        with open(os.devnull, "w") as nowhere:
            store.fill(range(count), processes, nowhere)
        return time.perf_counter() - began


def _sweep(count):
    """Print the overhead of a job beyond its run and importing Keras: start, planning, locks, records, end."""
    from compactnet.data.synthetic import generate_cifar10
    from compactnet.errors import ResourceError
    from compactnet.experiments.config import load_experiment
    from compactnet.experiments.launcher import launch
    from compactnet.experiments.records import read_records
    from compactnet.processes import job_environment
    from compactnet.schema import Job

    print(f"\nSweep of {count} short runs on generated images, one after the other:", flush=True)
    overrides = ["networks=[xvgg8]", f"seeds={list(range(count))}", "threads=1"]
    runs = load_experiment(ROOT / "configs" / "sample" / "ic.yaml", overrides).runs()
    with tempfile.TemporaryDirectory() as folder:
        generate_cifar10(folder)
        fingerprint = runs[0].data.load(folder).fingerprint
        jobs = [
            Job(run=run, protocol_hash=run.protocol_hash(fingerprint), data_folder=folder, results_folder=folder)
            for run in runs
        ]
        importing = []
        for _ in range(3):
            began = time.perf_counter()
            environment = job_environment(runs[0].execution.backend, threads=1)
            subprocess.run([sys.executable, "-c", "import keras"], env=environment, check=True, capture_output=True)
            importing.append(time.perf_counter() - began)
        began = time.perf_counter()
        with open(os.devnull, "w") as nowhere:
            result = launch(jobs, nowhere)
        if result.failed:
            title, reason = result.failed[0]
            raise ResourceError(f"{len(result.failed)} of {count} short runs failed, first {title}: {reason}")
        whole = (time.perf_counter() - began) / count
        run = statistics.mean(record.duration_seconds for record in read_records(Path(folder) / "records"))
    keras_seconds = statistics.median(importing)
    print(
        f"  {whole:.2f} s per job: the run, from loading data to its end, {run:.2f} s, importing Keras "
        f"{keras_seconds:.2f} s, the rest {whole - run - keras_seconds:.2f} s"
    )


def _clip(rounds):
    """Time log-mel of one clip against librosa, on one core of this process."""
    import librosa
    import soundfile

    from compactnet.data import SCENES, dcase2019
    from compactnet.data.feature_worker import compute_features
    from compactnet.measure import speed
    from compactnet.processes import available_cores

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
        os.sched_setaffinity(0, available_cores()[:1])
    with _noise_clip() as path:
        candidates = {
            "compactnet": lambda: compute_features(path, dcase2019.FEATURES, "float32"),
            "librosa, FFT 2048": lambda: reference(path, 2_048),
            "librosa, FFT 1724": lambda: reference(path, 1_724),
            "reading and resampling alone": lambda: read_and_resample(path),
        }
        timings = speed.interleaved(candidates, rounds)
    for name, (middle, low, high) in speed.ratios(timings, "compactnet").items():
        print(f"    {name}: {1e3 * timings[name].median:.1f} ms, {middle:.2f} of compactnet ({low:.2f}-{high:.2f})")


if __name__ == "__main__":
    sys.exit(run_command(main))
