"""Networks of `keras.applications`, newly initialized: compressed, timed, trained, saved, loaded and exported."""

import keras
import numpy as np
import pytest

import compactnet
from compactnet.deploy import export
from tests.compression.test_compress import values

SHAPE = (64, 64, 3)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "replaced", "skipped_first"),
    [
        ("VGG16", [f"block{n}_conv{m}" for n in range(2, 6) for m in range(1, 3 + (n > 2))], "block1_conv1"),
        (
            "ResNet50",
            [f"conv{n}_block{m}_2_conv" for n, count in ((2, 3), (3, 4), (4, 6), (5, 3)) for m in range(1, count + 1)],
            "conv1_conv",
        ),
        ("MobileNetV2", ["expanded_conv_project", *(f"block_{n}_project" for n in range(1, 17))], "Conv1"),
        (
            "EfficientNetV2B0",
            ["block1a_project_conv", "block2b_expand_conv", "block3a_expand_conv", "block3b_expand_conv"],
            "stem_conv",
        ),
    ],
)
def test_an_application_is_compressed(tmp_path, name, replaced, skipped_first):
    model = getattr(keras.applications, name)(weights=None, input_shape=SHAPE, classes=4)
    smaller, report = compactnet.compress(model)
    assert [row.name for row in report.replaced] == replaced
    assert "skip_first" in next(row.reason for row in report.skipped if row.name == skipped_first)
    assert report.params_after == smaller.count_params() < model.count_params()
    assert report.flops_after < report.flops_before
    assert report.milliseconds_before > 0
    assert report.milliseconds_after > 0
    x = np.random.default_rng(0).random((4, *SHAPE), dtype="float32")
    smaller.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    assert np.isfinite(smaller.train_on_batch(x, np.arange(4)))
    smaller.save(tmp_path / "smaller.keras")
    loaded = keras.models.load_model(tmp_path / "smaller.keras")
    np.testing.assert_allclose(values(loaded, x), values(smaller, x), rtol=1e-5, atol=1e-6)
    for suffix in (".tflite", ".onnx"):
        exported = export(loaded, tmp_path / f"smaller{suffix}", interchannel="slices")
        assert exported.largest_difference <= 1e-4
        assert exported.milliseconds > 0


def test_an_application_takes_a_warm_start(untimed):
    model = keras.applications.MobileNetV2(weights=None, input_shape=SHAPE, classes=4)
    x = np.random.default_rng(0).random((32, *SHAPE), dtype="float32")
    errors = {}
    features = model.get_layer("block_16_project").output
    for warm_start in (False, True):
        part = keras.Model(model.input, features)
        smaller, _ = compactnet.compress(part, warm_start=warm_start, calibration_data=x)
        expected = values(part, x)
        errors[warm_start] = np.square(values(smaller, x) - expected).mean()
    assert errors[True] < errors[False] / 4
