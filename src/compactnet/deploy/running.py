"""Exported files in their runtimes, without Keras: open a file, run a sample, read its metadata."""

import hashlib
import importlib.util
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from compactnet.checks import check_choice
from compactnet.errors import InputError

FORMATS = MappingProxyType(
    {"litert": ".tflite", "onnx": ".onnx", "openvino": ".xml", "saved_model": "a folder without a suffix"}
)
"""{format: suffix of its file}"""

MODULES = MappingProxyType(
    {"litert": "ai_edge_litert", "onnx": "onnxruntime", "openvino": "openvino", "saved_model": "tensorflow"}
)
"""{format: module that runs it}"""

PACKAGES = MappingProxyType(
    {"litert": "ai-edge-litert", "onnx": "onnxruntime", "openvino": "openvino", "saved_model": "tensorflow"}
)
"""{format: distribution that runs it}"""

METADATA = "compactnet"
"""Key of the metadata in a file."""

METADATA_FILE = "compactnet.json"
"""Name of the metadata where they are a file: in the archive at the end of a LiteRT file, and in a SavedModel."""


@dataclass(frozen=True)
class Running:
    """A file in its runtime.

    Attributes:
        run: Function of a float32 array of `input_shape` that returns the output array.
        input_shape: Shape of the input, the batch axis included; what is no integer is left open.
        metadata: Dictionary, or None where the file has none of ours.
        handle: The runtime's own object.
    """

    run: Any
    input_shape: tuple
    metadata: dict | None
    handle: Any


def format_of(filepath, given=None):
    """Return the format of a file, which its suffix says.

    Raises:
        InputError: the format is unknown, or `given` is another one.
    """
    suffix = Path(filepath).suffix.lower()
    for name, known in FORMATS.items():
        if suffix == known or (not suffix and name == "saved_model"):
            if given not in (None, name):
                check_choice("format", given, tuple(FORMATS))
                raise InputError(f"A file of format {given!r} has another suffix than {filepath}: {FORMATS[given]}.")
            return name
    raise InputError(
        f"The suffix of {filepath} names no format. Use .tflite (LiteRT), .onnx, .xml (OpenVINO) or none (SavedModel)."
    )


def open_file(filepath, threads=1):
    """Open an exported file in its runtime.

    Args:
        filepath: File of LiteRT, ONNX or OpenVINO, or folder of a SavedModel.
        threads: Processor threads; a SavedModel takes those that TensorFlow has.

    Returns:
        A `Running`.

    Raises:
        InputError: the file is missing, damaged or of another kind, or its runtime is not installed.
    """
    path, format = Path(filepath), format_of(filepath)
    if not path.exists():
        raise InputError(f"{path} does not exist.")
    if importlib.util.find_spec(MODULES[format]) is None:
        raise InputError(
            f"Running {path} needs {PACKAGES[format]}, which is not installed: pip install {PACKAGES[format]}"
        )
    try:
        return _OPEN[format](path, threads)
    except InputError:
        raise
    except Exception as error:  # each runtime has its own errors for a damaged file
        reason = reason_of(error)[:200]
        raise InputError(f"{path} cannot be read by {PACKAGES[format]} and may be damaged: {reason}") from error


def run_sample(path, running, sample):
    """Return the output of a file for a float32 sample.

    Args:
        path: The file, for the message.
        running: It in its runtime, a `Running`.
        sample: Array of the input's shape.

    Raises:
        InputError: the runtime refuses the sample, as that of a file whose input is not float32 does.
    """
    try:
        return running.run(sample)
    except Exception as error:  # each runtime has its own errors
        raise InputError(f"{path} does not run on a float32 sample: {reason_of(error)[:200]}") from error


def reason_of(error):
    """Return the first line of a runtime's or converter's error that says something, or the error's name."""
    # OpenVINO says first where in its own source it failed.
    lines = [line.strip() for line in str(error).splitlines() if not line.startswith("Exception from")]
    return next(filter(None, lines), type(error).__name__)


def add_metadata_to_litert(content, metadata):
    """Return the bytes of a LiteRT file with metadata in an archive at its end, where runtimes do not look."""
    metadata = {**metadata, "model_sha256": hashlib.sha256(content).hexdigest(), "model_bytes": len(content)}
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(zipfile.ZipInfo(METADATA_FILE), json.dumps(metadata), zipfile.ZIP_DEFLATED)
    return content + archive.getvalue()


