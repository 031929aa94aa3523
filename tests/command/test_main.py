"""What all subcommands share: help, version, errors and exit statuses."""

import os
import shlex
import subprocess
import sys

import pytest

import compactnet
from compactnet.command import COMMANDS, parser
from tests.command.calls import assert_refused, call


def test_without_arguments_it_prints_help(capsys):
    assert call() == 0
    output = capsys.readouterr().out
    assert output.startswith("usage: compactnet")
    assert all(name in output for name in COMMANDS)


def test_it_knows_its_version(capsys):
    with pytest.raises(SystemExit) as ended:
        call("--version")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"compactnet {compactnet.__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_examples_that_the_parser_takes(name, capsys):
    with pytest.raises(SystemExit) as ended:
        call(name, "--help")
    assert ended.value.code == 0
    examples = COMMANDS[name].EXAMPLES
    assert capsys.readouterr().out.endswith("examples:\n" + "".join(f"  {line}\n" for line in examples))
    for line in examples:
        program, *arguments = shlex.split(line)
        assert program == "compactnet"
        assert parser().parse_args(arguments).command == name


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("foo",), "See compactnet --help."),
        (("predict",), "See compactnet predict --help."),
        (("predict", "a.tflite", "a.wav", "--top", "0"), "--top: takes an integer of at least 1, received '0'"),
        (("complexity", "vgg8", "--input", "32xx3"), "--input: takes a shape such as 128x512x1, received '32xx3'"),
        (("compress", "a.keras", "--out", "b.keras", "--factors", "conv4"), "received 'conv4'"),
        (("compress", "a.keras", "--out", "b.keras", "--factors", "conv4=x"), "received 'x'"),
        (("compress", "a.keras", "--out", "b.keras", "--filters", "("), "regular expressions, received '('"),
    ],
)
def test_wrong_arguments_are_one_line_without_usage(arguments, expected, capsys):
    assert_refused(call(*arguments), capsys, expected)


def test_a_module_that_is_not_installed_is_named():
    program = (
        "import sys\n"
        "sys.modules['soundfile'] = None\n"
        "from compactnet.command import main\n"
        "sys.exit(main(['predict', 'a.tflite', 'a.wav']))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    expected = "error: compactnet predict needs the module soundfile, which is not installed.\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", expected)


def test_ctrl_c_is_status_130(monkeypatch, capsys):
    def stopped(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(COMMANDS["networks"], "run", stopped)
    assert call("networks") == 130
    assert capsys.readouterr() == ("", "\nStopped.\n")


def test_a_reader_that_ends_early_is_no_traceback():
    program = (
        "import os, sys\n"
        "from compactnet.command import COMMANDS, main\n"
        "COMMANDS['networks'].run = lambda options: print('x' * 1_000_000)\n"
        "sys.exit(main(['networks']))\n"
    )
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run([sys.executable, "-c", program], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (1, b"")


def test_an_unforeseen_error_is_not_hidden(monkeypatch):
    def broken(options):
        raise RuntimeError("a bug")

    monkeypatch.setattr(COMMANDS["networks"], "run", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        call("networks")


def test_help_comes_without_any_dependency():
    program = "import sys; from compactnet.command import main; main([]); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.splitlines()[-1].split())
    assert not loaded & {"numpy", "keras", "tensorflow", "pydantic", "librosa", "platformdirs", "filelock", "scipy"}
