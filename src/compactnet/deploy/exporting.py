"""Export: fold, convert, run the file in its own runtime, compare it with the model, and keep the fastest form."""

import contextlib
import functools
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

import compactnet
from compactnet.checks import check_choice, check_integer
from compactnet.commands import suppress_stderr
from compactnet.deploy.converting import (
    PRECISIONS,
    SUPPORTED,
    attach_metadata,
    convert,
    missing_converters,
)
from compactnet.deploy.folding import candidate_forms, fold_into, form_taken, in_float32, random_samples
from compactnet.deploy.forms import FORMS
from compactnet.deploy.inspecting import inspect_file
from compactnet.deploy.preprocessing import AudioPreprocessing, ImagePreprocessing
from compactnet.deploy.running import Running, check_input, format_of, open_file
from compactnet.errors import InputError
from compactnet.files import atomic_write, storage_errors
from compactnet.networks.graph import flatten
from compactnet.networks.keras_internals import producer
from compactnet.processes import has_vnni, processor
from compactnet.timing import interleaved

DIFFERENCE = 1e-4
"""Largest difference of a float32 file, over the largest output of the model."""

AGREEMENT = {"float16": 0.99, "int8": 0.97, "int8_dynamic": 0.97}
"""Least share of samples with the model's most probable class, for files of other precisions."""

KEEPS_PROBABILITIES = (
    keras.layers.Reshape,
    keras.layers.Flatten,
    keras.layers.Dropout,
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling1D,
    keras.layers.GlobalMaxPooling2D,
)
"""Layers whose outputs are probabilities where their inputs are, as in sound event detection frame by frame."""

ROUNDS = 30
"""Timed calls of each form."""


@dataclass(frozen=True)
class ExportReport:
    """What `export` wrote and measured.

    Attributes:
        path: The file or folder.
        format: "litert", "onnx", "openvino" or "saved_model".
        precision: As asked for.
        interchannel: The form of the interchannel operation that was kept; None where the model has none, or none that
            can take another form.
        milliseconds_by_form: {form: median milliseconds of a sample on one thread; on those of TensorFlow for a
            SavedModel}, for all forms that were tried.
        refused_forms: {form: why its file was not used}.
        milliseconds: Those of the file.
        bytes: Size of the file, or of all files of the folder.
        largest_difference: Largest difference between the outputs of file and model on the verification data, over the
            largest output of the model.
        agreement: Share of the verification data for which file and model have the same most probable class.
        accuracy: (model's, file's) accuracy on the verification data, or None where they have no labels.
        samples: Number of samples verified.
        verified_on: "random samples", "calibration data" or "verification data".
        calibration_samples: Number of samples that an int8 file was calibrated on, or None.
        weight_bits: Bits of quantized weights in ONNX and OpenVINO: 7 where the processor could overflow at 8.
        operations: {operation of the runtime: count}.
        partitions: Number of parts of the graph that XNNPACK, LiteRT's fast library, runs; None for other formats.
        not_delegated: {operation: count} that LiteRT runs outside XNNPACK; None for other formats.
        transposes: Number of transpositions.
        processor: Name of the processor.
    """

    path: Path
    format: str
    precision: str
    interchannel: str | None
    milliseconds_by_form: dict
    refused_forms: dict
    milliseconds: float
    bytes: int
    largest_difference: float
    agreement: float
    accuracy: tuple | None
    samples: int
    verified_on: str
    calibration_samples: int | None
    weight_bits: int | None
    operations: dict
    partitions: int | None
    not_delegated: dict | None
    transposes: int
    processor: str

    def __str__(self):
        # A SavedModel cannot ask TensorFlow for one.
        threads = "all threads of TensorFlow" if self.format == "saved_model" else "one thread"
        rows = [
            ("file", f"{self.path} ({self.format}, {self.precision}, {self.bytes / 1e6:.2f} MB)"),
            ("speed", f"{self.milliseconds:.2f} ms a sample, {threads}, {self.processor}"),
        ]
        if self.interchannel:
            tried = ", ".join(f"{form} {value:.2f} ms" for form, value in self.milliseconds_by_form.items())
            rows.append(("interchannel", f"{self.interchannel} (tried: {tried})"))
        rows += [("not used", f"{form}: {reason}") for form, reason in self.refused_forms.items()]
        rows.append(
            (
                "verified",
                f"{self.samples} {self.verified_on}: largest difference {self.largest_difference:.1e}, "
                f"same class {100 * self.agreement:.1f} %",
            )
        )
        if self.accuracy:
            rows.append(("accuracy", f"model {100 * self.accuracy[0]:.1f} %, file {100 * self.accuracy[1]:.1f} %"))
        if self.calibration_samples:
            bits = f", weights of {self.weight_bits} bits" if self.weight_bits else ""
            rows.append(("calibration", f"{self.calibration_samples} samples{bits}"))
        operations = ", ".join(f"{count} {name}" for name, count in self.operations.items())
        rows.append(("operations", operations))
        if self.partitions is not None:
            outside = ", ".join(f"{count} {name}" for name, count in self.not_delegated.items()) or "none"
            rows.append(("XNNPACK", f"{self.partitions} partitions; operations outside: {outside}"))
        rows.append(("transposes", str(self.transposes)))
        return "\n".join(f"{name + ':':14}{text}" for name, text in rows)


