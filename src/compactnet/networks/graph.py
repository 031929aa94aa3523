"""A model as a flat graph: one copy of it in which composite layers are replaced by the layers inside them.

A composite layer is one that has sublayers, such as `CompactConv2D` or a model used as a layer. Calling its `call` on
symbolic tensors lays its sublayers into the graph one by one, so whatever reads the flat graph (complexity, folding)
sees the depthwise convolution, the normalization and the 1x1 convolution inside a compact convolution, and those of
any other layer composed in Keras, without knowing that layer.
"""

import keras

from compactnet.errors import InputError

JOINT = "-"
"""Between the name of a composite layer and that of its part; Keras and its backends allow few characters here."""


def flatten(model):
    """Return a copy of `model`, with freshly initialised weights, whose composite layers are opened.

    A composite stays closed if its `call` does not take symbolic tensors (recurrent layers), or if a weight of it would
    be lost because it belongs to none of the layers that its `call` lays into the graph (some wrappers).

    Args:
        model: A functional `keras.Model`, or a built `keras.Sequential`.

    Returns:
        A functional `keras.Model`; the model given is left as it was. Its weights have the names of the original's
        parts, such as "conv2_1-depthwise", and not necessarily their order.

    Raises:
        InputError: `model` is no functional model, one of its layers cannot be copied from its config, or a layer is
            shared by two nested models.
    """
    if isinstance(model, keras.Sequential):
        if not model.built:
            raise InputError("The Sequential model has no input shape yet: add a keras.Input or call build() first.")
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    if not isinstance(model, keras.Model) or not hasattr(model, "operations"):
        raise InputError(
            "A functional keras.Model (or a built Sequential) is needed, whose layers can be listed. "
            f"Received: {type(model).__name__}; build it from keras.Input with the functional interface."
        )
    flat, opened = model, True
    # A sublayer may be composite in turn: each pass opens one level, until one finds nothing to open.
    while opened:
        flat, opened = _copy_opened(flat)
    if flat.count_params() != model.count_params():
        raise InputError(
            f"A flat copy of {model.name!r} would have {flat.count_params()} parameters instead of "
            f"{model.count_params()}: two models inside it share a layer. Use that layer in the outer model alone."
        )
    return flat


def nodes(flat_model):
    """Yield (operation, input tensors, output tensors) of a flat model, in an order in which it can be computed."""
    levels = flat_model._nodes_by_depth
    for depth in sorted(levels, reverse=True):
        for node in levels[depth]:
            if not node.is_input:
                yield node.operation, node.input_tensors, node.output_tensors


def _copy_opened(model):
    """Return a copy of a functional model with its outermost composites opened, and whether there were any."""
    opened = []

    def call(layer, *args, **kwargs):
        # The ordinary call builds the layer, whatever its signature; its outputs stay unused if it can be opened.
        closed = layer(*args, **kwargs)
        if not isinstance(layer, keras.layers.Layer) or not layer._layers:
            return closed
        try:
            parts = layer.call(*args, **kwargs)
        except Exception:  # a call that was written for arrays alone can raise anything
            return closed
        if not _holds_all_weights(parts, layer):
            return closed
        opened.append(layer)
        for sublayer in layer._layers:
            # Two composites of one class have parts of the same names, which one graph cannot hold.
            if not sublayer.name.startswith(layer.name + JOINT):
                sublayer.name = layer.name + JOINT + sublayer.name
        return parts

    try:
        copy = keras.models.clone_model(model, call_function=call, recursive=False)
    except (NotImplementedError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{model.name!r} cannot be copied layer by layer from their configs: {reason}") from error
    return copy, bool(opened)


def _holds_all_weights(outputs, layer):
    """Say whether every weight of `layer` belongs to a layer on the way to the symbolic tensors `outputs`."""
    waiting, seen, found = keras.tree.flatten(outputs), set(), set()
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen or not isinstance(tensor, keras.KerasTensor):
            continue
        seen.add(id(tensor))
        operation, node_index, _ = tensor._keras_history
        if operation is not layer:
            found.update(id(weight) for weight in getattr(operation, "weights", ()))
            waiting.extend(operation._inbound_nodes[node_index].input_tensors)
    return all(id(weight) in found for weight in layer.weights)
