"""A compressed model that keeps what was trained, without training.

Channels whose rows of 1x1 weights agree come into one group, by another order of the filters before them. Then both
models run over the calibration data side by side, layer by layer. Each compact convolution gets

- a depthwise kernel: for a standard convolution the best rank-1 factors of the kernels of a group, which least squares
  on the data then improve; for a separable one the trained kernel;
- an inner normalization with the statistics of the calibration data, whose offset keeps the activation after it
  nearly linear, because there was no activation in the original at that place;
- a 1x1 kernel and bias by least squares, from what it receives in the compressed model to what the original layer
  gives in the original. So each layer also makes up for the errors of those before it.

The moving statistics of later batch normalizations change by as much as their inputs do.
"""

import math
from collections import Counter

import keras
import numpy as np

from compactnet.compression.accuracy import BATCH
from compactnet.compression.building import pooling_name
from compactnet.compression.choosing import POINTWISE, SEPARABLE, STANDARD
from compactnet.networks.channels import channel_path, permute_channels
from compactnet.networks.graph import nodes
from compactnet.networks.keras_internals import computation_nodes, takes_training

ROWS = 20_000
"""Positions of the calibration data from which a layer is fitted, at most."""

OFFSET = 3.0
"""Standard deviations between the mean of a channel and the zero of the inner activation.

The original has no activation at that place, so what the inner one cuts off is lost: one value in seven hundred here.
ReLU6 has as much room above the mean."""

SMALLEST_SCALE = 1e-3
"""Of a channel in the inner normalization, against the largest of its group, so that training can change it."""

RIDGE = 1e-5
"""Added to the diagonal of the normal equations, against its mean."""


TURNS = 10
"""Turns between the depthwise kernels and the 1x1 weights."""

LARGEST_ALTERNATED = 4608
"""Weights of a depthwise kernel up to which they are improved in turns: the time grows with their third power."""


def reorder(model, choices, rules):
    """Reorder channels in an opened model, in place, so that channels that agree are pooled together.

    The model computes the same as before. Where the channels come from something else than a convolution, or have
    other users, their order stays.

    Args:
        model: A functional `keras.Model`.
        choices: List of `Choice`, the convolutions that will be compact.
        rules: The `Rules`.
    """
    steps = list(nodes(model))
    inputs = {id(operation): used[0] for operation, used, _ in steps if used}
    for choice in choices:
        layer = model.get_layer(choice.name)
        path = channel_path(steps, inputs[id(layer)], model.outputs)
        if path is None:
            continue
        rows = pointwise_rows(layer, choice)
        order = grouped_order(rows, choice.compact_factor, rules.grouping, either_sign=choice.kind != POINTWISE)
        permute_channels(path, order)
        kernels = 2 if choice.kind == SEPARABLE else 1
        weights = layer.get_weights()
        layer.set_weights([*(kernel[:, :, order] for kernel in weights[:kernels]), *weights[kernels:]])


def pointwise_rows(layer, choice):
    """Return for each input channel what it gives to the filters, of shape (channels, filters).

    For a standard convolution it is the second of the best rank-1 factors of the channel's kernels.
    """
    weights = layer.get_weights()
    if choice.kind == STANDARD:
        _, scales, rows = np.linalg.svd(_by_channel(weights[0]), full_matrices=False)
        return scales[:, :1] * rows[:, 0]
    if choice.kind == SEPARABLE:
        # A channel with a small depthwise kernel gives little.
        return weights[1][0, 0] * np.linalg.norm(weights[0], axis=(0, 1))
    return weights[0][0, 0]


def grouped_order(rows, factor, grouping, either_sign):
    """Return an order of channels in which those of one group have similar rows.

    The largest row that is left takes the rows with the largest cosines into its group, until all have a group.

    Args:
        rows: Array (channels, filters).
        factor: C.
        grouping: "strided" or "adjacent".
        either_sign: Whether opposite rows agree too.
    """
    norms = np.linalg.norm(rows, axis=1)
    cosines = (rows @ rows.T) / np.maximum(np.outer(norms, norms), 1e-12)
    cosines = np.abs(cosines) if either_sign else cosines
    left = np.ones(len(rows), bool)
    groups = []
    for leader in np.argsort(-norms, kind="stable"):
        if left[leader]:
            left[leader] = False
            others = np.flatnonzero(left)
            partners = others[np.argsort(-cosines[leader, others], kind="stable")[: factor - 1]]
            left[partners] = False
            groups.append([leader, *partners])
    groups = np.array(sorted(groups))
    return (groups.T if grouping == "strided" else groups).ravel()


