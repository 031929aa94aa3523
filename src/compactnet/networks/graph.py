"""A model as a flat graph: one copy of it in which every composite layer is replaced by the layers inside it.

A composite layer is one that has sublayers, such as `CompactConv2D` or a model used as a layer. Calling its `call` on
symbolic tensors lays its sublayers into the graph one by one, so whatever reads the flat graph (complexity, folding)
sees the depthwise convolution, the normalization and the 1x1 convolution inside a compact convolution, and those of
any other layer composed in Keras, without knowing that layer.
"""

import keras

from compactnet.errors import InputError


def flatten(model):
    """Return a copy of `model`, with freshly initialised weights, whose graph holds no composite layer.

    Args:
        model: A functional `keras.Model`, or a built `keras.Sequential`.

    Returns:
        A functional `keras.Model`; the model given is left as it was.

    Raises:
        InputError: `model` is no functional model, or a composite layer in it cannot be called on symbolic tensors.
    """
    if isinstance(model, keras.Sequential):
        if not model.built:
            raise InputError("The Sequential model has no input shape yet: add a keras.Input or call build() first.")
        model = keras.Model(model.inputs, model.outputs, name=model.name)
    if not isinstance(model, keras.Model) or not hasattr(model, "operations"):
        raise InputError(
            "A functional keras.Model (or a built Sequential) is needed, whose layers can be listed. "
            f"Received: {type(model).__name__}; build it from keras.Input with the functional interface."
        )
    flat = keras.models.clone_model(model, call_function=_call_open, recursive=False)
    # A sublayer may be composite in turn: each pass opens one level.
    while any(_is_composite(operation) for operation in flat.operations):
        flat = keras.models.clone_model(flat, call_function=_call_open, recursive=False)
    return flat


def nodes(flat_model):
    """Yield (operation, input tensors, output tensors) of a flat model, in an order in which it can be computed."""
    levels = flat_model._nodes_by_depth
    for depth in sorted(levels, reverse=True):
        for node in levels[depth]:
            if not node.is_input:
                yield node.operation, node.input_tensors, node.output_tensors


def _is_composite(operation):
    return isinstance(operation, keras.layers.Layer) and bool(operation._layers)


def _call_open(layer, *args, **kwargs):
    if not _is_composite(layer):
        return layer(*args, **kwargs)
    try:
        if not layer.built:
            layer.build(keras.tree.map_structure(lambda tensor: tensor.shape, args[0]))
        for sublayer in layer._layers:
            # Two composites of one class have parts of the same names, which one graph cannot hold.
            if not sublayer.name.startswith(f"{layer.name}."):
                sublayer.name = f"{layer.name}.{sublayer.name}"
        return layer.call(*args, **kwargs)
    except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
        raise InputError(
            f"Layer {layer.name!r} ({type(layer).__name__}) is made of sublayers but cannot be opened: its call() does "
            f"not take symbolic tensors ({str(error).splitlines()[0]}). Write its call() with keras.ops and sublayers."
        ) from error
