import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from compactnet.audio import recordings
from compactnet.audio.recordings import decode
from compactnet.errors import InputError


def sound(rate=22_050, channels=1, container="WAV", encoding="PCM_16", seconds=0.2):
    time = np.arange(round(seconds * rate)) / rate
    samples = np.stack([0.5 * np.sin(2 * np.pi * (300 + 100 * channel) * time) for channel in range(channels)], axis=1)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container, subtype=encoding)
    return file.getvalue(), samples


@pytest.mark.parametrize("rate", [8_000, 11_024, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
@pytest.mark.parametrize("encoding", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
def test_every_rate_width_and_channel_count_is_read(rate, channels, container, encoding):
    content, expected = sound(rate, channels, container, encoding)
    samples, found = decode(content)
    assert found == rate
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, expected, atol={"PCM_U8": 0.01, "ULAW": 0.03, "ALAW": 0.03}.get(encoding, 1e-4))


@pytest.mark.parametrize("encoding", ["IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_compressed_wav_is_read(encoding):
    content, expected = sound(8_000, 1, "WAV", encoding, seconds=1)
    samples, _ = decode(content)
    assert abs(len(samples) - len(expected)) < 1_100  # these encodings fill their last block
    assert np.corrcoef(samples[1_000:6_000, 0], expected[1_000:6_000, 0])[0, 1] > 0.95


@settings(max_examples=60)
@given(st.data())
def test_a_wav_that_ends_early_is_refused_wherever_it_ends(data):
    encoding = data.draw(st.sampled_from(["PCM_16", "PCM_24", "FLOAT"]))
    container = data.draw(st.sampled_from(["WAV", "WAVEX"]))
    content, _ = sound(channels=2, container=container, encoding=encoding)
    end = data.draw(st.integers(0, len(content) - 65))
    with pytest.raises(InputError, match=r"is truncated|is empty|not a sound file|holds no samples") as refusal:
        decode(content[:end])
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_a_writer_that_did_not_know_the_length_is_believed(length):
    content, expected = sound()
    at = content.index(b"data") + 4
    samples, _ = decode(content[:at] + struct.pack("<I", length) + content[at + 4 :])
    assert len(samples) == len(expected)


def test_a_header_that_counts_itself_is_forgiven():
    content, expected = sound()
    at = content.index(b"data") + 4
    wrong = struct.unpack_from("<I", content, at)[0] + 36
    samples, _ = decode(content[:at] + struct.pack("<I", wrong) + content[at + 4 :])
    assert len(samples) == len(expected)


def test_a_truncated_flac_is_refused():
    content, _ = sound(container="FLAC", seconds=2)
    with pytest.raises(InputError, match=r"is truncated|not a sound file"):
        decode(content[: len(content) // 2])


def with_count(content, count):
    """A FLAC file whose header says that it holds `count` samples, 0 for an unknown number."""
    fields = int.from_bytes(content[18:26], "big") >> 36 << 36 | count
    return content[:18] + fields.to_bytes(8, "big") + content[26:]


def test_a_flac_whose_writer_did_not_know_the_length_is_read():
    content, expected = sound(container="FLAC", channels=2)
    samples, _ = decode(with_count(content, 0))
    np.testing.assert_allclose(samples, expected, atol=1e-4)


@pytest.mark.parametrize("count", [10_000, 2**35, 2**36 - 1])
def test_a_flac_that_promises_more_than_it_holds_is_truncated(count):
    content, expected = sound(container="FLAC")
    with pytest.raises(InputError, match=rf"is truncated: it holds {len(expected):,} of the {count:,} samples"):
        decode(with_count(content, count))


@pytest.mark.parametrize(
    ("container", "encoding", "rate"),
    [
        ("WAV", "PCM_16", 22_050),
        ("WAV", "MS_ADPCM", 22_050),
        ("WAV", "GSM610", 8_000),
        ("FLAC", "PCM_24", 22_050),
        ("OGG", "VORBIS", 22_050),
        ("OGG", "OPUS", 48_000),
    ],
)
def test_blocks_are_one_recording_to_the_bit(container, encoding, rate, monkeypatch):
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(0).uniform(-0.3, 0.3, rate), rate, format=container, subtype=encoding)
    whole, _ = decode(file.getvalue())
    monkeypatch.setattr(recordings, "VALUES_AT_ONCE", 1_000)
    np.testing.assert_array_equal(decode(file.getvalue())[0], whole)


@pytest.mark.parametrize("rate", [1, 999, 768_001, 2**31 - 1])
def test_a_rate_that_no_recording_has_is_refused(rate):
    content, _ = sound()
    wrong = content[:24] + struct.pack("<I", rate) + content[28:]
    with pytest.raises(InputError, match=rf"has a sample rate of {rate:,} Hz; from 1,000 to 768,000 Hz are possible"):
        decode(wrong)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"<!DOCTYPE html><html>404</html>", "is a web page"),
        (b"\n  <html><body>Log in</body></html>", "is a web page"),
        (b"PK\x03\x04" + bytes(100), "is not a sound file that can be read"),
        (sound(seconds=0)[0], "holds no samples"),
    ],
)
def test_a_file_that_is_not_a_recording_is_refused(content, reason):
    with pytest.raises(InputError, match=reason) as refusal:
        decode(content)
    assert "\n" not in str(refusal.value)