def calibration_samples(dataset, count=200):
    """Return training samples, normalized as in training, at positions that depend on the numbers alone.

    Args:
        dataset: A `compactnet.data.Dataset`.
        count: Number of samples, evenly spaced over the training split; all where it has fewer.

    Returns:
        float32 array of shape (count, height, width, channels) and int32 labels.

    Raises:
        InputError: `count` is no positive integer.
    """
    check_integer("count", count)
    return dataset.batch(dataset.train, spaced(len(dataset.train), count))


def spaced(size, count):
    """Return positions of `count` of `size` samples, or of all, evenly spaced: data sets may be sorted by class."""
    return np.unique(np.linspace(0, size - 1, min(count, size)).round().astype(int))


def export(
    model,
    filepath,
    format=None,
    *,
    precision="float32",
    calibration_data=None,
    verification_data=None,
    max_drop=None,
    labels=None,
    preprocessing=None,
    input_signature=None,
    interchannel="auto",
):
    """Write a model as a file for a device, for one sample at a time, and verify the file in its own runtime.

    The model is folded first, see `compactnet.deploy.fold`. Files use only built-in operations of their runtime.

    Args:
        model: A functional `keras.Model` or built `keras.Sequential` with one input of shape
            `(batch, height, width, channels)` or of another rank, and one output of class probabilities or logits.
        filepath: File to write, .tflite, .onnx or .xml (OpenVINO, with a .bin of the same name beside it), or a folder
            for a SavedModel. An old one is replaced once the new one is verified.
        format: "litert", "onnx", "openvino" or "saved_model"; None for what the suffix says.
        precision: "float32"; "float16" (weights, in ONNX activations too); "int8" weights (per channel) and
            activations; "int8_dynamic" weights, with activations quantized while it runs. OpenVINO has no
            "int8_dynamic", a SavedModel only "float32".
        calibration_data: For "int8": array of preprocessed training samples, a few hundred, see `calibration_samples`.
        verification_data: Array x of preprocessed samples, or pair (x, y) with class numbers, on which model and file
            are compared. None for the calibration data, or for random samples in float32.
        max_drop: Largest loss of accuracy on `verification_data`, from 0 to 1; None for no bound.
        labels: Sequence of class names that go into the file, or None.
        preprocessing: An `AudioPreprocessing` or `ImagePreprocessing` that goes into the file, or None.
        input_signature: Shape of a sample, where the model leaves extents open; or None.
        interchannel: Form of the interchannel operation, or "auto": all but "tied" are converted, verified and timed
            in the runtime, in turns on one thread, and the fastest stays.

    Returns:
        An `ExportReport`.

    Raises:
        InputError: an argument is invalid, a converter or runtime is not installed, the converter refuses the model, or
            no file agrees with the model: float32 within 1e-4 of the largest output, float16 in 99 % and int8 in 97 %
            of the classes, and `max_drop`. There is no file then.
        ResourceError: the disk is full.
    """
    if keras.config.backend() != "tensorflow":
        raise InputError(
            f"Files are converted from the TensorFlow backend, and this process has {keras.config.backend()}. Save the "
            "model as .keras and export it where KERAS_BACKEND is tensorflow."
        )
    format = format_of(filepath, format)
    check_choice("precision", precision, PRECISIONS)
    if precision not in SUPPORTED[format]:
        raise InputError(f"{format} files have the precisions {', '.join(SUPPORTED[format])}. Received: {precision!r}")
    if missing := missing_converters(format):
        raise InputError(
            f"Export to {format} needs {', '.join(missing)}, which is not installed. In the clone, run pip install "
            "'.[runtimes]'."
        )
    check_choice("interchannel", interchannel, ("auto", *FORMS))
    _check_place(Path(filepath), format)
    shape = _input_shape(model, input_signature)
    model = in_float32(model)
    found = candidate_forms(model)
    forms = [form_taken(model, interchannel)] if interchannel != "auto" else found or ["slices"]
    calibration = _calibration(calibration_data, precision, shape)
    x, y, verified_on = _verification(model, verification_data, calibration, shape, precision)
    if max_drop is not None and (y is None or not isinstance(max_drop, int | float) or not 0 <= max_drop <= 1):
        raise InputError("`max_drop` is a share from 0 to 1 and needs `verification_data` with labels, a pair (x, y).")
    metadata = _metadata(model, shape, precision, labels, preprocessing)
    metadata["probabilities"] = _gives_probabilities(model, _outputs(model, x[:8]))
    if labels is not None and len(labels) < 2 and not metadata["probabilities"]:
        raise InputError(f"`labels` of one output need a network that ends in a sigmoid. Received: labels={labels!r}")
    with tempfile.TemporaryDirectory() as folder:
        files, refused = converted_files(model, forms, format, precision, calibration, (x, y), folder, max_drop)
        milliseconds = milliseconds_of(files, x[:1])
        best = min(milliseconds, key=milliseconds.get)
        kept = files[best]
        with storage_errors(kept.path, "Free some space, or set TMPDIR to another folder."):
            attach_metadata(kept.path, format, {**metadata, "interchannel": best if found else None})
        with suppress_stderr():
            open_file(kept.path)  # it still opens with its metadata
        path = _put(kept.path, Path(filepath))
    return ExportReport(
        path=path,
        format=format,
        precision=precision,
        interchannel=best if found else None,
        milliseconds_by_form=milliseconds if found else {},
        refused_forms=refused,
        milliseconds=milliseconds[best],
        bytes=sum(one.stat().st_size for one in _files(path)),
        largest_difference=kept.difference,
        agreement=kept.agreement,
        accuracy=kept.accuracy,
        samples=len(x),
        verified_on=verified_on,
        calibration_samples=None if calibration is None else len(calibration),
        weight_bits=_weight_bits(format, precision),
        **inspect_file(path, format),
        processor=processor(),
    )


