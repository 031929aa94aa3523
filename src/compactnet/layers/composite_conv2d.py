"""What convolutions composed of Keras layers share: their common arguments, and a chain of sublayers."""

import keras

from compactnet.checks import check_choice
from compactnet.layers.arguments import check_data_format, check_pair

_KERNEL = {
    "initializer": keras.initializers,
    "regularizer": keras.regularizers,
    "constraint": keras.constraints,
}


class CompositeConv2D(keras.layers.Layer):
    """Base of convolutions that are composed of Keras layers.

    A subclass names its own arguments in `ARGUMENTS` and makes its sublayers with the methods `_conv2d`, `_depthwise`,
    `_normalization` and `_activation`. Where they form a chain, `_parts` lists them; otherwise the subclass overrides
    `build`, `compute_output_shape` and `call`.
    """

    ARGUMENTS = ()
    """Names of the subclass' own arguments, each an attribute of plain data."""

    def __init__(
        self, strides, padding, kernel_initializer, kernel_regularizer, kernel_constraint, data_format, **kwargs
    ):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=4)
        self.strides = check_pair("strides", strides)
        self.padding = check_choice("padding", str(padding).lower(), ("valid", "same"))
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.data_format = check_data_format(data_format)

    @property
    def _parts(self):
        raise NotImplementedError

    def build(self, input_shape):
        build_chain(self._parts, input_shape)

    def compute_output_shape(self, input_shape):
        shape = input_shape
        for part in self._parts:
            shape = part.compute_output_shape(shape)
        return shape

    def call(self, inputs):
        return call_chain(self._parts, inputs)

    def get_config(self):
        plain = {name: getattr(self, name) for name in (*self.ARGUMENTS, "strides", "padding", "data_format")}
        kernel = {
            f"kernel_{kind}": module.serialize(getattr(self, f"kernel_{kind}")) for kind, module in _KERNEL.items()
        }
        return {**super().get_config(), **plain, **kernel}

    def _conv2d(self, name, filters, kernel_size=1, **arguments):
        """Return a `keras.layers.Conv2D` sublayer without a bias, unless `arguments` say otherwise."""
        return keras.layers.Conv2D(filters, kernel_size, name=name, **self._shared("kernel", arguments))

    def _depthwise(self, name, kernel_size, **arguments):
        """Return a `keras.layers.DepthwiseConv2D` sublayer without a bias, unless `arguments` say otherwise."""
        return keras.layers.DepthwiseConv2D(kernel_size, name=name, **self._shared("depthwise", arguments))

    def _normalization(self, name, momentum, epsilon):
        return keras.layers.BatchNormalization(
            momentum=momentum, epsilon=epsilon, name=name, dtype=self.dtype_policy, trainable=self.trainable
        )

    def _activation(self, name, activation):
        return keras.layers.Activation(activation, name=name, dtype=self.dtype_policy)

    def _shared(self, weight, arguments):
        return {
            f"{weight}_initializer": _own(self.kernel_initializer),
            f"{weight}_regularizer": self.kernel_regularizer,
            f"{weight}_constraint": self.kernel_constraint,
            "use_bias": False,
            "data_format": self.data_format,
            "dtype": self.dtype_policy,
            "trainable": self.trainable,
            **arguments,
        }


def _own(initializer):
    """Return a copy that draws values of its own; one initializer would give kernels of one shape the same ones."""
    # What has no config, such as a function, cannot be copied.
    kind = keras.initializers.Initializer
    has_config = isinstance(initializer, kind) and type(initializer).get_config is not kind.get_config
    return initializer.clone() if has_config else initializer


def build_chain(layers, input_shape):
    """Build layers of which each takes the output of the one before, and return the shape of the last output."""
    shape = input_shape
    for layer in layers:
        layer.build(shape)
        shape = layer.compute_output_shape(shape)
    return shape


def call_chain(layers, inputs):
    """Call layers, each on the output of the one before."""
    outputs = inputs
    for layer in layers:
        outputs = layer(outputs)
    return outputs
