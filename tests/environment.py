"""Environment variables of the process that runs the tests."""

import contextlib
import os


@contextlib.contextmanager
def restored_environment():
    """Restore the environment variables at the end of the block."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
