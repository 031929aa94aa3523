"""What Keras and TensorFlow do not document. Bounds in setup.cfg name the last Keras version tested.

The functions below wrap attributes. Some uses cannot be wrapped: `GroupedConv2D` in compactnet.layers overrides
`keras.layers.Conv2D.convolution_op`, `FusedAdam` in compactnet.fast reads the state of Keras' Adam, and
compactnet.networks.graph and compactnet.compression.opening assign the `name` of layers.
"""

import importlib


def computation_nodes(model):
    """Yield the nodes of a functional model but those of its inputs, each after the nodes that it depends on.

    A node is one call of an operation, with the attributes `operation`, `input_tensors`, `output_tensors` and
    `arguments`; the last fills in other tensors.
    """
    levels = model._nodes_by_depth
    for depth in sorted(levels, reverse=True):
        yield from (node for node in levels[depth] if not node.is_input)


def structures(model):
    """Return the inputs and the outputs of a model as they were given: a tensor, a list or a dictionary.

    Args:
        model: A functional `keras.Model`, or a built `keras.Sequential`.
    """
    functional = getattr(model, "_functional", model)
    return functional._inputs_struct, functional._outputs_struct


def sublayers(layer):
    """Return the layers that are attributes of a layer, those inside them excluded."""
    return layer._layers


def all_sublayers(layer):
    """Yield the layers inside a layer, at any depth."""
    for inner in sublayers(layer):
        yield inner
        yield from all_sublayers(inner)


def producer(tensor):
    """Return the operation whose call gave a symbolic tensor, and the input tensors of that call."""
    operation, node_index, _ = tensor._keras_history
    return operation, operation._inbound_nodes[node_index].input_tensors


def takes_training(layer):
    """Say whether the `call` of a layer has an argument `training`."""
    return layer._call_has_training_arg


def uses_onednn():
    """Say whether TensorFlow uses the kernels of oneDNN in this process.

    The variable TF_ENABLE_ONEDNN_OPTS, the build and the processor decide together, and TensorFlow has no public way to
    ask.
    """
    return bool(importlib.import_module("tensorflow.python.util._pywrap_util_port").IsMklEnabled())


def call_again(node, tensors):
    """Call the operation of a node on other tensors, and return a list of its outputs.

    Args:
        node: What `computation_nodes` yields.
        tensors: {id of an input tensor of the node: tensor that takes its place}
    """
    args, kwargs = node.arguments.fill_in(tensors)
    return importlib.import_module("keras").tree.flatten(node.operation(*args, **kwargs))


def frozen_function(concrete):
    """Return a concrete function of TensorFlow with its variables turned into constants."""
    return importlib.import_module(
        "tensorflow.python.framework.convert_to_constants"
    ).convert_variables_to_constants_v2(concrete)
