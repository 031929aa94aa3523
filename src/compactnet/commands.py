"""How commands begin and end: a known problem is a line on standard error without a traceback, as is Ctrl-C.

Scripts import the rest of the package inside their `main`, because Keras reads its backend when it is imported.
"""

import argparse
import contextlib
import importlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

from compactnet.errors import InputError, ResourceError
from compactnet.processes import BACKENDS, backend, hide_gpus


class Parser(argparse.ArgumentParser):
    """An argument parser whose refusals are an `InputError`, one line like all others."""

    def error(self, message):
        raise InputError(f"{message[0].upper()}{message[1:]}. See {self.prog} --help.")


@contextlib.contextmanager
def suppress_stderr():
    """Suppress what libraries print to standard error, unless the block fails unforeseen.

    TensorFlow writes there before it reads its own log level, and would hide our one-line error.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as suppressed:
        os.dup2(suppressed.fileno(), 2)
        try:
            yield
        except (InputError, ResourceError, KeyboardInterrupt):
            raise
        except BaseException:
            suppressed.seek(0)
            os.write(kept, suppressed.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def run_command(main):
    """Prepare this process for a command, call `main` and return its exit status.

    The process does not use GPUs: commands plan and report, and separate processes compute.

    Args:
        main: Function without arguments that returns an exit status, or None for 0.

    Returns:
        What `main` returned; 2 after an `InputError`, 1 after a `ResourceError` or where what reads the output has
        ended, 130 after Ctrl-C.
    """

    def prepared():
        import_keras()
        return main()

    return exit_status(prepared, "Stopped. Finished work is kept; run the same command again to continue.")


def exit_status(main, stopped="Stopped."):
    """Call `main` and return the exit status of the command, as `run_command` does but without Keras.

    Args:
        main: Function without arguments that returns an exit status, or None for 0.
        stopped: What to say after Ctrl-C.
    """
    try:
        status = _status(main, stopped)
        sys.stdout.flush()
    except BrokenPipeError:
        if not _reader_has_ended():
            raise
        # Python would flush once more, and fail, when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _status(main, stopped):
    try:
        return main() or 0
    except (InputError, ResourceError) as error:
        print_error(error)
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        sys.stderr.write(f"\n{stopped}\n")
        return 130


def _reader_has_ended():
    """Say whether what read the output has ended, such as `head`; a pipe of `main` may have broken instead."""
    try:
        print(flush=True)
    except BrokenPipeError:
        return True
    return False


def print_error(error):
    """Write the lines of an `InputError` or `ResourceError` to standard error."""
    sys.stderr.writelines(f"error: {line}\n" for line in error.lines)


def import_keras():
    """Import Keras without GPUs, and without what its backend prints when it starts.

    Raises:
        InputError: KERAS_BACKEND is unknown or not installed.
    """
    if backend() not in BACKENDS or importlib.util.find_spec(backend()) is None:
        installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
        advice = (
            f"Set KERAS_BACKEND to one that is: {', '.join(installed)}."
            if installed
            else f"Install one of {', '.join(BACKENDS)}."
        )
        if not os.environ.get("KERAS_BACKEND"):
            raise InputError(f"{backend()}, the default backend, is not installed. {advice}")
        raise InputError(f"KERAS_BACKEND={backend()} is unknown or not installed. {advice}")
    hide_gpus()
    with suppress_stderr():
        importlib.import_module("compactnet.environment").use_standard_settings()


def add_data_option(parser):
    """Add `--data`, the folder of the data sets, to an argument parser."""
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets (default: data)")


def add_results_option(parser, default):
    """Add `--results`, the folder with the records, to an argument parser."""
    parser.add_argument("--results", type=Path, default=default, help=f"folder with records/ (default: {default.name})")


def check_results(folder):
    """Check that a results folder exists, for commands that only read its records.

    Raises:
        InputError: it does not.
    """
    if not folder.is_dir():
        raise InputError(f"The results folder {folder} does not exist. Name another with --results.")


def parse_experiment_options(parser):
    """Add the arguments that choose runs of an experiment and folders; parse the command line and return the options.

    Raises:
        InputError: `--workers` is not a positive number.
    """
    parser.add_argument("config", type=Path, help="YAML file, such as configs/ic.yaml")
    add_data_option(parser)
    add_results_option(parser, Path("runs"))
    parser.add_argument("--only", nargs="+", metavar="NETWORK", help="only these networks of the experiment")
    parser.add_argument("--seeds", type=int, metavar="N", help="only the first N seeds of the config")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="override a key of the config"
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="runs trained at once (default: what is fastest with `threads: auto`, otherwise 1; one for each GPU; on "
        "Slurm as many as it allows)",
    )
    options = parser.parse_args()
    if options.workers is not None and options.workers < 1:
        raise InputError(f"--workers takes a number of at least 1. Received: {options.workers}")
    return options
