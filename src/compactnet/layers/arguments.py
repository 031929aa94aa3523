"""Checks of layer arguments: each raises a ValueError that names the argument, what came and what is allowed."""

import numbers

import keras

OPERATIONS = ("sum", "max", "average")
GROUPINGS = ("adjacent", "strided")


def checked_choice(argument, value, allowed):
    """Return `value` if it is one of `allowed`, else raise a ValueError that names `argument`."""
    if not isinstance(value, str) or value not in allowed:
        names = ", ".join(repr(name) for name in allowed)
        raise ValueError(f"`{argument}` must be one of {names}. Received: {argument}={value!r}")
    return value


def checked_positive_integer(argument, value):
    """Return `value` as an int if it is an integer of at least 1, else raise a ValueError that names `argument`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"`{argument}` must be an integer of at least 1. Received: {argument}={value!r}")
    return int(value)


def checked_data_format(value):
    """Return "channels_last", or raise a ValueError: the layers here put channels on the last axis only."""
    data_format = keras.config.image_data_format() if value is None else value
    if data_format != "channels_last":
        source = "" if value is not None else " (from keras.config.image_data_format())"
        raise ValueError(
            "`data_format` must be 'channels_last': move the channels to the last axis, for example with "
            f"keras.layers.Permute. Received: data_format={data_format!r}{source}"
        )
    return data_format


def checked_group_count(channels, divisor, argument="compact_factor"):
    """Return the channel count over `divisor`, or raise a ValueError that names `argument` if it does not divide."""
    if channels is None:
        raise ValueError(
            "The channel count (the last axis of the input) must be known when the layer is built. "
            "Received: None; give the input a fixed last dimension."
        )
    if channels % divisor:
        raise ValueError(
            f"`{argument}` must divide the channel count. Received: {argument}={divisor} "
            f"for an input with {channels} channels; its divisors are "
            f"{', '.join(str(n) for n in range(1, channels + 1) if channels % n == 0)}."
        )
    return channels // divisor
