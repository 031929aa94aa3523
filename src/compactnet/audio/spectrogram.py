"""Power spectrograms of mel bands, for given windows and filterbanks."""

import numpy as np
import scipy.fft

from compactnet.errors import InputError

POWER_FLOOR = 1e-10
"""Least power that enters the logarithm; silence is -100 dB."""

FRAMES_AT_ONCE = 64
"""Frames transformed together: few enough that their spectra stay in the processor's cache."""


MOST_CHANNELS = 64
"""Channels of a recording that may be more than its samples."""


@np.errstate(over="ignore", invalid="ignore")
def mono(samples):
    """Return the average of the channels of a recording in float32.

    Args:
        samples: Float array of shape (n,) or (n, channels).

    Raises:
        InputError: `samples` is no float array of these shapes, is empty, has its channels first or holds a value that
            is not finite.
    """
    if not isinstance(samples, np.ndarray) or not np.issubdtype(samples.dtype, np.floating):
        kind = samples.dtype if isinstance(samples, np.ndarray) else type(samples).__name__
        raise InputError(f"`samples` must be a float array, as soundfile reads it. Received: {kind}")
    if samples.ndim not in (1, 2):
        raise InputError(f"`samples` must have shape (n,) or (n, channels). Received: {samples.shape}")
    if samples.ndim == 2 and samples.shape[1] > max(len(samples), MOST_CHANNELS):
        raise InputError(
            f"`samples` has more channels than samples; move the channels to the last axis. Received: {samples.shape}"
        )
    if samples.size == 0:
        raise InputError(f"`samples` holds no samples. Received: an array of shape {samples.shape}")
    if samples.ndim == 1:
        mono = samples.astype(np.float32, copy=False)
    else:
        # Adding columns is several times faster than a mean over a short last axis.
        mono = samples[:, 0].astype(np.float32)
        for channel in range(1, samples.shape[1]):
            mono += samples[:, channel]
        mono /= samples.shape[1]
    # A sum is finite only if all its terms are, and costs no array of flags.
    if not np.isfinite(mono.sum(dtype=np.float64)):
        raise InputError("`samples` holds values that are not finite (NaN or infinite): the recording is damaged.")
    return mono


def decibels(power):
    """Return 10 log10(max(power, 1e-10)) in float32: from -100 to 386, which float16 holds as well.

    Raises:
        InputError: a power is not finite.
    """
    if not np.isfinite(power).all():
        raise InputError("`samples` are too large for float32: full scale is 1. The recording is damaged.")
    return 10 * np.log10(np.maximum(power, POWER_FLOOR, dtype=np.float32))


@np.errstate(over="ignore", invalid="ignore")
def mel_power(samples, window, filterbank, hop, fft):
    """Return the power of a recording in mel bands.

    The frames are centred on multiples of `hop`, with zeros beyond both ends. The window is in the middle of the
    transform where that is longer.

    Args:
        samples: float32 array of shape (n,).
        window: float32 array, at most `fft` long.
        filterbank: Sparse float32 array of shape (bands, 1 + fft // 2).
        hop: Samples from one frame to the next.
        fft: Length of the Fourier transform in samples.

    Returns:
        float32 array of shape (bands, 1 + n // hop).
    """
    # Only the samples under the window are framed: their position in the transform changes phases, not powers.
    before = fft // 2 - (fft - len(window)) // 2
    frames = 1 + len(samples) // hop
    padded = np.zeros((frames - 1) * hop + len(window), dtype=np.float32)
    padded[before : before + len(samples)] = samples[: len(padded) - before]
    framed = np.lib.stride_tricks.sliding_window_view(padded, len(window))[::hop]
    power = np.empty((filterbank.shape[0], frames), dtype=np.float32)
    windowed = np.zeros((FRAMES_AT_ONCE, fft), dtype=np.float32)
    for start in range(0, frames, FRAMES_AT_ONCE):
        block = framed[start : start + FRAMES_AT_ONCE]
        np.multiply(block, window, out=windowed[: len(block), : len(window)])
        spectrum = scipy.fft.rfft(windowed[: len(block)], axis=1)
        squares = np.square(spectrum.real)
        squares += np.square(spectrum.imag)
        power[:, start : start + len(block)] = filterbank @ squares.T
    return power
