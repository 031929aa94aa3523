"""Log-mel spectrograms (Sec. IV of the paper): librosa's figures, computed faster."""

from functools import lru_cache
from typing import Annotated, Literal

import librosa
import numpy as np
import scipy.sparse
from pydantic import Field, model_validator

from compactnet.audio.recordings import RATES
from compactnet.audio.spectrogram import decibels, mel_power, mono
from compactnet.checks import check_integer
from compactnet.errors import InputError
from compactnet.validation import Count, Number, StrictModel


class LogMelConfig(StrictModel):
    """How a recording becomes a log-mel spectrogram; the defaults are those of acoustic scenes.

    The frames are centred on multiples of `hop`, with zeros beyond both ends. The window is in the middle of the
    transform where that is longer.

    Attributes:
        sample_rate: Hz to which recordings are resampled (soxr, high quality), at most 768,000.
        window: Length of the Hamming window in samples: 1724 at 44.1 kHz in the paper.
        hop: Samples from one frame to the next; half a window in the paper.
        fft: Length of the Fourier transform in samples, even and at least `window`; the paper does not state it.
        bands: Number of mel bands (Slaney's scale, Slaney's normalization).
        seconds: Length to which recordings are zero padded or cut, at most an hour; None leaves them as they are.
        backend: "scipy" computes in float32 and with a sparse filterbank, "librosa" is the reference.
    """

    sample_rate: Annotated[Count, Field(le=RATES[1])] = 44_100
    window: Count = 1_724
    hop: Count = 862
    fft: Count = 2_048
    bands: Count = 128
    seconds: Annotated[Number, Field(le=3_600)] | None = None
    backend: Literal["scipy", "librosa"] = "scipy"

    @model_validator(mode="after")
    def _fit_together(self):
        if self.window > self.fft:
            raise ValueError(f"`window` must be at most `fft`. Received: window={self.window}, fft={self.fft}")
        if self.fft % 2:
            # The two backends would count frames differently.
            raise ValueError(f"`fft` must be even. Received: fft={self.fft}")
        if self.seconds is not None and self.seconds * self.sample_rate < 1:
            raise ValueError(f"`seconds` must be None or last at least one sample. Received: seconds={self.seconds!r}")
        return self

    @property
    def frames(self):
        """Number of frames of a recording of `seconds`.

        Raises:
            InputError: `seconds` is None.
        """
        if self.seconds is None:
            raise InputError("`seconds` must say how long recordings are, so that all have as many frames.")
        return 1 + round(self.seconds * self.sample_rate) // self.hop


SCENES = LogMelConfig()
"""Features of acoustic scenes: 128 bands x 512 frames for 10 s."""

EVENTS = LogMelConfig(window=1_764, hop=882, seconds=4.0)
"""Features of sound events: windows of 40 ms, zero padded to 4 s: 128 bands x 201 frames."""


def log_mel(samples, sample_rate, config=SCENES):
    """Return the log-mel spectrogram of a recording in decibels, 10 log10(max(power, 1e-10)).

    The two backends agree within 1e-3 dB in every value no more than 80 dB below the maximum; further down the float32
    transform rounds.

    Args:
        samples: Float array of shape (n,) or (n, channels) with full scale 1, as soundfile reads it. Channels are
            averaged.
        sample_rate: Hz, an integer.
        config: A `LogMelConfig`.

    Returns:
        float32 array of shape (bands, 1 + samples at the config's rate // hop).

    Raises:
        InputError: `samples` is no float array of these shapes, is empty, has its channels first or holds a value that
            is not finite or whose power is not finite in float32, or `sample_rate` is not a positive integer.

    Source: Sec. IV of the paper.
    """
    check_integer("sample_rate", sample_rate)
    samples = mono(samples)
    if sample_rate != config.sample_rate:
        samples = librosa.resample(samples, orig_sr=sample_rate, target_sr=config.sample_rate, res_type="soxr_hq")
    if config.seconds is not None:
        samples = librosa.util.fix_length(samples, size=round(config.seconds * config.sample_rate))
    power = _power_librosa(samples, config) if config.backend == "librosa" else _power_scipy(samples, config)
    return decibels(power)


@np.errstate(over="ignore", invalid="ignore")
def _power_librosa(samples, config):
    return librosa.feature.melspectrogram(
        y=samples,
        sr=config.sample_rate,
        n_fft=config.fft,
        hop_length=config.hop,
        win_length=config.window,
        window="hamming",
        center=True,
        pad_mode="constant",
        power=2.0,
        n_mels=config.bands,
    )


def _power_scipy(samples, config):
    window, filterbank = kernels(config)
    return mel_power(samples, window, filterbank, config.hop, config.fft)


@lru_cache(maxsize=8)
def kernels(config):
    """Return the window and the sparse filterbank of a config, in float32."""
    window = librosa.filters.get_window("hamming", config.window).astype(np.float32)
    filterbank = librosa.filters.mel(sr=config.sample_rate, n_fft=config.fft, n_mels=config.bands)
    return window, scipy.sparse.csr_array(filterbank)
