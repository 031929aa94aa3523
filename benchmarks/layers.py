#!/usr/bin/env python3
"""Time the forward pass of each squeezing layer on TensorFlow, against what its FLOPs and bytes predict.

The two halves of a separable convolution give the processor's rates: its depthwise convolution the bytes a second, its
1x1 convolution the FLOPs a second. A layer whose operations run at these rates takes FLOPs over the one plus bytes over
the other. A layer that takes much longer left the fast path of the backend.
"""

import argparse
import math
import os
import sys
import time

from compactnet.commands import Parser, exit_status

CHANNELS, SIZE, BATCH = 64, 32, 16


def main():
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()

    from compactnet.processes import job_environment

    os.environ.update(job_environment("tensorflow", options.threads, "cpu"))
    models = {name: _model(layer) for name, layer in _layers().items()}
    calls = {name: _call(model) for name, model in models.items()}
    seconds = {name: [] for name in calls}
    for _ in range(options.rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - began)
    taken = {name: min(times) for name, times in seconds.items()}
    costs = {name: _cost(model) for name, model in models.items()}
    bytes_a_second = costs["depthwise"][1] / taken["depthwise"]
    flops, used = costs["pointwise"]
    flops_a_second = flops / max(taken["pointwise"] - used / bytes_a_second, taken["pointwise"] / 2)
    print(f"{flops_a_second / 1e9:.1f} GFLOP/s, {bytes_a_second / 1e9:.1f} GB/s")
    print("| layer | MFLOPs | MB | ms | predicted, ms | ratio |\n|---|--:|--:|--:|--:|--:|")
    for name in models:
        flops, used = costs[name]
        predicted = flops / flops_a_second + used / bytes_a_second
        print(
            f"| {name} | {flops / 1e6:.1f} | {used / 1e6:.1f} | {1e3 * taken[name]:.2f} | {1e3 * predicted:.2f} "
            f"| {taken[name] / predicted:.2f} |"
        )
    return 0


def _layers():
    import keras

    from compactnet import layers

    same = {"padding": "same"}
    return {
        "depthwise": keras.layers.DepthwiseConv2D(3, **same),
        "pointwise": keras.layers.Conv2D(CHANNELS, 1),
        "separable": keras.layers.SeparableConv2D(CHANNELS, 3, **same),
        "standard": keras.layers.Conv2D(CHANNELS, 3, **same),
        "compact, sum": layers.CompactConv2D(CHANNELS, 3, 4, grouping="strided", **same),
        "compact, max": layers.CompactConv2D(CHANNELS, 3, 4, "max", grouping="strided", **same),
        "compact, first": layers.CompactConv2D(CHANNELS, 3, 4, "first", grouping="strided", **same),
        "slim, k=4/3": layers.SlimConv2D(3, 2),
        "slim, k=8/3": layers.SlimConv2D(3, 4),
        "channelwise, 64 taps": layers.ChannelwiseConv(64),
        "group channelwise, 8 taps": layers.ChannelwiseConv(8, 2, 2),
        "factorized": layers.FactorizedConv2D(CHANNELS, 3, 0.5, **same),
        "decoupled, D=4": layers.DecoupledConv2D(CHANNELS, 3, 4, **same),
        "ghost": layers.GhostConv2D(CHANNELS, 3, **same),
        "partial": layers.PartialConv2D(3, **same),
        "max feature map": layers.MaxFeatureMapConv2D(CHANNELS, 3, **same),
        "grouped, 1x1 in 2": layers.GroupedConv2D(CHANNELS, 1, groups=2),
    }


def _model(layer):
    import keras

    inputs = keras.Input((SIZE, SIZE, CHANNELS))
    return keras.Model(inputs, layer(inputs))


def _call(model):
    import numpy as np
    import tensorflow as tf

    values = tf.constant(np.random.default_rng(0).normal(size=(BATCH, SIZE, SIZE, CHANNELS)).astype("float32"))
    compiled = tf.function(lambda: model(values, training=False), jit_compile=False)

    def call():
        return compiled().numpy()

    for _ in range(3):
        call()
    return call


def _cost(model):
    """Return the FLOPs of a batch, and the bytes that its operations read and write."""
    from compactnet.networks.complexity import complexity
    from compactnet.networks.graph import flatten, nodes

    moved = 0
    for operation, inputs, outputs in nodes(flatten(model)):
        moved += 4 * sum(math.prod(tensor.shape[1:]) for tensor in (*inputs, *outputs)) * BATCH
        moved += 4 * sum(math.prod(weight.shape) for weight in getattr(operation, "weights", ()))
    return complexity(model).flops * BATCH, moved


if __name__ == "__main__":
    sys.exit(exit_status(main))
