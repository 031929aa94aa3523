"""Networks of the tests: with statistics of normalization that differ from their initial values."""

import keras
import numpy as np
import pytest

from compactnet.deploy.converting import missing_converters
from compactnet.layers import CompactConv2D
from compactnet.networks.keras_internals import all_sublayers

FOLDED = [
    "compact_vgg_sum_c2",
    "compact_resnet_max_c4",
    "compact_mobilenet_average_c8",
    "mobilenet_v2_050",
    "shufflenet_v1_050",
    "slim_resnet50_k43",
    "channelnet_v1",
]
"""Networks of the slow tests; `benchmarks/formats.py` folds and exports the whole catalogue."""

MISSING = sorted({module for format in ("litert", "onnx", "openvino") for module in missing_converters(format)})
needs_runtimes = pytest.mark.skipif(
    bool(MISSING), reason=f"{', '.join(MISSING)} not installed: pip install '.[runtimes]'"
)
"""Mark of tests that export files and run them."""


def with_statistics(model, seed=0):
    """Return a model after drawing the weights of its normalizations, so that folding has something to fold."""
    generator = np.random.default_rng(seed)
    for layer in all_sublayers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            positive = ("gamma", "moving_variance")
            layer.set_weights(
                [
                    generator.uniform(0.5, 1.5, weight.shape)
                    if variable.path.endswith(positive)
                    else generator.normal(0, 0.2, weight.shape)
                    for variable, weight in zip(layer.weights, layer.get_weights(), strict=True)
                ]
            )
    return model


def features_of(model):
    """Return a model up to what its classifier receives: softmax would hide differences."""
    return keras.Model(model.input, model.layers[-1].input)


def small(operation="sum", grouping="strided", factor=4, classes=5, name="small"):
    """Return a small network: a convolution, two compact convolutions and a classifier. The weights never change."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12, 12, 3), name="input")
    outputs = keras.layers.Conv2D(16, 3, padding="same", name="stem")(inputs)
    outputs = keras.layers.BatchNormalization(name="stem_normalization")(outputs)
    outputs = keras.layers.Activation("relu", name="stem_activation")(outputs)
    outputs = keras.layers.MaxPooling2D(name="pool")(outputs)
    for number, filters in ((1, 32), (2, 16)):
        outputs = CompactConv2D(
            filters, 3, factor, operation, padding="same", grouping=grouping, name=f"compact{number}"
        )(outputs)
        outputs = keras.layers.BatchNormalization(name=f"normalization{number}")(outputs)
        outputs = keras.layers.Activation("relu6", name=f"activation{number}")(outputs)
        outputs = keras.layers.Dropout(0.3, name=f"dropout{number}")(outputs)
    outputs = keras.layers.GlobalAveragePooling2D(name="global_pooling")(outputs)
    outputs = keras.layers.Dense(classes, activation="softmax", name="classifier")(outputs)
    return with_statistics(keras.Model(inputs, outputs, name=name))


def trained(model, samples, classes, steps=200):
    """Return a model trained on some samples, with the statistics of its normalizations and its dropout left alone."""
    inputs = keras.Input(model.input_shape[1:])
    at_inference = keras.Model(inputs, model(inputs, training=False))
    at_inference.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    batches = (np.concatenate([samples] * steps), np.concatenate([classes] * steps))
    at_inference.fit(*batches, batch_size=len(samples), shuffle=False, verbose=0)
    return model