def fit(model, compressed, choices, rules, x):
    """Give a compressed model weights that approximate the original.

    Args:
        model: The opened original, in the order of `reorder`.
        compressed: What `compacted` returned for it; its weights change in place.
        choices: List of `Choice`.
        rules: The `Rules`.
        x: Array of inputs.
    """
    chosen = {choice.name: choice for choice in choices}
    generator = np.random.default_rng(0)
    steps = list(computation_nodes(model))
    calls = Counter(id(node.operation) for node in steps)
    last_use = {id(tensor): index for index, node in enumerate(steps) for tensor in node.input_tensors}
    dtype = model.inputs[0].dtype
    batches = [_numpy(keras.ops.cast(x[start : start + BATCH], dtype)) for start in range(0, len(x), BATCH)]
    # {id of a tensor of the original: its values in the original, and in the compressed model}, in batches. They are
    # the same lists until the first compact convolution.
    values = {id(model.inputs[0]): (batches, batches)}
    for index, node in enumerate(steps):
        operation, used, made = node.operation, node.input_tensors, node.output_tensors
        before = [values[id(tensor)] for tensor in used]
        call = _function(node)
        outputs = _apply(call, [original for original, _ in before])
        new = outputs
        if operation.name in chosen:
            fitting = _fit_pointwise if chosen[operation.name].kind == POINTWISE else _fit_compact
            new = [fitting(compressed, chosen[operation.name], operation, *before[0], rules, generator)]
        elif any(original is not other for original, other in before):
            if isinstance(operation, keras.layers.BatchNormalization):
                layer = compressed.get_layer(operation.name)
                # One that is called several times normalizes all its inputs alike.
                if layer.axis in (-1, before[0][0][0].ndim - 1) and calls[id(operation)] == 1:
                    _adapt_statistics(layer, *before[0])
                new = [[_numpy(layer(batch, training=False)) for batch in before[0][1]]]
            else:
                # Its weights are those of the original.
                new = _apply(call, [other for _, other in before])
        for tensor, original, other in zip(made, outputs, new, strict=True):
            values[id(tensor)] = original, other
        for tensor in used:
            if last_use[id(tensor)] == index:
                values.pop(id(tensor), None)


def _fit_compact(compressed, choice, original, original_inputs, inputs, rules, generator):
    """Fit a `CompactConv2D`, and return its outputs in batches."""
    layer = compressed.get_layer(choice.name)
    targets, rows_of = _targets(original, original_inputs, generator)
    groups = _groups(inputs[0].shape[-1], choice.compact_factor, rules.grouping)
    patches = rows_of(inputs, layer.depthwise)
    kernel = _spatial_kernel(original, choice, groups, np.sqrt(np.square(patches).mean((0, 1), dtype=np.float64)))
    if choice.kind == STANDARD and rules.operation in ("sum", "average") and kernel.size <= LARGEST_ALTERNATED:
        kernel = _alternated(kernel, groups, patches, targets)
    # One group's sum needs channels of different sizes; the normalization gives each its size.
    size = np.sqrt(np.square(kernel).sum(0))
    kernel = kernel / np.maximum(size, 1e-12)
    features = np.einsum("rpc,pc->rc", patches, kernel.astype("float32"), optimize=True)
    weights = [kernel.reshape(*layer.kernel_size, -1, 1)]
    layer.depthwise.set_weights([*weights, *(np.zeros_like(bias) for bias in layer.depthwise.get_weights()[1:])])
    mean, variance = features.mean(0, dtype=np.float64), features.var(0, dtype=np.float64)
    scale = size * np.sqrt(variance + layer.epsilon)
    for group in groups.T:
        scale[group] = np.maximum(scale[group] / max(scale[group].max(), 1e-12), SMALLEST_SCALE)
    layer.normalization.set_weights([scale, OFFSET * scale, mean, variance])
    features = layer.depthwise_activation_layer(layer.normalization(features[:, None, None], training=False))
    pooled = _numpy(layer.interchannel(features))[:, 0, 0]
    layer.pointwise.set_weights(_solved(layer.pointwise, pooled, targets, choice, original))
    return [_numpy(layer(batch, training=False)) for batch in inputs]


