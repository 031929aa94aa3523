"""CIFAR-10 (Krizhevsky, 2009) from its official python batches."""

import hashlib
import json
import math
import pickle
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from compactnet.data.dataset import GENERATED_MANIFEST, Dataset, Split, fingerprint, statistics
from compactnet.data.download import Archive, Download
from compactnet.data.section import Fold
from compactnet.errors import InputError
from compactnet.validation import Count, listed

FOLDER = "cifar-10-batches-py"
DOWNLOAD = Download(
    title="CIFAR-10 (python version)",
    archives=(Archive("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),),
    gigabytes=0.17,
    licence="free for research with citation of Krizhevsky (2009); no licence is stated",
    folder=FOLDER,
)
TRAIN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_BATCH = "test_batch"
OFFICIAL_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
IMAGE_SHAPE = (32, 32, 3)


class Cifar10(Fold):
    """CIFAR-10.

    Attributes:
        train_samples: Use only the first n images of the training split; None for all.
        test_samples: Likewise for the test split.
        resize_to: (height, width) in pixels to which the network resizes its input (bilinear), or None.
    """

    source: Literal["cifar10"] = "cifar10"
    train_samples: Count | None = None
    test_samples: Count | None = None
    resize_to: listed(tuple[Count, Count], "[64, 64]") | None = None

    title: ClassVar = "CIFAR-10"
    unit: ClassVar = "images"
    sample_shape: ClassVar = IMAGE_SHAPE
    sample_bytes: ClassVar = math.prod(IMAGE_SHAPE)
    class_names: ClassVar = CLASS_NAMES
    download: ClassVar = DOWNLOAD
    paper_table: ClassVar = "table4"
    paper_task: ClassVar = "ic"

    @property
    def network_size(self):
        return self.resize_to

    @property
    def description(self):
        height, width, _ = self.network_input_shape
        return f"{self.title} at {height}x{width}"

    @property
    def official_fingerprint(self):
        return "" if self.generated else fingerprint(OFFICIAL_MD5)

    @property
    def complete(self):
        return not self.generated and self.official_counts() == (50_000, 10_000)

    def official_counts(self):
        return min(self.train_samples or 50_000, 50_000), min(self.test_samples or 10_000, 10_000)

    def protocol(self):
        return {**super().protocol(), "normalization": "per channel, training split"}

    def load(self, folder):
        """Read CIFAR-10; the checksum of every batch is verified before it is read.

        Args:
            folder: The data folder, which holds `cifar-10-batches-py/`.

        Returns:
            A `Dataset` of uint8 images of shape (32, 32, 3), normalized per channel by the training images.

        Raises:
            InputError: a missing, truncated or altered file, a pickle that holds anything but arrays, or fewer images
                than the section asks for.
        """
        batches = Path(folder) / FOLDER
        checksums = expected_checksums(folder, self.generated)
        verify(folder, self.generated)
        train = _concatenate([_read_batch(batches / name) for name in TRAIN_BATCHES])
        test = _read_batch(batches / TEST_BATCH)
        splits, coverage = {}, {}
        for name, split, count in (("train", train, self.train_samples), ("test", test, self.test_samples)):
            if count is not None and count > len(split):
                raise InputError(f"data.{name}_samples={count} is more than the {len(split)} images that exist.")
            splits[name] = split.take(count)
            coverage[name] = {"used": len(splits[name]), "total": len(split)}
        mean, std = statistics(splits["train"], kept_axis=2)
        return Dataset(
            **splits,
            class_names=CLASS_NAMES,
            mean=mean,
            std=std,
            fingerprint=fingerprint(checksums),
            coverage=coverage,
            generated=self.generated,
        )


def expected_checksums(folder, generated=False):
    """Return the md5 that each batch must have: the official one, or the one that the generator recorded."""
    if not generated:
        return OFFICIAL_MD5
    manifest = Path(folder) / FOLDER / GENERATED_MANIFEST
    try:
        checksums = json.loads(manifest.read_text(encoding="utf-8"))["md5"]
    except FileNotFoundError:
        raise InputError(
            f"No generated images in {manifest.parent}: {manifest.name} is missing. Run `make reproduce-sample`."
        ) from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(f"{manifest} cannot be read ({error}). Delete {manifest.parent} and run again.") from error
    if not isinstance(checksums, dict) or set(checksums) != set(OFFICIAL_MD5):
        raise InputError(f"{manifest} does not list the six batches. Delete {manifest.parent} and run again.")
    return checksums


def verify(folder, generated=False):
    """Check that every batch file exists and has its checksum.

    Raises:
        InputError: with one line for the first file that does not.
    """
    folder = Path(folder)
    batches = folder / FOLDER
    command = "`make reproduce-sample`" if generated else f"`make data-ic DATA={folder}`"
    remedy = f"Delete the folder {batches} and run {command}."
    if not folder.is_dir():
        raise InputError(f"The data folder {folder} does not exist. Run {command}, or name another with DATA=folder.")
    if not batches.is_dir():
        raise InputError(f"The data folder {folder} has no {batches.name}. Run {command}, or set DATA=folder.")
    if not generated and (batches / GENERATED_MANIFEST).exists():
        raise InputError(f"{batches} holds generated images, not CIFAR-10. Choose another folder with DATA=folder.")
    for name, md5 in expected_checksums(folder, generated).items():
        path = batches / name
        try:
            with path.open("rb") as batch:
                found = hashlib.file_digest(batch, "md5").hexdigest()
        except FileNotFoundError:
            raise InputError(f"{path} is missing. {remedy}") from None
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}. {remedy}") from error
        if found != md5:
            raise InputError(
                f"{path} is damaged or another file: {path.stat().st_size:,} bytes with md5 {found}, "
                f"expected md5 {md5}. {remedy}"
            )


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles NumPy arrays, containers, strings and numbers, and refuses every other class or function."""

    ALLOWED = {
        (module, name) for module in ("numpy.core.multiarray", "numpy._core.multiarray") for name in ("_reconstruct",)
    } | {("numpy", "ndarray"), ("numpy", "dtype")}

    def find_class(self, module, name):
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which image batches never hold")
        if name == "_reconstruct":
            return np._core.multiarray._reconstruct
        return getattr(np, name)


def _read_batch(path):
    remedy = f"Delete the folder {path.parent} and download or generate it again."
    try:
        with path.open("rb") as batch:
            content = _ArrayUnpickler(batch, encoding="bytes").load()
        samples, labels = content[b"data"], np.asarray(content[b"labels"], dtype=np.int64)
    except Exception as error:  # a damaged pickle can raise anything
        raise InputError(f"{path} is not a CIFAR-10 batch: {type(error).__name__}: {error}. {remedy}") from error
    pixels = int(np.prod(IMAGE_SHAPE))
    if not isinstance(samples, np.ndarray) or samples.dtype != np.uint8 or samples.shape != (len(labels), pixels):
        raise InputError(f"{path} is not a CIFAR-10 batch: its data is not uint8 of shape (n, {pixels}). {remedy}")
    if labels.ndim != 1 or not np.isin(labels, range(len(CLASS_NAMES))).all():
        raise InputError(f"{path} is not a CIFAR-10 batch: its labels are not integers from 0 to 9. {remedy}")
    height, width, channels = IMAGE_SHAPE
    images = samples.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
    return Split(np.ascontiguousarray(images), labels)


def _concatenate(splits):
    return Split(
        np.concatenate([split.samples for split in splits]), np.concatenate([split.labels for split in splits])
    )
