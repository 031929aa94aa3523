import subprocess
import sys

import keras
import numpy as np
import pytest
import soundfile

from compactnet.data import log_mel
from compactnet.data.log_mel import EVENTS
from compactnet.deploy import ImagePreprocessing, export, load
from compactnet.deploy import preprocessing as preprocessing_module
from compactnet.deploy.preprocessing import from_json
from compactnet.deploy.running import reason_of
from compactnet.errors import InputError
from tests.deploy.conftest import LABELS
from tests.deploy.networks import needs_runtimes, small

pytestmark = needs_runtimes

FILES = ["small.tflite", "small.onnx", "small.xml", "small"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_predicts_what_the_model_predicts(exported_images, name):
    folder, model = exported_images
    samples = np.random.default_rng(1).normal(size=(4, 12, 12, 3)).astype("float32")
    deployed = load(folder / name)
    np.testing.assert_allclose(deployed.predict(samples), model(samples), rtol=1e-3, atol=1e-5)
    assert deployed.labels == list(LABELS)
    assert deployed.input_shape == (12, 12, 3)
    assert deployed.metadata["network"] == "small"


@pytest.mark.parametrize("name", FILES)
def test_a_file_classifies_an_image(exported_images, images, name, tmp_path):
    image = pytest.importorskip("PIL.Image")
    folder, model = exported_images
    pixels = np.random.default_rng(2).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    image.fromarray(pixels).save(tmp_path / "a.png")
    found = load(folder / name).classify(tmp_path / "a.png", top=2)
    expected = np.asarray(model(((pixels - images.mean) / images.std)[np.newaxis]))[0]
    assert [label for label, _ in found] == [LABELS[index] for index in np.argsort(-expected)[:2]]
    assert found[0][1] == pytest.approx(expected.max(), rel=1e-3)


def test_an_image_of_another_size_and_kind_is_classified(exported_images, tmp_path):
    image = pytest.importorskip("PIL.Image")
    folder, _ = exported_images
    image.new("LA", (40, 31)).save(tmp_path / "grey.png")
    assert len(load(folder / "small.tflite").classify(tmp_path / "grey.png")) == 3


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1)])
def test_an_image_of_another_size_and_kind_is_converted(tmp_path, mode, channels):
    image = pytest.importorskip("PIL.Image")
    given = image.fromarray(np.random.default_rng(0).integers(0, 256, (31, 40, 3), dtype=np.uint8))
    given.save(tmp_path / "a.png")
    mean, std = np.full((1, 1, channels), 100, np.float32), np.full((1, 1, channels), 50, np.float32)
    pixels = np.asarray(given.convert(mode).resize((12, 9), image.Resampling.BILINEAR), np.float32)
    found = ImagePreprocessing(mean, std)(tmp_path / "a.png", (9, 12, channels))
    np.testing.assert_allclose(found, (pixels.reshape(9, 12, channels) - mean) / std, rtol=1e-6)


@pytest.mark.parametrize(("rate", "seconds"), [(16_000, 0.3), (11_025, 0.9)])
def test_a_recording_of_another_rate_and_length_has_the_features_of_training(sounds, recording, rate, seconds):
    preprocessing, config, statistics = sounds
    path = recording(rate, seconds, channels=2)
    samples, found = soundfile.read(path, dtype="float32")
    expected = (log_mel(samples, found, config)[..., np.newaxis] - statistics.mean) / statistics.std
    np.testing.assert_allclose(preprocessing(path, (16, 26, 1)), expected, atol=1e-3)


def test_logits_become_probabilities(images, tmp_path):
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (12, 12), (200, 10, 90)).save(tmp_path / "a.png")
    inputs = keras.Input((12, 12, 3))
    model = keras.Model(inputs, keras.layers.Dense(len(LABELS))(keras.layers.Flatten()(inputs)))
    export(model, tmp_path / "logits.tflite", labels=LABELS, preprocessing=images)
    expected = keras.ops.softmax(model(images(tmp_path / "a.png", (12, 12, 3))[np.newaxis]))[0]
    found = dict(load(tmp_path / "logits.tflite").classify(tmp_path / "a.png", top=len(LABELS)))
    assert [found[name] for name in LABELS] == pytest.approx(np.asarray(expected).tolist(), abs=1e-5)


