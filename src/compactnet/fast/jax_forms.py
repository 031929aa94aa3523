"""Forms for XLA on processors, whose own convolutions are slow there, in loops above all.

A depthwise convolution is a sum of shifted products, which XLA fuses into one loop; a 1x1 convolution is one matrix
product, and any other one is the product of a matrix of patches; a maximum is a chain of comparisons; the gradient of a
batch normalization takes one pass.
"""

import functools
import math

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax import lax

from compactnet.fast.layers import normalizes_last_axis
from compactnet.layers import GroupedConv2D, InterchannelPooling

MAX_PATCH_BYTES = 256e6
"""Largest matrix of patches; above it a convolution stays XLA's own."""

SUMMED_PARTS = 4
"""Parts of an array that are added before the rest is summed; 2 and 8 are slower for most networks."""


def fast_call(layer):
    """Return what replaces the `call` of a Keras layer, or None where it has no faster form."""
    kind = type(layer)
    if kind in (keras.layers.Conv2D, GroupedConv2D) and _is_plain(layer):
        if layer.groups == 1 or kind is GroupedConv2D:
            return functools.partial(_conv2d, layer)
    elif kind is keras.layers.DepthwiseConv2D and _is_plain(layer) and layer.depth_multiplier == 1:
        return functools.partial(_depthwise_conv2d, layer)
    elif kind is keras.layers.SeparableConv2D and _is_plain(layer) and layer.depth_multiplier == 1:
        return functools.partial(_separable_conv2d, layer)
    elif kind is keras.layers.BatchNormalization and normalizes_last_axis(layer):
        return functools.partial(_batch_normalization, layer)
    elif kind is keras.layers.MaxPooling2D:
        windows_touch = layer.pool_size == layer.strides and layer.padding == "valid"
        if windows_touch and layer.data_format == "channels_last":
            return functools.partial(_max_pooling2d, layer)
    elif kind is InterchannelPooling and layer.operation == "max" and layer.compact_factor > 1:
        return functools.partial(_interchannel_max, layer)
    return None


