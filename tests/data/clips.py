"""Small sound files and small features of them, for tests that need many."""

import numpy as np
import soundfile

from compactnet.data import LogMelConfig

SMALL = LogMelConfig(sample_rate=8_000, window=256, hop=128, fft=256, bands=16, seconds=0.2)
"""13 frames of 16 bands."""


def write_clips(folder, count, seed=0):
    """Write short clips, all different, and return their paths below `folder`."""
    generator = np.random.default_rng(seed)
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    paths = [f"audio/clip{index}.wav" for index in range(count)]
    for path in paths:
        soundfile.write(folder / path, generator.uniform(-0.5, 0.5, generator.integers(500, 1_600)), 8_000)
    return paths


def contents(folder):
    """Return {name: bytes} of the files in a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
