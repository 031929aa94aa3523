"""Parameters, FLOPs and memory of a Keras model, layer by layer, by the paper's convention."""

import math
from dataclasses import dataclass

import keras
import numpy as np

from compactnet.errors import InputError
from compactnet.layers import ChannelScale, ChannelwiseConv, ConvolutionalClassifier, InterchannelPooling
from compactnet.networks.graph import flatten, is_sized, nodes

CONVENTION = "2 x MACs of convolutions + interchannel operations"
"""Name of the counting convention, for every table that shows a count.

FLOPs are 2 x the multiply-accumulates of convolutions at their output size, plus C-1 (sum, max) or C (average) per
output element of an interchannel operation; biases, normalization, activations, pooling and dense layers (the
classifier) are not counted. Parameters are all weights, the moving statistics of normalization included.
"""

IN_PLACE = (
    keras.layers.BatchNormalization,
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.Dropout,
    keras.layers.Reshape,
    keras.layers.Flatten,
)
"""Layers that inference runtimes run inside the buffer of their input or fuse with the layer before."""

UNCOUNTED = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
    keras.layers.Normalization,
    keras.layers.PReLU,
    keras.layers.Embedding,
    keras.layers.Dense,
    ChannelScale,
    ConvolutionalClassifier,
)
"""Layers with weights that the convention leaves out on purpose; any other without a formula is reported."""


MULTIPLYING = (
    *("Conv", "ConvTranspose", "DepthwiseConv", "SeparableConv"),
    *("Matmul", "Einsum", "Dot", "Tensordot"),
    *("Attention", "AdditiveAttention", "DotProductAttention"),
)
"""Class names of operations and layers of Keras that multiply also without weights; the convention has no rule."""


@dataclass(frozen=True)
class LayerComplexity:
    """One operation of the flat graph.

    Attributes:
        name: Name of the layer, of the part inside a composite layer, or of the Keras operation.
        kind: Class name.
        output_shape: Shape of its (first) output without the batch axis.
        params: Number of weights, 0 where the layer was met before (shared weights count once).
        flops: FLOPs of one sample by `CONVENTION`.
        known: False for a layer with weights, or an operation that multiplies, for which the convention has no rule or
            whose sizes Keras does not know: it counts 0 FLOPs.
    """

    name: str
    kind: str
    output_shape: tuple
    params: int
    flops: int
    known: bool


@dataclass(frozen=True)
class Complexity:
    """What `complexity` returns.

    Attributes:
        params: Number of weights, moving statistics included (Keras' `count_params()`).
        flops: FLOPs of one sample by `CONVENTION`.
        weight_bytes: Bytes of the weights at their data types.
        peak_activation_bytes: Largest sum of bytes of the activations alive at once for one sample, when operations
            run in graph order, inputs and outputs of an operation are alive together, and layers of `IN_PLACE` write
            into their input's buffer if nothing else needs it; NaN where Keras does not know the size of an activation.
        layers: A `LayerComplexity` for each operation of the flat graph.
        convention: `CONVENTION`.
    """

    params: int
    flops: int
    weight_bytes: int
    peak_activation_bytes: int | float
    layers: tuple
    convention: str = CONVENTION

    @property
    def mflops(self):
        """FLOPs in units of 1e6, as the paper's tables print them."""
        return self.flops / 1e6

    @property
    def unknown(self):
        """Names of the layers and operations that multiply and whose FLOPs are not counted."""
        return tuple(layer.name for layer in self.layers if not layer.known)


def complexity(model, count_dense=False):
    """Count the parameters, FLOPs and memory of a model at batch 1.

    Args:
        model: A functional `keras.Model` or built `keras.Sequential` whose input sizes are known but for the batch.
            Composite layers are opened, so their parts appear one by one; those that cannot be opened (recurrent
            layers, attention, some wrappers) are named in `unknown`.
        count_dense: Whether dense layers, and the classification layer of ChannelNets, count as 2 x MACs too. The paper
            leaves its classifier out, which is its only dense layer; networks with dense layers elsewhere may want them
            in.

    Returns:
        A `Complexity`.

    Raises:
        InputError: the model is not functional, cannot be copied, or has an input with an unknown axis other than the
            batch.

    Source: Sec. V-A and Eqs. (6)-(7) of the paper, and its Tables I and II, which the counts reproduce.
    """
    flat = flatten(model)
    for tensor in flat.inputs:
        if not is_sized(tensor):
            raise InputError(
                f"The complexity of {model.name!r} depends on an input size that is unknown: "
                f"{tuple(tensor.shape[1:])}. Build the model with a fixed input shape."
            )
    steps = list(nodes(flat))
    rows, seen = [], set()
    for operation, inputs, outputs in steps:
        first = id(operation) not in seen
        seen.add(id(operation))
        rows.append(_row(operation, inputs, outputs, count_dense, first))
    convention = CONVENTION + (" + dense layers" if count_dense else "")
    return Complexity(
        params=sum(row.params for row in rows),
        flops=sum(row.flops for row in rows),
        weight_bytes=sum(_bytes(weight.shape, weight.dtype) for weight in flat.weights),
        peak_activation_bytes=_peak_activation_bytes(steps, flat.inputs, flat.outputs),
        layers=tuple(rows),
        convention=convention,
    )


