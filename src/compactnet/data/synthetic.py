"""Synthetic data in the official layouts, so that every experiment runs without a download. None of it is real."""

import hashlib
import io
import json
import numbers
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from scipy.io import wavfile

from compactnet.checks import check_integer
from compactnet.data import cifar10, dcase2019, urbansound8k
from compactnet.data.dataset import GENERATED_MANIFEST
from compactnet.errors import InputError
from compactnet.files import storage_errors


def generate_cifar10(folder, train_samples=2_000, test_samples=500, seed=0):
    """Write generated images in CIFAR-10's batch layout: the angle of a coloured grating tells the class.

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
    counts = _checked_counts(seed, train_samples=train_samples, test_samples=test_samples)
    if counts["train_samples"] % 5:
        raise InputError(f"`train_samples` must be a multiple of 5. Received: train_samples={train_samples}")
    wanted = {"generated": True, **counts}
    return _generated(Path(folder) / cifar10.FOLDER, wanted, _write_batches)


def generate_scenes(folder, train_clips=4, test_clips=2, seconds=10.0, seed=0):
    """Write generated scenes in TAU 2019's layout: the frequency of swelling noise tells the class.

    Args:
        folder: The data folder, as in `generate_cifar10`.
        train_clips: Number of training clips a class.
        test_clips: Number of test clips a class.
        seconds: Length of a clip; 48 kHz, stereo, 24 bit.
        seed: Seed of the generator.

    Returns:
        The path of the data set's folder.

    Raises:
        InputError: an argument out of range, or the folder holds other data.
    """
    counts = _checked_counts(seed, train_clips=train_clips, test_clips=test_clips)
    wanted = {"generated": True, **counts, "seconds": _checked_seconds(seconds)}
    return _generated(Path(folder) / dcase2019.FOLDER, wanted, _write_scenes)


def generate_events(folder, clips=1, seconds=4.0, seed=0):
    """Write generated events in UrbanSound8K's layout: the pitch of a fading tone tells the class.

    Sample rates, widths, encodings, channel counts and lengths differ from clip to clip, as in the official archive.

    Args:
        folder: The data folder, as in `generate_cifar10`.
        clips: Number of clips a class in each of the ten folds.
        seconds: Length of the longest clip.
        seed: Seed of the generator.

    Returns:
        The path of the data set's folder.

    Raises:
        InputError: an argument out of range, or the folder holds other data.
    """
    counts = _checked_counts(seed, clips=clips)
    wanted = {"generated": True, **counts, "seconds": _checked_seconds(seconds)}
    return _generated(Path(folder) / urbansound8k.FOLDER, wanted, _write_events)


def _checked_counts(seed, **counts):
    """Return counts and the seed as integers, by name."""
    checked = {name: check_integer(name, count) for name, count in counts.items()}
    return {**checked, "seed": check_integer("seed", seed, minimum=0)}


def _checked_seconds(seconds):
    if isinstance(seconds, bool) or not isinstance(seconds, numbers.Real) or not 0.1 <= seconds <= 60:
        raise InputError(f"`seconds` must be from 0.1 to 60. Received: seconds={seconds!r}")
    return float(seconds)


def _generated(target, wanted, write):
    """Return `target`, written by `write(folder, wanted)` unless it exists already; a failure leaves nothing."""
    if not target.exists():
        with storage_errors(target.parent, "Free some space, or choose another data folder."):
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".generating-", dir=target.parent) as partial:
                write(Path(partial) / target.name, wanted)
                try:
                    (Path(partial) / target.name).rename(target)
                except OSError:
                    if not target.exists():
                        raise
                    # Another process was faster, and may have written the same.
    if not _described(target / GENERATED_MANIFEST, wanted):
        raise InputError(f"{target} exists and holds other data. Choose another data folder, or delete it.")
    return target


def _described(manifest, wanted):
    """Say whether a manifest exists and has the arguments `wanted`."""
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
    (target / GENERATED_MANIFEST).write_text(manifest + "\n", encoding="utf-8")


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


def _write_scenes(target, wanted):
    generator = np.random.default_rng(wanted["seed"])
    (target / "audio").mkdir(parents=True)
    (target / "evaluation_setup").mkdir()
    rows = {"train": [], "evaluate": []}
    splits = ["train"] * wanted["train_clips"] + ["evaluate"] * wanted["test_clips"]
    step = max(100, len(splits))
    for number, label in enumerate(dcase2019.LABELS):
        for clip, split in enumerate(splits):
            # Each clip has its own location, so that none is in both splits.
            location = f"generated-{step * number + clip}"
            name = f"audio/{label}-{location}-{clip}-a.wav"
            samples = _swelling_noise(number, round(wanted["seconds"] * 48_000), generator)
            _write_sound(target / name, samples, 48_000, "PCM_24", "WAV")
            rows[split].append({"filename": name, "scene_label": label, "identifier": location, "source_label": "a"})
    for split, listed in rows.items():
        _write_rows(target / "evaluation_setup" / f"fold1_{split}.csv", listed, "\t", ["filename", "scene_label"])
    _write_rows(target / "meta.csv", rows["train"] + rows["evaluate"], "\t")
    _write_manifest(target, wanted)


def _swelling_noise(number, count, generator, rate=48_000):
    """Return stereo noise around the frequency of a class, of shape (count, 2), over a floor of white noise."""
    frequencies = np.fft.rfftfreq(count, 1 / rate)
    centre = 150 * 1.6**number * generator.uniform(0.95, 1.05)
    spectrum = np.exp(-(((np.log(np.maximum(frequencies, 1)) - np.log(centre)) / 0.25) ** 2)) + 0.003
    noise = np.fft.irfft(np.fft.rfft(generator.normal(size=(2, count))) * spectrum, count)
    swell = 1 + 0.5 * np.sin(2 * np.pi * generator.uniform(0.2, 0.6) * np.arange(count) / rate)
    noise *= swell
    return (0.5 * noise / np.abs(noise).max()).T


SOUND_FILES = (
    (44_100, 2, "WAV", "PCM_16"),
    (22_050, 1, "WAV", "PCM_16"),
    (48_000, 2, "WAVEX", "PCM_24"),
    (96_000, 2, "WAV", "PCM_24"),
    (8_000, 1, "WAV", "PCM_U8"),
    (44_100, 1, "WAV", "FLOAT"),
    (192_000, 1, "WAVEX", "PCM_32"),
    (11_025, 1, "WAV", "ULAW"),
    (44_100, 2, "WAV", "IMA_ADPCM"),
    (16_000, 1, "WAV", "MS_ADPCM"),
)
"""Sample rate in Hz, channels, container and encoding of generated events, in turn."""


def _write_events(target, wanted):
    generator = np.random.default_rng(wanted["seed"])
    rows = []
    for fold in urbansound8k.FOLDS:
        (target / "audio" / f"fold{fold}").mkdir(parents=True)
        for number, label in enumerate(urbansound8k.CLASS_NAMES):
            for clip in range(wanted["clips"]):
                recording = 1_000_000 + len(rows)
                rate, channels, container, encoding = SOUND_FILES[(len(rows) + fold) % len(SOUND_FILES)]
                samples = _fading_tone(number, wanted["seconds"] * generator.uniform(0.3, 1.0), rate, generator)
                name = f"{recording}-{number}-0-{clip}.wav"
                path = target / "audio" / f"fold{fold}" / name
                samples = np.repeat(samples[:, None], channels, axis=1)
                if encoding == "FLOAT":
                    # libsndfile writes the current time into such files, so that no two would be equal.
                    wavfile.write(path, rate, samples.astype(np.float32))
                else:
                    _write_sound(path, samples, rate, encoding, container)
                rows.append(
                    {
                        "slice_file_name": name,
                        "fsID": recording,
                        "start": 0.0,
                        "end": round(len(samples) / rate, 6),
                        "salience": 1,
                        "fold": fold,
                        "classID": number,
                        "class": label,
                    }
                )
    (target / "metadata").mkdir()
    _write_rows(target / "metadata" / "UrbanSound8K.csv", rows, ",")
    _write_manifest(target, wanted)


def _fading_tone(number, seconds, rate, generator):
    """Return the tone of a class, of shape (samples,), with overtones and noise."""
    time = np.arange(round(seconds * rate)) / rate
    # The highest pitch is below half of the lowest sample rate.
    pitch = 150 * 1.4**number * generator.uniform(0.97, 1.03)
    tone = sum(
        np.sin(2 * np.pi * overtone * pitch * time) / overtone for overtone in (1, 2, 3) if overtone * pitch < 3_900
    )
    tone = tone * np.exp(-time * generator.uniform(0.2, 1.0)) + generator.normal(0.0, 0.02, len(time))
    return 0.5 * tone / np.abs(tone).max()


def _write_sound(path, samples, rate, encoding, container):
    # Made in memory first: libsndfile has errors of its own for a full disk.
    content = io.BytesIO()
    soundfile.write(content, samples, rate, subtype=encoding, format=container)
    path.write_bytes(content.getbuffer())


def _write_rows(path, rows, separator, columns=None):
    pd.DataFrame(rows, columns=columns).to_csv(path, sep=separator, index=False, lineterminator="\n")


def _write_manifest(target, wanted):
    (target / GENERATED_MANIFEST).write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
