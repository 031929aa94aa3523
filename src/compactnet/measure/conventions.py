"""How Table IV of the paper came by its complexity columns: not by counting, but by scaling those of Table I."""

from compactnet.errors import InputError
from compactnet.networks import VGG8, MobileNetV1, NetworkSpec, ResNet50

ASC_INPUT = (128, 512, 1)
"""Mel bands, frames and channels of a 10 s scene: the input of Tables I to III."""

SED_INPUT = (128, 201, 1)
"""Mel bands, frames and channels of a 4 s event."""

IC_PUBLISHED_INPUT = (224, 224, 3)
"""The image size that the arithmetic of Table IV assumes; the paper's text says 32x32."""

PUBLISHED_CONVENTION = "Table I's figure scaled by the input's area, plus the stem's extra input channels"


def published_mflops(task, asc_mflops, spec: NetworkSpec):
    """Return the MFLOPs that Table IV's arithmetic gives; they reproduce its 48 figures within 0.1.

    Args:
        task: "sed" (the ASC figure x 201/512) or "ic" (x 224^2/(128 x 512), plus two more input channels in the stem).
        asc_mflops: MFLOPs at 128x512x1.
        spec: The network, for its stem: a VGG-8, a ResNet-50 or a MobileNet version 1.

    Raises:
        InputError: another task, or for "ic" another network.
    """
    if task == "sed":
        return asc_mflops * SED_INPUT[1] / ASC_INPUT[1]
    if task == "ic":
        pixels = IC_PUBLISHED_INPUT[0] * IC_PUBLISHED_INPUT[1]
        return asc_mflops * pixels / (ASC_INPUT[0] * ASC_INPUT[1]) + _extra_channels(spec, pixels) / 1e6
    raise InputError(f"`task` must be 'sed' or 'ic'. Received: task={task!r}")


def _extra_channels(spec, pixels):
    """Return what the paper added for the stem's two more input channels: kernel area x 2 x filters x positions.

    The 2 is either the channels, with multiply-accumulates counted once, or the two FLOPs of each, with one channel
    added; the table does not tell.
    """
    match spec.skeleton:
        case MobileNetV1(width=width):
            return 9 * 2 * 32 * width * pixels / 4
        case ResNet50(width=width):
            # The stem's stride is left out here, though not in Table I.
            return 49 * 2 * 64 * width * pixels
        case VGG8(width=width):
            return 9 * 2 * 64 * width * pixels
    raise InputError(
        "`spec` must have the skeleton of a network of Table IV: VGG8, ResNet50 or MobileNetV1. "
        f"Received: {spec.title}, {type(spec.skeleton).__name__}; use `complexity`."
    )
