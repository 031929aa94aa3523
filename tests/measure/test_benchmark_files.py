"""The files of benchmarks/ and scripts/benchmark.py; nothing is timed here."""

import ast
import importlib
import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from compactnet.schema import NetworkTimings, SpeedRecord
from tests.scripts.calls import call

FOLDER = Path(__file__).resolve().parent.parent.parent / "benchmarks"


def loaded(name):
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def imports(path):
    """Yield (module, names imported from it) of a file, those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((name.name, ()) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module, tuple(name.name for name in node.names)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_what_a_benchmark_imports_exists(path):
    # Other packages need not be installed; those of the folder are in it.
    for module, names in imports(path):
        if module.split(".")[0] == "compactnet":
            found = importlib.import_module(module)
            for name in names:
                assert hasattr(found, name) or importlib.util.find_spec(f"{module}.{name}"), f"{module}: {name}"
        else:
            known = {file.stem for file in FOLDER.glob("*.py")} | {"keras", "numpy", "tensorflow", "jax", "torch"}
            assert module.split(".")[0] in known | set(sys.stdlib_module_names), module


def test_an_epoch_of_training_ends_before_its_evaluation(monkeypatch):
    training, clock = loaded("training"), [0.0]

    def choose_trainer(model, dataset, batch_size, on_step, form):
        def run(order):
            for step in range(len(order) // batch_size):
                clock[0] += 1
                on_step(step + 1, {"loss": 0.0})
            clock[0] += 100  # the evaluation

        return SimpleNamespace(run=run)

    monkeypatch.setattr("compactnet.experiments.trainers.choose_trainer", choose_trainer)
    monkeypatch.setattr("compactnet.experiments.trainers.compile_model", lambda run: None)
    monkeypatch.setattr(training, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    epoch, _ = training._keras("xvgg8", "tensorflow", "keras", 1, 8)
    assert epoch(5) == 5
    assert epoch(3) == 105 + 3


@pytest.fixture
def timed(monkeypatch):
    """(work, arguments) of each benchmark that scripts/benchmark.py asks for."""
    asked = []

    def invented(specs, work, **arguments):
        asked.append((work, arguments))
        timings = [NetworkTimings(network=name, flops=1, peak_bytes=1, seconds=[[0.1]] * 3) for name in specs]
        times = {"load_before": None, "started": "2020-01-01", "finished": "2020-01-02"}
        loaded_core = arguments.get("loaded_core")
        return SpeedRecord(
            work=work, loaded_core=loaded_core, **times, environment={}, accelerator=None, networks=timings
        )

    monkeypatch.setattr("compactnet.measure.benchmark.benchmark", invented)
    return asked


def test_training_is_timed_in_several_rounds_at_every_input(timed, tmp_path):
    assert call("benchmark", "--part", "training", "--family", "vgg8", "--results", tmp_path) == 0
    assert {work.input_shape: arguments for work, arguments in timed} == {
        (128, 512, 1): {"rounds": 3, "calls": 1, "keep_alive": False},
        (128, 201, 1): {"rounds": 3, "calls": 1, "keep_alive": False},
        (32, 32, 3): {"rounds": 5, "calls": 10},
    }


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (("--part", "inference", "deployed", "operation"), "--part deployed, --part operation"),
        (("--part", "files"), "--part files"),
        (("--family", "vgg8", "--only", "xvgg8"), "--family, --only"),
        (("--precision", "int8"), "--precision"),
        (("--runtime", "openvino", "tensorflow"), "--runtime openvino"),
    ],
)
def test_what_does_not_go_with_an_experiment_is_refused(timed, repository, tmp_path, capsys, arguments, refused):
    config = repository / "configs" / "rivals-ic.yaml"
    assert call("benchmark", "--config", config, *arguments, "--results", tmp_path) == 2
    message = capsys.readouterr().err
    assert f"does not go with {refused}. Leave one of the two out." in message
    assert message.count("\n") == 1
    assert timed == []


def test_an_experiment_is_timed_with_a_busy_core_too(timed, repository, tmp_path, monkeypatch):
    monkeypatch.setattr("compactnet.processes.available_cores", lambda: [0, 1])
    config = repository / "configs" / "rivals-ic.yaml"
    assert call("benchmark", "--config", config, "--loaded", "--rounds", 10, "--results", tmp_path) == 0
    # Two skeletons, of inference and of training.
    assert [(work.kind, arguments.get("loaded_core")) for work, arguments in timed] == [
        *[("inference", 1)] * 2,
        *[("training", None)] * 2,
    ]
    assert timed[0][1] == {"rounds": 5, "calls": 2, "loaded_core": 1}
