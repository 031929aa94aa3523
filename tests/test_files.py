"""Files appear whole or not at all, and a lock is held by one process at a time."""

import errno
import fcntl
import io
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from compactnet.errors import InputError, ResourceError
from compactnet.files import (
    atomic_write,
    check_writable,
    file_lock,
    is_locked,
    read_npz,
    remove,
    write_npz,
    write_text,
)
from tests.data.exploit import Exploit


def test_a_file_appears_whole_with_its_folder(tmp_path):
    path = tmp_path / "a" / "b.txt"
    with atomic_write(path) as partial:
        partial.write_text("content")
        assert not path.exists()
        assert partial.parent == path.parent
    assert path.read_text() == "content"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_the_umask_decides_the_mode_and_is_never_touched(tmp_path, umask):
    # In a process of its own, because the umask belongs to all threads of a process.
    program = f"""
import fcntl
import os
os.umask({umask})
def forbidden(mask):
    raise AssertionError("the umask is touched")
os.umask = forbidden
from compactnet.files import file_lock, write_npz, write_text
with file_lock("new.lock"):
    write_text("new.txt", "content")
    write_text("new.txt", "another content")
    write_npz("new.npz", {{}})
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    del modes["new.lock"]
    assert modes == dict.fromkeys(["new.txt", "new.npz"], 0o666 & ~umask)


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "b.txt"
    write_text(path, "before")
    with pytest.raises(RuntimeError), atomic_write(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, ResourceError),
        (errno.EDQUOT, ResourceError),
        (errno.EIO, ResourceError),
        (errno.EACCES, InputError),
        (errno.EROFS, InputError),
    ],
)
@pytest.mark.parametrize("where", ["the block", "fsync"])
def test_a_full_disk_is_no_bad_input(tmp_path, monkeypatch, number, expected, where):
    def fail(descriptor):
        raise OSError(number, os.strerror(number))

    path = tmp_path / "b.txt"
    write_text(path, "before")
    if where == "fsync":
        monkeypatch.setattr("compactnet.files.os.fsync", fail)
    expected_line = rf"^Cannot write .*b\.txt: {os.strerror(number)}\. Free"
    with pytest.raises(expected, match=expected_line) as failure, atomic_write(path) as partial:
        partial.write_text("half")
        if where == "the block":
            fail(partial)
    assert len(failure.value.lines) == 1
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/b\.txt"):
        write_text(tmp_path / "file" / "b.txt", "content")
    with pytest.raises(InputError, match=r"^Cannot write to the results folder .*RESULTS=folder"):
        check_writable(tmp_path / "file" / "results")
    with pytest.raises(InputError, match=r"Cannot write .*: Is a directory"):
        write_text(tmp_path, "content")


def test_a_writable_folder_is_created_and_left_empty(tmp_path, monkeypatch):
    check_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []

    def fail(**arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("compactnet.files.tempfile.TemporaryFile", fail)
    with pytest.raises(ResourceError, match=r"No space left on device.*RESULTS=folder"):
        check_writable(tmp_path)


def test_only_files_are_removed(tmp_path):
    write_text(tmp_path / "b.txt", "content")
    remove(tmp_path / "b.txt")
    remove(tmp_path / "b.txt")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"Cannot remove .*folder.*Move it away"):
        remove(tmp_path / "folder")


# Arrays


@pytest.mark.parametrize("compress", [False, True])
def test_arrays_are_read_back_as_they_were_written(tmp_path, compress):
    arrays = {
        "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
        "half": np.array([0.1], np.float16),
        "scalar": np.array(3),
        "empty": np.zeros((0, 2), np.uint8),
    }
    write_npz(tmp_path / "a.npz", arrays, compress)
    read = read_npz(tmp_path / "a.npz")
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert (archive.infolist()[0].compress_type == zipfile.ZIP_DEFLATED) == compress


def test_no_damage_to_an_npz_file_goes_unnoticed(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(path, {"values": np.arange(64, dtype=np.uint8)})
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(bytes(range(64)))] ^= 1
    encrypted = bytearray(whole)
    encrypted[whole.index(b"PK\x01\x02") + 8] ^= 1  # a flag in the directory at the end
    array = io.BytesIO()
    np.save(array, np.arange(3))
    for content, reason in (
        (flipped, "Bad CRC-32"),
        (whole[: len(whole) // 2], "not a zip file"),
        (b"", "No data left"),
        (b"PK not quite", "not an npz file"),
        (b"text", "not an npz file"),
        (encrypted, "encrypted"),
        (array.getvalue(), "it holds one array"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=reason):
            read_npz(path)
    with pytest.raises(FileNotFoundError):
        read_npz(tmp_path / "nowhere.npz")
    with pytest.raises(FileNotFoundError):
        read_npz(path / "below a file.npz")


def test_an_npz_file_with_objects_is_not_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", values=np.array([Exploit(f"touch {tmp_path / 'executed'}")], dtype=object))
    with pytest.raises(ValueError, match="not an npz file"):
        read_npz(tmp_path / "a.npz")
    assert not (tmp_path / "executed").exists()


# Locks

HOLDER = """
import sys
from compactnet.files import file_lock
with file_lock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "a" / "lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_lock_is_seen_and_awaited_across_processes(holder, tmp_path):
    path = tmp_path / "a" / "lock"
    waited = []

    def on_wait():
        waited.append(is_locked(path))
        holder.stdin.close()

    assert is_locked(path)
    with file_lock(path, on_wait):
        assert waited == [True]
    assert not is_locked(path)
    with file_lock(path, on_wait):
        assert waited == [True]  # free, so nothing to wait for


def test_an_exception_ends_the_waiting(holder, tmp_path):
    def on_wait():
        raise InterruptedError

    with pytest.raises(InterruptedError), file_lock(tmp_path / "a" / "lock", on_wait):
        raise AssertionError("two processes hold the lock")
    assert is_locked(tmp_path / "a" / "lock")


def test_a_killed_process_releases_its_lock(holder, tmp_path):
    holder.kill()
    holder.wait()
    assert not is_locked(tmp_path / "a" / "lock")
    with file_lock(tmp_path / "a" / "lock", on_wait=pytest.fail):
        pass


def test_a_lock_is_released_when_the_block_fails(tmp_path):
    path = tmp_path / "lock"
    assert not is_locked(path)
    assert not path.exists()
    with pytest.raises(RuntimeError), file_lock(path):
        raise RuntimeError
    assert not is_locked(path)


def test_a_file_system_without_locks_is_named_and_no_mark_is_left_for_ever(tmp_path, monkeypatch):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    path = tmp_path / "lock"
    path.touch()
    monkeypatch.setattr(fcntl, "flock", refuse)
    for use in (file_lock(path), file_lock(tmp_path / "new" / "lock")):
        with (
            pytest.raises(
                InputError, match=r"lock cannot be locked: its file system has no locks.*RESULTS="
            ) as refusal,
            use,
        ):
            raise AssertionError("locked")
        assert len(refusal.value.lines) == 1
    with pytest.raises(InputError, match="has no locks"):
        is_locked(path)
    monkeypatch.undo()
    assert not is_locked(path)
    assert not is_locked(tmp_path / "new" / "lock")