def test_an_image_of_16_bits_is_scaled_and_one_of_32_refused(images, tmp_path):
    image = pytest.importorskip("PIL.Image")
    preprocessing = ImagePreprocessing.of(images)
    values = np.linspace(0, 255, 144).round().astype(np.uint8).reshape(12, 12)
    image.fromarray(values).save(tmp_path / "8.png")
    image.fromarray(values.astype(np.uint16) * 257).save(tmp_path / "16.png")
    shape = (12, 12, 3)
    np.testing.assert_array_equal(preprocessing(tmp_path / "16.png", shape), preprocessing(tmp_path / "8.png", shape))
    image.fromarray(values.astype(np.float32)).save(tmp_path / "32.tiff")
    with pytest.raises(InputError, match=r"32\.tiff has values of 32 bits"):
        preprocessing(tmp_path / "32.tiff", shape)


def test_an_image_stands_upright(images, tmp_path):
    image = pytest.importorskip("PIL.Image")
    values = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    exif = image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    image.fromarray(values[::-1, ::-1]).save(tmp_path / "turned.png", exif=exif)
    image.fromarray(values).save(tmp_path / "upright.png")
    first, second = (
        ImagePreprocessing.of(images)(tmp_path / f"{name}.png", (12, 12, 3)) for name in ("turned", "upright")
    )
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("classes", [1, 3])
def test_sigmoids_are_probabilities_as_they_are(images, classes, tmp_path):
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (12, 12), (200, 10, 90)).save(tmp_path / "a.png")
    inputs = keras.Input((12, 12, 3))
    model = keras.Model(inputs, keras.layers.Dense(classes, "sigmoid")(keras.layers.Flatten()(inputs)))
    preprocessing = ImagePreprocessing.of(images)
    labels = LABELS[:classes]
    export(model, tmp_path / "m.tflite", labels=labels, preprocessing=preprocessing)
    expected = np.asarray(model(preprocessing(tmp_path / "a.png", (12, 12, 3))[np.newaxis]))[0]
    found = dict(load(tmp_path / "m.tflite").classify(tmp_path / "a.png"))
    assert [found[label] for label in labels] == pytest.approx(expected.tolist(), abs=1e-5)


def test_labels_of_one_logit_are_refused(tmp_path):
    inputs = keras.Input((12, 12, 3))
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(inputs)))
    with pytest.raises(InputError, match="ends in a sigmoid"):
        export(model, tmp_path / "m.tflite", labels=["defect"])


def test_a_preprocessing_that_cannot_fit_is_refused(sounds, tmp_path):
    preprocessing, *_ = sounds
    for shape in ((15, 26, 1), (16, 25, 1), (16, 26, 3)):
        inputs = keras.Input(shape)
        model = keras.Model(inputs, keras.layers.Dense(2, "softmax")(keras.layers.Flatten()(inputs)))
        with pytest.raises(InputError, match=r"gives spectrograms of shape \(16, 26, 1\), and the model takes"):
            export(model, tmp_path / "m.tflite", preprocessing=preprocessing)


def test_a_recording_that_is_too_loud_is_named(sounds, tmp_path):
    preprocessing, config, _ = sounds
    loud = np.full(config.sample_rate, 1e30)
    soundfile.write(tmp_path / "loud.wav", loud, config.sample_rate, subtype="DOUBLE")
    with pytest.raises(InputError, match=r"loud\.wav: `samples` are too large"):
        preprocessing(tmp_path / "loud.wav", (16, 26, 1))


