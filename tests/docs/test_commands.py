"""Every command in README, CONTRIBUTING and docs/ is executed by a test or by CI; COVERAGE says how."""

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field

import pytest
import yaml

from compactnet.data.synthetic import generate_cifar10, generate_events
from compactnet.measure.speed_records import read_speed_records
from compactnet.schema import Environment, SpeedRecord
from tests.docs.pages import ROOT, blocks, page_name
from tests.scripts.calls import call


@dataclass(frozen=True)
class InCi:
    """`.ci/run` executes it, in these lines."""

    lines: tuple


@dataclass(frozen=True)
class Elsewhere:
    """It needs a large download, a cluster or hours. `make -n` calls `script`, which this test executes."""

    script: str
    test: str


@dataclass(frozen=True)
class AsPrinted:
    """A test takes it from the page and executes it, after the commands before it."""

    test: str


@dataclass(frozen=True)
class Here:
    """It is executed in this file, with changes.

    Attributes:
        variables: Make variables that are added; values may have {data}, {results} and {configs}.
        replaced: Pairs (text, text to put in its place).
        written: Patterns of files that it must write to the results folder.
        printed: What it must print.
        slow: Whether it takes more than a few seconds.
        needs: A module without which it is skipped.
    """

    variables: dict = field(default_factory=dict)
    replaced: tuple = ()
    written: tuple = ()
    printed: str = ""
    slow: bool = True
    needs: str = ""


DOWNLOAD = "tests/data/test_download.py::test_archives_fill_one_folder_and_those_unpacked_are_skipped"
SLURM = "tests/experiments/test_interruptions.py::test_slurm_gives_the_same_records_and_a_requeued_job_continues"
BENCHMARK = "tests/docs/test_commands.py::test_a_benchmark_of_training_writes_its_records"
CONFIG_BENCHMARK = "tests/docs/test_commands.py::test_a_benchmark_of_an_experiment_times_the_networks_of_each_skeleton"
SAMPLE = InCi(("make reproduce-sample",))
IMAGES = {"CONFIG": "{configs}/ic.yaml", "DATA": "{data}", "RESULTS": "{results}"}
EVENTS = {**IMAGES, "CONFIG": "{configs}/sed.yaml"}
TINY_GROUPING = (
    "--only compact_vgg_sum_c2 --seeds 1 --set data.generated=true --set training.epochs=1 "
    "--set skeletons.vgg8.width=0.125"
)
PAGE = AsPrinted("tests/command/test_page.py::test_the_commands_of_the_page_run_one_after_the_other")
DEVICE = AsPrinted("tests/command/test_device.py::test_a_device_without_keras_predicts")
EXTRAS = InCi(("--editable '.[decomposition,runtimes,slurm]'",))

