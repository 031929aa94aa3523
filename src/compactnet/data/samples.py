"""Generated data in the official layouts, so that every experiment runs without a download. None of it is real."""

import hashlib
import json
import pickle
import shutil
import tempfile
from pathlib import Path

import numpy as np

from compactnet.data import cifar10
from compactnet.errors import InputError


def generate_cifar10(folder, train_samples=2_000, test_samples=500, seed=0):
    """Write generated images in CIFAR-10's batch layout: each class a coloured grating of its own angle, in noise.

    Args:
        folder: The data folder; `cifar-10-batches-py/` appears in it only when it is whole. Images that are already
            there with the same arguments are left alone.
        train_samples: Number of training images, a multiple of 5 (there are five batches).
        test_samples: Number of test images.
        seed: Seed of the generator.

    Returns:
        The path of the folder with the batches.

    Raises:
        InputError: counts out of range, or the folder holds other images.
    """
    if train_samples < 5 or train_samples % 5 or test_samples < 1:
        raise InputError(
            "train_samples must be a multiple of 5 of at least 5 and test_samples at least 1. "
            f"Received: train_samples={train_samples}, test_samples={test_samples}"
        )
    target = Path(folder) / cifar10.ARCHIVE.folder
    manifest = target / cifar10.GENERATED_MANIFEST
    wanted = {"generated": True, "train_samples": train_samples, "test_samples": test_samples, "seed": seed}
    if target.exists():
        if _described(manifest, wanted):
            return target
        raise InputError(f"{target} is there and holds other images. Choose another data folder, or delete it.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".generating-", dir=target.parent) as partial:
            _write_batches(Path(partial) / target.name, wanted)
            shutil.move(Path(partial) / target.name, target)
    except OSError as error:
        raise InputError(f"Cannot write to {target.parent}: {error.strerror}. Choose another data folder.") from error
    return target


def _described(manifest, wanted):
    """Say whether a manifest is there and names the arguments `wanted`."""
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and wanted.items() <= content.items()


def _write_batches(target, wanted):
    target.mkdir()
    generator = np.random.default_rng(wanted["seed"])
    counts = dict.fromkeys(cifar10.TRAIN_BATCHES, wanted["train_samples"] // 5)
    counts[cifar10.TEST_BATCH] = wanted["test_samples"]
    checksums = {}
    for name, count in counts.items():
        labels = generator.permutation(np.arange(count) % len(cifar10.CLASS_NAMES))
        content = pickle.dumps(
            {
                b"batch_label": f"generated {name}".encode(),
                b"labels": labels.tolist(),
                b"data": _gratings(labels, generator),
                b"filenames": [f"generated_{name}_{index}.png".encode() for index in range(count)],
            },
            protocol=4,  # bytes need no function call in it, so the reader can refuse all of them
        )
        (target / name).write_bytes(content)
        checksums[name] = hashlib.md5(content, usedforsecurity=False).hexdigest()
    manifest = json.dumps({**wanted, "md5": checksums}, indent=2)
    (target / cifar10.GENERATED_MANIFEST).write_text(manifest + "\n", encoding="utf-8")


def _gratings(labels, generator):
    """Return uint8 images of shape (n, 3072), channels first as the official batches have them."""
    height, width, channels = cifar10.IMAGE_SHAPE
    rows, columns = np.mgrid[:height, :width]
    count = len(labels)
    angles = np.pi * labels / len(cifar10.CLASS_NAMES) + generator.normal(0.0, 0.06, count)
    waves = generator.uniform(3.0, 6.0, count)[:, None, None] / width
    phases = generator.uniform(0.0, 2 * np.pi, count)[:, None, None]
    along = np.cos(angles)[:, None, None] * columns + np.sin(angles)[:, None, None] * rows
    grating = np.sin(2 * np.pi * waves * along + phases)
    colours = generator.uniform(0.3, 1.0, (count, channels, 1, 1))
    images = 128 + 50 * colours * grating[:, None] + generator.normal(0.0, 25.0, (count, channels, height, width))
    return np.clip(images, 0, 255).astype(np.uint8).reshape(count, -1)