def converted_files(model, forms, format, precision, calibration, verification, folder, max_drop=None, bounded=True):
    """Convert a model to a file for each form of the interchannel operation, and verify each file.

    Args:
        model: The model as it was built.
        forms: The forms.
        format: The format.
        precision: The precision.
        calibration: Calibration samples, or None.
        verification: Samples x and class numbers y, or None for y.
        folder: Folder for the files.
        max_drop: As in `export`.
        bounded: Whether a file that differs by more than allowed is refused.

    Returns:
        ({form: `VerifiedFile`}, {form: why there is none})

    Raises:
        InputError: no form gave a file; the message is that of the first.
    """
    x, y = verification
    expected = _outputs(model, x)
    files, refused = {}, {}
    for form in forms:
        try:
            # ONNX reduces a view with channels first, which is made from slices after the conversion.
            folded = fold_into(model, "slices" if (format, form) == ("onnx", "reduce") else form)
            path = convert(folded, form, format, precision, calibration, x.shape[1:], Path(folder) / form)
            files[form] = _compare(path, x, y, expected)
            if bounded:
                _check_bounds(files[form], precision, max_drop, len(x))
        except InputError as error:
            files.pop(form, None)
            refused[form] = str(error)
    if not files:
        raise InputError(next(iter(refused.values())))
    return files, refused