COVERAGE = {
    # README.md and docs/index.md
    "pip install .": InCi(("build/reader/bin/python -m pip install --quiet .",)),
    "make reproduce-sample": SAMPLE,
    # CONTRIBUTING.md
    "make lint test": InCi(("make lint", "make test")),
    "make test-slow": InCi(("make test-slow",)),
    "make test-backends": InCi(("make test-backends",)),
    "make docs": InCi(("make docs",)),
    "tests/slurm/start.sh": InCi(("tests/slurm/start.sh",)),
    # docs/reproduce.md
    "make help": Here(printed="make reproduce-ic ARGS=", slow=False),
    "make data-asc": Elsewhere("scripts/download.py asc", DOWNLOAD),
    "make data-sed": Elsewhere("scripts/download.py sed", DOWNLOAD),
    "make data-ic": Elsewhere("scripts/download.py ic", DOWNLOAD),
    "make reproduce-asc": Elsewhere("scripts/reproduce.py configs/asc.yaml", "make reproduce-sample"),
    "make reproduce-sed": Elsewhere("scripts/reproduce.py configs/sed.yaml", "make reproduce-sample"),
    "make reproduce-ic": Elsewhere("scripts/reproduce.py configs/ic.yaml", "make reproduce-sample"),
    "make plan CONFIG=configs/ic.yaml": Here(IMAGES, printed="measured on"),
    "make jax": InCi(("make jax",)),
    ".venv/bin/python benchmarks/training.py xvgg8 mobilenet_v1_025 --out training.jsonl": Here(
        replaced=(
            (".venv/bin/python", shlex.quote(sys.executable)),
            ("xvgg8 ", "--ways 'tensorflow fast' --rounds 1 --seconds 0.1 "),
            ("training.jsonl", "{results}/training.jsonl"),
        ),
        written=("training.jsonl",),
        printed="tensorflow fast",
    ),
    ".venv/bin/python benchmarks/training.py --table --out training.jsonl": Here(
        replaced=(
            (".venv/bin/python", shlex.quote(sys.executable)),
            ("training.jsonl", "benchmarks/training.jsonl"),
        ),
        printed="| xvgg8 |",
        slow=False,
    ),
    'make reproduce-ic ARGS="--only xvgg8 compact_vgg_sum_c2 --seeds 1 --set training.epochs=5"': Here(
        IMAGES,
        replaced=(("training.epochs=5", "training.epochs=1"),),
        written=("records/ic/xvgg8-seed0-*.json", "records/ic/compact_vgg_sum_c2-seed0-*.json"),
        printed="2 runs trained, 0 skipped (already done), 0 failed.",
    ),
    "KERAS_BACKEND=jax make reproduce-sample VENV=.venv-jax RESULTS=runs/jax": InCi(
        ("KERAS_BACKEND=jax make reproduce-sample VENV=.venv-jax RESULTS=runs/jax",)
    ),
    "KERAS_BACKEND=torch make reproduce-sample RESULTS=runs/torch": InCi(
        ("KERAS_BACKEND=torch make reproduce-sample RESULTS=runs/torch",)
    ),
    "KERAS_BACKEND=jax make reproduce-ic VENV=.venv-jax WORKERS=4": Here(IMAGES, printed="2 runs trained", needs="jax"),
    'KERAS_BACKEND=jax make reproduce-ic VENV=.venv-jax WORKERS=4 ARGS="--set training.precision=mixed_bfloat16"': Here(
        IMAGES, printed="2 runs trained", needs="jax"
    ),
    # docs/features.md
    'make reproduce-sed ARGS="--skip-bad"': Here(EVENTS, printed="1 run trained"),
    'make reproduce-sed ARGS="--set data.subset=true"': Here(EVENTS, printed="1 run trained"),
    # docs/ablations.md
    "make reproduce-ic CONFIG=configs/ablations/grouping.yaml": Here(
        {"DATA": "{data}", "RESULTS": "{results}", "ARGS": TINY_GROUPING},
        written=("records/grouping/compact_vgg_sum_c2-*.json",),
        printed="1 run trained",
    ),
    # docs/choosing.md
    "make reproduce-ic CONFIG=configs/rivals-ic.yaml "
    'ARGS="--only mobilenet_sum_c4 mobilenet_separable --set training.epochs=3"': Here(
        {"DATA": "{data}", "RESULTS": "{results}"},
        replaced=(("training.epochs=3", "training.epochs=1 --set data.generated=true --seeds 1"),),
        written=("records/rivals-ic/mobilenet_separable-*.json",),
        printed="2 runs trained",
    ),
    'make benchmark ARGS="--config configs/rivals-ic.yaml --part inference training '
    '--runtime tensorflow litert onnxruntime"': Elsewhere("scripts/benchmark.py", CONFIG_BENCHMARK),
    # docs/results.md
    'make reproduce-sed ARGS="--only compact_vgg_sum_c2 --seeds 1 --keep-weights"': Here(
        EVENTS, written=("weights/sed/compact_vgg_sum_c2-*.npz",), printed="1 run trained"
    ),
    ".venv/bin/python scripts/feature_maps.py runs/records/sed/RUN.json --sample 3": Here(
        replaced=(
            (".venv/bin/python", shlex.quote(sys.executable)),
            ("runs/records/sed/RUN.json", "{kept} --data {data}"),
        ),
        written=("records/feature_maps.npz",),
    ),
    "make figures RESULTS=runs": Here({"RESULTS": "{results}"}, written=("figure6.svg",)),
    "make tables figures report RESULTS=runs": Here({"RESULTS": "{results}"}, written=("table3.md", "report.html")),
    "make tables figures report": Here({"RESULTS": "{results}"}, written=("table4.md", "report.html")),
    "make complexity": Elsewhere(
        "scripts/tables.py --results results --recount",
        "tests/measure/test_counts.py::test_counts_are_kept_and_counted_again_on_request",
    ),
    # docs/speed.md
    'make benchmark ARGS="--part inference"': Here(
        {"RESULTS": "{results}"},
        replaced=(("--part inference", "--part inference --family vgg8 --rounds 5"),),
        written=("records/speed/inference-*-tensorflow-*.json", "table1.md"),
    ),
    'make benchmark ARGS="--part inference --runtime tensorflow litert onnxruntime"': Here(
        {"RESULTS": "{results}"},
        replaced=(("tensorflow litert onnxruntime", "litert --family vgg8 --rounds 5"),),
        written=("records/speed/inference-*-litert-*.json",),
        needs="ai_edge_litert",
    ),
    'make benchmark ARGS="--part deployed --runtime tensorflow litert onnxruntime openvino"': Here(
        {"RESULTS": "{results}"},
        replaced=(
            ("tensorflow litert onnxruntime openvino", "litert --precision int8 --family vgg8 --only xvgg8 --rounds 5"),
        ),
        written=("records/speed/inference-*-litert-cpu-deployed-int8-*.json", "table1.md"),
        needs="ai_edge_litert",
    ),
    'make benchmark ARGS="--part training"': Elsewhere("scripts/benchmark.py", BENCHMARK),
    ".venv/bin/python -m pip install -e '.[runtimes]'": EXTRAS,
    # docs/command.md
    "compactnet networks mobilenet": PAGE,
    "compactnet complexity compact_mobilenet_sum_c4 --input 32x32x3 --layers": PAGE,
    "compactnet complexity model.keras": PAGE,
    "compactnet compress model.keras --out compact.keras": PAGE,
    "compactnet compress model.keras --out compact.keras --compact-factor 4 --warm-start calibration.npz": PAGE,
    "compactnet export model.keras model.tflite": PAGE,
    "compactnet export model.keras model.onnx": PAGE,
    "compactnet export runs/records/ic/RUN.json model.tflite --data data": PAGE,
    "compactnet export compact.keras compact.tflite --precision int8 --config configs/ic.yaml --data data": PAGE,
    "compactnet predict compact.tflite cat.png dog.png": PAGE,
    "compactnet predict scenes.tflite street.wav --top 1 --json": PAGE,
    "python -m pip wheel --no-deps --wheel-dir dist .": DEVICE,
    "python -m pip install numpy scipy soundfile pillow ai-edge-litert": DEVICE,
    "python -m pip install --no-deps compactnet-*.whl": DEVICE,
    "compactnet benchmark model.tflite compact.tflite model.onnx": PAGE,
    # docs/clusters.md
    "make .venv/installed": InCi(("make .venv/installed-development",)),  # which makes it first
    ".venv/bin/python -m pip install -e '.[slurm]'": EXTRAS,
    "make reproduce-ic LAUNCHER=slurm": Elsewhere("--launcher slurm", SLURM),
}


