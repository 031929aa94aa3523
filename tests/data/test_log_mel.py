import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from compactnet.data import LogMelConfig, log_mel
from compactnet.errors import InputError

SCENES = LogMelConfig()
EVENTS = LogMelConfig(window=1_764, hop=882, seconds=4.0)


def assert_same_picture(samples, rate, config):
    """The bound is 1e-3 dB in every cell no more than 80 dB below the maximum; below it a float32 transform rounds."""
    ours = log_mel(samples, rate, config)
    reference = log_mel(samples, rate, config.model_copy(update={"backend": "librosa"}))
    assert ours.dtype == reference.dtype == np.float32
    assert ours.shape == reference.shape
    audible = reference > reference.max() - 80
    assert np.abs(ours - reference)[audible].max() <= 1e-3
    assert np.abs(ours - reference).max() <= 1e-1


def noise(seconds, rate, channels=None, seed=0):
    shape = round(seconds * rate) if channels is None else (round(seconds * rate), channels)
    return (0.1 * np.random.default_rng(seed).normal(size=shape)).astype(np.float32)


def test_the_shapes_are_the_papers():
    assert log_mel(noise(10, 48_000, 2), 48_000, SCENES).shape == (128, 512)
    assert log_mel(noise(4, 44_100), 44_100, EVENTS).shape == (128, 201)
    assert log_mel(noise(0.05, 22_050), 22_050, EVENTS).shape == (128, 201)


def test_the_reference_is_librosas_own_call():
    samples = noise(2, 44_100)
    power = librosa.feature.melspectrogram(
        y=samples, sr=44_100, n_fft=2_048, hop_length=862, win_length=1_724, window="hamming", pad_mode="constant"
    )
    reference = SCENES.model_copy(update={"backend": "librosa"})
    expected = librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None)
    np.testing.assert_allclose(log_mel(samples, 44_100, reference), expected, atol=1e-5)


@settings(max_examples=25)
@given(
    seconds=st.floats(0.05, 1.5),
    rate=st.sampled_from([8_000, 22_050, 44_100, 48_000, 96_000]),
    channels=st.sampled_from([None, 1, 2, 4]),
    window=st.sampled_from([512, 1_724, 1_764, 2_048]),
    hop=st.sampled_from([200, 862, 882]),
    bands=st.sampled_from([20, 64, 128]),
    padded=st.sampled_from([None, 0.7]),
    seed=st.integers(0, 1_000),
)
def test_the_fast_path_equals_librosa(seconds, rate, channels, window, hop, bands, padded, seed):
    config = LogMelConfig(window=window, hop=hop, bands=bands, seconds=padded)
    assert_same_picture(noise(seconds, rate, channels, seed), rate, config)


def test_silence_is_the_floor():
    np.testing.assert_allclose(log_mel(np.zeros(44_100, np.float32), 44_100), -100, atol=1e-4)


def test_channels_are_averaged():
    stereo = noise(1, 44_100, 2)
    np.testing.assert_allclose(log_mel(stereo, 44_100), log_mel(stereo.mean(axis=1), 44_100), atol=1e-3)


@pytest.mark.parametrize("backend", ["scipy", "librosa"])
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_samples_whose_power_float32_does_not_hold_are_refused(backend, rate):
    config = SCENES.model_copy(update={"backend": backend})
    with pytest.raises(InputError, match="too large for float32") as refusal:
        log_mel(1e20 * noise(1, rate, 2), rate, config)
    assert "\n" not in str(refusal.value)
    assert np.isfinite(log_mel(1e15 * noise(1, rate, 2), rate, config).astype(np.float16)).all()
    with pytest.raises(InputError, match="not finite"):
        log_mel(np.full((1_000, 2), 3e38, np.float32), rate, config)


def test_samples_are_left_as_they_were():
    samples = noise(1, 44_100, 2)
    before = samples.copy()
    log_mel(samples, 44_100)
    np.testing.assert_array_equal(samples, before)


@pytest.mark.parametrize(
    ("samples", "rate", "reason"),
    [
        (np.zeros((2, 2, 2), np.float32), 44_100, r"\(n,\) or \(n, channels\).*\(2, 2, 2\)"),
        (np.zeros((2, 44_100), np.float32), 44_100, r"move the channels to the last axis. Received: \(2, 44100\)"),
        (np.zeros(0, np.float32), 44_100, "no samples"),
        (np.zeros((0, 2), np.float32), 44_100, "no samples"),
        (np.zeros(100, np.int16), 44_100, r"float.*int16"),
        ([0.0, 1.0], 44_100, r"float.*list"),
        (np.array([0.0, np.nan], np.float32), 44_100, "not finite"),
        (np.array([0.0, np.inf], np.float32), 44_100, "not finite"),
        (np.zeros(100, np.float32), 0, r"`sample_rate`.*0"),
        (np.zeros(100, np.float32), 44_100.5, r"`sample_rate`.*44100\.5"),
    ],
)
def test_samples_that_are_not_a_recording_are_refused_in_one_line(samples, rate, reason):
    with pytest.raises(InputError, match=reason) as refusal:
        log_mel(samples, rate)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sample_rate", 0),
        ("window", 3_000),
        ("hop", 0),
        ("fft", 1.5),
        ("fft", 2_049),
        ("bands", 0),
        ("seconds", 0),
        ("seconds", -1.0),
        ("seconds", 1e308),
        ("seconds", 3_601),
        ("sample_rate", 10**400),
        ("backend", "keras"),
    ],
)
def test_a_config_out_of_range_is_refused_with_its_field(field, value):
    with pytest.raises(InputError, match=rf"^{field}: |`{field}`"):
        LogMelConfig(**{field: value})


def test_real_scenes_equal_librosa(real_data):
    paths = sorted((real_data / "scene-clips").glob("*.wav"))
    assert len(paths) == 6
    for path in paths:
        samples, rate = soundfile.read(path, dtype="float32")
        assert (rate, samples.shape) == (48_000, (480_000, 2))
        assert_same_picture(samples, rate, SCENES)


@pytest.mark.slow
def test_real_events_equal_librosa(real_data):
    paths = sorted((real_data / "UrbanSound8K" / "audio").glob("fold*/*.wav"))[::4]
    assert len(paths) >= 240
    for path in paths:
        samples, rate = soundfile.read(path, dtype="float32")
        assert_same_picture(samples, rate, EVENTS)