def test_a_recording_becomes_the_features_of_training(exported_sounds, sounds, recording):
    path, model = exported_sounds
    preprocessing, config, statistics = sounds
    file = recording(channels=2)
    samples, rate = soundfile.read(file, dtype="float32")
    expected = (log_mel(samples, rate, config)[..., np.newaxis] - statistics.mean) / statistics.std
    kept = from_json(preprocessing.to_json())
    np.testing.assert_array_equal(kept(file, (16, 26, 1)), expected)
    found = dict(load(path).classify(file, top=5))
    probabilities = np.asarray(model(expected[np.newaxis]))[0]
    for label, probability in zip(LABELS, probabilities, strict=True):
        assert found[label] == pytest.approx(probability, abs=1e-4)


@pytest.mark.parametrize(("rate", "seconds"), [(16_000, 0.5), (44_100, 0.2), (8_000, 3.0), (11_025, 0.5)])
def test_recordings_of_other_rates_and_lengths_are_classified(exported_sounds, recording, rate, seconds):
    assert len(load(exported_sounds[0]).classify(recording(rate, seconds))) == 3


def test_without_soxr_scipy_resamples_nearly_alike(sounds, recording, monkeypatch):
    preprocessing, _, statistics = sounds
    file = recording(16_000)
    with_soxr = preprocessing(file, (16, 26, 1)) * statistics.std
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with_scipy = preprocessing(file, (16, 26, 1)) * statistics.std
    # In decibels, below the highest band, where both filters end.
    np.testing.assert_allclose(with_scipy[:14], with_soxr[:14], atol=0.05)


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_it_does_so_for_every_rate(rate, monkeypatch):
    samples = (0.1 * np.random.default_rng(0).normal(size=4 * rate)).astype("float32")
    features = []
    for names in (("soxr",), ()):
        monkeypatch.setattr("importlib.util.find_spec", lambda name, names=names: name in names or None)
        features.append(log_mel(preprocessing_module._resample(samples, rate, 44_100), 44_100, EVENTS))
    # Bands above half the rate are nearly silent, where decibels tell the filters apart.
    assert np.abs(features[0] - features[1]).mean() < 0.2


def test_a_length_that_does_not_fit_is_an_error(sounds, recording):
    preprocessing, _, _ = sounds
    loose = from_json({**preprocessing.to_json(), "seconds": None})
    with pytest.raises(InputError, match=r"a.wav lasts 0.30 s, which gives 16 frames; the network takes 26"):
        loose(recording(seconds=0.3), (16, 26, 1))


def test_files_without_metadata_predict_but_do_not_classify(tmp_path):
    model = small()
    export(model, tmp_path / "plain.tflite", interchannel="slices")
    deployed = load(tmp_path / "plain.tflite")
    assert deployed.predict(np.zeros((2, 12, 12, 3))).shape == (2, 5)
    with pytest.raises(InputError, match="does not say how its input is made"):
        deployed.classify("a.png")
    # A file of another program has nothing at its end at all.
    content = (tmp_path / "plain.tflite").read_bytes()
    (tmp_path / "foreign.tflite").write_bytes(content[: deployed.metadata["model_bytes"]])
    foreign = load(tmp_path / "foreign.tflite")
    assert (foreign.metadata, foreign.labels) == (None, None)
    assert foreign.predict(np.zeros((1, 12, 12, 3))).shape == (1, 5)


