"""Eqs. (1)-(5) of the paper in NumPy, with plain loops and one index at a time."""

import numpy as np


def group_members(output_channel, compact_factor, groups, grouping):
    """Return the input channels that one output channel covers."""
    if grouping == "adjacent":
        return list(range(output_channel * compact_factor, (output_channel + 1) * compact_factor))
    return [output_channel + step * groups for step in range(compact_factor)]


def forward(inputs, compact_factor, operation, grouping):
    """Return O(n) for every position: Eq. (2) for "max", Eq. (4) with m = 1 for "sum" and m = C for "average".

    The control "first" is the first channel of the group.
    """
    groups = inputs.shape[-1] // compact_factor
    outputs = np.zeros((*inputs.shape[:-1], groups), dtype=inputs.dtype)
    for position in np.ndindex(inputs.shape[:-1]):
        for n in range(groups):
            values = [inputs[(*position, k)] for k in group_members(n, compact_factor, groups, grouping)]
            if operation == "max":
                outputs[(*position, n)] = max(values)
            elif operation == "first":
                outputs[(*position, n)] = values[0]
            else:
                outputs[(*position, n)] = sum(values) / (1 if operation == "sum" else compact_factor)
    return outputs


def gradient(inputs, upstream, compact_factor, operation, grouping):
    """Return the sum over n of upstream(n) dO(n)/dI(j): Eq. (3) for "max", Eq. (5) for "sum" and "average".

    Eq. (3) leaves ties open; here the first channel of the group wins.
    """
    groups = inputs.shape[-1] // compact_factor
    result = np.zeros_like(inputs)
    for position in np.ndindex(inputs.shape[:-1]):
        for n in range(groups):
            members = group_members(n, compact_factor, groups, grouping)
            if operation == "max":
                values = [inputs[(*position, k)] for k in members]
                winner = members[values.index(max(values))]
                result[(*position, winner)] += upstream[(*position, n)]
            elif operation == "first":
                result[(*position, members[0])] += upstream[(*position, n)]
            else:
                for k in members:
                    result[(*position, k)] += upstream[(*position, n)] / (1 if operation == "sum" else compact_factor)
    return result
