"""How commands begin and end, and that importing the package changes nothing outside itself."""

import os
import subprocess
import sys

import pytest

from compactnet import commands
from compactnet.commands import run_command, suppress_stderr
from compactnet.errors import InputError, ResourceError
from tests.environment import restored_environment


@pytest.fixture(autouse=True)
def unchanged_environment():
    """Undo what `run_command` changes in the environment of this process."""
    with restored_environment():
        yield


def end_with(error):
    def main():
        raise error

    return run_command(main)


def test_a_main_without_a_status_succeeds():
    assert run_command(lambda: None) == 0
    assert run_command(lambda: 1) == 1


def test_bad_input_is_one_line_per_problem_and_status_2(capfd):
    assert end_with(InputError("first\n  second")) == 2
    assert capfd.readouterr() == ("", "error: first second\n")
    assert end_with(InputError("a.wav is missing.", "b.wav is empty.")) == 2
    assert capfd.readouterr() == ("", "error: a.wav is missing.\nerror: b.wav is empty.\n")


def test_a_full_disk_is_one_line_and_status_1(capfd):
    assert end_with(ResourceError("Cannot write a.json: No space left on device.")) == 1
    assert capfd.readouterr() == ("", "error: Cannot write a.json: No space left on device.\n")


def test_ctrl_c_is_status_130_and_says_how_to_continue(capfd):
    assert end_with(KeyboardInterrupt()) == 130
    assert capfd.readouterr() == ("", "\nStopped. Finished work is kept; run the same command again to continue.\n")


@pytest.mark.parametrize("variable", [None, "1"])
@pytest.mark.parametrize("end", ["return", "raise InputError('refused')"])
def test_output_that_nobody_reads_is_status_1_and_nothing_more(end, variable):
    program = f"""
import sys
from compactnet.commands import exit_status
from compactnet.errors import InputError

def main():
    print("a line")
    {end}

sys.exit(exit_status(main))
"""
    read, write = os.pipe()
    os.close(read)
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment = inherited if variable is None else {**inherited, "PYTHONUNBUFFERED": variable}
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False, env=environment)
    os.close(write)
    said = b"error: refused\n" if "raise" in end and variable is None else b""
    assert (ended.returncode, ended.stderr) == (1, said)


def test_a_broken_pipe_to_another_process_is_not_hidden():
    with pytest.raises(BrokenPipeError):
        end_with(BrokenPipeError())


def test_an_unforeseen_error_is_not_hidden():
    with pytest.raises(RuntimeError, match="a bug"):
        end_with(RuntimeError("a bug"))


def test_a_command_imports_keras_and_uses_no_gpu():
    seen = {}

    def main():
        seen.update(os.environ, keras="keras" in sys.modules)

    assert run_command(main) == 0
    assert (seen["CUDA_VISIBLE_DEVICES"], seen["JAX_PLATFORMS"], seen["keras"]) == ("-1", "cpu", True)


@pytest.mark.parametrize("name", ["foo", "numpy", "Tensorflow"])
def test_an_unknown_backend_is_refused_before_anything_runs(monkeypatch, capfd, name):
    monkeypatch.setenv("KERAS_BACKEND", name)
    assert run_command(pytest.fail) == 2
    output, error = capfd.readouterr()
    assert error.startswith(
        f"error: KERAS_BACKEND={name} is unknown or not installed. Set KERAS_BACKEND to one that is: tensorflow"
    )
    assert (output, error.count("\n")) == ("", 1)


def test_a_default_backend_that_is_not_installed_names_those_that_are(monkeypatch, capfd):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr(commands.importlib.util, "find_spec", lambda name: name == "jax" or None)
    assert run_command(pytest.fail) == 2
    expected = "tensorflow, the default backend, is not installed. Set KERAS_BACKEND to one that is: jax."
    assert capfd.readouterr() == ("", f"error: {expected}\n")


def test_what_libraries_print_is_shown_only_with_an_unforeseen_error(capfd):
    with suppress_stderr():
        os.write(2, b"library\n")
    for error in (InputError("refused"), KeyboardInterrupt()):
        with pytest.raises(type(error)), suppress_stderr():
            os.write(2, b"library\n")
            raise error
    assert capfd.readouterr().err == ""
    with pytest.raises(RuntimeError), suppress_stderr():
        os.write(2, b"library\n")
        raise RuntimeError
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "library\nafter\n"


# Imports

IMPORT_ALL = """
import importlib, os, pkgutil, signal, sys
import keras, tensorboardX  # these set variables of their own
import compactnet

def outside():
    os.umask(mask := os.umask(0))
    return {
        "environment": dict(os.environ),
        "signal handlers": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "standard streams": [(os.fstat(number).st_dev, os.fstat(number).st_ino) for number in (0, 1, 2)],
        "Python's streams": (sys.stdin, sys.stdout, sys.stderr, sys.excepthook),
        "umask": mask,
        "folder": os.getcwd(),
        "arguments": sys.argv[:],
        "search path": sys.path[:],
        "Keras' settings": (keras.config.dtype_policy().name, keras.config.floatx(), keras.config.image_data_format()),
    }

def names(package):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if module.name.endswith("_forms"):
            continue  # for one backend alone
        yield module.name
        if module.ispkg:
            yield from names(importlib.import_module(module.name))

before = outside()
for name in names(compactnet):
    importlib.import_module(name)
    after = outside()
    for what in before:
        if after[what] != before[what]:
            print(f"{name} changes {what}: {before[what]} -> {after[what]}")
    before = after
print(sum(name.startswith("compactnet.") for name in sys.modules))
"""


def python(program, **environment):
    changed = {name: value for name, value in {**os.environ, **environment}.items() if value is not None}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=changed)


def test_importing_any_module_changes_nothing_outside_it(repository):
    ended = python(IMPORT_ALL)
    assert ended.returncode == 0, ended.stderr
    files = [path for path in (repository / "src" / "compactnet").rglob("*.py") if not path.stem.endswith("_forms")]
    assert ended.stdout == f"{len(files) - 1}\n"  # no line about a change, and no module left out


@pytest.mark.parametrize("backend", [None, "", "foo"])
def test_importing_commands_never_exits(backend):
    program = "import sys, compactnet.commands; assert 'keras' not in sys.modules"
    ended = python(program, KERAS_BACKEND=backend)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
