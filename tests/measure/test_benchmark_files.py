"""The files of benchmarks/ and scripts/benchmark.py; nothing is timed here."""

import ast
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from compactnet.errors import InputError, ResourceError
from compactnet.experiments.tracker import SweepResult
from compactnet.layers import InterchannelPooling
from compactnet.schema import NetworkTimings, SpeedRecord
from tests.scripts.calls import call

FOLDER = Path(__file__).resolve().parent.parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def their_folder(monkeypatch):
    """Let the files import each other, as Python does when it runs one of them."""
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])


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


def row(network, way, **fields):
    return {"network": network, "way": way, "threads": 2, "version": f"1 of {way}", **fields}


def test_a_table_compares_only_what_was_measured_alike(capsys):
    rows = [
        row("one", "a", threads=1),
        row("one", "b", version="old"),
        *(row(network, way, at=1) for network in ("one", "two") for way in "ab"),
        row("three", "a"),
        row("two", "b", at=2),
    ]
    found = loaded("common").comparable(rows, ("a", "b"), ("threads",))
    assert found == {"one": {"a": rows[2], "b": rows[3]}, "two": {"a": rows[4], "b": rows[7]}}
    assert capsys.readouterr().err.splitlines() == [
        "2 rows left out, not measured as the last: threads, version.",
        "three left out, not measured as: b.",
    ]


def test_a_table_of_training_shows_networks_outside_table_1_too():
    training = loaded("training")
    fields = {"size": 32, "step_ms": 1, "epoch_ms": 2, "rounds_ms": [2, 1, 4]}
    rows = [row(network, way, **fields) for network in ("ghost_vgg", "xvgg8") for way in training.WAYS]
    assert [line.split()[1] for line in training.table(rows).splitlines()[2:]] == ["xvgg8", "ghost_vgg"]


def test_a_ratio_of_training_has_the_range_of_its_rounds():
    training = loaded("training")
    times = {"tensorflow keras": [60, 30, 40], "jax fast": [10, 10, 10]}
    rows = [
        row("xvgg8", way, size=32, step_ms=1, epoch_ms=sorted(rounds)[1], rounds_ms=rounds)
        for way in training.WAYS
        for rounds in [times.get(way, [20, 20, 20])]
    ]
    assert "| 4.00x (3.0-6.0) | 2.00x (2.0-2.0) |" in training.table(rows)
    rows.append({**rows[0], "rounds_ms": [40] * 5, "epoch_ms": 40})
    assert "| 4.00x | 2.00x (2.0-2.0) |" in training.table(rows)


def test_rows_for_a_table_are_measured_first(tmp_path):
    common = loaded("common")
    assert common.kept_rows(tmp_path / "rows.jsonl") == []
    with pytest.raises(InputError, match=r"rows.jsonl has no rows. Measure some first"):
        common.read_rows(tmp_path / "rows.jsonl")


@pytest.mark.parametrize(
    ("program", "error", "reason"),
    [
        ("print('error: no such network', file=sys.stderr); sys.exit(2)", InputError, "^no such network$"),
        ("import no_such_module", ResourceError, "status 1: ModuleNotFoundError: No module named 'no_such_module'$"),
    ],
)
def test_a_worker_that_fails_says_why(program, error, reason):
    with pytest.raises(error, match=reason):
        loaded("common").run_worker([sys.executable, "-c", f"import sys; {program}"], os.environ)


def test_a_worker_of_training_that_fails_says_why(monkeypatch):
    training = loaded("training")
    monkeypatch.setattr("compactnet.processes.job_environment", lambda *arguments: dict(os.environ))
    monkeypatch.setattr(training, "__file__", str(FOLDER / "no_such_file.py"))
    options = SimpleNamespace(ways=["pytorch"], threads=1, size=8)
    with pytest.raises(InputError, match=r"no_such_file.py.*No such file"):
        list(training._time("xvgg8", options))


def test_no_loss_of_the_memory_benchmark_is_negative():
    # Cross-entropies; the mean of the losses so far was once taken apart twice.
    for found in loaded("common").read_rows(FOLDER / "memory.jsonl"):
        assert min(found["losses"]) >= 0


def test_a_benchmark_of_some_deployed_networks_keeps_the_rows_of_others(tmp_path, monkeypatch):
    deployment, path = loaded("deployment"), tmp_path / "rows.jsonl"
    old = [{"network": name, "format": "onnx", "precision": "float32", "milliseconds": 1} for name in ("one", "two")]
    loaded("common").write_rows(path, old)
    new = [{**old[0], "milliseconds": value} for value in (2, 3)]

    def measure(options):
        yield new
        raise ResourceError("the disk is full")

    monkeypatch.setattr(deployment, "_measure", measure)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(sys, "argv", ["deployment.py", "--only", "one", "--out", str(path)])
    with pytest.raises(ResourceError):
        deployment.main()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [*new, old[1]]


