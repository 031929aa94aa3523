"""A copy of a model in which the models nested in it are opened, so that all its convolutions stand in one graph.

Other composite layers stay closed, unlike in `compactnet.networks.graph.flatten`: a compressed model should consist of
the layers that its author wrote.
"""

import keras

from compactnet.errors import InputError
from compactnet.networks.graph import JOINT, check_shares_nothing, clone_layer, cloned, copy_weights_of


def opened(model):
    """Return a copy of a model, weights included, without nested models.

    Args:
        model: A functional `keras.Model` or built `keras.Sequential`.

    Returns:
        A functional `keras.Model`, not compiled. A layer from a nested model keeps its name; where that name is taken,
        the name of the nested model comes before it. A list of one input or output becomes that one.

    Raises:
        InputError: `model` is something else, one of its layers cannot be copied from its config, or two nested models
            share a layer.
    """
    if isinstance(model, keras.Sequential):
        if not getattr(model, "inputs", None):
            raise InputError(
                "The Sequential model has no input shape yet. Add a keras.Input as its first layer, or call build()."
            )
        copy = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    elif is_functional(model):
        # A new model around the same layers is not compiled, and neither is its copy.
        copy = keras.Model(_alone(model.input), _alone(model.output), name=model.name)
    else:
        raise InputError(
            "`model` must be a functional keras.Model or a built keras.Sequential. "
            f"Received: {type(model).__name__}. Build it from keras.Input with the functional API."
        )
    copy = _copied(copy)
    # A nested model may hold another: each pass opens one level.
    while any(is_functional(layer) for layer in copy.layers):
        copy = _copied(copy)
    check_shares_nothing(copy, model)
    return copy


def _alone(structure):
    """Return the only tensor of a list of one, and any other structure as it is."""
    return structure[0] if isinstance(structure, list | tuple) and len(structure) == 1 else structure


def is_functional(layer):
    """Say whether a layer is a functional or Sequential model."""
    return isinstance(layer, keras.Model) and (hasattr(layer, "operations") or isinstance(layer, keras.Sequential))


def _copied(model):
    originals = {layer.name: layer for layer in model.layers}
    taken, named = {operation.name for operation in model.operations}, set()

    def call(layer, *args, **kwargs):
        # The ordinary call builds the layer; for a nested model its outputs stay unused.
        outputs = layer(*args, **kwargs)
        if original := originals.get(layer.name):
            copy_weights_of(original, layer)
        if not is_functional(layer):
            return outputs
        for operation in layer.operations if hasattr(layer, "operations") else layer.layers:
            if id(operation) in named:
                continue  # the nested model is called once more
            named.add(id(operation))
            if operation.name in taken and not isinstance(operation, keras.layers.InputLayer):
                operation.name = f"{layer.name}{JOINT}{operation.name}"
            taken.add(operation.name)
        return layer.call(*args, **kwargs)

    return cloned(model, clone_layer, call)