def _open_litert(path, threads):
    from ai_edge_litert.interpreter import Interpreter

    content = path.read_bytes()
    # The runtime would read past the end of a file that is cut off.
    if content[4:8] != b"TFL3":
        raise InputError(f"{path} is no LiteRT file.")
    metadata = None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            metadata = json.loads(file.read(METADATA_FILE))
    except (zipfile.BadZipFile, KeyError) as error:
        if METADATA_FILE.encode() in content:
            raise InputError(f"{path} is damaged: its end is missing. Copy or export it again.") from error
    if metadata and hashlib.sha256(content[: metadata["model_bytes"]]).hexdigest() != metadata["model_sha256"]:
        raise InputError(f"{path} is damaged: its content is not what was exported. Copy or export it again.")
    interpreter = Interpreter(model_content=content, num_threads=threads)
    interpreter.allocate_tensors()
    sources, targets = interpreter.get_input_details(), interpreter.get_output_details()
    _check_single(path, sources, targets)
    (source,), (target,) = sources, targets

    def run(sample):
        interpreter.set_tensor(source["index"], sample)
        interpreter.invoke()
        return interpreter.get_tensor(target["index"])

    return Running(run, tuple(int(extent) for extent in source["shape"]), metadata, interpreter)


def _open_onnx(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    _check_single(path, session.get_inputs(), session.get_outputs())
    (source,) = session.get_inputs()
    metadata = session.get_modelmeta().custom_metadata_map.get(METADATA)
    return Running(
        lambda sample: session.run(None, {source.name: sample})[0],
        tuple(source.shape),
        None if metadata is None else json.loads(metadata),
        session,
    )


def _open_openvino(path, threads):
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        # A processor with bfloat16 would otherwise round without being asked.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    _check_single(path, model.inputs, model.outputs)
    compiled = core.compile_model(model, "CPU", settings)
    request = compiled.create_infer_request()
    metadata = json.loads(model.get_rt_info(METADATA).astype(str)) if model.has_rt_info(METADATA) else None
    return Running(
        lambda sample: request.infer([sample], share_inputs=True)[0],
        tuple(extent.get_length() if extent.is_static else None for extent in compiled.input(0).partial_shape),
        metadata,
        compiled,
    )


def _open_saved_model(path, threads):
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    function = loaded.signatures["serving_default"]
    inputs = function.structured_input_signature[1]
    _check_single(path, inputs, function.structured_outputs)
    ((name, source),) = inputs.items()
    extra = path / "assets.extra" / METADATA_FILE
    metadata = json.loads(extra.read_text(encoding="utf-8")) if extra.is_file() else None

    def run(sample):
        (output,) = function(**{name: tf.constant(sample)}).values()
        return output.numpy()

    # The function keeps no reference to the object that owns its variables.
    return Running(run, tuple(source.shape), metadata, loaded)


def _check_single(path, inputs, outputs):
    if len(inputs) != 1 or len(outputs) != 1:
        raise InputError(
            f"{path} has {len(inputs)} inputs and {len(outputs)} outputs. Files of one input and one output are run."
        )


_OPEN = MappingProxyType(
    {"litert": _open_litert, "onnx": _open_onnx, "openvino": _open_openvino, "saved_model": _open_saved_model}
)


def check_input(sample, shape):
    """Return a batch of samples as float32.

    Args:
        sample: The samples.
        shape: Shape of one; an extent that is no integer is left open.

    Raises:
        InputError: it is no array of numbers of shape (n, *shape).
    """
    wanted = [extent if isinstance(extent, int) else "any" for extent in shape]
    expected = f"The samples must be an array of numbers of shape (n, {', '.join(map(str, wanted))})."
    if not hasattr(sample, "__array__"):
        raise InputError(f"{expected} Received: {type(sample).__name__}. Take np.asarray of it.")
    values = np.asarray(sample)
    fits = values.ndim == len(shape) + 1 and all(
        need in ("any", got) for need, got in zip(wanted, values.shape[1:], strict=True)
    )
    if values.dtype.kind not in "fiu" or not fits:
        raise InputError(f"{expected} Received: {values.dtype} of shape {values.shape}")
    with np.errstate(over="ignore"):
        samples = np.ascontiguousarray(values, dtype=np.float32)
    if not len(samples) or not np.isfinite(samples).all():
        problem = "is empty" if not len(samples) else "holds values that are not finite in float32"
        raise InputError(f"The array of samples {problem}. Give at least one sample of finite numbers.")
    return samples
