"""The house stands as CONTRIBUTING says: imports point down, and no backend is named where any may run."""

import ast

import pytest

BELOW = {
    "layers": set(),
    "networks": {"layers", "errors"},
    "data": {"errors", "files"},
    "measure": {"layers", "networks", "errors", "environment", "processes"},
    "experiments": {"data", "networks", "errors", "files", "environment", "processes"},
    "report": {"layers", "data", "networks", "measure", "experiments", "errors", "files", "processes"},
}
BACKENDS = {"tensorflow", "jax", "torch"}
ANY_BACKEND = ("layers", "networks", "data", "experiments", "report")
ALLOWED = {"experiments/epochs.py": "jax"}
"""Where a backend is named all the same, in functions that only run on it."""


def imported(path):
    """Return (module, whether it is imported at the top of the file) for each import of a file."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, node in tree.body) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module == "compactnet":
                yield from ((f"compactnet.{name.name}", node in tree.body) for name in node.names)
            else:
                yield node.module, node in tree.body


@pytest.mark.parametrize("room", BELOW)
def test_imports_point_down(repository, room):
    paths = sorted((repository / "src" / "compactnet" / room).rglob("*.py"))
    assert paths
    for path in paths:
        for module, _ in imported(path):
            if module.startswith("compactnet."):
                assert module.split(".")[1] in BELOW[room] | {room}, f"{path} imports {module}"
            assert not module.startswith("scripts"), path


def test_no_backend_is_named_where_any_may_run(repository):
    for path in sorted((repository / "src" / "compactnet").rglob("*.py")):
        place = path.relative_to(repository / "src" / "compactnet")
        room = place.parts[0]
        for module, at_the_top in imported(path):
            if module.split(".")[0] in BACKENDS:
                named = module.split(".")[0] == ALLOWED.get(place.as_posix())
                assert named or room not in ANY_BACKEND, f"{path} imports {module}"
                assert not at_the_top, f"{path} imports {module} before it is used"


def test_layers_import_keras_alone(repository):
    allowed = {"keras", "compactnet", "math", "numbers"}
    for path in (repository / "src" / "compactnet" / "layers").glob("*.py"):
        for module, _ in imported(path):
            assert module.split(".")[0] in allowed, f"{path} imports {module}"


def test_every_dependency_is_argued_for(repository):
    text = (repository / "CONTRIBUTING.md").read_text()
    declared = [
        line.split(">=")[0].strip() for line in (repository / "setup.cfg").read_text().splitlines() if ">=" in line
    ]
    for package in declared:
        if package != "python_requires" and not package.startswith("python_requires"):
            assert package in text, package