def commands():
    """Return {command: page} of all lines of shell blocks."""
    lines = ((line, block.page) for block in blocks("sh") for line in block.text.replace("\\\n", "").splitlines())
    return {line.strip(): page for line, page in lines if line.strip() and not line.startswith("#")}


def covered(kind):
    """Return the commands that are covered in a way, as parameters of a test."""
    return [
        pytest.param(command, how, id=command, marks=[pytest.mark.slow] if getattr(how, "slow", False) else [])
        for command, how in COVERAGE.items()
        if isinstance(how, kind)
    ]


def ci_commands():
    """Return the commands of `.ci/run` as lists of words."""
    lines = (ROOT / ".ci" / "run").read_text().replace("\\\n", "").splitlines()
    return [
        shlex.split(line, comments=True) for line in lines if not line.lstrip().startswith(("#", "if", "(", "slow="))
    ]


def begins(command, line):
    """Say whether a command begins with a line's words, or has them where they are options alone."""
    words = shlex.split(line)
    starts = range(len(command)) if line.startswith("-") else [0]
    return any(command[start : start + len(words)] == words for start in starts)


def test_every_command_is_covered_and_none_is_listed_in_vain():
    unknown = {command: page_name(page) for command, page in commands().items() if command not in COVERAGE}
    assert not unknown, f"not in COVERAGE: {unknown}"
    assert not set(COVERAGE) - set(commands())


@pytest.mark.parametrize(
    ("backend", "package"), [("tensorflow", "tensorflow[and-cuda]"), ("jax", "jax[cuda12]"), ("torch", "torch<2.14")]
)
def test_a_new_environment_can_use_an_nvidia_gpu(tmp_path, backend, package):
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\n")
    driver.chmod(0o755)
    new = tmp_path / "new"
    command = f"PATH={tmp_path}:$PATH KERAS_BACKEND={backend} make -n {new}/installed"
    assert f"'{package}'" in shell(command, new, variables={})


@pytest.mark.parametrize(("command", "how"), covered(InCi))
def test_ci_executes(command, how):
    for line in how.lines:
        assert any(begins(part, line) for part in ci_commands()), line


@pytest.mark.parametrize(("command", "how"), covered(Elsewhere))
def test_what_make_would_call_is_tested_elsewhere(command, how, environment):
    planned = shell(command.replace("make", "make -n", 1), environment, variables={})
    assert how.script in planned.replace('"', "")
    file, _, test = how.test.partition("::")
    if test:
        assert f"def {test}(" in (ROOT / file).read_text()
    else:
        assert any(begins(part, how.test) for part in ci_commands())


@pytest.mark.parametrize(("command", "how"), covered(AsPrinted))
def test_another_test_takes_it_from_the_page(command, how):
    file, _, test = how.test.partition("::")
    assert f"def {test}(" in (ROOT / file).read_text()


