"""Training with less memory: features are computed again for the gradient instead of being kept."""

import keras

from compactnet.networks.keras_internals import computation_nodes


def with_recomputation(model):
    """Return a model of the same layers that keeps only the outputs of its convolutions, or of its blocks with a
    shortcut, for the gradient.

    What lies between them (normalization, activation, pooling, the inside of a compact convolution or of a block) is
    computed a second time when the gradient needs it. Each step is the same: statistics are those of the whole batch.

    Args:
        model: A functional `keras.Model` with one input and one output.

    Returns:
        A functional `keras.Model` that shares the layers and variables of `model`, in the same order.
    """
    outputs = model.inputs[0]
    for segment in _segments(model):
        outputs = _Recomputed(segment)(outputs)
    recomputed = keras.Model(model.inputs[0], outputs, name=model.name)
    assert [id(weight) for weight in recomputed.weights] == [id(weight) for weight in model.weights]
    return recomputed


class _Recomputed(keras.layers.Layer):
    """A part of a model whose features are not kept."""

    def __init__(self, part):
        super().__init__(name=f"{part.name}_recomputed")
        self.part = part
        self.built = True

    def compute_output_shape(self, input_shape):
        return self.part.compute_output_shape(input_shape)

    def call(self, inputs, training=None):
        if not training:
            return self.part(inputs, training=training)
        count = len(self.part.trainable_variables)
        # A pure function of tensors, so that its second computation changes no variable.
        values = [variable.value for variable in (*self.part.trainable_variables, *self.part.non_trainable_variables)]

        def compute(inputs, *values):
            outputs, after = self.part.stateless_call(values[:count], values[count:], inputs, training=True)
            return [outputs, *after]

        outputs, *after = keras.remat(compute)(inputs, *values)
        for variable, value in zip(self.part.non_trainable_variables, after, strict=True):
            variable.assign(value)
        return outputs


def _segments(model):
    """Return models that make `model` one after the other, each as short as can be with a convolution in it."""
    nodes = list(computation_nodes(model))
    last_use = {id(tensor): place for place, node in enumerate(nodes) for tensor in node.input_tensors}
    last_use |= {id(tensor): len(nodes) for tensor in model.outputs}
    segments, start, live, convolves = [], model.inputs[0], {id(model.inputs[0])}, False
    for place, node in enumerate(nodes):
        (output,) = node.output_tensors
        live = {name for name in (*live, id(output)) if last_use[name] > place}
        layer = node.operation
        convolves |= bool(getattr(layer, "weights", ())) and not isinstance(layer, keras.layers.BatchNormalization)
        if (live == {id(output)} and convolves) or place == len(nodes) - 1:
            segments.append(keras.Model(start, output, name=f"{layer.name}_segment"))
            start, convolves = output, False
    return segments
