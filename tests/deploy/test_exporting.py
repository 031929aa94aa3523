import errno
import os
import shutil

import keras
import numpy as np
import pytest

from compactnet.deploy import calibration_samples, converting, export, exporting, load
from compactnet.deploy.exporting import converted_files
from compactnet.errors import InputError, ResourceError
from compactnet.networks import build
from tests.deploy.networks import FOLDED, needs_runtimes, small, trained, with_statistics

pytestmark = needs_runtimes

SUFFIXES = {"litert": ".tflite", "onnx": ".onnx", "openvino": ".xml", "saved_model": ""}


@pytest.fixture(scope="module")
def samples():
    return np.random.default_rng(3).normal(size=(40, 12, 12, 3)).astype("float32")


@pytest.fixture(scope="module")
def colours():
    """Eight samples of each of five classes: noise around the class's colour, and the classes."""
    classes = np.arange(40) % 5
    colours = 2 * np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, -1, -1], [1, 1, 1]])
    noise = 0.5 * np.random.default_rng(3).normal(size=(40, 12, 12, 3))
    return (colours[classes][:, None, None] + noise).astype("float32"), classes


@pytest.fixture(scope="module")
def confident(colours):
    """A network that tells all five classes apart by a margin that no rounding crosses."""
    return trained(small(), *colours)


@pytest.mark.parametrize(
    ("precision", "format"),
    [
        (precision, format)
        for precision, formats in {
            "float32": ("litert", "onnx"),
            "float16": ("litert", "onnx", "openvino"),
            "int8": ("litert", "onnx", "openvino"),
            "int8_dynamic": ("litert", "onnx"),
        }.items()
        for format in formats
    ],
)
def test_files_of_every_precision_agree_with_the_model(tmp_path, confident, colours, precision, format):
    samples, classes = colours
    report = export(
        confident,
        tmp_path / f"model{SUFFIXES[format]}",
        precision=precision,
        calibration_data=samples if precision == "int8" else None,
        verification_data=(samples, classes),
        max_drop=0.03,
        interchannel="slices",
    )
    assert report.accuracy[0] == 1
    assert report.agreement == report.accuracy[1] >= 0.97
    assert report.bytes > 1_000
    assert (report.format, report.precision, report.interchannel) == (format, precision, "slices")
    text = str(report)
    assert "same class" in text and "ms a sample" in text and "accuracy" in text
    assert load(report.path).metadata["precision"] == precision


def test_auto_tries_the_forms_and_keeps_the_fastest(tmp_path):
    report = export(small(), tmp_path / "model.onnx")
    assert set(report.milliseconds_by_form) | set(report.refused_forms) == {"reduce", "slices", "pooling", "branches"}
    assert report.milliseconds == min(report.milliseconds_by_form.values())
    assert report.milliseconds_by_form[report.interchannel] == report.milliseconds


@pytest.mark.parametrize("operation", ["sum", "average", "max"])
def test_onnx_reduces_a_view_with_channels_first(tmp_path, operation):
    report = export(small(operation), tmp_path / "model.onnx", interchannel="reduce")
    reduction = "ReduceMax" if operation == "max" else "MatMul"
    assert report.operations[reduction] == 2 + (reduction == "MatMul")  # the classifier is a product too
    assert "Slice" not in report.operations
    # The channels of the input come last, so one transposition is needed.
    assert report.transposes <= 1


def test_litert_runs_whole_in_xnnpack(tmp_path):
    report = export(small(), tmp_path / "model.tflite", interchannel="branches")
    assert (report.partitions, report.not_delegated, report.transposes) == (1, {}, 0)
    assert "operations outside: none" in str(report)


def test_a_network_without_the_operation_says_nothing_of_forms(tmp_path):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(keras.layers.Conv2D(4, 3)(inputs))))
    report = export(model, tmp_path / "model.tflite")
    assert (report.interchannel, report.milliseconds_by_form) == (None, {})


def test_an_open_input_size_needs_a_signature(tmp_path):
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs)))
    with pytest.raises(InputError, match="Give `input_signature`"):
        export(model, tmp_path / "model.tflite")
    export(model, tmp_path / "model.tflite", input_signature=(10, 9, 3))
    assert load(tmp_path / "model.tflite").input_shape == (10, 9, 3)


def test_an_old_file_is_replaced_only_by_a_good_one(tmp_path, samples, monkeypatch):
    path = tmp_path / "model.tflite"
    path.write_text("old")
    monkeypatch.setitem(exporting.AGREEMENT, "float16", 1.01)
    with pytest.raises(InputError, match=r"float16 file gives the model's class for 100.0 % of 40 samples, less"):
        export(small(), path, precision="float16", verification_data=samples, interchannel="slices")
    monkeypatch.setattr(exporting, "DIFFERENCE", 0.0)
    with pytest.raises(InputError, match="differs from the model by"):
        export(small(), tmp_path / "folder", interchannel="branches")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    export(small(), path, interchannel="slices")
    for _ in range(2):
        export(small(), tmp_path / "folder", interchannel="slices")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folder", "model.tflite"]


