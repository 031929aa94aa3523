"""Downloads: to a temporary name, checked against pinned checksums, unpacked, then moved into place."""

import os
import shutil
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import pooch
import requests

from compactnet.errors import InputError
from compactnet.files import storage_error

STAMPS = ".downloaded"
"""Folder in a data set's folder with an empty file for each archive that was verified and unpacked."""


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
    unpacked.

    Args:
        download: The `Download`.
        folder: The data folder; of an archive, nothing appears in it before the archive is whole.
        progress: Whether to show a progress bar with the time left.

    Returns:
        The path of the unpacked folder.

    Raises:
        InputError: the server does not answer or refuses, or what it sends is not the archive.
        ResourceError: the disk is full.
    """
    folder = Path(folder)
    target = folder / download.folder
    # A folder that one archive fills was put there by hand, or moved into place in one step.
    if len(download.archives) == 1 and target.is_dir():
        return target
    for archive in download.archives:
        if not (target / STAMPS / archive.name).exists():
            _fetch_archive(archive, folder, target, progress)
    return target


def _fetch_archive(archive, folder, target, progress):
    by_hand = f"Try again, or put the archive at {folder / archive.name} by hand."
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = Path(
            pooch.retrieve(
                archive.url,
                known_hash=f"md5:{archive.md5}",
                fname=archive.name,
                path=folder,
                downloader=pooch.HTTPDownloader(progressbar=progress, timeout=60),
            )
        )
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
        raise storage_error(
            folder, error, "Free some space, or choose another data folder with DATA=folder."
        ) from error


def _unpack(path, target):
    """Unpack an archive next to `target`, then move its files there, with a stamp that marks it as complete."""
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=target.parent) as partial:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                archive.extractall(partial)
        else:
            with tarfile.open(path) as archive:
                archive.extractall(partial, filter="data")
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