def milliseconds_of(files, sample):
    """Return {form: median milliseconds of a sample}, timed in turns."""
    calls = {form: functools.partial(file.running.run, sample) for form, file in files.items()}
    return {form: 1e3 * timing.median for form, timing in interleaved(calls, ROUNDS).items()}


def _weight_bits(format, precision):
    if not precision.startswith("int8") or format == "litert":
        return None
    return 8 if has_vnni() else 7


@dataclass(frozen=True)
class VerifiedFile:
    """A converted file and how it compares with the model; see `ExportReport` for the fields."""

    path: Path
    running: Running
    difference: float
    agreement: float
    accuracy: tuple | None


def _compare(path, x, y, expected):
    """Run a file on all samples and compare its outputs with the model's."""
    with suppress_stderr():  # runtimes greet there
        running = open_file(path)
    outputs = np.concatenate([running.run(sample[np.newaxis]).copy() for sample in x])
    difference = float(np.abs(outputs - expected).max() / max(np.abs(expected).max(), np.finfo(np.float32).tiny))
    classes, expected_classes = outputs.argmax(axis=-1), expected.argmax(axis=-1)
    agreement = float(np.mean(classes == expected_classes))
    accuracy = None if y is None else (float(np.mean(expected_classes == y)), float(np.mean(classes == y)))
    return VerifiedFile(path, running, difference, agreement, accuracy)


def _check_bounds(file, precision, max_drop, samples):
    """Raise an InputError where a file differs from the model by more than allowed."""
    # A comparison with NaN is False, and must not pass.
    if precision == "float32" and not file.difference <= DIFFERENCE:
        raise InputError(
            f"The file differs from the model by {file.difference:.1e} of the largest output, more than {DIFFERENCE:g}."
        )
    if precision != "float32" and not (file.agreement >= AGREEMENT[precision] and np.isfinite(file.difference)):
        raise InputError(
            f"The {precision} file gives the model's class for {100 * file.agreement:.1f} % of {samples} samples, less "
            f"than {100 * AGREEMENT[precision]:g} %. Calibrate and verify on more real samples, or use another "
            "precision."
        )
    if max_drop is not None and not file.accuracy[0] - file.accuracy[1] <= max_drop:
        raise InputError(
            f"The {precision} file has {100 * file.accuracy[1]:.2f} % accuracy and the model "
            f"{100 * file.accuracy[0]:.2f} %, a loss of more than max_drop={max_drop:g}. Use another precision, or "
            "allow more."
        )


def _input_shape(model, input_signature):
    """Return the shape of a sample."""
    if not hasattr(model, "inputs") or len(model.inputs or ()) != 1 or len(model.outputs) != 1:
        raise InputError(
            f"`model` must be a functional or built Sequential Keras model with one input and one output. Received: "
            f"{type(model).__name__}"
        )
    own = tuple(model.inputs[0].shape[1:])
    given = getattr(input_signature, "shape", input_signature)
    shape = own if given is None else tuple(given) if isinstance(given, tuple | list) else ()
    fits = len(shape) == len(own) and all(mine in (None, extent) for mine, extent in zip(own, shape, strict=True))
    if not fits or not all(isinstance(extent, int) and extent > 0 for extent in shape):
        raise InputError(
            f"The input of {model.name!r} has shape {own}. Give `input_signature`, the shape of a sample without the "
            f"batch, all of it known. Received: input_signature={input_signature!r}"
        )
    return shape


