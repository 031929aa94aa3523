"""Sound files as they come: any sample rate, width and channel count that libsndfile reads, and nothing damaged."""

import io
import struct

import soundfile

from compactnet.errors import InputError

HEADER_SLACK = 64
"""Bytes by which a WAV header may overstate its data: some writers count the header itself."""

STREAMED = 0x7FFF0000
"""A data length from here on is a placeholder of a writer that did not know the length."""


def decode(content):
    """Return the samples of a sound file.

    Args:
        content: The bytes of the file: WAV of any kind (8 to 32 bit, float, ADPCM, mu-law, WAVE_FORMAT_EXTENSIBLE),
            FLAC, Ogg Vorbis or another format that libsndfile reads.

    Returns:
        float32 array of shape (n, channels) with full scale 1, and the sample rate in Hz.

    Raises:
        InputError: the bytes are no such file, end too early, or hold no samples. The message completes a
            sentence that begins with the file's name.
    """
    if not content:
        raise InputError("is empty (0 bytes).")
    if content[:256].lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise InputError("is a web page, not a sound file: a download saved an error page under this name.")
    missing = _missing_bytes(content)
    if missing > HEADER_SLACK:
        raise InputError(
            f"is truncated: its header promises {missing:,} bytes more than the {len(content):,} there are."
        )
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            promised, sample_rate = file.frames, file.samplerate
            # GSM 6.10 cannot be sought in, so the count must be given.
            samples = file.read(promised, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise InputError(f"is not a sound file that can be read ({error.error_string.rstrip('.')}).") from error
    if len(samples) < promised:
        raise InputError(f"is truncated: it holds {len(samples):,} of the {promised:,} samples it promises.")
    if len(samples) == 0:
        raise InputError("holds no samples.")
    return samples, sample_rate


def _missing_bytes(content):
    """Return how many bytes of a WAV file's data are not there; libsndfile would pass over them in silence."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return 0
    position = 12
    while position + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, position)
        position += 8
        if name == b"data":
            return 0 if length >= STREAMED else max(0, length - (len(content) - position))
        position += length + length % 2
    return 0
