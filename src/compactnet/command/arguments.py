"""Arguments that several subcommands share, and their types."""

import argparse
from pathlib import Path


def positive(text):
    """Return an integer of at least 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"takes an integer of at least 1, received {text!r}")
    return number


def shape(text):
    """Return (128, 512, 1) for "128x512x1"."""
    try:
        extents = tuple(int(extent) for extent in text.lower().split("x"))
    except ValueError:
        extents = ()
    if not extents or min(extents) < 1:
        raise argparse.ArgumentTypeError(f"takes a shape such as 128x512x1, received {text!r}")
    return extents


def add_model(parser, **settings):
    """Add the argument MODEL, see `compactnet.command.files.read_model`."""
    text = "model that Keras saved (.keras), or record of a run trained with --keep-weights (.json)"
    parser.add_argument("model", type=Path, metavar="MODEL", help=text, **settings)


def add_threads(parser):
    """Add `--threads`."""
    parser.add_argument(
        "--threads",
        type=positive,
        default=1,
        metavar="N",
        help="processor threads (default: 1); a SavedModel takes those that TensorFlow has",
    )
