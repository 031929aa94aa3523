"""Forms of Keras layers, and of Adam, that train faster on a processor: the same functions of the same weights."""

import keras

from compactnet.errors import InputError
from compactnet.networks.keras_internals import all_sublayers
from compactnet.processes import FAST_BACKENDS


def use_fast_forms(model):
    """Make a model compute its layers in the form that is fast on processors, wherever one has such a form.

    The weights stay where they are, and outputs and gradients are equal up to rounding. Call it before `compile`.

    Args:
        model: A built `keras.Model` in float32; it is changed in place.

    Returns:
        The number of layers that have another form now.

    Raises:
        InputError: the backend is PyTorch, or the model or one of its layers does not compute in float32.
    """
    forms = _forms()
    for layer in (model, *all_sublayers(model)):
        if layer.compute_dtype != "float32":
            raise InputError(
                f"Fast forms exist in float32, and {layer.name!r} computes in {layer.compute_dtype}. Build the model "
                "in float32."
            )
    changed = 0
    for layer in all_sublayers(model):
        call = forms.fast_call(layer)
        if call is not None:
            layer.call = call
            changed += 1
    return changed


def adam(learning_rate):
    """Return the optimizer Adam in the form that is fast on processors.

    Raises:
        InputError: the backend is PyTorch.
    """
    return getattr(_forms(), "FusedAdam", keras.optimizers.Adam)(learning_rate=learning_rate)


def _forms():
    """Return the module of the backend's forms; each imports its backend.

    Raises:
        InputError: the backend has none.
    """
    backend = keras.config.backend()
    if backend not in FAST_BACKENDS:
        raise InputError(
            f"Fast forms exist on {' and '.join(FAST_BACKENDS)}, and the backend is {backend}. Set KERAS_BACKEND."
        )
    if backend == "jax":
        from compactnet.fast import jax_forms as forms
    else:
        from compactnet.fast import tensorflow_forms as forms
    return forms
