"""`compactnet complexity`: counts of a network."""

import math

from compactnet.checks import aligned, format_shape
from compactnet.command.arguments import positive, shape
from compactnet.command.files import RECORD, SUFFIX, read_model
from compactnet.commands import import_keras
from compactnet.errors import InputError

SUMMARY = "Count the parameters, FLOPs and memory of a network for one sample."
EXAMPLES = (
    "compactnet complexity compact_vgg_sum_c2",
    "compactnet complexity compact_mobilenet_sum_c4 --input 32x32x3 --layers",
    "compactnet complexity model.keras",
)
INPUT = (128, 512, 1)
CLASSES = 10


def add_arguments(parser):
    """Add the arguments to a parser."""
    parser.add_argument(
        "network", metavar="NAME|MODEL", help="name of the catalogue, see compactnet networks, or a saved model"
    )
    parser.add_argument(
        "--input",
        type=shape,
        metavar="HxWxC",
        help=f"shape of a sample (default: {format_shape(INPUT)}, or that of the saved model)",
    )
    parser.add_argument(
        "--classes", type=positive, metavar="N", help=f"classes of a network of the catalogue (default: {CLASSES})"
    )
    parser.add_argument("--layers", action="store_true", help="add a row for each layer")


def run(options):
    """Print the counts."""
    import_keras()
    from compactnet.networks import build
    from compactnet.networks.complexity import complexity

    if options.network.endswith((SUFFIX, RECORD)):
        if options.classes is not None:
            raise InputError("--classes is for networks of the catalogue; a saved model has its classes.")
        model = _with_input(read_model(options.network), options.input)
    else:
        model = build(options.network, options.input or INPUT, options.classes or CLASSES)
    counted = complexity(model)
    print(f"{model.name}, input {', '.join(format_shape(one.shape[1:]) for one in model.inputs)}")
    peak = counted.peak_activation_bytes
    rows = [
        ("parameters", f"{counted.params:,}"),
        ("MFLOPs", f"{counted.mflops:,.2f}"),
        ("peak activation MB", "not known" if math.isnan(peak) else f"{peak / 1e6:,.2f}"),
        ("weight MB", f"{counted.weight_bytes / 1e6:,.2f}"),
    ]
    print("\n".join(aligned(rows)))
    print(f"FLOPs: {counted.convention}")
    if counted.unknown:
        print(f"not in the FLOPs, for want of a rule: {', '.join(counted.unknown)}")
    if options.layers:
        rows = [("layer", "kind", "output", "parameters", "MFLOPs")]
        rows += [
            (row.name, row.kind, format_shape(row.output_shape), f"{row.params:,}", f"{row.flops / 1e6:,.2f}")
            for row in counted.layers
        ]
        print("\n" + "\n".join(aligned(rows, left=(0, 1))))


def _with_input(model, input_shape):
    """Return a model with another shape of samples, or itself where that is None."""
    if input_shape is None:
        return model
    import keras

    inputs = keras.Input(input_shape)
    try:
        return keras.Model(inputs, model(inputs), name=model.name)
    except ValueError as error:
        own = ", ".join(str(one.shape[1:]) for one in model.inputs)
        raise InputError(
            f"{model.name!r} does not take samples of shape {format_shape(input_shape)}; its own is {own}."
        ) from error
