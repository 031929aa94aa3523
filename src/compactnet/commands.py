"""How commands begin and end: what a person can mend is one line and exit status 2, Ctrl-C is one line and 130.

Scripts import this module before any other of the package, because Keras looks for its backend when it is imported.
"""

import contextlib
import importlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

from compactnet.errors import InputError
from compactnet.processes import BACKENDS, keep_off_gpus


@contextlib.contextmanager
def chatter_held_back():
    """Hold back what libraries print to standard error, unless the block fails by more than an `InputError`.

    TensorFlow writes there before any of its own switches is read, and an error of ours would drown in it.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as chatter:
        os.dup2(chatter.fileno(), 2)
        try:
            yield
        except InputError:
            raise
        except BaseException:
            chatter.seek(0)
            os.write(kept, chatter.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


_backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
if _backend not in BACKENDS or importlib.util.find_spec(_backend) is None:
    sys.stderr.write(
        f"error: KERAS_BACKEND={_backend} is unknown or not installed. Use one of {', '.join(BACKENDS)} that is, "
        "or leave KERAS_BACKEND out for tensorflow.\n"
    )
    raise SystemExit(2)
# Commands plan and report; what computes is a process of its own.
keep_off_gpus()
if "keras" not in sys.modules:
    with chatter_held_back():
        importlib.import_module("keras")


def study_options(parser):
    """Add the arguments that say which cells of which study, and where; parse the command line and return the options.

    Raises:
        InputError: `--workers` is not a positive number.
    """
    parser.add_argument("config", type=Path, help="YAML file, such as configs/ic.yaml")
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="folder that holds the data set (default: data)"
    )
    parser.add_argument(
        "--results", type=Path, default=Path("runs"), help="folder for records and tables (default: runs)"
    )
    parser.add_argument("--only", nargs="+", metavar="NETWORK", help="these networks of the study only")
    parser.add_argument("--seeds", type=int, metavar="N", help="the first N seeds of the config only")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes", help="change a key")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="cells trained at once (default: 1; on Slurm as many as it allows)"
    )
    options = parser.parse_args()
    if options.workers is not None and options.workers < 1:
        raise InputError(f"--workers takes a number of at least 1. Received: {options.workers}")
    return options


def run_command(main):
    """Call `main` and return its exit status.

    Args:
        main: Function without arguments that returns an exit status, or None for 0.
    """
    try:
        return main() or 0
    except InputError as error:
        sys.stderr.writelines(f"error: {line}\n" for line in error.lines)
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. What was finished is kept; run the same command again to go on.\n")
        return 130
