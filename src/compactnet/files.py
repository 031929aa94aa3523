"""Writing files so that a reader never sees half of one, and locks between processes."""

import contextlib
import errno
import io
import os
import tempfile
import uuid
import zipfile
import zlib
from pathlib import Path

import filelock
import numpy as np

from compactnet.errors import InputError, ResourceError

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
"""The disk or the quota is full, or the disk fails."""

NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)
"""The file system has no locks, or no room for more."""


@contextlib.contextmanager
def storage_errors(path, advice="Free some space, or choose another folder."):
    """Turn an OSError of the block into one line that names `path` and says what to do.

    Raises:
        ResourceError: the disk is full or fails.
        InputError: `path` cannot be written for another reason, such as a folder in its place.
    """
    try:
        yield
    except OSError as error:
        raise storage_error(path, error, advice) from error


def storage_error(path, error, advice):
    """Return the exception that `storage_errors` raises for an OSError."""
    kind = ResourceError if error.errno in DISK_ERRORS else InputError
    return kind(f"Cannot write {path}: {error.strerror or error}. {advice}")


@contextlib.contextmanager
def atomic_write(path):
    """Yield a temporary path in the folder of `path`, which replaces `path` if the block succeeds, else is removed.

    Args:
        path: The file to write. Its folder is created if it is missing.

    Raises:
        ResourceError: the disk is full.
        InputError: the folder cannot be created or written.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            with partial.open("rb") as written:
                os.fsync(written.fileno())
            partial.replace(path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def write_text(path, text):
    """Write `text` to `path` in one step, as UTF-8."""
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_npz(path, arrays, compress=False):
    """Write {name: array} to `path` as an npz file, in one step."""
    # Built in memory first, so that a full disk is met by one plain write.
    content = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(content, **arrays)
    with atomic_write(path) as partial:
        partial.write_bytes(content.getbuffer())


def read_npz(path):
    """Return the arrays of an npz file as {name: array}; reading an array verifies its checksum.

    Raises:
        FileNotFoundError: it does not exist.
        ValueError: it is damaged or not an npz file.
    """
    try:
        with Path(path).open("rb") as content, np.load(content, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise
    except NotADirectoryError as error:
        raise FileNotFoundError(error.errno, error.strerror, str(path)) from error
    except ValueError as error:  # NumPy advises to load it unsafely
        raise ValueError("it is not an npz file") from error
    except TypeError as error:  # one array is no file of arrays
        raise ValueError("it holds one array; save it as x with numpy.savez") from error
    except (OSError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(str(error)) from error


@contextlib.contextmanager
def file_lock(path, on_wait=None):
    """Hold a lock for the length of the block. The system releases it when this process ends, however it ends.

    Args:
        path: The lock file. Its folder is created if it is missing; the file stays.
        on_wait: Function without arguments that is called if another process holds the lock, before waiting for it. An
            exception of its own ends the waiting.

    Raises:
        OSError: the file cannot be created.
        InputError: the file system has no locks.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    lock = _lock(path)
    with _supported(path):
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            if on_wait is not None:
                on_wait()
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def is_locked(path):
    """Say whether another process holds the lock `path`.

    Raises:
        InputError: the file system has no locks.
    """
    if not Path(path).exists():
        return False
    try:
        with _supported(path), _lock(path).acquire(blocking=False):
            return False
    except filelock.Timeout:
        return True


def _lock(path):
    # Where a file system has no locks, filelock would mark files, and a killed process could not take its mark away.
    return filelock.FileLock(path, thread_local=False, fallback_to_soft=False)


@contextlib.contextmanager
def _supported(path):
    try:
        yield
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        raise InputError(
            f"{path} cannot be locked: its file system has no locks ({error.strerror}). Choose a folder on another "
            "file system with RESULTS=folder or DATA=folder."
        ) from error


def remove(path):
    """Remove a file if it exists.

    Raises:
        InputError: it is a folder, or cannot be removed.
    """
    try:
        Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"Cannot remove {path}: {error.strerror}. Move it away.") from error


def check_writable(folder):
    """Create a folder and check that files can be written into it.

    Raises:
        ResourceError: the disk is full.
        InputError: they cannot.
    """
    folder = Path(folder)
    with storage_errors(f"to the results folder {folder}", "Choose another with RESULTS=folder."):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
