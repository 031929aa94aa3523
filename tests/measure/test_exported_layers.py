"""Every layer runs on the runtimes of devices with the outputs that it has in Keras."""

import keras
import numpy as np
import pytest

from compactnet import layers
from compactnet.measure.runtimes import inference_call, missing_modules

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*np.object.*:FutureWarning"),  # tf2onnx asks NumPy for it
    pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="exports start from TensorFlow"),
]
LAYERS = {
    "compact, first": (layers.CompactConv2D, {"filters": 8, "kernel_size": 3, "operation": "first"}),
    "slim": (layers.SlimConv2D, {}),
    "channelwise, few channels": (layers.ChannelwiseConv, {"kernel_size": 5}),
    "channelwise, blocks": (layers.ChannelwiseConv, {"kernel_size": 8, "filters": 2, "strides": 2}),
    "classifier": (layers.ConvolutionalClassifier, {"classes": 3}),
    "factorized": (layers.FactorizedConv2D, {"filters": 8, "kernel_size": 3, "strides": 2, "padding": "same"}),
    "decoupled": (layers.DecoupledConv2D, {"filters": 8, "kernel_size": 3}),
    "ghost": (layers.GhostConv2D, {"filters": 8, "kernel_size": 3}),
    "partial": (layers.PartialConv2D, {"strides": 2, "padding": "same"}),
    "max feature map": (layers.MaxFeatureMapConv2D, {"filters": 8, "kernel_size": 3}),
    "scale": (layers.ChannelScale, {"scale_initializer": "uniform"}),
}


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
@pytest.mark.parametrize("name", LAYERS)
def test_an_exported_layer_computes_the_same(name, runtime):
    if missing := missing_modules(runtime):
        pytest.skip(f"{', '.join(missing)} is not installed")
    layer_class, arguments = LAYERS[name]
    channels = 160 if "blocks" in name else 16
    values = np.random.default_rng(0).normal(size=(1, 8, 8, channels)).astype("float32")
    inputs = keras.Input((8, 8, channels))
    model = keras.Model(inputs, layer_class(**arguments)(inputs))
    expected = keras.ops.convert_to_numpy(model(values))
    outputs = inference_call(runtime, model, values, threads=1)()
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
