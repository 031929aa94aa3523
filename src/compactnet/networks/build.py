"""From a spec to a Keras model."""

import bisect

import keras

from compactnet.checks import check_integer, suggest
from compactnet.errors import InputError
from compactnet.networks.catalogue import CATALOGUE
from compactnet.networks.pretrained import PRETRAINED, REMEDY, pretrained
from compactnet.networks.spec import NetworkSpec
from compactnet.networks.weights import load_weights

SCENE = (128, 512, 1)
"""Mel bands, frames and channels of a 10 s scene."""

CLASSES = 10

LARGEST_TRIED = 1024
"""Pixels up to which the smallest input that works is looked for, once an input has turned out too small."""


def build(name_or_spec, input_shape=SCENE, classes=CLASSES, resize_to=None, name=None, weights=None):
    """Build a network.

    Args:
        name_or_spec: A name in `CATALOGUE`, or a `NetworkSpec`.
        input_shape: (height, width, channels) of one sample: (128, 512, 1) for the log-mel of a 10 s scene.
        classes: Integer of at least 2, the number of classes.
        resize_to: Pair (height, width) in pixels to which the network first resizes its input (bilinear), or None.
        name: Name of the model; the catalogue name, or the skeleton's, if left out.
        weights: None for a network that is not trained, or "cifar10" for weights that come with the package, of the
            networks in `compactnet.networks.PRETRAINED`. They have an input shape, classes and preprocessing of their
            own, see `compactnet.networks.pretrained`; leave out `input_shape`, `classes` and `resize_to`.

    Returns:
        A functional `keras.Model` from `(batch, *input_shape)` to `(batch, classes)` softmax probabilities.

    Raises:
        InputError: an unknown name, weights that do not exist or do not fit, Keras set to channels first, a shape or
            class count out of range, an input too small for the skeleton, or a compact factor that does not divide the
            channels of one of its layers.
    """
    # Weights have a shape of their own, which an equal one that is given does not fit.
    left_out = input_shape is SCENE
    input_shape = _check_shape("input_shape", input_shape, 3)
    classes = check_integer("classes", classes, 2)
    if resize_to is not None:
        resize_to = _check_shape("resize_to", resize_to, 2)
    if weights is not None:
        return _pretrained(name_or_spec, None if left_out else input_shape, classes, resize_to, name, weights)
    spec = get_spec(name_or_spec)
    if keras.config.image_data_format() != "channels_last":
        raise InputError(
            "Networks are built with channels last, and Keras is set to "
            f"{keras.config.image_data_format()!r}. Call keras.config.set_image_data_format('channels_last') first."
        )
    size = resize_to or input_shape[:2]
    inputs = keras.Input(input_shape, name="input")
    resized = inputs if resize_to is None else keras.layers.Resizing(*size, name="resize")(inputs)
    features, problem = _features(spec, resized)
    if problem:
        smallest = _smallest_size(spec, input_shape[-1], min(size))
        if smallest is None:
            raise InputError(f"{spec.title} cannot be built: {problem}")
        way_out = ", or use padding 'same'" if getattr(spec.skeleton, "padding", None) == "valid" else ""
        raise InputError(
            f"An input of {size[0]}x{size[1]} is too small for {spec.title}: its feature maps would vanish. "
            f"The smallest that works is {smallest}x{smallest}; give a larger input{way_out}."
        )
    outputs = spec.skeleton.classifier(features, classes)
    default_name = name_or_spec if isinstance(name_or_spec, str) else spec.skeleton.kind
    return keras.Model(inputs, outputs, name=name or default_name)


def _pretrained(network, input_shape, classes, resize_to, name, weights):
    """Return a network of the catalogue with weights of the package."""
    found = pretrained(network, weights)
    given = {"input_shape": input_shape, "classes": None if classes == CLASSES else classes, "resize_to": resize_to}
    fixed = {"input_shape": found.input_shape, "classes": len(found.class_names), "resize_to": None}
    for argument, value in given.items():
        if value not in (None, fixed[argument]):
            raise InputError(
                f"The weights {weights!r} of {network} are for {argument}={fixed[argument]!r}. Leave it out, or build "
                f"without weights. Received: {argument}={value!r}"
            )
    model = build(found.network, found.input_shape, len(found.class_names), name=name or network)
    load_weights(PRETRAINED[network, weights].with_suffix(".npz"), model, found.weights_sha256, REMEDY)
    return model


def get_spec(name_or_spec):
    """Return the spec of a catalogue name, or the spec itself; raise an InputError on anything else."""
    if isinstance(name_or_spec, NetworkSpec):
        return name_or_spec
    if isinstance(name_or_spec, str) and name_or_spec in CATALOGUE:
        return CATALOGUE[name_or_spec]
    raise InputError(f"Unknown network {name_or_spec!r}. {suggest(name_or_spec, CATALOGUE, count=3)}")


def _features(spec, inputs):
    """Return the last feature map and None, or None and what is wrong: a vanished map, or what a layer refused."""
    try:
        features = spec.skeleton.features(inputs, spec.convolution)
    except ValueError as error:
        return None, (str(error).strip().splitlines() or [type(error).__name__])[0]
    if min(features.shape[1:3]) < 1:
        return None, f"its last feature map has the shape {features.shape[1:]}"
    return features, None


def _smallest_size(spec, channels, size):
    """Return the smallest square input above `size` that gives a feature map, or None where none does."""
    inputs = keras.Input((None, None, channels))
    try:
        model = keras.Model(inputs, spec.skeleton.features(inputs, spec.convolution))
    except (TypeError, ValueError):
        return None

    def works(extent):
        try:
            return min(model.compute_output_shape((None, extent, extent, channels))[1:3]) >= 1
        except ValueError:
            return False

    sizes = range(size + 1, LARGEST_TRIED + 1)
    if not sizes or not works(sizes[-1]):
        return None
    return sizes[bisect.bisect_left(sizes, True, key=works)]


def _check_shape(argument, shape, rank):
    if not isinstance(shape, tuple | list) or len(shape) != rank:
        raise InputError(f"`{argument}` must be a tuple of {rank} integers. Received: {argument}={shape!r}")
    return tuple(check_integer(f"{argument}[{axis}]", extent) for axis, extent in enumerate(shape))
