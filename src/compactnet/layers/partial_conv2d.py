"""The partial convolution of FasterNet (Chen et al., 2023)."""

import keras
from keras import ops

from compactnet.checks import check_integer
from compactnet.layers.arguments import check_divides, check_pair, convolved_extents
from compactnet.layers.composite_conv2d import CompositeConv2D


@keras.saving.register_keras_serializable(package="compactnet")
class PartialConv2D(CompositeConv2D):
    """Convolves the first channels and passes the others on.

    For N input channels and a k x k kernel it has k^2 (N / ratio)^2 kernel weights.

    With strides, the channels that are passed on keep every second (third, ...) row and column; without padding, they
    lose as much of their border as the others. With padding "same", strides of 2 and an even height, a 3 x 3 kernel is
    centred on every second row from the second on, and the channels that are passed on keep those from the first on;
    likewise for the width. FasterNet has neither: it changes the size of maps by other convolutions.

    Args:
        kernel_size: Integer or pair of integers, the size of the kernel.
        ratio: Integer of at least 1 that divides N; one channel in `ratio` is convolved.
        strides: Integer or pair of integers, the strides.
        padding: "valid" or "same".
        use_bias: Whether the convolution has a bias.
        kernel_initializer: Initializer of the kernel.
        kernel_regularizer: Regularizer of the kernel, or None.
        kernel_constraint: Constraint of the kernel, or None.
        data_format: "channels_last" or None. "channels_first" is not supported.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, N)`.

    Output shape:
        `(batch, new_height, new_width, N)`.

    Raises:
        ValueError: An argument is invalid, the rank is not 4, or `ratio` does not divide the channel count.

    Examples:
        >>> import numpy as np
        >>> layer = PartialConv2D(3, padding="same", use_bias=False)
        >>> keras.ops.shape(layer(np.zeros((1, 8, 8, 64), dtype="float32")))
        (1, 8, 8, 64)
        >>> layer.count_params()
        2304

    Source: Chen et al., "Run, Don't Walk: Chasing Higher FLOPS for Faster Neural Networks", CVPR 2023, Sec. 3.2.
    """

    ARGUMENTS = ("kernel_size", "ratio", "use_bias")

    def __init__(
        self,
        kernel_size=3,
        ratio=4,
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
        self.kernel_size = check_pair("kernel_size", kernel_size)
        self.ratio = check_integer("ratio", ratio)
        self.use_bias = use_bias

    def build(self, input_shape):
        *outer, channels = input_shape
        convolved = check_divides("ratio", self.ratio, channels)
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: channels})
        self.convolution = self._conv2d(
            "convolution",
            convolved,
            self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            use_bias=self.use_bias,
        )
        self.convolution.build((*outer, convolved))

    def compute_output_shape(self, input_shape):
        batch, *extents, channels = input_shape
        return (batch, *convolved_extents(extents, self.kernel_size, self.strides, self.padding), channels)

    def call(self, inputs):
        convolved = inputs.shape[-1] // self.ratio
        outputs = self.convolution(inputs[..., :convolved])
        passed = inputs[..., convolved:]
        if self.padding == "valid":
            (above, left), (height, width) = ((size // 2 for size in self.kernel_size), self.kernel_size)
            rows, columns = ops.shape(inputs)[1] - height + 1, ops.shape(inputs)[2] - width + 1
            passed = passed[:, above : above + rows, left : left + columns]
        passed = passed[:, :: self.strides[0], :: self.strides[1]]
        return ops.concatenate([outputs, passed], -1)
