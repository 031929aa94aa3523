"""The compressed model: a copy in which the chosen convolutions are compact and every other layer has its weights."""

import keras

from compactnet.compression.choosing import POINTWISE, SEPARABLE
from compactnet.layers import CompactConv2D, InterchannelPooling
from compactnet.networks.graph import clone_layer, cloned, copy_weights_of

SAME = ("name", "trainable", "dtype", "filters", "kernel_size", "strides", "padding", "dilation_rate", "use_bias")
SAME += ("activation", "bias_initializer", "bias_regularizer", "bias_constraint")
"""What a compact convolution takes over from the layer that it replaces, as in its config."""

CHANNELS_LAST = "channels_last"
"""The only data format of a model that is compressed, whatever Keras' global setting is."""


def compacted(model, choices, rules):
    """Return a copy of an opened model in which the chosen convolutions are compact.

    Args:
        model: A functional `keras.Model`.
        choices: List of `Choice`.
        rules: The `Rules`.

    Returns:
        A functional `keras.Model`. What is new in it is newly initialized; all else has the weights of `model`.
    """
    chosen = {choice.name: choice for choice in choices}
    originals = {layer.name: layer for layer in model.layers}

    def clone(operation):
        choice = chosen.get(operation.name)
        if choice is None:
            return clone_layer(operation)
        if choice.kind == POINTWISE:
            return clone_layer(operation, trainable=is_trained(operation, rules))
        return compact_layer(operation, choice, rules)

    def call(layer, *args, **kwargs):
        choice = chosen.get(layer.name)
        if choice is not None and choice.kind == POINTWISE:
            pooling = InterchannelPooling(
                choice.compact_factor,
                rules.operation,
                rules.grouping,
                CHANNELS_LAST,
                dtype=layer.dtype_policy,
                name=pooling_name(choice),
            )
            if args:
                args = (pooling(args[0]), *args[1:])
            else:
                kwargs["inputs"] = pooling(kwargs["inputs"])
        outputs = layer(*args, **kwargs)
        if choice is None and layer.name in originals:
            copy_weights_of(originals[layer.name], layer)
        return outputs

    return cloned(model, clone, call)


def pooling_name(choice):
    """Return the name of the interchannel operation that stands before a 1x1 convolution."""
    return f"{choice.name}_interchannel"


def is_trained(layer, rules):
    """Say whether the replacement of a layer is trainable: new weights of a layer that was frozen must be trained."""
    return layer.trainable or not rules.warm_start


def compact_layer(layer, choice, rules):
    """Return the compact convolution that replaces a standard or separable one."""
    config = layer.get_config()
    arguments = {name: config[name] for name in SAME}
    arguments["trainable"] = is_trained(layer, rules)
    for argument in ("initializer", "regularizer", "constraint"):
        for weight in ("depthwise", "pointwise"):
            # Both kernels of a compact convolution take what the one kernel of a standard convolution had.
            source = f"{weight}_{argument}" if choice.kind == SEPARABLE else f"kernel_{argument}"
            arguments[f"{weight}_{argument}"] = config[source]
    if config.get("activity_regularizer") is not None:
        arguments["activity_regularizer"] = keras.regularizers.get(config["activity_regularizer"])
    if choice.normalization is not None:
        arguments["momentum"] = choice.normalization.momentum
        arguments["epsilon"] = choice.normalization.epsilon
    return CompactConv2D(
        compact_factor=choice.compact_factor,
        operation=rules.operation,
        grouping=rules.grouping,
        depthwise_activation=choice.activation,
        data_format=CHANNELS_LAST,
        **arguments,
    )
