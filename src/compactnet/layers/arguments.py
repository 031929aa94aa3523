"""Checks of arguments that only layers have. Each raises an `InputError` of one line."""

import keras

from compactnet.checks import check_integer
from compactnet.errors import InputError

OPERATIONS = ("sum", "max", "average", "first")
GROUPINGS = ("adjacent", "strided")


def check_data_format(value):
    """Return the data format `value`; None means the global setting of Keras.

    Raises:
        InputError: The data format is not "channels_last".
    """
    data_format = keras.config.image_data_format() if value is None else value
    if data_format != "channels_last":
        source = "" if value is not None else " (from keras.config.image_data_format())"
        raise InputError(
            "`data_format` must be 'channels_last': move the channels to the last axis, for example with "
            f"keras.layers.Permute. Received: data_format={data_format!r}{source}"
        )
    return data_format


def check_pair(argument, value):
    """Return an integer, or a pair of integers, of at least 1 as a pair.

    Raises:
        InputError: It is something else.
    """
    values = tuple(value) if isinstance(value, list | tuple) else (value, value)
    if len(values) != 2:
        raise InputError(f"`{argument}` must be an integer or a pair of integers. Received: {argument}={value!r}")
    return tuple(check_integer(argument, extent) for extent in values)


def check_known(channels):
    """Check that a number of input channels is known.

    Raises:
        InputError: It is None.
    """
    if channels is None:
        raise InputError(
            "The channel count (the last axis of the input) must be known when the layer is built. "
            "Received: None; give the input a fixed last dimension."
        )


def check_divides(argument, value, channels):
    """Return `channels // value`.

    Args:
        argument: Name of the argument, for the message.
        value: Integer of at least 1.
        channels: Number of input channels, or None if it is unknown.

    Raises:
        InputError: `value` does not divide the number of channels, or that number is unknown.
    """
    check_known(channels)
    if channels % value:
        divisors = ", ".join(str(number) for number in range(1, channels + 1) if channels % number == 0)
        raise InputError(
            f"`{argument}` must divide the channel count. Received: {argument}={value} for an input with "
            f"{channels} channels; its divisors are {divisors}."
        )
    return channels // value


def convolved_extents(extents, kernel_size, strides, padding):
    """Return the height and width after a convolution; an unknown one stays unknown.

    Args:
        extents: Height and width, None where unknown.
        kernel_size: Pair of integers.
        strides: Pair of integers.
        padding: "valid" or "same".
    """
    lost = (0, 0) if padding == "same" else tuple(size - 1 for size in kernel_size)
    pairs = zip(extents, lost, strides, strict=True)
    return tuple(None if extent is None else -((out - extent) // stride) for extent, out, stride in pairs)
