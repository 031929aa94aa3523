"""Small disks for tests that fill them."""

import contextlib
import os
import subprocess

import pytest


@contextlib.contextmanager
def small_disk(folder, megabytes):
    """Mount a file system of a few megabytes for the length of the block; skip the test where that is not allowed."""
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], capture_output=True, text=True
    )
    if mount.returncode:
        pytest.skip(f"no file system can be mounted here: {mount.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(folder, leave):
    """Fill a file system except for `leave` bytes."""
    space = os.statvfs(folder)
    with (folder / "ballast").open("wb") as file:
        file.write(b"\0" * max(0, space.f_bavail * space.f_frsize - leave))
