"""Folding: a copy of a trained network without what only training needs, and with the interchannel operation in a form
that a runtime runs fast."""

import contextlib
import functools
from dataclasses import dataclass

import keras
import numpy as np

from compactnet.checks import check_choice, check_tolerance
from compactnet.deploy.algebra import tied_kernel
from compactnet.deploy.forms import FORMS, PooledInterchannelPooling, SlicedInterchannelPooling
from compactnet.errors import InputError
from compactnet.layers import GroupedConv2D, InterchannelPooling
from compactnet.measure.runtimes import inference_call
from compactnet.networks.channels import FILTERS, channel_path, permute_channels
from compactnet.networks.graph import JOINT, clone_layer, cloned, copy_weights_of, flatten
from compactnet.networks.keras_internals import all_sublayers, call_again, computation_nodes, structures
from compactnet.timing import interleaved

IDENTITIES = (
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    keras.layers.GaussianNoise,
    keras.layers.GaussianDropout,
    keras.layers.AlphaDropout,
    keras.layers.ActivityRegularization,
)
"""Layers that do nothing in inference."""

FOLDABLE = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Dense,
    GroupedConv2D,
)
"""Classes of layers that take in the batch normalization after them. Their subclasses may compute something else."""

UNKNOWN_EXTENT = 96
"""Height and width of the samples where the model leaves them open."""

ROUNDS = 15
"""Timed calls of each form."""


def fold(model, *, interchannel="auto", tolerance=1e-5):
    """Return a copy of a model for inference that computes the same outputs faster.

    - Batch normalization becomes part of the two-dimensional convolution (not a transposed one) or dense layer before
      it, where nothing stands between.
    - Dropout and noise are gone, and the statistics of a `Normalization` are constants.
    - Adjacent groups of interchannel operations become strided ones, by reordering the filters that the channels come
      from.
    - Every interchannel operation takes the form that is asked for.
    - Composite layers are opened: the copy consists of the layers inside them.
    - All computes in float32.

    Args:
        model: A functional `keras.Model` or built `keras.Sequential`; it is not changed.
        interchannel: A form of `compactnet.deploy.FORMS`, or "auto": every form but "tied" is timed on the backend of
            this process, one sample at a time, and the fastest one stays ("slices", where the model has several inputs
            or outputs). An operation that cannot take the form takes "slices".
        tolerance: Largest difference between the outputs of both models on random samples, over the largest output.

    Returns:
        A functional `keras.Model`.

    Raises:
        InputError: `model` is not functional, an argument is invalid, or the outputs differ by more than `tolerance`.
    """
    check_choice("interchannel", interchannel, ("auto", *FORMS))
    check_tolerance(tolerance)
    model = in_float32(model)
    forms = [interchannel] if interchannel != "auto" else candidate_forms(model) or ["slices"]
    if interchannel == "auto" and (len(model.inputs) > 1 or len(model.outputs) > 1):
        forms = ["slices"]
    candidates = {form: fold_into(model, form) for form in forms}
    if len(candidates) == 1:
        return checked(model, candidates[forms[0]], tolerance)
    samples = random_samples(model, 1)
    backend = keras.config.backend()
    # Without dictionaries around the one output, which only a caller needs.
    plain = {form: keras.Model(folded.inputs[0], folded.outputs[0]) for form, folded in candidates.items()}
    calls = {form: inference_call(backend, folded, samples[0], threads=1) for form, folded in plain.items()}
    timings = interleaved(calls, ROUNDS)
    *faster, last = sorted(timings, key=lambda form: timings[form].median)
    for form in faster:
        with contextlib.suppress(InputError):
            return checked(model, candidates[form], tolerance)
    return checked(model, candidates[last], tolerance)


