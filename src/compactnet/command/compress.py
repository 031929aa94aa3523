"""`compactnet compress`: compact convolutions in the place of others."""

import argparse
import re
from pathlib import Path

from compactnet.command.arguments import add_model, positive
from compactnet.command.files import check_suffix, read_model, read_samples, write_model
from compactnet.commands import import_keras
from compactnet.errors import InputError

SUMMARY = "Replace the convolutions of a saved model by compact convolutions."
EXAMPLES = (
    "compactnet compress model.keras --out compact.keras",
    "compactnet compress model.keras --out compact.keras --compact-factor 4 --operation max --filters '^block[34]'",
    "compactnet compress model.keras --out compact.keras --factors conv4=8 conv5=8 --warm-start calibration.npz",
)
OPERATIONS = ("sum", "max", "average")
GROUPINGS = ("strided", "adjacent")


def add_arguments(parser):
    """Add the arguments to a parser."""
    add_model(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="NEW.keras", help="file to write")
    parser.add_argument(
        "--compact-factor", type=positive, default=2, metavar="C", help="channels squeezed into one (default: 2)"
    )
    parser.add_argument("--operation", choices=OPERATIONS, default="sum", help="that squeezes them (default: sum)")
    parser.add_argument(
        "--filters",
        nargs="+",
        type=_pattern,
        metavar="REGEX",
        help="only layers whose name has a match of one of these",
    )
    parser.add_argument(
        "--factors", nargs="+", type=_factor, metavar="NAME=C", help="compact factors of single layers", default=()
    )
    parser.add_argument(
        "--min-channels",
        type=positive,
        default=32,
        metavar="N",
        help="layers with fewer input channels stay (default: 32)",
    )
    parser.add_argument(
        "--include-first", action="store_true", help="replace the layers before the first stride or pooling too"
    )
    parser.add_argument(
        "--grouping", choices=GROUPINGS, default="strided", help="which channels are squeezed (default: strided)"
    )
    parser.add_argument(
        "--warm-start",
        type=Path,
        metavar="CALIBRATION.npz",
        help="take over what was trained; the file has the array x, a few hundred training samples as the network "
        "takes them, and optionally y, their class numbers",
    )


def run(options):
    """Write the compressed model and print the report."""
    check_suffix(options.out)
    if options.out.exists() and options.model.exists() and options.out.samefile(options.model):
        raise InputError(f"--out names the model itself, {options.model}. Give another file.")
    import_keras()
    from compactnet.compression import compress

    model = read_model(options.model)
    data = None
    if options.warm_start:
        x, y = read_samples(options.warm_start)
        data = x if y is None else (x, y)
    compressed, report = compress(
        model,
        options.compact_factor,
        options.operation,
        filters=options.filters,
        factors=dict(options.factors),
        skip_first=not options.include_first,
        min_channels=options.min_channels,
        grouping=options.grouping,
        warm_start=data is not None,
        calibration_data=data,
    )
    write_model(compressed, options.out)
    print(report)
    print(f"Written to {options.out}.")


def _pattern(text):
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"takes regular expressions, received {text!r}: {error}") from error
    return text


def _factor(text):
    name, _, number = text.rpartition("=")
    if not name:
        raise argparse.ArgumentTypeError(f"takes a layer and its factor, such as conv4=8, received {text!r}")
    return name, positive(number)
