"""Convolution with a kernel in factors, the CP decomposition (Lebedev et al., 2015; Kossaifi et al., 2020)."""

import math
import numbers

import keras
from keras import ops

from compactnet.checks import check_integer
from compactnet.errors import InputError
from compactnet.layers.arguments import check_data_format, check_known, check_pair, convolved_extents
from compactnet.layers.channel_scale import ChannelScale
from compactnet.layers.composite_conv2d import CompositeConv2D, build_chain


@keras.saving.register_keras_serializable(package="compactnet")
class UnequalStridesDepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """A `keras.layers.DepthwiseConv2D` along one axis, with strides along that axis alone.

    TensorFlow has no such strides where it does not use oneDNN. Here each tap of the kernel multiplies a strided slice.

    Args:
        kernel_size: Pair of integers; the one along the axis without strides is 1.
        strides: Pair of integers; one of them is 1, the other larger.
        padding: "valid" or "same".
        use_bias: False; like an activation and a depth multiplier, a bias is not supported.
        **kwargs: Other keyword arguments of `keras.layers.DepthwiseConv2D`.

    Raises:
        ValueError: An argument is invalid or not supported.
    """

    def __init__(self, kernel_size, strides=(1, 1), padding="valid", *, use_bias=False, **kwargs):
        super().__init__(kernel_size, strides, padding, use_bias=use_bias, **kwargs)
        check_data_format(self.data_format)
        across = 1 if self.strides[0] > 1 else 0
        if max(self.strides) == 1 or (self.kernel_size[across], self.strides[across]) != (1, 1):
            raise InputError(
                "A kernel of one axis with strides along it is needed, such as kernel_size=(3, 1), strides=(2, 1). "
                f"Received: kernel_size={self.kernel_size}, strides={self.strides}; use keras.layers.DepthwiseConv2D."
            )
        # Keras itself refuses dilation beside strides.
        if self.use_bias or self.activation is not keras.activations.linear or self.depth_multiplier != 1:
            raise InputError(
                "A bias, an activation and a depth multiplier are not supported; leave them out. Received: use_bias="
                f"{self.use_bias}, activation={keras.activations.serialize(self.activation)!r}, depth_multiplier="
                f"{self.depth_multiplier}"
            )

    def call(self, inputs):
        axis = 1 if self.strides[0] > 1 else 2
        taps, stride = self.kernel_size[axis - 1], self.strides[axis - 1]
        if self.padding == "same":
            inputs, extent = self._padded(inputs, axis, taps, stride)
        else:
            extent = (ops.shape(inputs)[axis] - taps) // stride + 1
        kernel = ops.reshape(ops.cast(self.kernel, inputs.dtype), (taps, -1))
        total = 0
        for tap in range(taps):
            places = slice(tap, tap + (extent - 1) * stride + 1, stride)
            total = total + inputs[(slice(None),) * axis + (places,)] * kernel[tap]
        return total

    def _padded(self, inputs, axis, taps, stride):
        """Return the inputs with zeros as padding "same" adds them, and the extent of the output along the axis."""
        size = ops.shape(inputs)[axis]
        extent = -(-size // stride)
        missing = (extent - 1) * stride + taps - size
        missing = max(missing, 0) if isinstance(missing, int) else ops.maximum(missing, 0)
        before = missing // 2
        padding = [(0, 0)] * 4
        padding[axis] = (before, missing - before)
        return ops.pad(inputs, padding), extent


@keras.saving.register_keras_serializable(package="compactnet")
class FactorizedConv2D(CompositeConv2D):
    """A convolution whose kernel is a sum of R products of vectors.

    W[h, w, i, o] = sum over r of scale[r] a[h, r] b[w, r] B[i, r] A[o, r], computed without W: a 1x1 convolution to R
    channels, a depthwise convolution along the height, one along the width, a factor for each channel, and a 1x1
    convolution to the filters. For N input channels, F filters and a k x k kernel it has R (N + F + 2k + 1) kernel
    weights instead of k^2 N F.

    Nothing is normalized or activated inside, so it equals a `keras.layers.Conv2D` with the kernel `full_kernel()`.

    Args:
        filters: Integer F, the number of output channels.
        kernel_size: Integer or pair of integers, the size of the kernel.
        fraction: Number above 0. R is this fraction of the rank at which the factors have about as many weights as the
            full kernel: its number of weights over the sum of its four extents.
        rank: Integer R, at most the product of the three smaller extents of the kernel, which suffices for any kernel.
            It takes the place of `fraction`.
        strides: Integer or pair of integers, the strides.
        padding: "valid" or "same".
        use_bias: Whether the output has a bias.
        kernel_initializer: Initializer of the two 1x1 kernels. The other two start with values that keep the variance
            of their inputs.
        kernel_regularizer: Regularizer of the four kernels, or None.
        kernel_constraint: Constraint of the four kernels, or None.
        data_format: "channels_last" or None. "channels_first" is not supported.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, N)`.

    Output shape:
        `(batch, new_height, new_width, filters)`.

    Raises:
        ValueError: An argument is invalid, the rank of the input is not 4, or `rank` is above its bound.

    Examples:
        >>> import numpy as np
        >>> layer = FactorizedConv2D(64, 3, fraction=0.5, padding="same", use_bias=False)
        >>> keras.ops.shape(layer(np.zeros((1, 8, 8, 64), dtype="float32")))
        (1, 8, 8, 64)
        >>> layer.count_params()
        18630

    Source: Kossaifi et al., "Factorized Higher-Order CNNs with an Application to Spatio-Temporal Emotion Estimation",
    CVPR 2020 (arXiv 1906.06196), Sec. 3.
    """

    ARGUMENTS = ("filters", "kernel_size", "fraction", "rank", "use_bias")

    def __init__(
        self,
        filters,
        kernel_size,
        fraction=1.0,
        rank=None,
        strides=1,
        padding="valid",
        *,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        kernel_regularizer=None,
        kernel_constraint=None,
        data_format=None,
        **kwargs,
    ):
        super().__init__(
            strides, padding, kernel_initializer, kernel_regularizer, kernel_constraint, data_format, **kwargs
        )
        self.filters = check_integer("filters", filters)
        self.kernel_size = check_pair("kernel_size", kernel_size)
        if isinstance(fraction, bool) or not isinstance(fraction, numbers.Real) or not 0 < fraction < math.inf:
            raise InputError(f"`fraction` must be a number above 0. Received: fraction={fraction!r}")
        self.fraction = float(fraction)
        self.rank = None if rank is None else check_integer("rank", rank)
        self.use_bias = use_bias

    @classmethod
    def from_conv(cls, convolution, fraction=1.0, rank=None, iterations=200, seed=0, **kwargs):
        """Decompose the kernel of a convolution.

        Args:
            convolution: A built `keras.layers.Conv2D` without groups and dilation.
            fraction: See the constructor.
            rank: See the constructor. At its bound the decomposition is exact; below, alternating least squares look
                for the nearest kernel.
            iterations: Integer, the most iterations of these.
            seed: Integer, for where they start.
            **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name`; `dtype` is that of the convolution if
                left out.

        Returns:
            A built `FactorizedConv2D` with the convolution's strides, padding and bias. An activation of the
            convolution is not part of it.

        Raises:
            InputError: the convolution is not built or has groups or dilation, `rank` is above its bound, or
                `iterations` is below 1.
            ImportError: TensorLy, which decomposes below the bound, is not installed.
        """
        kind = type(convolution)
        if not isinstance(convolution, keras.layers.Conv2D) or not convolution.built:
            raise InputError(f"`convolution` must be a built keras.layers.Conv2D. Received: {kind.__name__}")
        if convolution.groups > 1 or set(convolution.dilation_rate) != {1}:
            raise InputError(
                f"`convolution` must have neither groups nor dilation. Received: groups={convolution.groups}, "
                f"dilation_rate={convolution.dilation_rate}"
            )
        check_integer("iterations", iterations)
        kwargs.setdefault("dtype", convolution.dtype_policy)
        layer = cls(
            convolution.filters,
            convolution.kernel_size,
            fraction,
            rank,
            convolution.strides,
            convolution.padding,
            use_bias=convolution.use_bias,
            data_format=convolution.data_format,
            **kwargs,
        )
        # Half precision cannot be decomposed.
        precision = keras.backend.result_type(convolution.kernel.dtype, "float32")
        kernel = ops.convert_to_numpy(ops.cast(convolution.kernel, precision))
        layer.build((None, None, None, kernel.shape[2]))
        scale, (height, width, inputs, filters) = _decompose(kernel, layer.scale.scale.shape[0], iterations, seed)
        layer.scale.scale.assign(scale)
        for part, factor in (
            (layer.along_height, height),
            (layer.along_width, width),
            (layer.reduce, inputs),
            (layer.expand, ops.transpose(filters)),
        ):
            part.kernel.assign(ops.reshape(factor, part.kernel.shape))
        if convolution.use_bias:
            layer.expand.bias.assign(convolution.bias)
        return layer

    @property
    def _parts(self):
        return (self.reduce, self.along_height, self.along_width, self.scale, self.expand)

    def build(self, input_shape):
        rank = self._resolved_rank(input_shape[-1])
        (height, width), (down, right) = self.kernel_size, self.strides
        self.reduce = self._conv2d("reduce", rank)
        # Keras takes all channels for the inputs of a depthwise weight; with two such kernels features would vanish.
        keeping = [keras.initializers.VarianceScaling(rank, "fan_in", "uniform") for _ in range(2)]
        self.along_height = self._along_one_axis(
            "along_height", (height, 1), strides=(down, 1), padding=self.padding, depthwise_initializer=keeping[0]
        )
        self.along_width = self._along_one_axis(
            "along_width", (1, width), strides=(1, right), padding=self.padding, depthwise_initializer=keeping[1]
        )
        self.scale = ChannelScale(
            data_format=self.data_format, name="scale", dtype=self.dtype_policy, trainable=self.trainable
        )
        self.expand = self._conv2d("expand", self.filters, use_bias=self.use_bias)
        build_chain(self._parts, input_shape)

    def _resolved_rank(self, channels):
        """Return R for a number of input channels."""
        check_known(channels)
        extents = sorted((*self.kernel_size, channels, self.filters))
        bound = math.prod(extents[:3])
        if self.rank is None:
            return min(max(1, round(self.fraction * math.prod(extents) / sum(extents))), bound)
        if self.rank > bound:
            raise InputError(
                f"`rank` must be at most {bound}, which suffices for any kernel of the shape "
                f"{(*self.kernel_size, channels, self.filters)}. Received: rank={self.rank}"
            )
        return self.rank

    def _along_one_axis(self, name, kernel_size, **arguments):
        if max(arguments["strides"]) == 1:
            return self._depthwise(name, kernel_size, **arguments)
        return UnequalStridesDepthwiseConv2D(kernel_size, name=name, **self._shared("depthwise", arguments))

    def compute_output_shape(self, input_shape):
        batch, *extents, _ = input_shape
        return (batch, *convolved_extents(extents, self.kernel_size, self.strides, self.padding), self.filters)

    def full_kernel(self):
        """Return the kernel of the equal `keras.layers.Conv2D`, an array of shape (height, width, N, filters)."""
        rank = self.scale.scale.shape[0]
        shapes = ((-1, rank), (-1, rank), (-1, rank), (rank, -1))
        kernels = (self.along_height.kernel, self.along_width.kernel, self.reduce.kernel, self.expand.kernel)
        factors = [ops.reshape(kernel, shape) for kernel, shape in zip(kernels, shapes, strict=True)]
        return ops.einsum("r,hr,wr,ir,ro->hwio", self.scale.scale, *factors)


def _decompose(kernel, rank, iterations, seed):
    """Return the scale (R,) and the factors (extent, R) of the four axes of a kernel."""
    longest = max(range(4), key=lambda axis: kernel.shape[axis])
    others = [axis for axis in range(4) if axis != longest]
    extents = [kernel.shape[axis] for axis in others]
    if rank < math.prod(extents):
        return _least_squares(kernel, rank, iterations, seed)
    # Exact: a product for each place in the other axes, ones there times the kernel's values along the longest.
    factors = {longest: ops.transpose(ops.reshape(ops.moveaxis(kernel, longest, -1), (rank, -1)))}
    for number, axis in enumerate(others):
        inner, outer = math.prod(extents[number + 1 :]), math.prod(extents[:number])
        factors[axis] = ops.tile(ops.repeat(ops.eye(extents[number]), inner, axis=1), (1, outer))
    return ops.ones(rank), [factors[axis] for axis in range(4)]


def _least_squares(kernel, rank, iterations, seed):
    try:
        import tensorly
        from tensorly.decomposition import parafac
    except ImportError:
        raise ImportError(
            "TensorLy decomposes kernels and is not installed. In the clone, run pip install '.[decomposition]'."
        ) from None
    with tensorly.backend_context("numpy"):
        return parafac(
            tensorly.tensor(kernel),
            rank,
            n_iter_max=iterations,
            init="random",
            random_state=seed,
            normalize_factors=True,
        )
