"""Checks of arguments, and how shapes and tables are written. Every refusal is an `InputError` with one line."""

import difflib
import numbers

from compactnet.errors import InputError


def check_integer(argument, value, minimum=1):
    """Return `value` as an int.

    Args:
        argument: Name of the argument, for the message.
        value: What was given.
        minimum: Smallest value that is allowed.

    Raises:
        InputError: `value` is not an integer of at least `minimum`; truth values are refused too.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < minimum:
        raise InputError(f"`{argument}` must be an integer of at least {minimum}. Received: {argument}={value!r}")
    return int(value)


def check_tolerance(value):
    """Return `value`, the largest difference that is tolerated.

    Raises:
        InputError: it is not a number of at least 0.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not value >= 0:
        raise InputError(f"`tolerance` must be a number of at least 0. Received: tolerance={value!r}")
    return value


def check_choice(argument, value, allowed):
    """Return `value` if it is one of the texts `allowed`.

    Raises:
        InputError: it is not.
    """
    if not isinstance(value, str) or value not in allowed:
        names = ", ".join(repr(name) for name in allowed)
        raise InputError(f"`{argument}` must be one of {names}. Received: {argument}={value!r}")
    return value


def suggest(name, known, count=1):
    """Return a sentence that helps with an unknown name: the closest known ones, or all of them."""
    close = difflib.get_close_matches(str(name), list(known), n=count)
    if close:
        return f"Did you mean {' or '.join(repr(match) for match in close)}?"
    return f"Known: {', '.join(known)}."


def format_shape(shape):
    """Return a shape as text: (128, 512, 1) is "128x512x1"."""
    return "x".join(str(extent) for extent in shape)


def format_count(number, noun):
    """Return a number with its noun: 1 is "1 run", others are "2 runs"."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def aligned(rows, left=(0,)):
    """Return rows of texts as lines with aligned columns.

    Args:
        rows: Sequence of sequences of texts, equally long.
        left: Numbers of the columns that are aligned to the left; the others hold numbers.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if column in left else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