def test_a_full_disk_is_not_the_models_fault(tmp_path, monkeypatch):
    def fill(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setitem(converting._WRITE, "litert", fill)
    with pytest.raises(ResourceError, match=r"No space left on device\. Free some space, or set TMPDIR"):
        export(small(), tmp_path / "model.tflite", interchannel="slices")
    assert list(tmp_path.iterdir()) == []


def test_max_drop_bounds_the_loss_of_accuracy(tmp_path):
    file = exporting.VerifiedFile(tmp_path, None, 0.0, 1.0, (0.9, 0.85))
    exporting._check_bounds(file, "float32", 0.06, 40)
    with pytest.raises(InputError, match=r"85.00 % accuracy and the model 90.00 %, a loss of more than max_drop=0.04"):
        exporting._check_bounds(file, "float32", 0.04, 40)


def test_calibration_samples_are_spaced_evenly(generated_images):
    from compactnet.data import Cifar10

    dataset = Cifar10(source="cifar10", generated=True).load(generated_images)
    x, y = calibration_samples(dataset, 7)
    expected = dataset.batch(dataset.train, np.array([0, 26, 53, 80, 106, 132, 159]))
    np.testing.assert_array_equal(x, expected[0])
    np.testing.assert_array_equal(y, expected[1])
    assert len(calibration_samples(dataset, 10**6)[0]) == len(dataset.train)
    with pytest.raises(InputError, match="`count` must be an integer of at least 1"):
        calibration_samples(dataset, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDED)
def test_networks_of_every_skeleton_export_to_litert_and_onnx(tmp_path, name):
    size = 80 if "vgg" in name else 48
    model = with_statistics(build(name, (size, size, 3)))
    for suffix in (".tflite", ".onnx"):
        report = export(model, tmp_path / f"model{suffix}", interchannel="slices")
        assert report.largest_difference <= 1e-4


def test_bad_input(tmp_path, samples):
    model, path = small(), tmp_path / "model.tflite"

    def refused(message, model=model, path=path, **arguments):
        with pytest.raises(InputError, match=message) as error:
            export(model, path, **arguments)
        assert "\n" not in str(error.value)

    refused("names no format", path=tmp_path / "model.h5")
    refused("`format` must be one of 'litert'", format="coreml")
    refused("has another suffix than", format="onnx")
    (tmp_path / "folder").mkdir()
    refused("is no SavedModel, so it is not replaced", path=tmp_path / "folder")
    (tmp_path / "folder").rmdir()
    refused("is empty", verification_data=samples[:0])
    refused("not finite", verification_data=samples * np.nan)
    refused("Give `input_signature`", input_signature=5)
    refused("`precision` must be one of", precision="int4")
    refused("onnx files have|openvino files have the precisions", path=tmp_path / "m.xml", precision="int8_dynamic")
    refused("needs `calibration_data`", precision="int8")
    refused("needs `verification_data`", precision="float16")
    refused("`interchannel` must be one of", interchannel="quick")
    refused(r"The samples must be .* \(n, 12, 12, 3\)", verification_data=samples[:, :5])
    refused("a class number for each sample", verification_data=(samples, [1]))
    refused("`max_drop` is a share", max_drop=0.1)
    refused("`max_drop` is a share", max_drop="0.1", verification_data=(samples, [0] * len(samples)))
    for labels in (["a"], "abcde", 5, set("abcde"), [["a"], *"bcde"], ["a", *"abcd"]):
        refused("`labels` must be 5 different names", labels=labels)
    refused("`preprocessing` must be an AudioPreprocessing", preprocessing={})
    refused("float32", verification_data=np.full(samples.shape, 1e300))
    refused("Received: list. Take np.asarray", verification_data=samples.tolist())
    refused("one input and one output", model="model.keras")
    refused("Give `input_signature`", input_signature=(13, 12, 3))
    inputs = keras.Input((8, 8, 3))
    refused("an output of shape", model=keras.Model(inputs, keras.layers.Dense(2)(inputs)), labels=["a", "b"])
    refused("cannot be converted to litert", model=keras.Model(inputs, keras.ops.linalg.svd(inputs)[1]))
    assert list(tmp_path.iterdir()) == []


def test_a_refused_conversion_prints_nothing(tmp_path, capfd):
    inputs = keras.Input((8, 8, 3))
    with pytest.raises(InputError, match="cannot be converted to litert"):
        export(keras.Model(inputs, keras.ops.linalg.svd(inputs)[1]), tmp_path / "model.tflite")
    assert capfd.readouterr() == ("", "")


def test_one_output_unit_is_not_compared_by_class(tmp_path, samples):
    inputs = keras.Input((12, 12, 3))
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(keras.layers.Flatten()(inputs)))
    with pytest.raises(InputError, match="at least two classes"):
        export(model, tmp_path / "m.tflite", precision="int8", calibration_data=samples)
    with pytest.raises(InputError, match=r"at least two classes. Received: \(None, 1\)"):
        export(model, tmp_path / "m.tflite", verification_data=(samples, np.ones(len(samples), int)))
    squeezed = keras.Model(inputs, model.output[:, 0])
    with pytest.raises(InputError, match=r"at least two classes. Received: \(None,\)"):
        export(squeezed, tmp_path / "m.tflite", verification_data=(samples, np.ones(len(samples), int)))
    export(model, tmp_path / "m.tflite")