@pytest.mark.parametrize(("command", "how"), covered(Here))
def test_it_runs(command, how, environment, workplace):
    if how.needs:
        pytest.importorskip(how.needs)
    if "{kept}" in str(how.replaced) and not list((workplace / "results").glob("weights/sed/*.npz")):
        pytest.skip("the run with --keep-weights was not selected")
    for old, new in how.replaced:
        assert old in command
        command = command.replace(old, new)
    output = shell(command, environment, how.variables, workplace)
    assert how.printed in output
    for pattern in how.written:
        assert list((workplace / "results").glob(pattern)), pattern


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment folder for make that uses the Python of the tests and needs no installation."""
    folder = tmp_path_factory.mktemp("environment")
    (folder / "bin").mkdir()
    python = folder / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    for name in ("installed", "installed-development", "installed-docs"):
        (folder / name).touch()
    return folder


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """Generated data, short configs with the names of the shipped ones, and a results folder for all commands."""
    folder = tmp_path_factory.mktemp("workplace")
    generate_cifar10(folder / "data", train_samples=160, test_samples=40)
    generate_events(folder / "data", seconds=0.5)
    features = {"sample_rate": 8_000, "window": 256, "hop": 128, "fft": 256, "bands": 32, "seconds": 0.5}
    narrow = {
        "skeletons": {"vgg8": {"padding": "same", "width": 0.125}},
        "training": {"epochs": 1},
        "seeds": [0],
        "threads": 1,
    }
    images = {"source": "cifar10", "generated": True}
    events = {"source": "urbansound8k", "generated": True, "features": features}
    (folder / "configs").mkdir()
    for name, data, networks in (
        ("ic", images, ["xvgg8", "compact_vgg_sum_c2"]),
        ("sed", events, ["compact_vgg_sum_c2"]),
    ):
        content = {"name": name, "data": data, "networks": networks, **narrow}
        (folder / "configs" / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return folder


def shell(command, environment, variables, workplace=None):
    """Execute a command in the repository's root, with make variables added, and return what it printed."""
    names = {}
    if workplace is not None:
        names = {name: workplace / name for name in ("data", "results", "configs")}
        for weights in (workplace / "results").glob("weights/sed/*.npz"):
            names["kept"] = workplace / "results" / "records" / "sed" / f"{weights.stem}.json"
        # `format` leaves commands without braces as they are.
        command = command.format(**names)
    if "make" in shlex.split(command):
        added = {"VENV": environment, **{name: value.format(**names) for name, value in variables.items()}}
        command += "".join(f" {name}={shlex.quote(str(value))}" for name, value in added.items())
    # What make hands to its children must not reach this one.
    inherited = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    ended = subprocess.run(
        command, shell=True, cwd=ROOT, capture_output=True, text=True, check=False, env=inherited, timeout=1_800
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout[-2_000:]}\n{ended.stderr[-4_000:]}"
    return ended.stdout


@pytest.fixture
def invented_times(monkeypatch):
    """Let the script write records of invented times; tests/measure/test_benchmark.py times a real training step."""

    def invented(specs, work, **arguments):
        timings = [{"network": name, "flops": 1, "peak_bytes": 1, "seconds": [[0.1, 0.1]]} for name in specs]
        return SpeedRecord(
            work=work,
            loaded_core=None,
            load_before=None,
            started="2020-01-01",
            finished="2020-01-01",
            environment=Environment(),
            accelerator=None,
            networks=timings,
        )

    monkeypatch.setattr("compactnet.measure.benchmark.benchmark", invented)


@pytest.mark.usefixtures("invented_times")
def test_a_benchmark_of_training_writes_its_records(tmp_path):
    assert call("benchmark", "--part", "training", "--family", "vgg8", "--results", tmp_path) == 0
    shapes = {path.name.split("-")[1] for path in (tmp_path / "records" / "speed").glob("training-*.json")}
    assert shapes == {"128x512x1", "128x201x1", "32x32x3"}
    assert (tmp_path / "table1.md").is_file()


@pytest.mark.usefixtures("invented_times")
def test_a_benchmark_of_an_experiment_times_the_networks_of_each_skeleton(tmp_path):
    config = ROOT / "configs" / "rivals-ic.yaml"
    parts = ("--part", "inference", "training", "--runtime", "tensorflow", "litert")
    assert call("benchmark", "--config", config, *parts, "--results", tmp_path) == 0
    records = read_speed_records(tmp_path)
    assert {(record.work.kind, record.work.runtime, record.networks[0].network) for record in records} == {
        (*work, f"{skeleton}_sum_c4")
        for work in (("inference", "tensorflow"), ("inference", "litert"), ("training", "tensorflow"))
        for skeleton in ("mobilenet", "vgg")
    }
    assert all(len(record.networks) == 14 and record.work.input_shape == (32, 32, 3) for record in records)
    assert "100.00" in (tmp_path / "rivals.md").read_text()
