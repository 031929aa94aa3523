"""The networks in plain PyTorch, for comparison: the modules and calls that one would write by hand."""

import torch
from torch import nn
from torch.nn import functional

from compactnet.errors import InputError
from compactnet.networks.graph import flatten, nodes


def torch_network(model):
    """Return a `torch.nn.Module` with the layers of a Keras model, newly initialized.

    Its input has the shape (batch, channels, height, width).

    Args:
        model: A functional `keras.Model` of convolutions, normalizations, ReLUs, poolings and one dense layer.
    """
    return _Network(flatten(model))


class _Network(nn.Module):
    def __init__(self, flat):
        super().__init__()
        self.parts, self.plan = nn.ModuleList(), []
        self.source = id(flat.inputs[0])
        for layer, inputs, outputs in nodes(flat):
            self.plan.append(([id(tensor) for tensor in inputs], id(outputs[0])))
            self.parts.append(_MODULES[type(layer).__name__](layer, inputs[0].shape))

    def forward(self, images):
        values = {self.source: images}
        for part, (inputs, output) in zip(self.parts, self.plan, strict=True):
            values[output] = part(*(values[name] for name in inputs))
        return values[output]


def _convolution(layer, shape, filters, groups=1, bias=True):
    if layer.padding == "valid":
        return nn.Conv2d(shape[-1], filters, layer.kernel_size, layer.strides, groups=groups, bias=bias)
    pads = []
    for extent, size, stride in zip(shape[1:3], layer.kernel_size, layer.strides, strict=True):
        total = max((-(-extent // stride) - 1) * stride + size - extent, 0)
        pads.append((total // 2, total - total // 2))
    even = all(before == after for before, after in pads)
    inner = nn.Conv2d(
        shape[-1],
        filters,
        layer.kernel_size,
        layer.strides,
        padding=[before for before, _ in pads] if even else 0,
        groups=groups,
        bias=bias,
    )
    return inner if even else nn.Sequential(nn.ZeroPad2d((*pads[1], *pads[0])), inner)


def _separable(layer, shape):
    depthwise = _convolution(layer, shape, shape[-1], groups=shape[-1], bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(shape[-1], layer.filters, 1, bias=layer.use_bias))


_OPERATIONS = {
    "sum": torch.sum,
    "average": torch.mean,
    "max": torch.amax,
    "first": lambda groups, axis: groups.select(axis, 0),
}


class _Interchannel(nn.Module):
    def __init__(self, layer):
        super().__init__()
        if layer.operation not in _OPERATIONS:
            known = ", ".join(_OPERATIONS)
            raise InputError(f"The interchannel operation in PyTorch is one of {known}. Received: {layer.operation}")
        self.reduce = _OPERATIONS[layer.operation]
        strided = layer.grouping == "strided"
        self.axis, self.extents = (1, (layer.compact_factor, -1)) if strided else (2, (-1, layer.compact_factor))

    def forward(self, features):
        return self.reduce(features.unflatten(1, self.extents), self.axis)


class _Add(nn.Module):
    def forward(self, one, other):
        return one + other


class _GlobalAverage(nn.Module):
    def forward(self, features):
        return features.mean((2, 3))


_MODULES = {
    "Conv2D": lambda layer, shape: _convolution(layer, shape, layer.filters, bias=layer.use_bias),
    "DepthwiseConv2D": lambda layer, shape: _convolution(layer, shape, shape[-1], shape[-1], layer.use_bias),
    "SeparableConv2D": _separable,
    "BatchNormalization": lambda layer, shape: nn.BatchNorm2d(shape[-1], layer.epsilon, 1 - layer.momentum),
    "Activation": lambda layer, shape: {"relu": nn.ReLU, "relu6": nn.ReLU6}[layer.activation.__name__](),
    "MaxPooling2D": lambda layer, shape: nn.MaxPool2d(layer.pool_size, layer.strides),
    "InterchannelPooling": lambda layer, shape: _Interchannel(layer),
    "Add": lambda layer, shape: _Add(),
    "GlobalAveragePooling2D": lambda layer, shape: _GlobalAverage(),
    "Dense": lambda layer, shape: nn.Linear(shape[-1], layer.units),
}


class TorchTrainer:
    """A training loop as one would write it: Adam, cross entropy, batches from memory.

    Args:
        model: The Keras model.
        samples: uint8 array (n, height, width, channels).
        labels: Integer array (n,).
        mean: float32 array, subtracted from samples.
        std: float32 array, divides them.
        threads: Processor threads.
        channels_last: Whether tensors are laid out channels last.
    """

    def __init__(self, model, samples, labels, mean, std, threads, channels_last):
        torch.set_num_threads(threads)
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self._network = torch_network(model).to(memory_format=self._layout).train()
        self._optimizer = torch.optim.Adam(self._network.parameters(), 1e-3, eps=1e-7)
        self._samples = torch.from_numpy(samples.transpose(0, 3, 1, 2)).contiguous(memory_format=self._layout)
        self._labels = torch.from_numpy(labels).long()
        self._mean, self._std = (torch.from_numpy(array.transpose(2, 0, 1).copy()) for array in (mean, std))

    def batch(self, indices):
        """Return the standardized samples and the labels at `indices`."""
        indices = torch.from_numpy(indices)
        samples = (self._samples[indices].float() - self._mean) / self._std
        return samples.contiguous(memory_format=self._layout), self._labels[indices]

    def step(self, samples, labels):
        """Make a training step and return the loss."""
        self._optimizer.zero_grad()
        loss = functional.cross_entropy(self._network(samples), labels)
        loss.backward()
        self._optimizer.step()
        return loss.item()
