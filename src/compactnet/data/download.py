"""Downloads: to a temporary name, checked against pinned checksums, unpacked, then moved into place."""

import contextlib
import os
import shutil
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse

import pooch
import requests

from compactnet.errors import InputError
from compactnet.files import file_lock, storage_error, storage_errors

STAMPS = ".downloaded"
"""Folder in a data set's folder with an empty file for each archive that was verified and unpacked."""

LOCK = ".downloading.lock"
"""Lock in the data folder: one process downloads into it at a time."""

PARTIAL = ".unpacking-"
"""Beginning of the names of folders in the data folder that hold what is not yet whole."""

SPACE = "Free some space, or choose another data folder with DATA=folder."


@dataclass(frozen=True)
class Archive:
    """One file of an official download.

    Attributes:
        url: Where it is.
        md5: Its official md5, as hexadecimal digits.
    """

    url: str
    md5: str

    @property
    def name(self):
        """The file's name."""
        return Path(urlparse(self.url).path).name


@dataclass(frozen=True)
class Download:
    """An official data set.

    Attributes:
        title: Name of the data set.
        archives: Its `Archive`s; each holds a part of `folder`.
        gigabytes: Size of all archives in units of 1e9 bytes.
        licence: What its authors allow.
        folder: The folder that the loaders read.
    """

    title: str
    archives: tuple
    gigabytes: float
    licence: str
    folder: str


def fetch(download, folder, progress=True):
    """Download, verify and unpack a data set, archive by archive; what was already unpacked is not fetched again.

    An archive that is already in `folder` is used instead of being downloaded. Archives are removed once they are
    unpacked. A second process that fetches into the same folder waits until the first is done.

    Args:
        download: The `Download`.
        folder: The data folder; of an archive, nothing appears in it before the archive is whole.
        progress: Whether to show a progress bar with the time left.

    Returns:
        The path of the unpacked folder.

    Raises:
        InputError: the server does not answer or refuses, what it sends is not the archive, or the folder cannot be
            written.
        ResourceError: the disk is full.
    """
    folder = Path(folder)
    target = folder / download.folder
    if not _missing(download, target):
        return target  # also where the folder is read-only
    with contextlib.ExitStack() as stack:
        with storage_errors(folder, SPACE):
            stack.enter_context(file_lock(folder / LOCK, lambda: _say_waiting(folder)))
            for left in folder.glob(f"{PARTIAL}*"):  # by a process that was killed
                shutil.rmtree(left)
        for archive in _missing(download, target):
            _fetch_archive(archive, folder, target, progress)
    return target


def _missing(download, target):
    """Return the archives that are not unpacked in `target`."""
    # A folder without stamps was put there by hand: the first archive is moved into place with its stamp, in one step.
    if target.is_dir() and (len(download.archives) == 1 or not (target / STAMPS).is_dir()):
        return []
    return [archive for archive in download.archives if not (target / STAMPS / archive.name).exists()]


def _say_waiting(folder):
    sys.stderr.write(f"Another process is downloading to {folder}: waiting for it.\n")


def _fetch_archive(archive, folder, target, progress):
    path = folder / archive.name
    by_hand = f"Try again, or put the archive at {path} by hand."
    try:
        with tempfile.TemporaryDirectory(prefix=PARTIAL, dir=folder) as partial:
            downloaded = pooch.retrieve(
                archive.url,
                known_hash=f"md5:{archive.md5}",
                fname=archive.name,
                path=folder if path.exists() else partial,
                downloader=pooch.HTTPDownloader(progressbar=progress, timeout=60),
            )
            Path(downloaded).replace(path)
        _unpack(path, target)
        path.unlink()
    except requests.HTTPError as error:
        error.response.close()  # pooch leaves the connection open
        raise InputError(f"{archive.url} answered {error.response.status_code}. {by_hand}") from error
    except requests.RequestException as error:
        raise InputError(f"{archive.url} could not be downloaded ({type(error).__name__}). {by_hand}") from error
    except (tarfile.TarError, zipfile.BadZipFile) as error:
        raise InputError(f"{archive.url} could not be unpacked ({error}). {by_hand}") from error
    except ValueError as error:
        raise InputError(
            f"{archive.url} is not the official archive: its md5 is not {archive.md5} (an error page, or a download "
            f"that was cut short). {by_hand}"
        ) from error
    except OSError as error:
        raise storage_error(folder, error, SPACE) from error


def _unpack(path, target):
    """Unpack an archive next to `target`, then move its files there, with a stamp that marks it as complete."""
    with tempfile.TemporaryDirectory(prefix=PARTIAL, dir=target.parent) as partial:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                archive.extractall(partial)
        else:
            with tarfile.open(path) as archive:
                # As an attribute, because `extractall` of Python before 3.11.4 takes no filter.
                archive.extraction_filter = getattr(tarfile, "data_filter", None)
                archive.extractall(partial, _checked(archive))
        unpacked = Path(partial) / target.name
        if not unpacked.is_dir():
            raise tarfile.TarError(f"it holds no folder {target.name}")
        stamp = unpacked / STAMPS / path.name
        stamp.parent.mkdir()
        stamp.touch()
        if not target.exists():
            unpacked.rename(target)
            return
        # The stamp comes last: until then the archive counts as not unpacked.
        for parent, _, names in sorted(os.walk(unpacked), key=lambda entry: STAMPS in entry[0]):
            place = target / Path(parent).relative_to(unpacked)
            place.mkdir(parents=True, exist_ok=True)
            for name in names:
                shutil.move(Path(parent) / name, place / name)


def _checked(archive):
    """Yield the members of a tar archive.

    Raises:
        tarfile.TarError: a member is no regular file or folder, or would be written elsewhere.
    """
    for member in archive:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
            raise tarfile.TarError(f"its member {member.name!r} is no file or folder below the archive's own")
        yield member
