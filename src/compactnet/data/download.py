"""Downloads: to a temporary name, checked against a pinned checksum, then moved into place and unpacked."""

import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests

from compactnet.errors import InputError


@dataclass(frozen=True)
class Archive:
    """An official archive.

    Attributes:
        title: Name of the data set.
        url: Where the archive is.
        md5: Its official md5, as hexadecimal digits.
        gigabytes: Its size in units of 1e9 bytes.
        licence: What its authors allow.
        folder: The folder inside it that the loaders read.
    """

    title: str
    url: str
    md5: str
    gigabytes: float
    licence: str
    folder: str


def fetch(archive, folder, progress=True):
    """Download, verify and unpack an archive; what is already there is not fetched again.

    Args:
        archive: The `Archive`.
        folder: The data folder; the archive's own folder appears in it only when it is whole.
        progress: Whether to show a progress bar with the time left.

    Returns:
        The path of the unpacked folder.

    Raises:
        InputError: the server does not answer or says no, what came is not the archive, or the disk cannot take it.
    """
    folder = Path(folder)
    target = folder / archive.folder
    if target.is_dir():
        return target
    by_hand = f"Try again, or put the archive at {folder / Path(archive.url).name} by hand."
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = pooch.retrieve(
            archive.url,
            known_hash=f"md5:{archive.md5}",
            fname=Path(archive.url).name,
            path=folder,
            downloader=pooch.HTTPDownloader(progressbar=progress, timeout=60),
        )
        _unpack(Path(path), target)
    except requests.HTTPError as error:
        error.response.close()  # pooch leaves the connection open
        raise InputError(f"{archive.url} answered {error.response.status_code}. {by_hand}") from error
    except requests.RequestException as error:
        raise InputError(f"{archive.url} could not be downloaded ({type(error).__name__}). {by_hand}") from error
    except tarfile.TarError as error:
        raise InputError(f"{archive.url} could not be unpacked ({error}). {by_hand}") from error
    except ValueError as error:
        raise InputError(
            f"{archive.url} is not the official archive: its md5 is not {archive.md5} (an error page, or a download "
            f"that was cut short). {by_hand}"
        ) from error
    except OSError as error:
        raise InputError(f"Cannot write to {folder}: {error.strerror or error}. Free it or set DATA.") from error
    return target


def _unpack(path, target):
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=target.parent) as partial:
        with tarfile.open(path) as archive:
            archive.extractall(partial, filter="data")
        unpacked = Path(partial) / target.name
        if not unpacked.is_dir():
            raise tarfile.TarError(f"it holds no folder {target.name}")
        shutil.move(unpacked, target)
