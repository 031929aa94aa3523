"""The convolutional classification layer of ChannelNets (Gao, Wang, Ji, 2018)."""

import keras
from keras import ops

from compactnet.checks import check_integer
from compactnet.errors import InputError
from compactnet.layers.arguments import check_data_format


@keras.saving.register_keras_serializable(package="compactnet")
class ConvolutionalClassifier(keras.layers.Layer):
    """Scores classes with one three-dimensional kernel, in place of global pooling and a dense layer.

    The kernel covers the whole height and width of the feature map and slides along its N channels without padding, so
    it covers N - classes + 1 of them, and each of its positions is a class. It has height x width x (N - classes + 1)
    weights and no bias.

    Args:
        classes: Integer of at least 1 and at most N, the number of classes.
        activation: Activation of the scores, such as "softmax", or None.
        kernel_initializer: Initializer of the kernel.
        kernel_regularizer: Regularizer of the kernel, or None.
        kernel_constraint: Constraint of the kernel, or None.
        data_format: "channels_last" or None. "channels_first" is not supported.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, N)`, with a known height and width.

    Output shape:
        `(batch, classes)`.

    Raises:
        ValueError: An argument is invalid, the height or width is unknown, there are fewer channels than classes, or
            the layer is called on maps of another size than it was built for.

    Examples:
        >>> import numpy as np
        >>> layer = ConvolutionalClassifier(3, kernel_initializer="ones")
        >>> np.asarray(layer(np.array([[[[1.0, 2.0, 3.0, 4.0]]]], dtype="float32"))).tolist()
        [[3.0, 5.0, 7.0]]

    Source: Gao, Wang, Ji, "ChannelNets", NeurIPS 2018, Sec. 3.5.
    """

    def __init__(
        self,
        classes,
        activation=None,
        *,
        kernel_initializer="glorot_uniform",
        kernel_regularizer=None,
        kernel_constraint=None,
        data_format=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=4)
        self.classes = check_integer("classes", classes)
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.data_format = check_data_format(data_format)

    def build(self, input_shape):
        _, height, width, channels = input_shape
        if None in (height, width, channels):
            raise InputError(
                f"The height, width and channels of the feature map must be known. Received: {tuple(input_shape)}; "
                "build the network with a fixed input shape, or use global pooling and a dense layer."
            )
        if self.classes > channels:
            raise InputError(
                f"`classes` must be at most the number of channels. Received: classes={self.classes} for "
                f"{channels} channels; give the layer before it more filters."
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(height * width, channels - self.classes + 1),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={1: height, 2: width, 3: channels})

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.classes)

    def call(self, inputs):
        positions, covered = self.kernel.shape
        batch, channels = ops.shape(inputs)[0], inputs.shape[-1]
        # The products of each channel with each depth of the kernel, then their sums along the diagonals: with a zero
        # after every row, the flat array read in rows one longer has each diagonal in a column.
        features = ops.reshape(inputs, (batch, positions, channels))
        products = ops.matmul(ops.transpose(ops.cast(self.kernel, self.compute_dtype)), features)
        flat = ops.reshape(products, (batch, covered * channels))
        flat = ops.pad(flat, [(0, 0), (0, covered)])
        scores = ops.sum(ops.reshape(flat, (batch, covered, channels + 1))[..., : self.classes], 1)
        return self.activation(scores)

    def get_config(self):
        return {
            **super().get_config(),
            "classes": self.classes,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "data_format": self.data_format,
        }
