"""Conversion of folded models to files of the runtimes. Converters are imported where they are used."""

import contextlib
import importlib.util
import io
import json
import logging
import shutil
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np

from compactnet.commands import suppress_stderr
from compactnet.deploy.running import METADATA, METADATA_FILE, add_metadata_to_litert, reason_of
from compactnet.errors import InputError
from compactnet.files import DISK_ERRORS, storage_error
from compactnet.layers import InterchannelPooling
from compactnet.networks.keras_internals import frozen_function
from compactnet.processes import has_vnni

PRECISIONS = ("float32", "float16", "int8", "int8_dynamic")
"""Of the weights, and for "int8" of the activations too."""

SUPPORTED = {
    "litert": PRECISIONS,
    "onnx": PRECISIONS,
    "openvino": ("float32", "float16", "int8"),
    "saved_model": ("float32",),
}
"""{format: precisions}"""

CONVERTERS = {
    "litert": ("tensorflow", "ai_edge_litert"),
    "onnx": ("tensorflow", "tf2onnx", "onnx", "onnxruntime"),
    "openvino": ("tensorflow", "tf2onnx", "onnx", "onnxruntime", "openvino"),
    "saved_model": ("tensorflow",),
}
"""{format: modules that its conversion needs}"""

OPSET = 17
"""Version of the ONNX operations: the last in which tf2onnx makes a global pooling of a mean."""


def missing_converters(format):
    """Return the modules that the conversion to a format needs and that are not installed."""
    return [name for name in CONVERTERS[format] if importlib.util.find_spec(name) is None]


