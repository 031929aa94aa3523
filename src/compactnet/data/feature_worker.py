"""The process that fills rows of a feature store: `python -m compactnet.data.feature_worker`.

It reads a job and then lists of (row, path) from standard input, one a line, and answers each clip with a line.
"""

import errno
import json
import os
import signal
import sys
import zlib
from pathlib import Path

import librosa
import numpy as np

from compactnet.audio.recordings import decode
from compactnet.data.log_mel import LogMelConfig, log_mel
from compactnet.errors import InputError


def compute_features(path, config, storage):
    """Return the features of a clip as the store holds them, and a description of its file.

    Args:
        path: The clip.
        config: The `LogMelConfig`.
        storage: Type of the result.

    Returns:
        Array of shape (bands, frames), and (bytes, modification time in ns, CRC-32) of the file.

    Raises:
        InputError: the clip is missing or damaged; the message completes a sentence that begins with its name.
    """
    try:
        with Path(path).open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read()
    except FileNotFoundError:
        raise InputError("is missing.") from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror}).") from error
    try:
        features = _features(*decode(content), config)
    except InputError:
        raise
    # What a damaged header promises can be more than there is memory for, or no shape at all.
    except (ValueError, MemoryError, librosa.ParameterError) as error:
        raise InputError(f"cannot be used: {str(error).rstrip('.') or type(error).__name__}.") from error
    return np.ascontiguousarray(features, storage), (status.st_size, status.st_mtime_ns, zlib.crc32(content))


def _features(samples, sample_rate, config):
    try:
        features = log_mel(samples, sample_rate, config)
    except InputError as error:
        raise InputError(f"cannot be used: {error}") from error
    # A row of another size would be written over its neighbours.
    expected = (config.bands, config.frames)
    if features.shape != expected:
        raise InputError(f"cannot be used: its features have the shape {features.shape}, and the store's {expected}.")
    return features


def main():
    """Fill the rows that standard input asks for, until it ends."""
    # The parent decides what Ctrl-C means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job = json.loads(sys.stdin.readline())
    config = LogMelConfig.model_validate(job["config"])
    array = os.open(job["array"], os.O_WRONLY)
    # Several processes add lines to one journal; a line in one call at the file's end stays whole.
    journal = os.open(job["journal"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for line in sys.stdin:
        for row, path in json.loads(line):
            reply = {"row": row}
            try:
                features, file = compute_features(path, config, job["storage"])
                _write(array, features.tobytes(), job["offset"] + row * features.nbytes)
                entry = ",".join(str(value) for value in (row, *file, zlib.crc32(features))) + "\n"
                if os.write(journal, entry.encode()) < len(entry):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except InputError as problem:
                reply["problem"] = str(problem)
            except OSError as error:
                reply["fault"] = f"{job['array']} cannot be written ({error.strerror}): free some space."
            print(json.dumps(reply), flush=True)


def _write(descriptor, content, offset):
    while content:
        written = os.pwrite(descriptor, content, offset)
        content, offset = content[written:], offset + written


if __name__ == "__main__":
    main()