def test_an_unknown_deployed_network_is_refused():
    options = SimpleNamespace(only=["xvgg8", "mobilenet_v1_025"])
    with pytest.raises(InputError, match=r"--only takes .*mobilenet_v1_025.*\. Received: xvgg8"):
        next(loaded("deployment")._measure(options))


def test_a_file_of_another_version_is_made_again(tmp_path, monkeypatch):
    formats, path = loaded("formats"), tmp_path / "rows.jsonl"
    monkeypatch.setattr("compactnet.networks.CATALOGUE", ["unknown", "same", "older", "new"])
    monkeypatch.setattr("compactnet.networks.build", lambda name, shape: name)
    monkeypatch.setattr("compactnet.deploy.fold", lambda model, interchannel: model)
    for name, replaced in (("_drawn", str), ("_without_softmax", str), ("_difference", lambda *_: 0.0)):
        monkeypatch.setattr(formats, name, replaced)
    made = []
    monkeypatch.setattr(formats, "_exported", lambda model, path, format: made.append(model))
    versions = dict.fromkeys(("compactnet", "keras", "tensorflow", *formats.CONVERTERS), "1")
    described = SimpleNamespace(versions=versions)
    monkeypatch.setattr("compactnet.environment.describe", lambda packages: described)
    old = [{"network": "unknown"}, {"network": "same", "versions": versions}]
    old.append({"network": "older", "versions": {**versions, "onnx": "0"}})
    loaded("common").write_rows(path, old)
    formats._measure(path)
    assert list(dict.fromkeys(made)) == ["older", "new"]
    rows = loaded("common").kept_rows(path)
    assert rows[:2] == old[:2]
    assert [(row["network"], row["versions"]) for row in rows[2:]] == [("older", versions), ("new", versions)]


def test_a_record_of_compression_does_not_say_how_a_given_network_was_trained():
    compression = loaded("compression")
    settings = {"width": 1.0, "epochs": 5, "factor": 2, "out": "rows.jsonl"}
    assert compression._settings(SimpleNamespace(model="vgg.keras", **settings)) == {"factor": 2}
    assert compression._settings(SimpleNamespace(model=None, **settings)) == {"width": 1.0, "epochs": 5, "factor": 2}


@pytest.mark.parametrize("grouping", ["adjacent", "strided"])
@pytest.mark.parametrize("operation", ["sum", "max", "average", "first"])
def test_the_interchannel_operation_in_pytorch_is_that_of_keras(operation, grouping):
    torch = pytest.importorskip("torch")
    layer = InterchannelPooling(2, operation, grouping)
    values = np.random.default_rng(0).normal(size=(2, 3, 4, 6)).astype("float32")
    found = loaded("torch_networks")._Interchannel(layer)(torch.from_numpy(values.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(found.numpy().transpose(0, 2, 3, 1), np.asarray(layer(values)), rtol=1e-6)


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


def test_an_experiment_refuses_what_its_part_would_ignore(timed, repository, tmp_path, capsys):
    config = repository / "configs" / "rivals-ic.yaml"
    arguments = ("--config", config, "--part", "training", "--loaded", "--results", tmp_path)
    assert call("benchmark", *arguments) == 2
    assert "--loaded goes with --part inference" in capsys.readouterr().err
    assert timed == []


def test_a_changed_network_with_a_name_of_the_catalogue_is_not_timed(timed, repository, tmp_path, capsys):
    config = tmp_path / "narrow.yaml"
    text = (repository / "configs" / "ic.yaml").read_text()
    config.write_text(text.replace("table: table4\n", "").replace("{padding: same}", "{padding: same, width: 0.25}"))
    assert call("benchmark", "--config", config, "--results", tmp_path) == 2
    message = capsys.readouterr().err
    assert "changes vgg8, a network of the catalogue" in message
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


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("--part inference clip", "--part clip stands alone"),
        ("--part training --loaded", "--loaded goes with --part inference"),
        ("--part inference --only xvgg8", "--only goes with --part deployed or files"),
        ("--part layers --rounds 5", "--rounds goes with --part inference or"),
        ("--device gpu --only xvgg8", "--only goes with --part deployed or files. Received: --device gpu."),
        ("--device gpu --precision int8", "--precision goes with --part deployed or files"),
        ("--part inference operation --device gpu", "--device gpu goes with --part inference and training"),
        ("--part deployed --runtime tensorflow --precision int8", "timed for --part deployed, --runtime tensorflow."),
        ("--part inference training --runtime litert", "timed for --part training."),
        ("--part inference --runtime jax litert --device gpu", "timed for --runtime litert."),
        ("--part deployed --only xvgg", "--only takes networks of the chosen families .*Received: xvgg$"),
        ("--part deployed --family resnet50 --only xvgg8", "--only takes networks .*Received: xvgg8$"),
    ],
)
def test_what_would_be_ignored_is_refused(timed, tmp_path, capsys, monkeypatch, arguments, reason):
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: pytest.fail("a process was started"))
    assert call("benchmark", *arguments.split(), "--results", tmp_path) == 2
    message = capsys.readouterr().err
    assert re.search(reason, message.strip())
    assert message.count("\n") == 1
    assert timed == []


