"""Which convolution the channels of a tensor come from, and how to reorder them there.

Between a convolution and the tensor may stand layers that treat every channel by itself: normalization, activation,
pooling, padding, a depthwise convolution. Reordering the filters of the convolution and the weights of these layers
reorders the channels of the tensor and changes nothing else.
"""

import keras

from compactnet.layers import GroupedConv2D

CHANNELWISE = (
    keras.layers.BatchNormalization,
    keras.layers.DepthwiseConv2D,
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.ELU,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
    keras.layers.ZeroPadding2D,
)
"""Layers that treat every channel by itself, whatever its number."""

ELEMENTWISE = (
    keras.activations.celu,
    keras.activations.elu,
    keras.activations.exponential,
    keras.activations.gelu,
    keras.activations.hard_sigmoid,
    keras.activations.hard_silu,
    keras.activations.hard_tanh,
    keras.activations.leaky_relu,
    keras.activations.linear,
    keras.activations.mish,
    keras.activations.relu,
    keras.activations.relu6,
    keras.activations.selu,
    keras.activations.sigmoid,
    keras.activations.silu,
    keras.activations.softplus,
    keras.activations.softsign,
    keras.activations.tanh,
)
"""Activations that treat every value by itself."""

FILTERS = (keras.layers.Conv2D, GroupedConv2D)
"""Layers whose output channels can stand in any order."""


def channel_path(steps, tensor, outputs=()):
    """Return the layers from the convolution that gives a tensor its channels to that tensor, in this order.

    Args:
        steps: List of (operation, input tensors, output tensors) of a graph, as `compactnet.networks.graph.nodes`
            gives them.
        tensor: A tensor of that graph of shape `(batch, height, width, channels)`.
        outputs: Outputs of the model, which are uses too.

    Returns:
        A list that begins with a `keras.layers.Conv2D` without groups and goes on with layers of `CHANNELWISE`; or None
        where something else gives the channels, or where a tensor or a layer on the way is used a second time.
    """
    makers = {id(made): (operation, used) for operation, used, outputs in steps for made in outputs}
    uses, calls = {id(output): 1 for output in outputs}, {}
    for operation, used, _ in steps:
        calls[id(operation)] = calls.get(id(operation), 0) + 1
        for one in used:
            uses[id(one)] = uses.get(id(one), 0) + 1
    path = []
    while True:
        operation, used = makers.get(id(tensor), (None, ()))
        if operation is None or uses.get(id(tensor), 0) > 1 or calls[id(operation)] > 1 or len(used) != 1:
            return None
        path.append(operation)
        if _has_free_filters(operation):
            return path[::-1]
        if not _is_channelwise(operation):
            return None
        tensor = used[0]


def permute_channels(path, order):
    """Reorder the channels that a path of layers gives, in place.

    Args:
        path: What `channel_path` returned.
        order: Sequence: channel n of the result is channel `order[n]` of before.
    """
    for layer in path:
        weights = layer.get_weights()
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            weights = [weights[0][:, :, order, :], *(bias[order] for bias in weights[1:])]
        else:
            weights = [weight[..., order] for weight in weights]
        layer.set_weights(weights)


def is_elementwise(activation):
    """Say whether an activation function is one of Keras' that treat every value by itself."""
    return activation is None or activation in ELEMENTWISE


def _has_free_filters(operation):
    return (
        type(operation) in FILTERS
        and not getattr(operation, "lora_enabled", False)
        and operation.groups == 1
        and operation.data_format == "channels_last"
        and is_elementwise(operation.activation)
    )


def _is_channelwise(operation):
    # A subclass may compute something else, with other weights.
    if type(operation) not in CHANNELWISE:
        return False
    match operation:
        case keras.layers.DepthwiseConv2D():
            return operation.depth_multiplier == 1 and is_elementwise(operation.activation)
        case keras.layers.BatchNormalization():
            return operation.axis in (-1, 3)
        case keras.layers.Activation():
            return is_elementwise(operation.activation)
    return True
