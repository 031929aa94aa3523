"""Runtimes that run a network, each as a function without arguments whose work is finished when it returns.

Backends and runtimes are imported where they are used, so that a machine needs only those it times.
"""

import importlib.util
import tempfile
from pathlib import Path
from types import MappingProxyType

import keras
import numpy as np


def inference_call(runtime, model, sample, threads):
    """Return a function that runs a model on a sample and returns the output as an array.

    Args:
        runtime: One of `RUNTIMES`. On TensorFlow and JAX it is one compiled call, on PyTorch an eager one, on LiteRT
            and ONNX Runtime a plain conversion in float32.
        model: A `keras.Model` of one input; its backend is the runtime's, TensorFlow for the two that convert.
        sample: float32 array of shape (batch, height, width, channels).
        threads: Processor threads. TensorFlow and JAX take theirs from the process's environment.
    """
    return _INFERENCE[runtime](model, sample, threads)


def training_call(model, samples, labels):
    """Return a function that takes one step of Adam on a batch, as the training script compiles it.

    Args:
        model: A functional `keras.Model` with a softmax output.
        samples: float32 array of shape (batch, height, width, channels).
        labels: Class numbers of shape (batch,).
    """
    # XLA on CPU runs depthwise convolutions tens of times slower on TensorFlow; JAX always compiles with it.
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=keras.config.backend() == "jax")
    # The loss comes back as a number, so the step has ended when the call returns.
    return lambda: model.train_on_batch(samples, labels)


def _tensorflow(model, sample, threads):
    import tensorflow as tf

    compiled = tf.function(lambda values: model(values, training=False), jit_compile=False)
    concrete = compiled.get_concrete_function(tf.TensorSpec(sample.shape, tf.float32))
    values = tf.constant(sample)
    return lambda: concrete(values).numpy()


def _jax(model, sample, threads):
    import jax

    trainable = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]
    compiled = jax.jit(lambda values: model.stateless_call(trainable, others, values, training=False)[0])
    values = jax.device_put(sample)
    return lambda: np.asarray(compiled(values))


def _torch(model, sample, threads):
    import torch

    values = keras.ops.convert_to_tensor(sample)

    def call():
        own = torch.get_num_threads()  # of the whole process, so it must come back
        if own != threads:
            torch.set_num_threads(threads)
        try:
            with torch.inference_mode():
                return model(values, training=False).cpu().numpy()
        finally:
            if own != threads:
                torch.set_num_threads(own)

    return call


def _litert(model, sample, threads):
    from ai_edge_litert.interpreter import Interpreter

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        model.export(path, format="litert", verbose=False)
        interpreter = Interpreter(model_content=path.read_bytes(), num_threads=threads)
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(source["index"], sample.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(source["index"], sample)

    def call():
        interpreter.invoke()
        return interpreter.get_tensor(target["index"])

    return call


def _onnxruntime(model, sample, threads):
    import onnxruntime

    model(sample)  # the conversion asks for a model that was called
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.export(path, format="onnx", verbose=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: sample})[0]


_INFERENCE = MappingProxyType(
    {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch, "litert": _litert, "onnxruntime": _onnxruntime}
)
RUNTIMES = tuple(_INFERENCE)

PACKAGES = MappingProxyType({"litert": ("ai-edge-litert",), "onnxruntime": ("onnxruntime", "onnx", "tf2onnx")})
"""Distributions besides the backend whose versions matter."""

_MODULES = MappingProxyType({"litert": ("ai_edge_litert",), "onnxruntime": ("onnxruntime", "onnx", "tf2onnx")})


def missing_modules(runtime):
    """Return the modules that a runtime needs and that are not installed."""
    names = ("tensorflow", *_MODULES[runtime]) if runtime in _MODULES else (runtime,)
    return [name for name in names if importlib.util.find_spec(name) is None]


def accelerator(backend):
    """Return the name of the GPU that a backend computes on, or None where it has none."""
    match backend:
        case "tensorflow":
            import tensorflow as tf

            found = tf.config.list_physical_devices("GPU")
            return tf.config.experimental.get_device_details(found[0]).get("device_name", "GPU") if found else None
        case "jax":
            import jax

            device = jax.devices()[0]
            return device.device_kind if device.platform == "gpu" else None
        case "torch":
            import torch

            return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return None


def accelerator_peak_bytes(backend):
    """Return the peak memory of a backend on its GPU in bytes."""
    match backend:
        case "tensorflow":
            import tensorflow as tf

            return tf.config.experimental.get_memory_info("GPU:0")["peak"]
        case "jax":
            import jax

            return jax.devices()[0].memory_stats()["peak_bytes_in_use"]
        case "torch":
            import torch

            return torch.cuda.max_memory_allocated()
