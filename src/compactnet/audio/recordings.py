"""Sound files as they come: any sample rate, width and channel count that libsndfile reads, and nothing damaged."""

import io
import struct

import numpy as np
import soundfile

from compactnet.errors import InputError

HEADER_SLACK = 64
"""Bytes by which a WAV header may overstate its data: some writers count the header itself."""

STREAMED = 0x7FFF0000
"""A data length from here on is a placeholder of a writer that did not know the length."""

UNKNOWN = 2**63 - 1
"""The count that libsndfile gives where a file does not say how many samples it holds."""

VALUES_AT_ONCE = 2**22
"""Values read in one call: more than any clip has, and little enough that a wrong count takes no memory."""

RATES = (1_000, 768_000)
"""Lowest and highest sample rate in Hz; others come from damaged headers."""


def decode(content):
    """Return the samples of a sound file.

    Args:
        content: The bytes of the file: WAV of any kind (8 to 32 bit, float, ADPCM, mu-law, WAVE_FORMAT_EXTENSIBLE),
            FLAC, Ogg Vorbis or another format that libsndfile reads.

    Returns:
        float32 array of shape (n, channels) with full scale 1, and the sample rate in Hz.

    Raises:
        InputError: the bytes are no such file, end too early, hold no samples, or have a sample rate that recordings
            do not have. The message completes a sentence that begins with the file's name.
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
        with _Stream(io.BytesIO(content)) as file:
            promised, sample_rate = file.frames, file.samplerate
            if not RATES[0] <= sample_rate <= RATES[1]:
                raise InputError(
                    f"has a sample rate of {sample_rate:,} Hz; from {RATES[0]:,} to {RATES[1]:,} Hz are possible."
                )
            blocks, count, most = [], 0, VALUES_AT_ONCE // file.channels
            while count < promised:
                block = file.read(min(promised - count, most), dtype="float32", always_2d=True)
                if not len(block):
                    break
                blocks.append(block)
                count += len(block)
    except soundfile.LibsndfileError as error:
        raise InputError(f"is not a sound file that can be read ({error.error_string.rstrip('.')}).") from error
    if count < promised != UNKNOWN:
        raise InputError(f"is truncated: it holds {count:,} of the {promised:,} samples it promises.")
    if count == 0:
        raise InputError("holds no samples.")
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks), sample_rate


class _Stream(soundfile.SoundFile):
    """A sound file that is read from its beginning to its end."""

    def seekable(self):
        # Else soundfile seeks after each call, which fails in a FLAC file that does not say its length.
        return False


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