@pytest.mark.parametrize("name", ["small.tflite", "small.onnx", "small.xml"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_one_line(exported_images, name, share, tmp_path):
    content = (exported_images[0] / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(share * len(content))])
    # In a process of its own: a runtime that reads past the end would take the tests with it.
    program = f"from compactnet.deploy import load\\nload({str(tmp_path / name)!r})"
    program = program.replace("\\n", "\n")
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("compactnet.errors.InputError: ") and name in last


def test_the_reason_is_what_a_runtime_says_not_where():
    said = "Exception from src/core.cpp:117:\nException from src/node.cpp:40:\n\n Check 'rank' failed\nmore"
    assert reason_of(RuntimeError(said)) == "Check 'rank' failed"
    assert reason_of(ValueError("")) == "ValueError"


def test_a_changed_file_is_refused(exported_images, tmp_path):
    content = bytearray((exported_images[0] / "small.tflite").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "changed.tflite").write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        load(tmp_path / "changed.tflite")


def test_bad_input(exported_images, exported_sounds, tmp_path):
    deployed = load(exported_images[0] / "small.tflite")
    with pytest.raises(InputError, match=r"shape \(n, 12, 12, 3\). Received: float64 of shape \(12, 12, 3\)"):
        deployed.predict(np.zeros((12, 12, 3)))
    with pytest.raises(InputError, match="must be an array of numbers"):
        deployed.predict(np.array([["a"]]))
    with pytest.raises(InputError, match="`top` must be an integer"):
        deployed.classify("a.png", top=0)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        deployed.classify(tmp_path / "missing.png")
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(InputError, match=r"text.wav is not a sound file"):
        load(exported_sounds[0]).classify(tmp_path / "text.wav")
    with pytest.raises(InputError, match="names no format"):
        load(tmp_path / "model.pb")
    with pytest.raises(InputError, match="does not exist"):
        load(tmp_path / "model.onnx")
    with pytest.raises(InputError, match="`threads` must be an integer"):
        load(exported_images[0] / "small.tflite", threads=0)


def test_loading_needs_no_keras(exported_sounds, recording):
    program = (
        "import sys\n"
        "for name in ('keras', 'tensorflow', 'pydantic', 'librosa', 'pandas', 'matplotlib'):\n"
        "    sys.modules[name] = None\n"
        "from compactnet.deploy import load\n"
        f"print(load({str(exported_sounds[0])!r}).classify({str(recording())!r}, top=1)[0][0])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() in LABELS


@pytest.mark.parametrize(("inputs", "outputs"), [(2, 1), (1, 2)])
def test_a_saved_model_of_several_inputs_or_outputs_is_refused(tmp_path, inputs, outputs):
    tensors = [keras.Input((4,)) for _ in range(inputs)]
    joined = keras.layers.Add()(tensors) if inputs > 1 else tensors[0]
    keras.Model(tensors, [keras.layers.Dense(2)(joined) for _ in range(outputs)]).export(tmp_path / "m", verbose=False)
    with pytest.raises(InputError, match=f"has {inputs} inputs and {outputs} outputs"):
        load(tmp_path / "m")


def test_files_of_other_programs_predict_or_say_why_not(tmp_path):
    onnx = pytest.importorskip("onnx")
    openvino = pytest.importorskip("openvino")
    for name, kind in (("open.onnx", onnx.TensorProto.FLOAT), ("integers.onnx", onnx.TensorProto.INT64)):
        ends = [onnx.helper.make_tensor_value_info(end, kind, ["batch", "length", 3]) for end in ("x", "y")]
        graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["x"], ["y"])], "test", ends[:1], ends[1:])
        opset = [onnx.helper.make_opsetid("", 18)]
        onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=10), tmp_path / name)
    openvino.save_model(openvino.convert_model(tmp_path / "open.onnx"), tmp_path / "open.xml")
    samples = np.ones((2, 4, 3), np.float32)
    for name in ("open.onnx", "open.xml"):
        deployed = load(tmp_path / name)
        np.testing.assert_array_equal(deployed.predict(samples), -samples)
        with pytest.raises(InputError, match=r"of shape \(n, any, 3\)\. Received: float32 of shape \(2, 4, 2\)"):
            deployed.predict(samples[..., :2])
    with pytest.raises(InputError, match=r"integers\.onnx does not run on a float32 sample"):
        load(tmp_path / "integers.onnx").predict(samples)


def test_a_file_without_its_end_is_damaged(exported_images, tmp_path):
    folder, _ = exported_images
    (tmp_path / "cut.tflite").write_bytes((folder / "small.tflite").read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cut\.tflite is damaged: its end is missing"):
        load(tmp_path / "cut.tflite")
