"""The width at which one network has the FLOPs of another."""

import functools
import math
import numbers

from compactnet.checks import format_shape
from compactnet.errors import InputError
from compactnet.networks.build import build, get_spec
from compactnet.networks.complexity import complexity

STEPS = 1000
"""Widths are tried in steps of one in this many."""

WIDEST = 16
"""The largest width that skeletons take."""

MARGIN = 1.01
"""Factor on the estimate of the next width to try, for rounded numbers of channels."""


def matched_width(name_or_spec, target_flops, input_shape):
    """Return the width at which a network comes closest to a number of FLOPs.

    Two networks with equal FLOPs show what a kind of convolution is worth: narrowing a network is the simplest way to
    make it smaller.

    Args:
        name_or_spec: A name in `CATALOGUE`, or a `NetworkSpec`. Where its convolution needs channels that a number
            divides, as `Compact` and `Slim` do, set the skeleton's `channel_multiple` to it.
        target_flops: FLOPs of one sample (not MFLOPs), by the convention of `compactnet.measure.complexity`.
        input_shape: (height, width, channels) of one sample.

    Returns:
        The skeleton's `width`, a multiple of 0.001.

    Raises:
        InputError: the skeleton does not come in every width, no width has as many or as few FLOPs, or the network
            cannot be built, see `build`.

    Examples:
        >>> from compactnet.networks import MobileNetV1, NetworkSpec, Separable
        >>> spec = NetworkSpec(title="MobileNet v1", skeleton=MobileNetV1(), convolution=Separable())
        >>> matched_width(spec, 10e6, (32, 32, 3))
        0.648
    """
    spec = get_spec(name_or_spec)
    if isinstance(target_flops, bool) or not isinstance(target_flops, numbers.Real) or not 0 < target_flops < math.inf:
        raise InputError(
            f"`target_flops` must be a number above 0, in FLOPs (not MFLOPs). Received: target_flops={target_flops!r}"
        )

    @functools.cache
    def flops(width):
        try:
            skeleton = type(spec.skeleton)(**{**dict(spec.skeleton), "width": width / STEPS})
        except InputError as error:
            raise InputError(f"{spec.title} has no width for every number of FLOPs: {error}") from None
        return complexity(build(spec.model_copy(update={"skeleton": skeleton}), input_shape)).flops

    def refuse(what_it_has):
        raise InputError(
            f"No width gives {spec.title} {target_flops:,.0f} FLOPs at {format_shape(input_shape)}: it has "
            f"{what_it_has}. Give a number within its reach, in FLOPs (not MFLOPs)."
        )

    low, top, widest = 1, STEPS, WIDEST * STEPS
    # A wide network fills the memory. FLOPs grow with the square of the width at most, but for rounded channels.
    while flops(top) < target_flops:
        most = flops(top) * (widest / top) ** 2
        if top == widest or 2 * most < target_flops:
            refuse(f"at most {'' if top == widest else 'about '}{most:,.0f} at the widest, {WIDEST}")
        needed = top * math.sqrt(target_flops / flops(top))
        low, top = top, min(math.ceil(MARGIN * needed), widest)
    if flops(low) > target_flops:
        refuse(f"at least {flops(low):,} at a width of {low / STEPS}")
    while top - low > 1:
        middle = (low + top) // 2
        low, top = (middle, top) if flops(middle) < target_flops else (low, middle)
    return min((low, top), key=lambda width: abs(flops(width) - target_flops)) / STEPS