def _calibration(data, precision, shape):
    if precision != "int8":
        return None
    if data is None:
        raise InputError(
            "precision='int8' needs `calibration_data`: a few hundred preprocessed training samples, such as "
            "calibration_samples(dataset)[0]."
        )
    return check_input(data[0] if isinstance(data, tuple) else data, shape)


def _verification(model, data, calibration, shape, precision):
    """Return the samples to verify on, their class numbers or None, and what they are called."""
    if precision != "float32":
        _check_classes(model)
    if data is None and precision != "float32" and calibration is None:
        raise InputError(
            f"precision={precision!r} needs `verification_data`: preprocessed samples x, or a pair (x, y). Classes of "
            "random samples say nothing."
        )
    if data is None:
        random = random_samples(model, 4, shape)[0]
        return (random, None, "random samples") if calibration is None else (calibration, None, "calibration data")
    x, y = data if isinstance(data, tuple | list) and len(data) == 2 else (data, None)
    x = check_input(x, shape)
    if y is not None:
        _check_classes(model)
    if y is not None and np.shape(y) != (len(x),):
        raise InputError(
            f"`verification_data` must be samples x, or a pair (x, y) with a class number for each sample. Received: "
            f"x of shape {x.shape}, y of shape {np.shape(y)}"
        )
    if y is not None:
        y, classes = np.asarray(y), model.outputs[0].shape[-1]
        if not np.issubdtype(y.dtype, np.integer) or y.min() < 0 or y.max() >= classes:
            raise InputError(
                f"The labels of `verification_data` must be integers from 0 to {classes - 1}. Received: dtype {y.dtype}"
                + (f", from {y.min()} to {y.max()}" if np.issubdtype(y.dtype, np.number) else "")
            )
    return x, y, "verification data"


def _check_classes(model):
    output = tuple(model.outputs[0].shape)
    if len(output) != 2 or output[-1] is None or output[-1] < 2:
        raise InputError(
            "Classes are compared for quantized files and where labels are given, so the output must have the shape "
            f"(batch, classes) with at least two classes. Received: {output}"
        )


def _metadata(model, shape, precision, labels, preprocessing):
    """Return what travels with the file."""
    *outer, classes = model.outputs[0].shape
    if labels is not None and len(outer) != 1:
        raise InputError(
            f"`labels` need an output of shape (batch, classes). Received: {tuple(model.outputs[0].shape)}. Export "
            "without labels."
        )
    if labels is not None and not _are_names(labels, classes):
        raise InputError(f"`labels` must be {classes} different names, one for each class. Received: {labels!r}")
    if preprocessing is not None and not isinstance(preprocessing, AudioPreprocessing | ImagePreprocessing):
        raise InputError(
            "`preprocessing` must be an AudioPreprocessing or ImagePreprocessing of compactnet.deploy. Received: "
            f"{type(preprocessing).__name__}"
        )
    if isinstance(preprocessing, ImagePreprocessing) and (len(shape) != 3 or shape[2] not in (1, 3)):
        raise InputError(f"Images have the shape (height, width, 1 or 3), and the model's input has {tuple(shape)}.")
    if isinstance(preprocessing, AudioPreprocessing):
        _check_spectrogram(preprocessing, shape)
    if preprocessing is not None:
        sizes = [np.shape(value) for value in (preprocessing.mean, preprocessing.std)]
        if any(_broadcast(size, shape) != tuple(shape) for size in sizes):
            raise InputError(f"The preprocessing's mean and std have shapes {sizes}, which do not fit inputs {shape}.")
    return {
        "version": compactnet.__version__,
        "network": model.name,
        "precision": precision,
        "input_shape": list(shape),
        "labels": None if labels is None else [str(label) for label in labels],
        "preprocessing": None if preprocessing is None else preprocessing.to_json(),
    }


