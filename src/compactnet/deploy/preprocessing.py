"""From a file of sound or an image to the input of a network, with what travels in the metadata of an exported file.

NumPy, SciPy and soundfile are enough for sound; images need Pillow.
"""

import base64
import importlib
import importlib.util
import math
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scipy.signal
import scipy.sparse

from compactnet.audio.recordings import decode
from compactnet.audio.spectrogram import decibels, mel_power, mono
from compactnet.errors import InputError

HALF_LENGTH, CUTOFF, STOP_BAND = 60, 0.956, 14.0
"""Low-pass filter where SciPy resamples: its half length in samples of the lower sampling rate, its cutoff as a part of
that rate's Nyquist frequency, and the parameter of its Kaiser window."""


@dataclass(frozen=True)
class AudioPreprocessing:
    """Log-mel spectrogram and z-score, as in training.

    Recordings of another rate are resampled, by soxr where it is installed as in training, otherwise by SciPy; channels
    are averaged.

    Attributes:
        sample_rate: Hz.
        hop: Samples from one frame to the next.
        fft: Length of the Fourier transform in samples.
        seconds: Length to which recordings are zero padded or cut, or None.
        window: float32 array.
        filterbank: float32 array of shape (bands, 1 + fft // 2).
        mean: float32 array that broadcasts against (bands, frames, 1).
        std: Likewise, the standard deviation.
    """

    sample_rate: int
    hop: int
    fft: int
    seconds: float | None
    window: np.ndarray = field(repr=False)
    filterbank: np.ndarray = field(repr=False)
    mean: np.ndarray = field(repr=False)
    std: np.ndarray = field(repr=False)

    kind = "audio"

    @classmethod
    def of(cls, features, dataset):
        """Return the preprocessing of a training run.

        Args:
            features: The `compactnet.data.LogMelConfig`.
            dataset: The `compactnet.data.Dataset`, whose mean and standard deviation are those of the training split.
        """
        kernels = importlib.import_module("compactnet.data.log_mel").kernels
        window, filterbank = kernels(features)
        return cls(
            features.sample_rate,
            features.hop,
            features.fft,
            features.seconds,
            window,
            filterbank.toarray(),
            dataset.mean,
            dataset.std,
        )

    def __call__(self, path, shape):
        """Return the network's input for a sound file.

        Args:
            path: The file.
            shape: (bands, frames, 1) of the network's input.

        Returns:
            float32 array of that shape.

        Raises:
            InputError: the file is missing, damaged or no sound file, or its length does not give as many frames.
        """
        try:
            samples, rate = decode(_read(path))
        except InputError as error:
            raise InputError(f"{path} {error}") from error
        if not np.isfinite(samples).all():
            raise InputError(f"{path} is damaged: it holds values that are not finite.")
        samples = mono(samples)
        if rate != self.sample_rate:
            samples = _resample(samples, rate, self.sample_rate)
        if self.seconds is not None:
            length = round(self.seconds * self.sample_rate)
            samples = np.pad(samples[:length], (0, max(0, length - len(samples))))
        filterbank = scipy.sparse.csr_array(self.filterbank)
        try:
            features = decibels(mel_power(samples, self.window, filterbank, self.hop, self.fft))[..., np.newaxis]
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        if features.shape != tuple(shape):
            raise InputError(
                f"{path} lasts {len(samples) / self.sample_rate:.2f} s, which gives {features.shape[1]} frames; the "
                f"network takes {shape[1]} ({(shape[1] - 1) * self.hop / self.sample_rate:.2f} s). Cut or pad it."
            )
        return (features - self.mean) / self.std

    def to_json(self):
        """Return plain JSON data."""
        plain = {name: getattr(self, name) for name in ("kind", "sample_rate", "hop", "fft", "seconds")}
        return plain | {name: _pack(getattr(self, name)) for name in ("window", "filterbank", "mean", "std")}


@dataclass(frozen=True)
class ImagePreprocessing:
    """RGB values from 0 to 255 and z-score, as in training. An image of another size is resized (bilinear).

    An image is turned upright as its EXIF data say. Values of 16 bits are scaled to 8; transparency is ignored.

    Attributes:
        mean: float32 array that broadcasts against (height, width, channels).
        std: Likewise, the standard deviation.
    """

    mean: np.ndarray = field(repr=False)
    std: np.ndarray = field(repr=False)

    kind = "image"

    @classmethod
    def of(cls, dataset):
        """Return the preprocessing of a training run on a `compactnet.data.Dataset` of images."""
        return cls(dataset.mean, dataset.std)

    def __call__(self, path, shape):
        """Return the network's input for an image file.

        Args:
            path: A file that Pillow reads, such as a PNG.
            shape: (height, width, channels) of the network's input, with one or three channels.

        Returns:
            float32 array of that shape.

        Raises:
            InputError: the file is missing or no image, or Pillow is not installed.
        """
        content = _read(path)
        if importlib.util.find_spec("PIL") is None:
            raise InputError(f"Reading {path} needs Pillow, which is not installed: pip install pillow")
        image_module = importlib.import_module("PIL.Image")
        operations = importlib.import_module("PIL.ImageOps")
        io = importlib.import_module("io")
        try:
            image = _of_8_bits(operations.exif_transpose(image_module.open(io.BytesIO(content))))
            image = image.convert("RGB" if shape[2] == 3 else "L")
        except InputError as error:
            raise InputError(f"{path} {error}") from error
        except Exception as error:  # each image format of Pillow has its own errors
            raise InputError(f"{path} is not an image that Pillow can read.") from error
        if image.size != (shape[1], shape[0]):
            image = image.resize((shape[1], shape[0]), image_module.Resampling.BILINEAR)
        return (np.asarray(image, dtype=np.float32).reshape(shape) - self.mean) / self.std

    def to_json(self):
        """Return plain JSON data."""
        return {"kind": self.kind, "mean": _pack(self.mean), "std": _pack(self.std)}


def from_json(content):
    """Return the preprocessing whose `to_json` gave `content`, or None for None."""
    if content is None:
        return None
    content = dict(content)
    kinds = {"audio": AudioPreprocessing, "image": ImagePreprocessing}
    kind = kinds[content.pop("kind")]
    return kind(**{name: _unpack(value) if isinstance(value, dict) else value for name, value in content.items()})


def _read(path):
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def _resample(samples, rate, target):
    if importlib.util.find_spec("soxr") is not None:
        return importlib.import_module("soxr").resample(samples, rate, target, quality="HQ")
    common = math.gcd(rate, target)
    up, down = target // common, rate // common
    # SciPy's own filter leaves much between the two sampling rates, which decibels show.
    widest = max(up, down)
    low_pass = scipy.signal.firwin(2 * HALF_LENGTH * widest + 1, CUTOFF / widest, window=("kaiser", STOP_BAND))
    return scipy.signal.resample_poly(samples, up, down, window=low_pass).astype(np.float32)


def _of_8_bits(image):
    """Return an image whose values Pillow converts as they are; it would cut larger ones off at 255."""
    if image.mode.startswith("I;16"):
        return importlib.import_module("PIL.Image").fromarray((np.asarray(image) // 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise InputError("has values of 32 bits, whose range is not known. Save it with 8 bits a channel.")
    return image


def _pack(array):
    array = np.ascontiguousarray(array, dtype="<f4")
    return {"shape": list(array.shape), "float32": base64.b64encode(zlib.compress(array.tobytes(), 9)).decode()}


def _unpack(packed):
    content = zlib.decompress(base64.b64decode(packed["float32"]))
    return np.frombuffer(content, dtype="<f4").reshape(packed["shape"])
