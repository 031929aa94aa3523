"""Imports point down as CONTRIBUTING says, and no backend is named where any of them may run."""

import ast
import re

import pytest

BASICS = {"checks", "errors", "files", "processes", "validation"}
BELOW = {
    "errors": set(),
    "processes": set(),
    "timing": {"errors"},
    "checks": {"errors"},
    "files": {"errors"},
    "commands": {"errors", "processes"},
    "validation": {"checks", "errors"},
    "layers": {"checks", "errors"},
    "networks": {"layers", "checks", "errors", "files", "validation"},
    "fast": {"layers", "networks", "errors", "processes"},
    "audio": {"errors"},
    "data": BASICS | {"audio"},
    "schema": {"checks", "data", "networks", "errors", "processes", "validation"},
    "environment": {"schema", "networks", "processes"},
    "experiments": BASICS | {"data", "networks", "fast", "schema", "environment"},
    "measure": BASICS | {"timing", "layers", "data", "networks", "schema", "environment", "experiments"},
    "deploy": BASICS
    | {"audio", "timing", "commands", "layers", "data", "networks", "schema", "environment", "measure"},
    "compression": BASICS | {"timing", "layers", "networks", "measure"},
    "report": BASICS | {"layers", "data", "networks", "schema", "environment", "experiments", "measure"},
    "command": BASICS
    | {"commands", "timing", "layers", "networks", "data", "schema", "experiments", "compression", "deploy"},
}
"""{module or folder of compactnet: what it may import}"""

BACKENDS = {"tensorflow", "jax", "torch"}
ALLOWED = {"experiments/trainers.py": {"jax", "tensorflow"}}
"""Backends named outside measure/ and deploy/, in functions that run on them alone."""

OF_ONE_BACKEND = {"fast/jax_forms.py": "jax", "fast/tensorflow_forms.py": "tensorflow"}
"""Modules that are imported on one backend alone."""


def imported(path):
    """Return (module, whether it is imported at the top of the file) for each import of a file."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, node in tree.body) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            if node.module == "compactnet":
                yield from ((f"compactnet.{name.name}", node in tree.body) for name in node.names)
            else:
                yield node.module, node in tree.body


@pytest.fixture(scope="module")
def files(repository):
    """{file: its path below src/compactnet}"""
    package = repository / "src" / "compactnet"
    return {path: path.relative_to(package) for path in sorted(package.rglob("*.py"))}


def room_of(place):
    return place.parts[0].removesuffix(".py")


def test_every_module_has_its_place(files):
    assert {room_of(place) for place in files.values()} == set(BELOW) | {"__init__"}


@pytest.mark.parametrize("room", BELOW)
def test_imports_point_down(files, room):
    for path in (path for path, place in files.items() if room_of(place) == room):
        for module, _ in imported(path):
            if module.startswith("compactnet."):
                assert module.split(".")[1] in BELOW[room] | {room}, f"{path} imports {module}"
            assert module.split(".")[0] not in ("scripts", "tests"), f"{path} imports {module}"


def test_what_may_be_imported_has_no_cycle():
    reached = set()
    for room, below in BELOW.items():
        assert below <= reached, room
        reached.add(room)


def test_no_backend_is_named_where_any_may_run(files):
    for path, place in files.items():
        for module, at_the_top in imported(path):
            if (backend := module.split(".")[0]) in BACKENDS and OF_ONE_BACKEND.get(place.as_posix()) != backend:
                allowed = room_of(place) in ("measure", "deploy") or backend in ALLOWED.get(place.as_posix(), ())
                assert allowed, f"{path} imports {module}"
                assert not at_the_top, f"{path} imports {module} before it is used"


def test_layers_import_keras_alone(files):
    # TensorLy decomposes the kernel of a trained convolution, where it is installed.
    allowed = {"keras", "compactnet", "math", "numbers", "tensorly"}
    for path in (path for path, place in files.items() if room_of(place) == "layers"):
        for module, _ in imported(path):
            assert module.split(".")[0] in allowed, f"{path} imports {module}"


def test_contributing_gives_the_reason_for_every_dependency(repository):
    rows = re.findall(r"^\| ([^|]+) \|", (repository / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    explained = {name for row in rows for name in re.findall(r"[\w-]+", row)}
    declared = set(re.findall(r"^ +([\w-]+)>=", (repository / "setup.cfg").read_text(), re.MULTILINE))
    assert len(declared) > 15
    assert declared <= explained, f"not in the table: {sorted(declared - explained)}"