def _are_names(labels, count):
    """Say whether labels are a sequence of so many different names."""
    if not isinstance(labels, list | tuple | np.ndarray) or any(np.ndim(label) for label in labels):
        return False
    return len(labels) == len({str(label) for label in labels}) == count


def _check_spectrogram(preprocessing, shape):
    """Raise an InputError where a preprocessing cannot give spectrograms of a shape."""
    bands, frames = len(preprocessing.filterbank), None
    if preprocessing.seconds is not None:
        frames = 1 + round(preprocessing.seconds * preprocessing.sample_rate) // preprocessing.hop
    fits = len(shape) == 3 and shape[0] == bands and shape[2] == 1 and frames in (None, shape[1])
    if not fits:
        given = f"({bands}, {'frames' if frames is None else frames}, 1)"
        raise InputError(f"The preprocessing gives spectrograms of shape {given}, and the model takes {tuple(shape)}.")


def _broadcast(one, other):
    """Return the shape of two shapes together, or None where they do not fit."""
    try:
        return np.broadcast_shapes(one, other)
    except ValueError:
        return None


def _outputs(model, x, size=32):
    """Return the one output of a model for samples, computed in batches."""
    parts = (model(x[start : start + size], training=False) for start in range(0, len(x), size))
    return np.concatenate([keras.ops.convert_to_numpy(keras.tree.flatten(part)[0]) for part in parts])


def _gives_probabilities(model, outputs):
    """Say whether outputs are probabilities: they sum to 1, or each comes from sigmoids. Others are logits."""
    if _ends_in_sigmoid(flatten(model).outputs[0]):
        return True
    return bool((outputs >= 0).all() and np.allclose(outputs.sum(axis=-1), 1, atol=1e-3))


def _ends_in_sigmoid(tensor):
    """Say whether the values of a tensor are those of a sigmoid, or means or maxima of some of them."""
    operation, inputs = producer(tensor)
    while type(operation) in KEEPS_PROBABILITIES or (
        type(operation) is keras.layers.Activation and operation.activation is keras.activations.linear
    ):
        operation, inputs = producer(inputs[0])
    sigmoids = (keras.activations.sigmoid, keras.ops.sigmoid)
    return getattr(operation, "activation", None) in sigmoids or type(operation).__name__ == "Sigmoid"


def _check_place(path, format):
    """Raise an InputError where a file would take the place of a folder of other things, or a folder that of a file."""
    if format != "saved_model" and path.is_dir():
        raise InputError(f"{path} is a folder. Name a file in it.")
    if format == "saved_model" and path.exists() and not (path / "saved_model.pb").is_file():
        raise InputError(f"{path} exists and is no SavedModel, so it is not replaced. Name another folder.")


def _files(path):
    """Return the files that belong to an exported file or folder."""
    if path.is_dir():
        return [one for one in sorted(path.rglob("*")) if one.is_file()]
    weights = path.with_suffix(".bin")
    return [path, weights] if path.suffix.lower() == ".xml" and weights.exists() else [path]


def _put(source, target):
    """Move a file, or a folder, to its place; what was there is replaced in one step, or stays."""
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            # Copied beside its place first: folders cannot be renamed across disks.
            with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                new, old = Path(folder) / "new", Path(folder) / "old"
                # Not with copytree, whose one error hides that a disk is full.
                for one in sorted(source.rglob("*")):
                    place = new / one.relative_to(source)
                    if one.is_dir():
                        place.mkdir(parents=True)
                    else:
                        place.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copyfile(one, place)
                try:
                    if target.exists():
                        target.rename(old)
                    new.rename(target)
                except BaseException:  # Ctrl-C too, or the old one would go with the temporary folder
                    if old.exists() and not target.exists():
                        old.rename(target)
                    raise
            return target
    # Both files of OpenVINO are complete before the first takes its place.
    with contextlib.ExitStack() as stack:
        for one in _files(source):
            place = target.with_suffix(".bin") if one.suffix == ".bin" else target
            shutil.copyfile(one, stack.enter_context(atomic_write(place)))
    return target
