"""Replaces the convolutions of a Keras model by compact convolutions."""

import re
from collections.abc import Callable, Mapping

from compactnet.checks import check_choice, check_integer, suggest
from compactnet.compression.accuracy import accuracy, check_calibration_data
from compactnet.compression.building import compacted
from compactnet.compression.choosing import Rules, check_data_formats, choose, convolutions
from compactnet.compression.opening import opened
from compactnet.compression.report import CompressionReport, ReplacedLayer, SkippedLayer, Times
from compactnet.compression.timing import timed
from compactnet.compression.warm_start import fit, reorder
from compactnet.errors import InputError
from compactnet.layers.arguments import GROUPINGS
from compactnet.networks.complexity import complexity


def compress(
    model,
    compact_factor=2,
    operation="sum",
    *,
    filters=None,
    factors=None,
    skip_first=True,
    min_channels=32,
    grouping="strided",
    warm_start=False,
    calibration_data=None,
):
    """Replace the convolutions of a model by compact convolutions.

    Three kinds of layers are replaced, each under its name:

    - `keras.layers.Conv2D` larger than 1x1 and without groups, by a `compactnet.layers.CompactConv2D` of the same
      filters, kernel size, strides, padding, dilation, bias and activation;
    - `keras.layers.SeparableConv2D` with depth multiplier 1, likewise;
    - a 1x1 `keras.layers.Conv2D` that follows a `keras.layers.DepthwiseConv2D`, with only normalization, activation or
      dropout between, by a `compactnet.layers.InterchannelPooling` and a 1x1 convolution of 1/C of the inputs.

    The activation inside a `CompactConv2D` is ReLU6 where the activation after the convolution is, ReLU otherwise. Its
    inner normalization has the momentum and the epsilon of the batch normalization after the convolution, if there is
    one. A layer is replaced only where that needs fewer multiply-accumulates. All other layers, and their weights, are
    copied; models inside the model are opened, so their layers stand in the compressed model itself.

    Args:
        model: A functional `keras.Model` or a built `keras.Sequential`, channels last. It is not changed.
        compact_factor: Integer C of at least 1, the number of channels squeezed into one. 1 leaves a layer as it is.
        operation: "sum", "max" or "average", see `compactnet.layers.InterchannelPooling`.
        filters: Which layers may be replaced, as in `keras.Model.quantize`: a regular expression that is searched in
            the layer's name, a list of them, or a function of a layer that returns a truth value; None for all. The
            function gets copies of the layers, with their names and configs.
        factors: `{layer name: C}`, for layers with a factor other than `compact_factor`.
        skip_first: Whether convolutions stay that no pooling and no stride comes before. They see few channels or fine
            detail; the paper leaves them standard too.
        min_channels: Layers with fewer input channels stay.
        grouping: "strided" (faster) or "adjacent", see `compactnet.layers.InterchannelPooling`.
        warm_start: Whether the new layers get weights that approximate the trained ones, by singular values and least
            squares on the calibration data. Nothing is trained. Otherwise they are newly initialized.
        calibration_data: An array of inputs, or a pair of them and integer labels. `warm_start` needs it; a few hundred
            to a few thousand samples of the training data. With labels, the report has accuracies.

    Returns:
        The compressed model, a functional `keras.Model` that is not compiled, and a `CompressionReport`.

    Raises:
        InputError: an argument is wrong, the model is neither functional nor a built Sequential, it has channels first,
            or a layer cannot be copied.

    Source: Liang, Zhang, Feng, "Channel Compression", IEEE Access 2020, Secs. III-B and III-C. The warm start is ours.
    """
    original = opened(model)
    check_data_formats(original)
    rules = Rules(
        compact_factor=check_integer("compact_factor", compact_factor),
        operation=check_choice("operation", operation, ("sum", "max", "average")),
        grouping=check_choice("grouping", grouping, GROUPINGS),
        filters=_check_filters(filters),
        factors=_check_factors(factors, convolutions(original)),
        skip_first=bool(skip_first),
        min_channels=check_integer("min_channels", min_channels),
        warm_start=bool(warm_start),
    )
    if warm_start and calibration_data is None:
        raise InputError(
            "`warm_start=True` needs `calibration_data`: an array of a few hundred training inputs, or a pair of it "
            "and integer labels. Received: calibration_data=None"
        )
    x, y = (None, None) if calibration_data is None else check_calibration_data(original, calibration_data)
    choices, skipped = choose(original, rules)
    if warm_start:
        reorder(original, choices, rules)
    compressed = compacted(original, choices, rules)
    if warm_start and choices:
        fit(original, compressed, choices, rules, x)
    return compressed, CompressionReport(
        replaced=tuple(_row(original, compressed, choice) for choice in choices),
        skipped=tuple(SkippedLayer(name, reason) for name, reason in skipped),
        params_before=original.count_params(),
        params_after=compressed.count_params(),
        flops_before=_flops(original),
        flops_after=_flops(compressed),
        times=timed(original, compressed) if choices else Times(None, None, "", "", "no convolution was replaced"),
        warm_start=bool(warm_start),
        accuracy_before=None if y is None else accuracy(original, x, y),
        accuracy_after=None if y is None else accuracy(compressed, x, y),
    )


def _row(original, compressed, choice):
    counts = [
        None if choice.positions is None else choice.positions * n for n in (choice.macs_before, choice.macs_after)
    ]
    return ReplacedLayer(
        name=choice.name,
        kind=choice.kind,
        compact_factor=choice.compact_factor,
        macs_before=counts[0],
        macs_after=counts[1],
        params_before=original.get_layer(choice.name).count_params(),
        params_after=compressed.get_layer(choice.name).count_params(),
    )


def _flops(model):
    """Return the FLOPs of one sample, or None where they are unknown: sizes are open, or a layer has no rule."""
    if any(None in tensor.shape[1:] for tensor in model.inputs):
        return None
    try:
        counted = complexity(model)
    except InputError:
        return None
    return None if counted.unknown else counted.flops


def _check_filters(filters):
    listed = isinstance(filters, list | tuple) and all(isinstance(pattern, str) for pattern in filters)
    if filters is None or listed or isinstance(filters, str | Callable):
        for pattern in [filters] if isinstance(filters, str) else filters if listed else []:
            try:
                re.compile(pattern)
            except re.error as error:
                raise InputError(f"`filters` has {pattern!r}, which is no regular expression: {error}.") from error
        return filters
    raise InputError(
        "`filters` must be a regular expression, a list of them, or a function of a layer. "
        f"Received: filters={filters!r}"
    )


def _check_factors(factors, names):
    if factors is None:
        return {}
    if not isinstance(factors, Mapping):
        raise InputError(f"`factors` must be a dictionary from layer names to integers. Received: factors={factors!r}")
    for name in factors:
        if name not in names:
            raise InputError(f"`factors` names {name!r}, which is no convolution of the model. {suggest(name, names)}")
    return {name: check_integer(f"factors[{name!r}]", factor) for name, factor in factors.items()}
