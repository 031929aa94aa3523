"""Small models, exported once, and files to classify."""

import keras
import numpy as np
import pytest

from compactnet.deploy import AudioPreprocessing, ImagePreprocessing, export
from tests.command.models import image_model, sound_model

LABELS = ["cat", "dog", "owl"]
SECONDS = 0.5


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """A folder with model.keras, cat.png and street.wav; tests write elsewhere."""
    pillow = pytest.importorskip("PIL.Image", reason="images need Pillow")
    soundfile = pytest.importorskip("soundfile")
    folder = tmp_path_factory.mktemp("place")
    generator = np.random.default_rng(0)
    image_model().save(folder / "model.keras")
    pillow.fromarray(generator.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(folder / "cat.png")
    soundfile.write(folder / "street.wav", generator.normal(0, 0.1, 8_000), 16_000)
    return folder


@pytest.fixture(scope="session")
def litert_file(place):
    """A LiteRT file that classifies images."""
    _need("ai_edge_litert", "tensorflow")
    return _exported(image_model(), place / "image.tflite", _image_preprocessing())


@pytest.fixture(scope="session")
def onnx_file(place):
    """An ONNX file that classifies images."""
    _need("onnxruntime", "onnx", "tf2onnx", "tensorflow")
    return _exported(image_model(), place / "image.onnx", _image_preprocessing())


@pytest.fixture(scope="session")
def plain_file(place):
    """A LiteRT file without labels and preprocessing."""
    _need("ai_edge_litert", "tensorflow")
    path = place / "plain.tflite"
    export(image_model(), path)
    return path


@pytest.fixture(scope="session")
def sound_file(place):
    """A LiteRT file that classifies recordings of half a second."""
    _need("ai_edge_litert", "tensorflow")
    generator = np.random.default_rng(0)
    preprocessing = AudioPreprocessing(
        sample_rate=8_000,
        hop=128,
        fft=256,
        seconds=SECONDS,
        window=np.hamming(256).astype("float32"),
        filterbank=generator.random((8, 129)).astype("float32"),
        mean=np.zeros((8, 1, 1), "float32"),
        std=np.ones((8, 1, 1), "float32"),
    )
    return _exported(sound_model(frames=1 + round(SECONDS * 8_000) // 128), place / "sound.tflite", preprocessing)


def _need(*modules):
    if keras.config.backend() != "tensorflow":
        pytest.skip("files are exported from TensorFlow")
    for module in modules:
        pytest.importorskip(module)


def _image_preprocessing():
    return ImagePreprocessing(np.full((1, 1, 3), 128, "float32"), np.full((1, 1, 3), 60, "float32"))


def _exported(model, path, preprocessing):
    export(model, path, labels=LABELS, preprocessing=preprocessing)
    return path
