import keras
import numpy as np
import pytest
import soundfile

from compactnet.data import LogMelConfig
from compactnet.deploy import AudioPreprocessing, ImagePreprocessing, export
from tests.deploy.networks import small

LABELS = ("air", "bee", "cat", "dog", "elk")


@pytest.fixture(scope="session")
def images():
    """Preprocessing of 12x12 colour images."""
    mean, std = np.array([120.0, 110.0, 100.0], "float32"), np.array([60.0, 61.0, 62.0], "float32")
    return ImagePreprocessing(mean.reshape(1, 1, 3), std.reshape(1, 1, 3))


@pytest.fixture(scope="session")
def sounds():
    """Preprocessing of half a second at 8 kHz: 16 bands, 26 frames."""
    config = LogMelConfig(sample_rate=8_000, window=400, hop=160, fft=512, bands=16, seconds=0.5)

    class Statistics:
        mean = np.linspace(-60, -40, 16, dtype="float32").reshape(16, 1, 1)
        std = np.full((16, 1, 1), 12, "float32")

    return AudioPreprocessing.of(config, Statistics), config, Statistics


@pytest.fixture(scope="session")
def exported_images(tmp_path_factory, images):
    """The folder with one small network of images in every format, and the network."""
    folder = tmp_path_factory.mktemp("exported")
    model = small("max")
    for name in ("small.tflite", "small.onnx", "small.xml", "small"):
        export(model, folder / name, labels=LABELS, preprocessing=images, interchannel="slices")
    return folder, model


@pytest.fixture(scope="session")
def exported_sounds(tmp_path_factory, sounds):
    """A LiteRT file of a small network of sounds, and the network."""
    inputs = keras.Input((16, 26, 1))
    outputs = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3, activation="relu")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(5, activation="softmax")(outputs), name="sounds")
    path = tmp_path_factory.mktemp("exported_sounds") / "sounds.tflite"
    export(model, path, labels=LABELS, preprocessing=sounds[0])
    return path, model


@pytest.fixture
def recording(tmp_path):
    """A function that writes a generated recording and returns its path."""

    def write(rate=8_000, seconds=0.5, channels=1, name="a.wav"):
        samples = np.random.default_rng(0).uniform(-0.3, 0.3, (round(rate * seconds), channels))
        soundfile.write(tmp_path / name, samples, rate)
        return tmp_path / name

    return write
