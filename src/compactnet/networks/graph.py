"""A model as a flat graph: a copy in which composite layers are replaced by the layers inside them.

A composite layer is one that has sublayers, such as `CompactConv2D` or a model used as a layer. It is opened by calling
its `call` on symbolic tensors, which adds its sublayers to the graph one by one. Code that reads the flat graph, such
as `complexity`, then sees the depthwise convolution, the normalization and the 1x1 convolution inside a compact
convolution, and those inside any other layer composed in Keras, without special cases.
"""

import keras

from compactnet.errors import InputError
from compactnet.networks.keras_internals import all_sublayers, computation_nodes, producer, sublayers

JOINT = "-"
"""Separates the name of a composite layer from that of its part; Keras and its backends allow few characters here."""


def flatten(model, copy_weights=False):
    """Return a copy of `model` whose composite layers are opened.

    A composite layer stays closed if its `call` does not accept symbolic tensors (recurrent layers), if a weight would
    be lost because it belongs to none of the layers that its `call` adds to the graph (some wrappers), or if sizes that
    its outputs have would be lost inside it (attention).

    Args:
        model: A functional `keras.Model`, or a built `keras.Sequential`.
        copy_weights: Whether the copy has the weights of `model`; they are newly initialized otherwise.

    Returns:
        A functional `keras.Model`; `model` itself is not changed. The parts of a composite layer are named after it,
        such as "conv2_1-depthwise". The order of the weights may differ from that in `model`.

    Raises:
        InputError: `model` is not functional, one of its layers cannot be copied from its config, or two nested models
            share a layer.
    """
    if isinstance(model, keras.Sequential):
        if not model.built:
            raise InputError(
                "The Sequential model has no input shape yet. Add a keras.Input as its first layer, or call build()."
            )
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    if not isinstance(model, keras.Model) or not hasattr(model, "operations"):
        raise InputError(
            "`model` must be a functional keras.Model or a built keras.Sequential. "
            f"Received: {type(model).__name__}. Build it from keras.Input with the functional API."
        )
    # A new model around the same layers is not compiled: a copy would be compiled too, and need the loss's config.
    flat, opened = keras.Model(model.input, model.output, name=model.name), True
    # A sublayer may be composite in turn: each pass opens one level, until one finds nothing to open.
    while opened:
        flat, opened = _copy_opened(flat, copy_weights)
    check_shares_nothing(flat, model)
    return flat


def check_shares_nothing(copy, model):
    """Check that a copy of a model whose nested models were opened has its parameters.

    Raises:
        InputError: it has more, because two models inside shared a layer, which is two layers now.
    """
    if copy.count_params() != model.count_params():
        raise InputError(
            f"A flat copy of {model.name!r} would have {copy.count_params()} parameters instead of "
            f"{model.count_params()}, because two models inside it share a layer. Call that layer in the outer model "
            "only."
        )


def cloned(model, clone, call):
    """Return `keras.models.clone_model` of a functional model that is not compiled.

    Args:
        model: A functional `keras.Model`.
        clone: Function from an operation to its copy.
        call: Function of a copied operation and its arguments that returns its outputs.

    Raises:
        InputError: a layer cannot be copied from its config.
    """
    try:
        return keras.models.clone_model(model, clone_function=clone, call_function=call, recursive=False)
    except (NotImplementedError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{model.name!r} cannot be copied layer by layer from their configs: {reason}") from error


def clone_layer(operation, **changes):
    """Return a copy of a layer or another operation, without weights.

    Args:
        operation: The layer or operation.
        **changes: Entries of its config to change.
    """
    copy = type(operation).from_config({**operation.get_config(), **changes})
    # Not every layer's config has the name, by which its weights are found.
    copy.name = operation.name
    return copy


def copy_weights_of(original, layer):
    """Give a built layer the weights of another of the same config."""
    layer.set_weights(original.get_weights())
    for one in (layer, *all_sublayers(layer)):
        if isinstance(one, keras.layers.Normalization):
            one.finalize_state()  # it computes with what it derives from its weights


def nodes(flat_model):
    """Yield (operation, input tensors, output tensors) of a flat model, in an order in which it can be computed."""
    for node in computation_nodes(flat_model):
        yield node.operation, node.input_tensors, node.output_tensors


def _copy_opened(model, copy_weights):
    """Return a copy of a functional model with its outermost composites opened, and whether there were any."""
    opened = []
    originals = {layer.name: layer for layer in model.layers} if copy_weights else {}

    def call(layer, *args, **kwargs):
        # The ordinary call builds the layer, whatever its signature; its outputs stay unused if it can be opened.
        closed = layer(*args, **kwargs)
        if original := originals.get(layer.name):
            copy_weights_of(original, layer)
        if not isinstance(layer, keras.layers.Layer) or not sublayers(layer):
            return closed
        try:
            parts = layer.call(*args, **kwargs)
        except Exception:  # a call that was written for arrays alone can raise anything
            return closed
        if not _contains_all_weights(parts, layer) or _loses_sizes(parts, closed, (args, kwargs)):
            return closed
        opened.append(layer)
        for sublayer in sublayers(layer):
            # Two composites of one class have parts of the same names, and names in a graph are unique.
            if not sublayer.name.startswith(layer.name + JOINT):
                sublayer.name = layer.name + JOINT + sublayer.name
        return parts

    return cloned(model, clone_layer, call), bool(opened)


def _contains_all_weights(outputs, layer):
    """Say whether every weight of `layer` belongs to an operation from which the tensors `outputs` are computed."""
    operations = [operation for operation, _, _ in _calls_before(outputs, ()) if operation is not layer]
    found = {id(weight) for operation in operations for weight in getattr(operation, "weights", ())}
    return all(id(weight) in found for weight in layer.weights)


def _loses_sizes(outputs, closed, inputs):
    """Say whether an operation between `inputs` and `outputs` has tensors of known sizes and makes one of unknown ones.

    Its layer then shows less opened than closed, unless its own outputs `closed` have unknown sizes too.
    """
    calls = _calls_before(outputs, inputs)
    return is_sized(closed) and any(is_sized(used) and not is_sized(made) for _, used, made in calls)


def is_sized(tensors):
    """Say whether all axes but the batch are known, of every symbolic tensor in a structure."""
    tensors = [tensor for tensor in keras.tree.flatten(tensors) if isinstance(tensor, keras.KerasTensor)]
    return all(None not in tensor.shape[1:] for tensor in tensors)


def _calls_before(outputs, inputs):
    """Yield (operation, input tensors, output tensor) of the calls from which the tensors `outputs` are computed.

    The search ends at the tensors `inputs`, or at the inputs of the model.
    """
    waiting, seen = keras.tree.flatten(outputs), {id(tensor) for tensor in keras.tree.flatten(inputs)}
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen or not isinstance(tensor, keras.KerasTensor):
            continue
        seen.add(id(tensor))
        operation, used = producer(tensor)
        yield operation, used, tensor
        waiting.extend(used)