def test_labels_are_class_numbers(tmp_path, samples):
    for labels in (["a"] * len(samples), [5] * len(samples), [-1] * len(samples), [0.5] * len(samples)):
        with pytest.raises(InputError, match=r"must be integers from 0 to 4\. Received"):
            export(small(), tmp_path / "m.tflite", verification_data=(samples, labels))
    assert list(tmp_path.iterdir()) == []


def test_a_form_that_no_operation_takes_is_not_named(tmp_path):
    report = export(small("max"), tmp_path / "m.tflite", interchannel="tied")
    assert report.interchannel == "slices"
    assert load(tmp_path / "m.tflite").metadata["interchannel"] == "slices"


def test_a_saved_model_is_not_said_to_run_on_one_thread(tmp_path):
    assert "all threads of TensorFlow" in str(export(small(), tmp_path / "m", interchannel="slices"))
    assert "one thread" in str(export(small(), tmp_path / "m.tflite", interchannel="slices"))


def test_both_files_of_openvino_are_replaced_or_none(tmp_path, monkeypatch):
    path = tmp_path / "m.XML"
    report = export(small(), path, interchannel="slices")
    assert report.bytes == sum(one.stat().st_size for one in tmp_path.iterdir())
    before = {one: one.read_bytes() for one in tmp_path.iterdir()}
    assert len(before) == 2
    copied, copy = [], shutil.copyfile

    def copy_one(source, target):
        if copied:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        copied.append(source)
        copy(source, target)

    monkeypatch.setattr(exporting.shutil, "copyfile", copy_one)
    with pytest.raises(ResourceError):
        export(small(classes=4), path, interchannel="slices")
    assert {one: one.read_bytes() for one in tmp_path.iterdir()} == before


def test_a_network_in_mixed_precision_exports(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = small()
    finally:
        keras.config.set_dtype_policy("float32")
    assert export(model, tmp_path / "m.tflite", interchannel="slices").largest_difference < 1e-4


def test_untrained_int8_files_can_be_timed_without_a_bound(tmp_path, samples):
    files, refused = converted_files(
        small(), ["slices"], "onnx", "int8", samples, (samples[:2], None), tmp_path, bounded=False
    )
    assert files["slices"].path.exists()
    assert not refused


def test_a_full_disk_keeps_the_old_saved_model(tmp_path, monkeypatch):
    export(small(), tmp_path / "model", interchannel="slices")
    before = sorted(one.name for one in (tmp_path / "model").iterdir())

    def fill(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(exporting.shutil, "copyfile", fill)
    with pytest.raises(ResourceError, match="No space left on device"):
        export(small(), tmp_path / "model", interchannel="slices")
    assert sorted(one.name for one in (tmp_path / "model").iterdir()) == before
    assert [one.name for one in tmp_path.iterdir()] == ["model"]


def test_ctrl_c_keeps_the_old_saved_model(tmp_path, monkeypatch):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").write_text(name)
    whole = exporting.Path.rename

    def rename(path, target):
        if path.name == "new":
            raise KeyboardInterrupt
        return whole(path, target)

    monkeypatch.setattr(exporting.Path, "rename", rename)
    with pytest.raises(KeyboardInterrupt):
        exporting._put(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old" / "saved_model.pb").read_text() == "old"


@pytest.mark.parametrize("ending", ["linear", "pooling", "function"])
def test_sigmoids_before_what_keeps_probabilities_are_found(ending):
    inputs = keras.Input((12, 12, 3))
    if ending == "pooling":
        outputs = keras.layers.Conv2D(3, 1, activation="sigmoid")(inputs)
        outputs = keras.layers.GlobalAveragePooling2D()(outputs)
    elif ending == "linear":
        outputs = keras.layers.Dense(3, "sigmoid")(keras.layers.Flatten()(inputs))
        outputs = keras.layers.Reshape((3,))(keras.layers.Activation("linear")(outputs))
    else:
        outputs = keras.layers.Dense(3)(keras.layers.Flatten()(inputs))
        outputs = keras.layers.Activation(keras.ops.sigmoid)(outputs)
    assert exporting._gives_probabilities(keras.Model(inputs, outputs), np.full((2, 3), 0.9))
    logits = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(inputs)))
    assert not exporting._gives_probabilities(logits, np.full((2, 3), 0.9))