def _fit_pointwise(compressed, choice, original, original_inputs, inputs, rules, generator):
    """Fit the 1x1 convolution after an interchannel operation, and return its outputs in batches."""
    pooling, layer = compressed.get_layer(pooling_name(choice)), compressed.get_layer(choice.name)
    targets, rows_of = _targets(original, original_inputs, generator)
    rows, columns = layer.strides
    pooled = [_numpy(pooling(batch)) for batch in inputs]
    layer.set_weights(
        _solved(layer, rows_of([batch[:, ::rows, ::columns] for batch in pooled]), targets, choice, original)
    )
    return [_numpy(layer(batch)) for batch in pooled]


def _targets(original, inputs, generator):
    """Return the outputs of a layer before its activation at some positions, and a function that takes these positions.

    The function takes them from batches of the same height and width. With a depthwise convolution as its second
    argument, it takes what the kernel of that convolution sees there: (rows, kernel positions, channels).
    """
    linear = type(original).from_config({**original.get_config(), "activation": None})
    linear.build((None, *inputs[0].shape[1:]))
    linear.set_weights(original.get_weights())
    outputs = [_numpy(linear(batch)) for batch in inputs]
    shape = outputs[0].shape[1:3]
    total = sum(len(batch) for batch in outputs) * math.prod(shape)
    chosen = np.sort(generator.choice(total, min(ROWS, total), replace=False))

    def rows_of(batches, depthwise=None):
        rows, start = [], 0
        for batch in batches:
            end = start + len(batch) * math.prod(shape)
            places = np.unravel_index(chosen[(chosen >= start) & (chosen < end)] - start, (len(batch), *shape))
            rows.append(batch[places] if depthwise is None else _patches(batch, depthwise, shape, places))
            start = end
        return np.concatenate(rows)

    return rows_of(outputs), rows_of