def convert(model, form, format, precision, calibration, input_shape, folder):
    """Write a folded model as a file of one format, without metadata.

    Args:
        model: A folded `keras.Model` of one input and one output.
        form: Its form of the interchannel operation. For "reduce" in ONNX, `model` has "slices", see `_reduced`.
        format: One of `SUPPORTED`.
        precision: One of those of the format.
        calibration: float32 array of samples for "int8", or None.
        input_shape: Shape of a sample.
        folder: Folder to write into.

    Returns:
        Path of the file or folder.

    Raises:
        InputError: the converter refuses the model.
        ResourceError: the disk of temporary files is full.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    signature = [keras.InputSpec(shape=(1, *input_shape), dtype="float32", name="input")]
    # Foreseen errors are made inside, so that what the converter printed stays suppressed.
    with _quiet():
        try:
            return _WRITE[format](model, form, precision, calibration, signature, folder)
        except InputError:
            raise
        except Exception as error:  # each converter has its own errors
            if isinstance(error, OSError) and error.errno in DISK_ERRORS:
                raise storage_error(folder, error, "Free some space, or set TMPDIR to another folder.") from error
            reason = reason_of(error)[:300]
            raise InputError(f"{model.name!r} cannot be converted to {format} in {precision}: {reason}") from error


def attach_metadata(path, format, metadata):
    """Write a dictionary into a converted file."""
    text = json.dumps(metadata)
    match format:
        case "litert":
            path.write_bytes(add_metadata_to_litert(path.read_bytes(), metadata))
        case "onnx":
            import onnx

            model = onnx.load(path)
            onnx.helper.set_model_props(model, {METADATA: text})
            onnx.save(model, path)
        case "openvino":
            import openvino

            model = openvino.Core().read_model(path)
            model.set_rt_info(text, METADATA)
            _save_openvino(model, path, compress=False)
        case "saved_model":
            (path / "assets.extra").mkdir(exist_ok=True)
            (path / "assets.extra" / METADATA_FILE).write_text(text, encoding="utf-8")


def _write_litert(model, form, precision, calibration, signature, folder):
    import tensorflow as tf

    function = tf.function(lambda values: model(values, training=False), jit_compile=False)
    concrete = function.get_concrete_function(tf.TensorSpec(signature[0].shape, tf.float32, name="input"))
    # Weights that stay variables would be transposed at every call, outside XNNPACK.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen_function(concrete)])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: ([sample[np.newaxis]] for sample in calibration)
    path = folder / "model.tflite"
    path.write_bytes(converter.convert())
    return path


def _write_onnx(model, form, precision, calibration, signature, folder):
    import onnx

    path = folder / "model.onnx"
    model(np.zeros(signature[0].shape, "float32"))  # Keras exports a model that was called
    model.export(path, format="onnx", verbose=False, input_signature=signature, opset_version=OPSET)
    content = onnx.load(path)
    if form == "reduce":
        content = _reduced(content, [layer for layer in model.layers if isinstance(layer, InterchannelPooling)])
        onnx.save(content, path)
    if precision != "float32":
        _quantize_onnx(path, precision, calibration)
    return path


def _quantize_onnx(path, precision, calibration):
    """Convert an ONNX file to another precision, in place."""
    import onnx
    from onnxruntime import quantization

    if precision == "float16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True), path)
        return
    prepared = path.with_suffix(".prepared.onnx")
    quantization.quant_pre_process(path, prepared, skip_symbolic_shape=True)
    # Without VNNI, sums of two products of 8-bit numbers may not fit into 16 bits: 7-bit weights always do.
    reduce_range = not has_vnni()
    if precision == "int8_dynamic":
        quantization.quantize_dynamic(
            prepared, path, per_channel=True, reduce_range=reduce_range, weight_type=quantization.QuantType.QInt8
        )
    else:
        name = onnx.load(prepared).graph.input[0].name
        quantization.quantize_static(
            prepared,
            path,
            _Reader(name, calibration),
            per_channel=True,
            reduce_range=reduce_range,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
    prepared.unlink()


class _Reader:
    """Calibration samples as ONNX Runtime asks for them."""

    def __init__(self, name, samples):
        self._feeds = iter([{name: sample[np.newaxis]} for sample in samples])

    def get_next(self):
        return next(self._feeds, None)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._feeds)


def _reduced(content, layers):
    """Return an ONNX graph whose interchannel operations are reductions of a view.

    tf2onnx computes with channels first, where C groups of channels are C contiguous blocks. Their sum is the product
    of a row of ones with the blocks as a matrix, which ONNX Runtime computes faster than ReduceSum or slices.
    """
    import onnx
    from onnx import helper, numpy_helper

    content = onnx.shape_inference.infer_shapes(content)
    graph = content.graph
    known = [*graph.value_info, *graph.input, *graph.output]
    shapes = {value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim] for value in known}
    constants = {one.name for one in graph.initializer}
    names = [layer.name for layer in layers]
    for layer in layers:
        nodes = [node for node in graph.node if _layer_of(node.name, names) == layer.name]
        made = {name for node in nodes for name in node.output}
        inputs = {name for node in nodes for name in node.input} - made - constants
        outputs = {name for node in graph.node if node not in nodes for name in node.input} & made
        if layer.operation == "first":
            continue
        (source,), (target,) = (inputs, outputs) if len(inputs) == len(outputs) == 1 else ([""], [""])
        if len(shapes.get(source, [])) != 4 or shapes[source][1] != layer.compact_factor * shapes[target][1]:
            raise InputError(f"{layer.name!r} is not computed with channels first in ONNX. Use another form.")
        factor = layer.compact_factor

        def constant(name, values, layer=layer):
            name = f"{layer.name}/{name}"
            graph.initializer.append(numpy_helper.from_array(values, name))
            return name

        view, reduced = f"{layer.name}/view", f"{layer.name}/reduced"
        if layer.operation == "max":
            reduction = helper.make_node("ReduceMax", [view], [reduced], axes=[0], keepdims=1, name=reduced)
        else:
            value = 1 / factor if layer.operation == "average" else 1.0
            row = constant("row", np.full((1, factor), value, np.float32))
            reduction = helper.make_node("MatMul", [row, view], [reduced], name=reduced)
        replacement = [
            helper.make_node("Reshape", [source, constant("rows", np.array([factor, -1]))], [view], name=view),
            reduction,
            helper.make_node(
                "Reshape",
                [reduced, constant("shape", np.array(shapes[target]))],
                [target],
                name=f"{layer.name}/back",
            ),
        ]
        position = max(index for index, node in enumerate(graph.node) if node in nodes) - len(nodes) + 1
        for node in nodes:
            graph.node.remove(node)
        for offset, node in enumerate(replacement):
            graph.node.insert(position + offset, node)
    onnx.checker.check_model(content)
    return content


def _layer_of(node_name, names):
    """Return the name of the layer that made a node of tf2onnx, or None.

    The node's scope is the layer's name, mostly with a number of Keras after it.
    """
    scopes = node_name.split("/")[:-1]
    exact = [scope.rsplit("_", 1)[0] if scope.rsplit("_", 1)[-1].isdigit() else scope for scope in scopes]
    return next((one for one in (*exact, *scopes) if one in names), None)


def _write_openvino(model, form, precision, calibration, signature, folder):
    import openvino

    # OpenVINO reads the quantized operations of ONNX; its own quantizer would be one more dependency.
    # It is fast with the form as Keras computes it.
    source = _write_onnx(model, None, "int8" if precision == "int8" else "float32", calibration, signature, folder)
    path = folder / "model.xml"
    _save_openvino(openvino.convert_model(source), path, compress=precision == "float16")
    source.unlink()
    return path


def _save_openvino(model, path, compress):
    import openvino

    # The weights of a model that was read lie in the file that is written.
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder) / path.name
        openvino.save_model(model, new, compress_to_fp16=compress)
        del model
        for suffix in (".xml", ".bin"):
            shutil.copyfile(new.with_suffix(suffix), path.with_suffix(suffix))


def _write_saved_model(model, form, precision, calibration, signature, folder):
    path = folder / "model"
    model.export(path, format="tf_saved_model", verbose=False, input_signature=signature)
    return path


@contextlib.contextmanager
def _quiet():
    """Keep what converters print and log to themselves; errors still come."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), suppress_stderr():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


_WRITE = {
    "litert": _write_litert,
    "onnx": _write_onnx,
    "openvino": _write_openvino,
    "saved_model": _write_saved_model,
}
