"""Speed as ratios: what is compared runs interleaved in one process, because machines are noisy and shared.

TensorFlow is imported where it is used; these figures measure TensorFlow's kernels.
"""

import keras
import numpy as np

from compactnet.layers import InterchannelPooling
from compactnet.networks.graph import flatten, nodes
from compactnet.networks.keras_internals import takes_training
from compactnet.timing import Timing, interleaved, ratios

__all__ = ["Timing", "forward_and_backward", "interchannel_operation", "interleaved", "ratios", "seconds_by_kind"]


def forward_and_backward(function, weights, shape, output_shape):
    """Return a function without arguments that runs `function` forward and backward as one compiled TensorFlow call.

    Args:
        function: Function of one tensor.
        weights: Variables to differentiate for, besides the input.
        shape: Shape of the input.
        output_shape: Shape of the output, for its gradient.
    """
    import tensorflow as tf

    generator = np.random.default_rng(0)
    inputs = tf.constant(generator.normal(size=shape), tf.float32)
    above = tf.constant(generator.normal(size=output_shape), tf.float32)

    @tf.function
    def both(values, gradient):
        with tf.GradientTape() as tape:
            tape.watch(values)
            outputs = function(values)
        # The outputs are returned, so that a forward pass that no gradient needs is not optimized away.
        return outputs, tape.gradient(outputs, [values, *weights], output_gradients=gradient)

    def call():
        both(inputs, above)
        tf.test.experimental.sync_devices()

    return call


def interchannel_operation(operation, compact_factor=2, shape=(32, 16, 16, 128), rounds=100):
    """Time the interchannel operation, forward and backward, against reshape-and-reduce over the last axis.

    Args:
        operation: "sum", "max" or "average".
        compact_factor: C.
        shape: (batch, height, width, channels).
        rounds: Timed calls of each.

    Returns:
        {"reshape and reduce": Timing, "adjacent": Timing, "strided": Timing}
    """
    groups = shape[-1] // compact_factor
    reduce = {"sum": keras.ops.sum, "max": keras.ops.max, "average": keras.ops.mean}[operation]

    def plain(values):
        return reduce(keras.ops.reshape(values, (*shape[:-1], groups, compact_factor)), axis=-1)

    functions = {"reshape and reduce": plain}
    for grouping in ("adjacent", "strided"):
        functions[grouping] = InterchannelPooling(compact_factor, operation, grouping)
    output_shape = (*shape[:-1], groups)
    return interleaved(
        {name: forward_and_backward(function, [], shape, output_shape) for name, function in functions.items()},
        rounds,
        warm_up=10,
    )


def seconds_by_kind(model, batch_size=32, rounds=10):
    """Return the seconds of forward and backward of each kind of layer, each layer timed alone on its own input.

    The sum is not the time of a step, which also fuses, overlaps and updates weights; the shares show what is slow.

    Args:
        model: A functional model; composite layers are opened.
        batch_size: Samples a call.
        rounds: Timed calls of each layer, of which the median counts.

    Returns:
        {kind: seconds}, the largest first.
    """
    seconds = {}
    for operation, inputs, outputs in nodes(flatten(model)):
        if not isinstance(operation, keras.layers.Layer) or len(inputs) != 1:
            continue
        call = forward_and_backward(
            # In training mode, where normalization reads the batch.
            lambda values, layer=operation: layer(values, training=True) if takes_training(layer) else layer(values),
            operation.trainable_variables,
            (batch_size, *inputs[0].shape[1:]),
            (batch_size, *outputs[0].shape[1:]),
        )
        kind = type(operation).__name__
        if isinstance(operation, keras.layers.Conv2D):
            kind += " " + "x".join(str(extent) for extent in operation.kernel_size)
        seconds[kind] = seconds.get(kind, 0.0) + interleaved({"": call}, rounds)[""].median
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))