def convolve(inputs, kernel, strides, padding):
    """Return a convolution of `(batch, height, width, channels)`, see `keras.ops.conv`."""
    if kernel.shape[:2] == (1, 1):
        return _product(inputs[:, :: strides[0], :: strides[1]], kernel)
    padding = _pads(inputs, kernel, strides, padding)
    extents = _extents(inputs, kernel, strides, padding)
    if inputs.shape[0] * math.prod(extents) * math.prod(kernel.shape[:3]) * inputs.dtype.itemsize > MAX_PATCH_BYTES:
        return lax.conv_general_dilated(inputs, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    padded = _pad(inputs, padding)
    views = [
        _view(padded, row, column, extents, strides)
        for row in range(kernel.shape[0])
        for column in range(kernel.shape[1])
    ]
    return _product(jnp.concatenate(views, axis=-1), kernel)


def convolve_depthwise(inputs, kernel, strides, padding):
    """Return a depthwise convolution of `(batch, height, width, channels)` with a kernel of shape
    `(height, width, channels, 1)`, see `keras.ops.depthwise_conv`."""
    return _shifted_products(inputs, kernel[..., 0], strides, _pads(inputs, kernel, strides, padding))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _shifted_products(inputs, kernel, strides, padding):
    extents = _extents(inputs, kernel, strides, padding)
    padded = _pad(inputs, padding)
    products = [_view(padded, *tap, extents, strides) * kernel[tap] for tap in _taps(inputs, kernel, strides, padding)]
    return functools.reduce(jnp.add, products)


def _forward(inputs, kernel, strides, padding):
    return _shifted_products(inputs, kernel, strides, padding), (inputs, kernel)


def _backward(strides, padding, kept, gradient):
    inputs, kernel = kept
    extents, taps = gradient.shape[1:3], _taps(inputs, kernel, strides, padding)
    if strides == (1, 1):
        # The gradient convolved with the turned kernel: one fused loop, where XLA would add up a padded copy a tap.
        turned = tuple(
            (size - 1 - before, size - 1 - after)
            for size, (before, after) in zip(kernel.shape[:2], padding, strict=True)
        )
        padded = _pad(gradient, turned)
        last = (kernel.shape[0] - 1, kernel.shape[1] - 1)
        products = [
            _view(padded, last[0] - row, last[1] - column, inputs.shape[1:3], strides) * kernel[row, column]
            for row, column in taps
        ]
        of_inputs = functools.reduce(jnp.add, products)
    else:
        plain = _shifted_products.__wrapped__
        (of_inputs,) = jax.vjp(lambda inputs: plain(inputs, kernel, strides, padding), inputs)[1](gradient)
    padded = _pad(inputs, padding)
    sums = _channel_sums([_view(padded, *tap, extents, strides) * gradient for tap in taps])
    rows, columns = map(np.array, zip(*taps, strict=True))
    return of_inputs, jnp.zeros_like(kernel).at[rows, columns].set(jnp.stack(sums))


_shifted_products.defvjp(_forward, _backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def normalize(inputs, gamma, beta, epsilon):
    """Return inputs normalized with the statistics of the batch, and these: means and variances of the channels.

    The statistics have no gradient of their own; they are for the moving averages.
    """
    return _forward_normalize(inputs, gamma, beta, epsilon)[0]


def _forward_normalize(inputs, gamma, beta, epsilon):
    mean = jnp.mean(inputs, (0, 1, 2))
    centered = inputs - mean
    variance = jnp.mean(centered * centered, (0, 1, 2))
    scale = lax.rsqrt(variance + epsilon)
    return (centered * (scale * gamma) + beta, mean, variance), (inputs, mean, scale, gamma)


def _backward_normalize(epsilon, kept, gradients):
    inputs, mean, scale, gamma = kept
    gradient, *_ = gradients
    normalized = (inputs - mean) * scale
    of_beta, of_gamma = _channel_sums([gradient, gradient * normalized])
    count = math.prod(inputs.shape[:3])
    return (gamma * scale) * (gradient - (of_beta + normalized * of_gamma) / count), of_gamma, of_beta


normalize.defvjp(_forward_normalize, _backward_normalize)


def _channel_sums(arrays):
    """Return the sums of arrays over all axes but the last, from one pass over them side by side."""
    flat = [array.reshape(-1, array.shape[-1]) for array in arrays]
    parts = math.gcd(len(flat[0]), SUMMED_PARTS)
    # First one part onto the other, which needs no sums across a vector and shortens what is reduced.
    flat = [functools.reduce(jnp.add, array.reshape(parts, -1, array.shape[-1])) for array in flat]
    return jnp.split(jnp.sum(jnp.concatenate(flat, -1), 0), len(arrays))


def maximum(parts):
    """Return the maximum of arrays; the gradient goes to the first that has it, as in Keras' poolings."""

    def first(one, other):
        return jnp.where((one >= other) | jnp.isnan(one), one, other)

    return functools.reduce(first, parts)


def _conv2d(layer, inputs):
    groups = layer.groups
    parts = zip(jnp.split(inputs, groups, -1), jnp.split(layer.kernel.value, groups, -1), strict=True)
    outputs = [convolve(part, kernel, tuple(layer.strides), layer.padding) for part, kernel in parts]
    return _finish(layer, outputs[0] if groups == 1 else jnp.concatenate(outputs, -1))


def _depthwise_conv2d(layer, inputs):
    return _finish(layer, convolve_depthwise(inputs, layer.kernel.value, tuple(layer.strides), layer.padding))


def _separable_conv2d(layer, inputs):
    depthwise = convolve_depthwise(inputs, layer.depthwise_kernel.value, tuple(layer.strides), layer.padding)
    return _finish(layer, convolve(depthwise, layer.pointwise_kernel.value, (1, 1), "valid"))


def _batch_normalization(layer, inputs, training=None, mask=None):
    if mask is not None or not (training and layer.trainable):
        return type(layer).call(layer, inputs, training=training, mask=mask)
    outputs, *moments = normalize(inputs, layer.gamma.value, layer.beta.value, layer.epsilon)
    for moving, new in zip((layer.moving_mean, layer.moving_variance), moments, strict=True):
        moving.assign(moving.value * layer.momentum + new * (1 - layer.momentum))
    return outputs


def _max_pooling2d(layer, inputs):
    height, width = layer.pool_size
    rows, columns = inputs.shape[1] // height, inputs.shape[2] // width
    kept = inputs[:, : rows * height, : columns * width]
    return maximum(kept[:, row::height, column::width] for row in range(height) for column in range(width))


def _interchannel_max(layer, inputs):
    factor = layer.compact_factor
    if layer.grouping == "strided":
        return maximum(jnp.split(inputs, factor, -1))
    return maximum(inputs[..., member::factor] for member in range(factor))


def _finish(layer, outputs):
    if layer.use_bias:
        outputs = outputs + layer.bias.value
    return layer.activation(outputs)


def _is_plain(layer):
    # With LoRA the kernel is computed from several weights.
    lora = getattr(layer, "lora_enabled", False)
    return layer.data_format == "channels_last" and set(layer.dilation_rate) == {1} and not lora


def _pads(inputs, kernel, strides, padding):
    pads = lax.padtype_to_pads(inputs.shape[1:3], kernel.shape[:2], strides, padding.upper())
    return tuple((int(before), int(after)) for before, after in pads)


def _pad(array, padding):
    return jnp.pad(array, ((0, 0), *padding, (0, 0)))


def _product(features, kernel):
    """Return features times a kernel as matrices; with more axes XLA would copy them for the gradient."""
    filters = kernel.shape[-1]
    product = features.reshape(-1, features.shape[-1]) @ kernel.reshape(-1, filters)
    return product.reshape(*features.shape[:-1], filters)


def _extents(inputs, kernel, strides, padding):
    """Return the height and width of a convolution's output."""
    sizes = zip(inputs.shape[1:3], kernel.shape[:2], strides, padding, strict=True)
    return tuple((extent + sum(pads) - size) // stride + 1 for extent, size, stride, pads in sizes)


def _taps(inputs, kernel, strides, padding):
    """Return the (row, column) of each kernel weight that meets more than padding."""
    extents = _extents(inputs, kernel, strides, padding)
    sizes = zip(inputs.shape[1:3], kernel.shape[:2], strides, padding, extents, strict=True)
    rows, columns = (
        [tap for tap in range(size) if any(0 <= at * stride + tap - before < extent for at in range(outputs))]
        for extent, size, stride, (before, _), outputs in sizes
    )
    return [(row, column) for row in rows for column in columns]


def _view(padded, row, column, extents, strides):
    """Return what the kernel weight at (row, column) meets."""
    ends = (row + (extents[0] - 1) * strides[0] + 1, column + (extents[1] - 1) * strides[1] + 1)
    return padded[:, row : ends[0] : strides[0], column : ends[1] : strides[1]]
