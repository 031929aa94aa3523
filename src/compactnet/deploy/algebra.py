"""What the interchannel operation is in terms of a 1x1 convolution.

Let x be the N channels before the operation, g the group of a channel (N' = N/C groups) and V the kernel of the 1x1
convolution after it, of shape (N', F). With the sum, output f is

    sum over groups of V[g, f] * (sum over n in the group of x[n])  =  sum over n of V[g(n), f] * x[n]:

a 1x1 convolution of all N channels whose rows are equal within a group, "tied". So a compact convolution with the sum
and no activation between the operation and the 1x1 convolution is a depthwise separable convolution with tied rows and
1/C of the 1x1 weights to learn. The average is the sum with V/C. Where batch normalization follows, it removes the
factor C up to its epsilon, which is why networks with sum and average train alike. The maximum has no such form.
"""

import numpy as np

from compactnet.checks import check_choice, check_integer, check_tolerance
from compactnet.errors import InputError
from compactnet.layers.arguments import GROUPINGS

TIED_OPERATIONS = ("sum", "average")


def tied_kernel(kernel, compact_factor, operation="sum", grouping="strided"):
    """Return the 1x1 kernel of all channels that does what an interchannel operation and a 1x1 kernel do.

    Args:
        kernel: Array of shape (..., N', F), the kernel after the operation.
        compact_factor: C.
        operation: "sum" or "average".
        grouping: "strided" or "adjacent".

    Returns:
        Array of shape (..., N' * C, F).

    Raises:
        InputError: an argument is invalid.

    Examples:
        >>> tied_kernel(np.array([[1.0], [2.0]]), 2).ravel().tolist()
        [1.0, 2.0, 1.0, 2.0]
        >>> tied_kernel(np.array([[1.0], [2.0]]), 2, "average", "adjacent").ravel().tolist()
        [0.5, 0.5, 1.0, 1.0]

    Source: Eqs. (1), (4) and (5) of the paper, written out.
    """
    factor = _check(compact_factor, operation, grouping)
    kernel = _array(kernel)
    scaled = kernel / factor if operation == "average" else kernel
    if grouping == "adjacent":
        return np.repeat(scaled, factor, axis=-2)
    return np.concatenate([scaled] * factor, axis=-2)


def untied_kernel(kernel, compact_factor, operation="sum", grouping="strided", tolerance=1e-6):
    """Return the 1x1 kernel after an interchannel operation that does what a 1x1 kernel of all channels does.

    The inverse of `tied_kernel`.

    Args:
        kernel: Array of shape (..., N, F) whose rows are equal within each group.
        compact_factor: C; it must divide N.
        operation: "sum" or "average".
        grouping: "strided" or "adjacent".
        tolerance: Largest difference between rows of a group, over the largest weight.

    Returns:
        Array of shape (..., N / C, F).

    Raises:
        InputError: an argument is invalid, or rows of a group differ.
    """
    factor = _check(compact_factor, operation, grouping)
    tolerance = check_tolerance(tolerance)
    kernel = _array(kernel)
    channels = kernel.shape[-2]
    if channels % factor:
        raise InputError(f"`compact_factor` must divide the {channels} rows of the kernel. Received: {factor}")
    if grouping == "adjacent":
        groups = kernel.reshape(*kernel.shape[:-2], channels // factor, factor, -1)
    else:
        groups = np.moveaxis(kernel.reshape(*kernel.shape[:-2], factor, channels // factor, -1), -3, -2)
    common = groups.mean(axis=-2)
    difference = float(np.ptp(groups, axis=-2).max(initial=0.0))
    if not difference <= tolerance * np.abs(kernel).max(initial=0.0):
        raise InputError(
            f"The rows of a group differ by up to {difference:.1e}: no {operation} of {factor} channels with a smaller "
            "1x1 kernel computes the same. compactnet.compress(..., warm_start=True) finds the closest one."
        )
    return common * factor if operation == "average" else common


def _array(kernel):
    kernel = np.asarray(kernel)
    if kernel.ndim < 2 or not np.issubdtype(kernel.dtype, np.number):
        raise InputError(
            f"`kernel` must be an array of numbers of shape (..., channels, filters). Received: {kernel.dtype} array "
            f"of shape {kernel.shape}"
        )
    return kernel


def _check(compact_factor, operation, grouping):
    check_choice("operation", operation, TIED_OPERATIONS)
    check_choice("grouping", grouping, GROUPINGS)
    return check_integer("compact_factor", compact_factor)
