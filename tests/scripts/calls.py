"""Calls a script's main in this process, as the shell would call the script, without importing Keras once more."""

import importlib.util
import sys
from pathlib import Path

from compactnet.commands import run_command
from tests.environment import restored_environment

SCRIPTS = Path(__file__).resolve().parent.parent.parent / "scripts"


def call(script, *arguments):
    """Run `scripts/<script>.py` with command line arguments and return its exit status."""
    spec = importlib.util.spec_from_file_location(f"script_{script}", SCRIPTS / f"{script}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    before, sys.argv = sys.argv, [f"{script}.py", *map(str, arguments)]
    try:
        with restored_environment():
            return run_command(module.main)
    finally:
        sys.argv = before
