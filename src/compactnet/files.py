"""Writing files so that a reader never sees half of one."""

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path

from compactnet.errors import InputError


@contextlib.contextmanager
def replaced(path):
    """Give a temporary path beside `path`; when the block ends well it takes the place of `path`, else it is removed.

    Args:
        path: The file to write. Its folder is made if it is missing.

    Raises:
        InputError: the folder cannot be made or written, or the disk is full.
    """
    path = Path(path)
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        os.close(descriptor)
        partial = Path(name)
        # mkstemp makes files private to the user; results are as readable as any other file.
        partial.chmod(0o666 & ~_umask())
        yield partial
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}. Choose another folder or free this one.") from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path, busy=None):
    """Hold a lock for the length of the block. The system lets go of it when this process ends, however it ends.

    Args:
        path: The lock's file. Its folder is made if it is missing; the file stays.
        busy: Function without arguments that is called if another process has the lock, before waiting for it. An
            exception of its own ends the waiting.

    Raises:
        OSError: the file cannot be made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if busy is not None:
                busy()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_locked(path):
    """Say whether another process holds the lock `path`."""
    try:
        with Path(path).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def write_text(path, text):
    """Write `text` to `path` in one step, as UTF-8."""
    with replaced(path) as partial:
        partial.write_text(text, encoding="utf-8")


def remove(path):
    """Remove a file if it is there.

    Raises:
        InputError: it cannot be removed, or is a folder.
    """
    try:
        Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"Cannot remove {path}: {error.strerror}. Move it away.") from error


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def check_writable(folder):
    """Make a folder and check that files can be written into it.

    Raises:
        InputError: they cannot.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"The results folder {folder} cannot be written ({error.strerror}). Choose another with RESULTS=folder."
        ) from error
