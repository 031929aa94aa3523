"""From a spec to a Keras model."""

import difflib
import numbers

import keras

from compactnet.errors import InputError
from compactnet.networks.catalogue import CATALOGUE
from compactnet.networks.spec import NetworkSpec


def build(name_or_spec, input_shape=(128, 512, 1), classes=10, resize_to=None, name=None):
    """Build a network, untrained.

    Args:
        name_or_spec: A name in `CATALOGUE`, or a `NetworkSpec`.
        input_shape: (height, width, channels) of one sample: (128, 512, 1) for the log-mel of a 10 s scene.
        classes: Integer of at least 2, the number of classes.
        resize_to: Pair (height, width) in pixels to which the network first resizes its input (bilinear), or None.
        name: Name of the model; the catalogue name, or the skeleton's, if left out.

    Returns:
        A functional `keras.Model` from `(batch, *input_shape)` to `(batch, classes)` softmax probabilities.

    Raises:
        InputError: an unknown name, Keras set to channels first, a shape or class count out of range, an input too
            small for the skeleton, or a compact factor that does not divide the channels of one of its layers.
    """
    spec = find(name_or_spec)
    if keras.config.image_data_format() != "channels_last":
        raise InputError(
            "Networks are built with channels last, and Keras is set to "
            f"{keras.config.image_data_format()!r}. Call keras.config.set_image_data_format('channels_last') first."
        )
    input_shape = _checked_shape("input_shape", input_shape, 3)
    classes = _checked_integer("classes", classes, 2)
    size = input_shape[:2] if resize_to is None else _checked_shape("resize_to", resize_to, 2)
    smallest = spec.skeleton.smallest_size()
    if min(size) < smallest:
        way_out = ", or use padding 'same'" if getattr(spec.skeleton, "padding", None) == "valid" else ""
        raise InputError(
            f"An input of {size[0]}x{size[1]} is too small for {spec.title}: its feature maps would vanish. "
            f"The smallest that works is {smallest}x{smallest}; give a larger input{way_out}."
        )
    inputs = keras.Input(input_shape, name="input")
    resized = inputs if resize_to is None else keras.layers.Resizing(*size, name="resize")(inputs)
    try:
        features = spec.skeleton.features(resized, spec.convolution)
    except ValueError as error:
        raise InputError(f"{spec.title} cannot be built: {error}") from error
    outputs = spec.skeleton.classifier(features, classes)
    default_name = name_or_spec if isinstance(name_or_spec, str) else spec.skeleton.kind
    return keras.Model(inputs, outputs, name=name or default_name)


def find(name_or_spec):
    """Return the spec of a catalogue name, or the spec itself; raise an InputError on anything else."""
    if isinstance(name_or_spec, NetworkSpec):
        return name_or_spec
    if isinstance(name_or_spec, str) and name_or_spec in CATALOGUE:
        return CATALOGUE[name_or_spec]
    close = difflib.get_close_matches(str(name_or_spec), CATALOGUE, n=3)
    hint = f"Did you mean {' or '.join(close)}?" if close else f"Known names: {', '.join(CATALOGUE)}."
    raise InputError(f"Unknown network {name_or_spec!r}. {hint}")


def _checked_shape(argument, shape, rank):
    if not isinstance(shape, tuple | list) or len(shape) != rank:
        raise InputError(f"`{argument}` must be a tuple of {rank} integers. Received: {argument}={shape!r}")
    return tuple(_checked_integer(argument, extent, 1) for extent in shape)


def _checked_integer(argument, value, least):
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise InputError(f"`{argument}` takes integers of at least {least}. Received: {value!r}")
    return int(value)