def in_float32(model):
    """Return a model whose layers all compute in float32: the model itself, or a copy of one in mixed precision.

    A layer inside a wrapper that cannot be opened, such as `TimeDistributed`, keeps its precision.

    Raises:
        InputError: a layer is quantized and computes in mixed precision, or cannot be copied with another precision.
    """
    if not isinstance(model, keras.Model) or (
        not hasattr(model, "operations") and not isinstance(model, keras.Sequential)
    ):
        return model  # `flatten` says what is wrong
    layers = [layer for layer in all_sublayers(model) if not isinstance(layer, keras.layers.InputLayer | keras.Model)]
    if all(layer.dtype_policy.compute_dtype in ("float32", None) for layer in layers):
        return model
    if quantized := [layer.name for layer in layers if getattr(layer, "quantization_mode", None)]:
        raise InputError(
            f"{quantized[0]!r} is quantized in a model of mixed precision. Give the model as it was before quantize(): "
            "files are quantized with `precision`."
        )
    flat = flatten(model, copy_weights=True)
    originals = {layer.name: layer for layer in flat.layers}

    def clone(operation):
        return clone_layer(operation, **{"dtype": "float32"} if isinstance(operation, keras.layers.Layer) else {})

    def call(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        if original := originals.get(layer.name):
            copy_weights_of(original, layer)
        return outputs

    return cloned(flat, clone, call)


def fold_into(model, form):
    """Return a folded copy of a model with one form of the interchannel operation, unchecked; see `fold`."""
    return _Folding(flatten(model, copy_weights=True), form).model()


def form_taken(model, form):
    """Return the form that the interchannel operations of a model take where one is asked for: it, or "slices"."""
    units = _Folding(flatten(model), "slices").units
    return form if any(unit.takes(form) for unit in units) else "slices"


def candidate_forms(model):
    """Return the forms that may be the fastest of a model, none where it has no interchannel operation.

    "tied" is left out: it has C times the multiplications of the 1x1 convolutions.
    """
    units = _Folding(flatten(model), "slices").units
    return [form for form in FORMS if form != "tied" and any(unit.takes(form) for unit in units)]


def checked(model, folded, tolerance):
    """Return a folded model after comparing its outputs with those of the model it comes from.

    Raises:
        InputError: they differ by more than `tolerance`, relative to the largest output.
    """
    samples = keras.tree.pack_sequence_as(structures(model)[0], random_samples(model, 2))
    expected, found = (
        [keras.ops.convert_to_numpy(output) for output in keras.tree.flatten(one(samples, training=False))]
        for one in (model, folded)
    )
    # Unlike Python's, NumPy's maximum with NaN is NaN.
    worst = np.max(
        [
            np.abs(one - other).max() / max(np.abs(one).max(), np.finfo(np.float32).tiny)
            for one, other in zip(expected, found, strict=True)
        ]
    )
    if not worst <= tolerance:
        raise InputError(
            f"The folded copy of {model.name!r} differs by {worst:.1e} of the largest output, more than "
            f"tolerance={tolerance:g}. Give a larger tolerance, or report the network that does this."
        )
    return folded


def random_samples(model, batch_size, shape=None):
    """Return a list of float32 arrays, one for each input of a model, from a fixed seed.

    Values are normal, or pixels from 0 to 255 for inputs of uint8, or 0 and 1 for those of other integers, which may be
    indices.

    Args:
        model: A functional `keras.Model`.
        batch_size: Number of samples.
        shape: Shape of a sample for a model of one input, or None for the model's.
    """
    generator = np.random.default_rng(0)
    shapes = [shape] if shape else [tensor.shape[1:] for tensor in model.inputs]
    known = [[UNKNOWN_EXTENT if extent is None else extent for extent in one] for one in shapes]
    drawn = []
    for tensor, one in zip(model.inputs, known, strict=True):
        size = (batch_size, *one)
        if tensor.dtype.startswith("float") or tensor.dtype == "bfloat16":
            drawn.append(generator.normal(size=size))
        else:
            drawn.append(generator.integers(0, 256 if tensor.dtype == "uint8" else 2, size=size))
    return [values.astype("float32") for values in drawn]


@dataclass(frozen=True)
class _Unit:
    """An interchannel operation of a flat model and its surroundings.

    Attributes:
        pooling: The layer.
        strided: Whether its groups are strided, from the beginning or because the channels could be reordered.
        path: The layers from the convolution that gives the channels, or None.
        follower: The 1x1 convolution after it, or None.
    """

    pooling: InterchannelPooling
    strided: bool
    path: list | None
    follower: keras.layers.Layer | None

    def takes(self, form):
        """Say whether the operation can take a form."""
        if self.pooling.compact_factor == 1 or not self.strided:
            return False
        match form:
            case "branches":
                return self.path is not None
            case "tied":
                return self.pooling.operation in ("sum", "average") and self.follower is not None
            case "pooling":
                return self.pooling.operation in ("max", "average") or (
                    self.pooling.operation == "sum" and self.follower is not None
                )
            case "reduce":
                return self.pooling.operation != "first"
        return True


class _Folding:
    """The folded copy of a flat model, made node by node.

    A tensor of the copy is a Keras tensor, or a list of them where "branches" has split the channels into parts.
    """

    def __init__(self, flat, form):
        self._flat = flat
        self._nodes = list(computation_nodes(flat))
        self._users, self._calls, self._makers = {}, {}, {}
        for node in self._nodes:
            self._calls[id(node.operation)] = self._calls.get(id(node.operation), 0) + 1
            self._makers.update((id(made), node) for made in node.output_tensors)
            for tensor in node.input_tensors:
                self._users.setdefault(id(tensor), []).append(node.operation)
        for tensor in flat.outputs:
            self._users.setdefault(id(tensor), []).append(None)
        self.units = [self._unit(node) for node in self._nodes if isinstance(node.operation, InterchannelPooling)]
        self._forms, self._kernel_of, self._parts_of, self._pools, self._rescalings = {}, {}, {}, {}, {}
        for unit in self.units:
            self._prepare(unit, form if unit.takes(form) else "slices")

    def _unit(self, node):
        pooling, (tensor,) = node.operation, node.input_tensors
        steps = [(one.operation, one.input_tensors, one.output_tensors) for one in self._nodes]
        path = channel_path(steps, tensor, self._flat.outputs) if self._calls[id(pooling)] == 1 else None
        strided = pooling.grouping == "strided"
        if not strided and path is not None:
            factor = pooling.compact_factor
            permute_channels(path, np.arange(tensor.shape[-1]).reshape(-1, factor).T.ravel())
            strided = True
        follower = self._sole_user(node.output_tensors[0])
        is_pointwise = (
            type(follower) in FILTERS  # a subclass may compute something else with its kernel
            and not getattr(follower, "quantization_mode", None)
            and not getattr(follower, "lora_enabled", False)
            and follower.data_format == "channels_last"
            and (follower.kernel_size, follower.strides, follower.groups) == ((1, 1), (1, 1), 1)
            and self._calls[id(follower)] == self._calls[id(pooling)] == 1
        )
        return _Unit(pooling, strided, path, follower if is_pointwise else None)

    def _prepare(self, unit, form):
        """Note what a form of an operation asks of the layers around it."""
        pooling, factor = unit.pooling, unit.pooling.compact_factor
        operation = pooling.operation
        # A scale on all channels costs nothing inside the 1x1 convolution.
        scale = 1.0
        if operation == "average" and unit.follower is not None and unit.strided and form not in ("pooling", "tied"):
            operation, scale = "sum", 1 / factor
        elif operation == "sum" and form == "pooling":
            operation, scale = "average", factor
        if form == "branches":
            kept = 1 if operation == "first" else factor
            self._parts_of.update((id(layer), (factor, kept)) for layer in unit.path)
        if form == "tied":
            self._kernel_of[id(unit.follower)] = functools.partial(
                tied_kernel, compact_factor=factor, operation=operation
            )
        elif scale != 1:
            self._kernel_of[id(unit.follower)] = lambda kernel: kernel * scale
        self._forms[id(pooling)] = form, operation, unit.strided

    def _sole_user(self, tensor):
        users = self._users.get(id(tensor), [])
        return users[0] if len(users) == 1 else None

    def model(self):
        """Return the copy."""
        made = {id(tensor): tensor for tensor in self._flat.inputs}
        for node in self._nodes:
            results = self._again(node, made)
            made.update((id(old), new) for old, new in zip(node.output_tensors, results, strict=True))
        inputs, outputs = structures(self._flat)
        outputs = keras.tree.map_structure(lambda tensor: made[id(tensor)], outputs)
        return keras.Model(inputs, outputs, name=self._flat.name)

    def _again(self, node, made):
        """Return the list of outputs of a node in the copy."""
        operation, inputs = node.operation, [made[id(tensor)] for tensor in node.input_tensors]
        if self._is_identity(node) or self._is_absorbed(node):
            return inputs
        if isinstance(operation, InterchannelPooling):
            return [self._pool(operation, inputs[0])]
        if type(operation) is keras.layers.Normalization:
            if id(operation) not in self._rescalings:
                self._rescalings[id(operation)] = _rescaling(operation)
            return [self._rescalings[id(operation)](inputs[0])]
        if normalization := self._normalization_after(node):
            weights = _absorb(operation, normalization)
            config = {**operation.get_config(), "use_bias": True}
        else:
            weights = operation.get_weights() if isinstance(operation, keras.layers.Layer) else []
            config = None
        if change := self._kernel_of.get(id(operation)):
            weights = [change(weights[0]), *weights[1:]]
            config = config or operation.get_config()
        if parts := self._parts_of.get(id(operation)):
            return [_split(operation, config or operation.get_config(), weights, inputs[0], *parts)]
        if config:
            return [_call(operation, config, weights, inputs[0])]
        return call_again(node, made)

    def _normalization_after(self, node):
        """Return the batch normalization that a node's layer takes in, or None."""
        layer, tensor = node.operation, node.output_tensors[0]
        normalization = self._sole_user(tensor)
        if (
            type(layer) in FOLDABLE
            and not getattr(layer, "quantization_mode", None)
            and not getattr(layer, "lora_enabled", False)
            and type(normalization) is keras.layers.BatchNormalization
            and layer.activation is keras.activations.linear
            and normalization.axis in (-1, len(tensor.shape) - 1)
            and getattr(layer, "data_format", "channels_last") == "channels_last"
            and self._calls[id(layer)] == self._calls[id(normalization)] == 1
        ):
            return normalization
        return None

    def _is_identity(self, node):
        # A subclass may do something, as does a layer that is told to train.
        return type(node.operation) in IDENTITIES and not node.arguments.kwargs.get("training")

    def _is_absorbed(self, node):
        if not isinstance(node.operation, keras.layers.BatchNormalization):
            return False
        before = self._makers.get(id(node.input_tensors[0]))
        return before is not None and self._normalization_after(before) is node.operation

    def _pool(self, pooling, inputs):
        form, operation, strided = self._forms[id(pooling)]
        if pooling.compact_factor == 1 or form == "tied":
            return inputs
        if form == "branches":
            if operation == "first":
                return inputs[0]
            joins = {"max": keras.layers.Maximum, "sum": keras.layers.Add, "average": keras.layers.Average}
            return joins[operation](name=pooling.name, dtype=pooling.dtype_policy)(inputs)
        if not strided:
            return pooling(inputs)
        forms = {"slices": SlicedInterchannelPooling, "pooling": PooledInterchannelPooling}
        if id(pooling) not in self._pools:
            layer = forms.get(form, InterchannelPooling)
            self._pools[id(pooling)] = layer(
                pooling.compact_factor,
                operation,
                "strided",
                pooling.data_format,
                name=pooling.name,
                dtype=pooling.dtype_policy,
            )
        return self._pools[id(pooling)](inputs)


def _call(layer, config, weights, inputs):
    copy = type(layer).from_config(config)
    outputs = copy(inputs)
    copy.set_weights(weights)
    return outputs


def _split(layer, config, weights, inputs, parts, kept):
    """Return the list of the first `kept` of `parts` equal parts of a layer's output channels."""
    if isinstance(layer, keras.layers.Conv2D):
        config = {**config, "filters": layer.filters // parts}
    # Of a depthwise kernel, channels are the last axis but one.
    axis = -2 if isinstance(layer, keras.layers.DepthwiseConv2D) else -1
    kernels = [np.split(weight, parts, axis=axis if weight.ndim > 1 else 0) for weight in weights]
    return [
        _call(
            layer,
            {**config, "name": f"{layer.name}{JOINT}part{part + 1}"},
            [kernel[part] for kernel in kernels],
            inputs[part] if isinstance(inputs, list) else inputs,
        )
        for part in range(kept)
    ]


def _rescaling(normalization):
    """Return a layer that computes what a `Normalization` does.

    Its statistics are tensors that belong to no variable: a converter would make inputs of them.
    """
    mean, variance = (keras.ops.convert_to_numpy(of) for of in (normalization.mean, normalization.variance))
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    scale, offset = (deviation, mean) if normalization.invert else (1 / deviation, -mean / deviation)
    # Without the axis of the batch; those of length 1 broadcast.
    scale, offset = (of.item() if of.size == 1 else np.squeeze(of, 0).tolist() for of in (scale, offset))
    return keras.layers.Rescaling(scale, offset, name=normalization.name, dtype=normalization.dtype_policy)


def _absorb(layer, normalization):
    """Return the weights of a layer, a bias among them, that include the batch normalization after it."""
    mean, variance = (
        keras.ops.convert_to_numpy(value) for value in (normalization.moving_mean, normalization.moving_variance)
    )
    # In float64, so that the result is as exact as float32 allows.
    scale = 1 / np.sqrt(variance.astype(np.float64) + normalization.epsilon)
    if normalization.scale:
        scale *= keras.ops.convert_to_numpy(normalization.gamma)
    offset = keras.ops.convert_to_numpy(normalization.beta) if normalization.center else 0.0
    weights = layer.get_weights()
    kernels, bias = (weights[:-1], weights[-1]) if layer.use_bias else (weights, 0.0)
    # Of a separable convolution the last kernel is the 1x1 one.
    *before, kernel = kernels
    shape = kernel.shape[-2:] if isinstance(layer, keras.layers.DepthwiseConv2D) else (-1,)
    bias = (bias - mean) * scale + offset
    return [*before, (kernel * scale.reshape(shape)).astype(np.float32), bias.astype(np.float32)]