def _row(operation, inputs, outputs, count_dense, first):
    weights = getattr(operation, "weights", [])
    multiplies = bool(weights) or type(operation).__name__ in MULTIPLYING
    # A size that Keras does not know counts as 1: FLOPs of 0 do not depend on it, others do.
    input_shape, output_shape = (
        tuple(1 if extent is None else extent for extent in tensors[0].shape[1:])
        for tensors in ([*inputs, *outputs], outputs)
    )
    flops = _flops(operation, input_shape, output_shape, count_dense)
    if flops and not is_sized((inputs, outputs)):
        flops, multiplies = None, True
    return LayerComplexity(
        name=operation.name,
        kind=type(operation).__name__,
        output_shape=tuple(outputs[0].shape[1:]),
        params=sum(math.prod(weight.shape) for weight in weights) if first else 0,
        flops=flops or 0,
        known=flops is not None or not multiplies,
    )


def _flops(layer, input_shape, output_shape, count_dense):
    """Return the FLOPs of one call on one sample, or None where the convention has no rule."""
    match layer:
        case InterchannelPooling(compact_factor=1) | InterchannelPooling(operation="first"):
            return 0
        case InterchannelPooling(operation="average"):
            return layer.compact_factor * math.prod(output_shape)
        case InterchannelPooling():
            return (layer.compact_factor - 1) * math.prod(output_shape)
        case keras.layers.SeparableConv1D() | keras.layers.SeparableConv2D():
            return (
                2
                * _positions(layer, output_shape)
                * (math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape))
            )
        case keras.layers.Conv1DTranspose() | keras.layers.Conv2DTranspose() | keras.layers.Conv3DTranspose():
            # Each input element meets every weight of its channel once.
            return 2 * _positions(layer, input_shape) * math.prod(layer.kernel.shape)
        case (
            keras.layers.Conv1D()
            | keras.layers.Conv2D()
            | keras.layers.Conv3D()
            | keras.layers.DepthwiseConv1D()
            | keras.layers.DepthwiseConv2D()
        ):
            return 2 * _positions(layer, output_shape) * math.prod(layer.kernel.shape)
        case ChannelwiseConv():
            return 2 * layer.kernel_size * math.prod(output_shape)
        case keras.layers.Dense() if count_dense:
            return 2 * math.prod(output_shape) * input_shape[-1]
        case ConvolutionalClassifier() if count_dense:
            return 2 * math.prod(layer.kernel.shape) * layer.classes
        case _ if isinstance(layer, UNCOUNTED):
            return 0
    return None


def _positions(layer, shape):
    return math.prod(shape[:-1] if layer.data_format == "channels_last" else shape[1:])


def _bytes(shape, dtype):
    return math.prod(shape) * np.dtype(keras.backend.standardize_dtype(dtype)).itemsize


def _peak_activation_bytes(steps, inputs, outputs):
    if not all(is_sized((used, made)) for _, used, made in steps):
        return math.nan
    sizes, last_use, buffer_of = {}, {}, {}
    for tensor in inputs:
        sizes[id(tensor)], buffer_of[id(tensor)] = _bytes(tensor.shape[1:], tensor.dtype), id(tensor)
    for index, (_, used, _) in enumerate(steps):
        for tensor in used:
            last_use[id(tensor)] = index
    last_use.update({id(tensor): len(steps) for tensor in outputs})
    live, peak = {id(tensor) for tensor in inputs}, 0
    for index, (operation, used, made) in enumerate(steps):
        # Opening a nested model leaves a ConvertToTensor, which does nothing to a tensor.
        runs_in_place = isinstance(operation, IN_PLACE) or type(operation).__name__ == "ConvertToTensor"
        in_place = runs_in_place and last_use[id(used[0])] == index
        for tensor in made:
            buffer_of[id(tensor)] = buffer_of[id(used[0])] if in_place else id(tensor)
            size = _bytes(tensor.shape[1:], tensor.dtype)
            sizes[buffer_of[id(tensor)]] = max(size, sizes.get(buffer_of[id(tensor)], 0))
            live.add(id(tensor))
        peak = max(peak, sum(sizes[buffer] for buffer in {buffer_of[tensor] for tensor in live}))
        live = {tensor for tensor in live if last_use.get(tensor, index) > index}
    return peak
