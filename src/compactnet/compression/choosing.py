"""Which convolutions of a model become compact, and why the others do not."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import keras

from compactnet.errors import InputError
from compactnet.layers import CompactConv2D
from compactnet.networks.graph import nodes
from compactnet.networks.keras_internals import all_sublayers

BETWEEN = (
    keras.layers.BatchNormalization,
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.ELU,
    keras.layers.PReLU,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
)
"""Layers that may stand between a depthwise convolution and the 1x1 convolution that follows it."""

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.SeparableConv2D)
"""Layers that may become compact; every one of a model is either replaced or skipped for a reason."""

STANDARD, SEPARABLE, POINTWISE = "Conv2D", "SeparableConv2D", "1x1 Conv2D after a depthwise one"
"""Kinds of convolutions that are replaced."""


@dataclass(frozen=True)
class Rules:
    """What the caller of `compress` asked for, see there."""

    compact_factor: int
    operation: str
    grouping: str
    filters: object
    factors: dict
    skip_first: bool
    min_channels: int
    warm_start: bool = False

    def selects(self, layer):
        """Say whether `filters` selects a layer, as in `keras.Model.quantize`."""
        if self.filters is None:
            return True
        if isinstance(self.filters, Callable):
            return bool(self.filters(layer))
        patterns = [self.filters] if isinstance(self.filters, str) else self.filters
        return any(re.search(pattern, layer.name) for pattern in patterns)


@dataclass(frozen=True)
class Choice:
    """A convolution that becomes compact.

    Attributes:
        name: Its name.
        kind: `STANDARD`, `SEPARABLE` or `POINTWISE`.
        compact_factor: C.
        activation: Activation of the depthwise convolution inside, unless the network has that convolution already.
        normalization: The batch normalization that follows the convolution, or None.
        positions: Height times width of its output, None where unknown.
        macs_before: Multiply-accumulates at one output position.
        macs_after: Likewise, of the compact convolution.
    """

    name: str
    kind: str
    compact_factor: int
    activation: str
    normalization: object
    positions: int | None
    macs_before: int
    macs_after: int


def convolutions(model):
    """Return the names of the layers of an opened model that may become compact."""
    return [layer.name for layer in model.layers if isinstance(layer, CONVOLUTIONS)]


def check_data_formats(model):
    """Raise an InputError if a layer of the model has its channels first."""
    for layer in model.layers:
        if getattr(layer, "data_format", None) == "channels_first":
            raise InputError(
                f"Compact convolutions need channels last, and {layer.name!r} has data_format='channels_first'. "
                "Build the model with data_format='channels_last'."
            )


def choose(model, rules):
    """Choose the convolutions of a model that become compact.

    Args:
        model: A model that `opened` returned.
        rules: A `Rules`.

    Returns:
        A list of `Choice` in graph order, and a list of (name, reason) of all other convolutions.
    """
    graph = Graph(model)
    choices, skipped = [], []
    for operation in graph.operations:
        if isinstance(operation, CONVOLUTIONS):
            reason, choice = _consider(graph, operation, rules)
        elif isinstance(operation, keras.layers.Layer) and any(
            isinstance(inner, CONVOLUTIONS) for inner in all_sublayers(operation)
        ):
            compact = isinstance(operation, CompactConv2D)
            reason = "it is compact already" if compact else f"its convolutions are inside a {type(operation).__name__}"
        else:
            continue
        if reason:
            skipped.append((operation.name, reason))
        else:
            choices.append(choice)
    return choices, skipped


def _consider(graph, layer, rules):
    """Return why a convolution stays and None, or None and its `Choice`."""
    factor = rules.factors.get(layer.name, rules.compact_factor)
    if not rules.selects(layer):
        return "`filters` does not select it", None
    if factor == 1:
        return "its compact factor is 1", None
    if graph.calls[id(layer)] > 1:
        return f"it is called {graph.calls[id(layer)]} times", None
    if type(layer) not in CONVOLUTIONS:
        return f"{type(layer).__name__} is a class of its own", None
    if getattr(layer, "quantization_mode", None):
        return "it is quantized", None
    if getattr(layer, "lora_enabled", False):
        return "it has LoRA weights", None
    if getattr(layer, "groups", 1) > 1:
        return f"it has {layer.groups} groups", None
    kind = _kind(layer)
    if kind == POINTWISE and graph.depthwise_before(layer) is None:
        return "a 1x1 convolution that does not directly follow a depthwise one", None
    if kind == SEPARABLE and layer.depth_multiplier > 1:
        return f"its depth multiplier is {layer.depth_multiplier}", None
    if kind != POINTWISE and len(set(layer.strides)) > 1:
        return f"its strides {layer.strides} differ, which depthwise convolutions do not have on TensorFlow", None
    tensor = graph.input_of(layer)
    if rules.skip_first and id(tensor) not in graph.reduced:
        return "no pooling and no stride comes before it (skip_first, --include-first)", None
    channels = tensor.shape[-1]
    if channels < rules.min_channels:
        return f"fewer than {rules.min_channels} input channels (min_channels)", None
    if channels % factor:
        return f"C={factor} does not divide its {channels} input channels", None
    before, after = macs(kind, layer.kernel_size, channels, layer.filters, factor)
    if after >= before:
        return "a compact convolution would not need fewer multiply-accumulates", None
    normalization, activation = graph.after(layer)
    positions = graph.output_of(layer).shape[1:3]
    return None, Choice(
        name=layer.name,
        kind=kind,
        compact_factor=factor,
        activation=activation,
        normalization=normalization,
        positions=None if None in positions else math.prod(positions),
        macs_before=before,
        macs_after=after,
    )


def macs(kind, kernel_size, channels, filters, factor):
    """Return the multiply-accumulates at one output position before and after: Eq. (6), and Eq. (7) for
    any C and without the operation."""
    area = math.prod(kernel_size)
    depthwise = 0 if kind == POINTWISE else area * channels
    after = depthwise + channels // factor * filters
    if kind == STANDARD:
        return area * channels * filters, after
    return depthwise + channels * filters, after


def _kind(layer):
    if isinstance(layer, keras.layers.SeparableConv2D):
        return SEPARABLE
    return POINTWISE if math.prod(layer.kernel_size) == 1 else STANDARD


class Graph:
    """What stands before and after the layers of a model.

    Attributes:
        steps: List of (operation, input tensors, output tensors), in an order in which it can be computed.
        operations: Every operation once, in that order.
        calls: {id of an operation: how often the model calls it}
        reduced: Ids of the tensors that a pooling or a stride comes before.
    """

    def __init__(self, model):
        self.steps = list(nodes(model))
        self.operations = list({id(operation): operation for operation, _, _ in self.steps}.values())
        self.calls, self.reduced, self._makers, self._users = {}, set(), {}, {}
        for operation, used, made in self.steps:
            self.calls[id(operation)] = self.calls.get(id(operation), 0) + 1
            reduces = _reduces(operation) or any(id(tensor) in self.reduced for tensor in used)
            for tensor in used:
                self._users.setdefault(id(tensor), []).append(operation)
            for tensor in made:
                self._makers[id(tensor)] = operation, used
                if reduces:
                    self.reduced.add(id(tensor))
        for tensor in model.outputs:
            self._users.setdefault(id(tensor), []).append(None)
        self._ends = {id(operation): (used[0], made[0]) for operation, used, made in self.steps if used}

    def input_of(self, operation):
        """Return the (first) input tensor of an operation that is called once."""
        return self._ends[id(operation)][0]

    def output_of(self, operation):
        """Return the (first) output tensor of an operation that is called once."""
        return self._ends[id(operation)][1]

    def depthwise_before(self, layer):
        """Return the depthwise convolution whose output reaches a layer through layers of `BETWEEN` alone, or None."""
        tensor = self.input_of(layer)
        while True:
            operation, used = self._makers.get(id(tensor), (None, ()))
            if operation is None or len(self._users[id(tensor)]) > 1 or self.calls[id(operation)] > 1:
                return None
            if isinstance(operation, keras.layers.DepthwiseConv2D):
                return operation
            if not isinstance(operation, BETWEEN):
                return None
            tensor = used[0]

    def after(self, layer):
        """Return the batch normalization that alone follows a layer, or None, and "relu6" or "relu".

        It is "relu6" where the layer or what alone follows it is a ReLU that ends at 6.
        """
        normalization, operation, tensor = None, layer, self.output_of(layer)
        while not _is_relu6(operation):
            users = self._users.get(id(tensor), ())
            if len(users) != 1 or not isinstance(users[0], BETWEEN) or self.calls[id(users[0])] > 1:
                return normalization, "relu"
            operation = users[0]
            if isinstance(operation, keras.layers.BatchNormalization) and normalization is None:
                normalization = operation
            elif not _is_relu6(operation):
                return normalization, "relu"
            tensor = self.output_of(operation)
        return normalization, "relu6"


def _is_relu6(operation):
    if isinstance(operation, keras.layers.ReLU):
        return operation.max_value == 6 and not operation.negative_slope and not operation.threshold
    return getattr(operation, "activation", None) is keras.activations.relu6


def _reduces(operation):
    if isinstance(operation, keras.layers.MaxPooling2D | keras.layers.AveragePooling2D):
        return True
    strides = getattr(operation, "strides", 1)
    strides = strides if isinstance(strides, tuple | list) else (strides,)
    return any(isinstance(stride, int) and stride > 1 for stride in strides)