def _patches(batch, layer, shape, places):
    """Return what a kernel sees at some places of its output, of shape (places, kernel positions, channels)."""
    sample, row, column = places
    spread = [(size - 1) * rate + 1 for size, rate in zip(layer.kernel_size, layer.dilation_rate, strict=True)]
    lost = [
        max((out - 1) * stride + extent - size, 0) if layer.padding == "same" else 0
        for out, stride, extent, size in zip(shape, layer.strides, spread, batch.shape[1:3], strict=True)
    ]
    padded = np.pad(batch, [(0, 0), *((total // 2, total - total // 2) for total in lost), (0, 0)])
    offsets = np.ndindex(*layer.kernel_size)
    return np.stack(
        [
            padded[
                sample,
                row * layer.strides[0] + down * layer.dilation_rate[0],
                column * layer.strides[1] + right * layer.dilation_rate[1],
            ]
            for down, right in offsets
        ],
        1,
    )


def _spatial_kernel(layer, choice, groups, sizes):
    """Return depthwise kernels (positions, channels), each as large as its group's sum needs it.

    In each group, the kernels of the original are a (channels x positions, filters) matrix, and its best rank-1 factors
    give every channel a spatial kernel, and the group one row of 1x1 weights, which least squares finds later. A
    channel counts by the size of its values. A separable convolution has spatial kernels; only their sizes change.
    """
    weights = layer.get_weights()
    positions = math.prod(layer.kernel_size)
    sizes = sizes + 1e-6
    if choice.kind == SEPARABLE:
        spatial = np.asarray(weights[0], np.float64).reshape(positions, -1)
        # The kernels as (channels, 1, filters): what is shared is the row.
        matrices = np.asarray(weights[1], np.float64)[0, 0][:, None]
        sizes = sizes * np.maximum(np.linalg.norm(spatial, axis=0), 1e-12)
    else:
        spatial = 1.0
        matrices = _by_channel(weights[0])
    kernel = np.zeros((matrices.shape[1], len(matrices)))
    for group in groups.T:
        weighted = matrices[group] * sizes[group, None, None]
        left, scales, _ = np.linalg.svd(weighted.reshape(-1, matrices.shape[-1]), full_matrices=False)
        kernel[:, group] = (left[:, 0] * scales[0]).reshape(len(group), -1).T / sizes[group]
    return kernel * spatial


def _alternated(kernel, groups, patches, targets):
    """Improve depthwise kernels by least squares on the data, in turns with the rows of 1x1 weights of the groups.

    Without an activation between, the error is quadratic in either.

    Args:
        kernel: Array (positions, channels).
        groups: Array (factor, groups) of channels.
        patches: Array (rows, positions, channels).
        targets: Array (rows, filters).
    """
    order = groups.ravel()
    positions, channels = kernel.shape
    shape = (positions, *groups.shape)
    patches = patches[:, :, order].reshape(len(patches), -1)
    patches, targets = patches - patches.mean(0), targets - targets.mean(0)
    products = (patches.T @ patches).astype(np.float64)
    cross = (patches.T @ targets).astype(np.float64)
    flat = kernel[:, order].ravel()
    for _ in range(TURNS):
        half = (products * flat).reshape(-1, *shape).sum((1, 2))
        squared = (half * flat[:, None]).reshape(*shape, -1).sum((0, 1))
        rows = _ridge(squared, (cross * flat[:, None]).reshape(*shape, -1).sum((0, 1)))
        agreement = np.tile(rows @ rows.T, (positions * len(groups),) * 2)
        flat = _ridge(products * agreement, (cross.reshape(*shape, -1) * rows).sum(-1).ravel())
    kernel = np.empty_like(kernel)
    kernel[:, order] = flat.reshape(positions, channels)
    return kernel


def _ridge(products, right):
    """Return the solution of normal equations whose diagonal is raised by `RIDGE` of its mean."""
    raised = products + RIDGE * max(np.trace(products) / len(products), 1e-12) * np.eye(len(products))
    return np.linalg.solve(raised, right)


def _groups(channels, factor, grouping):
    """Return the channels of each group, of shape (factor, groups)."""
    numbers = np.arange(channels)
    return numbers.reshape(factor, -1) if grouping == "strided" else numbers.reshape(-1, factor).T


def _by_channel(kernel):
    """Return a kernel as (channels, positions, filters)."""
    height, width, channels, filters = kernel.shape
    return np.asarray(kernel, np.float64).reshape(height * width, channels, filters).swapaxes(0, 1)


def _solved(layer, features, targets, choice, original):
    """Return the kernel, and the bias if the layer has one, that give the targets with the least squared error."""
    features, targets = np.asarray(features, np.float64), np.asarray(targets, np.float64)
    # Without a bias, a normalization right after the layer takes the constant in.
    constant = layer.use_bias or (choice.normalization is not None and original.activation is keras.activations.linear)
    centre, offset = (features.mean(0), targets.mean(0)) if constant else (0.0, 0.0)
    centred = features - centre
    kernel = _ridge(centred.T @ centred, centred.T @ (targets - offset))
    return [kernel[None, None], offset - centre @ kernel] if layer.use_bias else [kernel[None, None]]


def _adapt_statistics(layer, original_inputs, inputs):
    """Change the moving statistics of a normalization by as much as the statistics of its inputs changed.

    Where both models give the same, nothing changes, however few the calibration data are.
    """
    (mean, variance), (new_mean, new_variance) = _statistics(original_inputs), _statistics(inputs)
    moving_mean, moving_variance = _numpy(layer.moving_mean), _numpy(layer.moving_variance)
    ratio = (new_variance + layer.epsilon) / (variance + layer.epsilon)
    layer.moving_mean.assign(moving_mean + (new_mean - mean))
    layer.moving_variance.assign(np.maximum((moving_variance + layer.epsilon) * ratio - layer.epsilon, 0))


def _statistics(batches):
    """Return the mean and the variance of each channel of batches."""
    axes = tuple(range(batches[0].ndim - 1))
    count = sum(batch.size // batch.shape[-1] for batch in batches)
    mean = sum(batch.sum(axes, dtype=np.float64) for batch in batches) / count
    return mean, sum(np.square(batch - mean).sum(axes) for batch in batches) / count


def _function(node):
    """Return one call of an operation in a graph as a function of a list of arrays, one for each input tensor."""
    operation = node.operation

    def call(arrays):
        of = {id(tensor): array for tensor, array in zip(node.input_tensors, arrays, strict=True)}
        args, kwargs = keras.tree.map_structure(
            lambda value: of[id(value)] if isinstance(value, keras.KerasTensor) else value,
            (node.arguments.args, node.arguments.kwargs),
        )
        if isinstance(operation, keras.layers.Layer) and takes_training(operation):
            kwargs = {**kwargs, "training": False}
        return operation(*args, **kwargs)

    return call


def _apply(function, inputs):
    """Return the outputs of a function of one or several lists of batches: a list of batches for each output."""
    results = [
        [_numpy(output) for output in keras.tree.flatten(function(batch))] for batch in zip(*inputs, strict=True)
    ]
    return [list(batches) for batches in zip(*results, strict=True)]


def _numpy(value):
    array = keras.ops.convert_to_numpy(value)
    # Sums of squares leave the range of float16.
    return array.astype("float32") if array.dtype.itemsize < 4 else array