@pytest.fixture
def children(monkeypatch):
    """(commands that scripts/benchmark.py runs, their exit statuses, 0 where there is none)"""
    commands, statuses = [], []

    def run(command, **options):
        commands.append(command[2:])
        return SimpleNamespace(returncode=statuses.pop() if statuses else 0)

    monkeypatch.setattr(subprocess, "run", run)
    return commands, statuses


def test_only_the_families_of_the_named_networks_are_exported(children, tmp_path):
    arguments = ("--runtime", "litert", "--precision", "int8", "--only", "compact_vgg_sum_c8", "xvgg8")
    assert call("benchmark", "--part", "deployed", *arguments, "--results", tmp_path) == 0
    (command,) = children[0]
    text = " ".join(command)
    assert "--part files --runtime litert --precision int8 --family vgg8 --only xvgg8 compact_vgg_sum_c8 " in text


@pytest.mark.parametrize("part", ["deployed", "features"])
@pytest.mark.parametrize(("status", "ours"), [(2, 2), (1, 1), (-9, 1)])
def test_only_bad_input_of_a_child_is_bad_input(children, tmp_path, capsys, part, status, ours):
    children[1].append(status)
    assert call("benchmark", "--part", part, "--results", tmp_path) == ours
    assert f"failed, status {status}." in capsys.readouterr().err
    assert len(children[0]) == 1


@pytest.mark.usefixtures("children")
def test_a_sweep_of_which_a_run_fails_is_not_timed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("compactnet.data.synthetic.generate_cifar10", lambda folder: None)
    monkeypatch.setattr("compactnet.data.Cifar10.load", lambda data, folder: SimpleNamespace(fingerprint="made up"))
    failed = (("xvgg8, seed 0", "killed"),) * 3
    monkeypatch.setattr("compactnet.experiments.launcher.launch", lambda jobs, stream: SweepResult(0, 0, failed))
    assert call("benchmark", "--part", "sweep", "--results", tmp_path) == 1
    assert "6 short runs failed, first xvgg8, seed 0: killed" in capsys.readouterr().err


def test_a_system_that_cannot_pin_a_process_times_on_any_core(timed, tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    assert call("benchmark", "--part", "inference", "--family", "vgg8", "--results", tmp_path) == 0
    assert [work.core for work, _ in timed] == [None]


def test_networks_alone_are_timed_on_a_gpu(timed, tmp_path):
    assert call("benchmark", "--family", "vgg8", "--device", "gpu", "--results", tmp_path) == 0
    assert {(work.kind, work.device, work.core) for work, _ in timed} == {
        ("inference", "gpu", None),
        ("training", "gpu", None),
    }


def test_the_named_files_are_timed_after_their_baseline(tmp_path, monkeypatch):
    asked = []

    def invented(specs, work, rounds, calls):
        asked.append((list(specs), work, rounds, calls))
        raise ResourceError("that is all")

    monkeypatch.setattr("compactnet.deploy.timing.time_deployed", invented)
    monkeypatch.setattr(os, "sched_setaffinity", lambda process, cores: None, raising=False)
    arguments = ("--family", "vgg8", "--runtime", "openvino", "--precision", "int8", "--only", "xvgg8")
    assert call("benchmark", "--part", "files", *arguments, "--results", tmp_path) == 1
    ((names, work, *calls),) = asked
    assert (names, calls) == (["vgg8", "xvgg8"], [5, 6])
    assert (work.runtime, work.precision, work.deployed) == ("openvino", "int8", True)
