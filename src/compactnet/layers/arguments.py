"""Checks of arguments that only layers have. Each raises a ValueError of one line."""

import keras

OPERATIONS = ("sum", "max", "average")
GROUPINGS = ("adjacent", "strided")


def check_data_format(value):
    """Return the data format `value`; None means the global setting of Keras.

    Raises:
        ValueError: The data format is not "channels_last".
    """
    data_format = keras.config.image_data_format() if value is None else value
    if data_format != "channels_last":
        source = "" if value is not None else " (from keras.config.image_data_format())"
        raise ValueError(
            "`data_format` must be 'channels_last': move the channels to the last axis, for example with "
            f"keras.layers.Permute. Received: data_format={data_format!r}{source}"
        )
    return data_format


def check_divides(argument, value, channels):
    """Return `channels // value`.

    Args:
        argument: Name of the argument, for the message.
        value: Integer of at least 1.
        channels: Number of input channels, or None if it is unknown.

    Raises:
        ValueError: `value` does not divide the number of channels, or that number is unknown.
    """
    if channels is None:
        raise ValueError(
            "The channel count (the last axis of the input) must be known when the layer is built. "
            "Received: None; give the input a fixed last dimension."
        )
    if channels % value:
        divisors = ", ".join(str(number) for number in range(1, channels + 1) if channels % number == 0)
        raise ValueError(
            f"`{argument}` must divide the channel count. Received: {argument}={value} for an input with "
            f"{channels} channels; its divisors are {divisors}."
        )
    return channels // value
