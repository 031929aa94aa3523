"""The arithmetic of Table IV; tests/report/test_tables.py compares its 48 figures."""

import pytest

from compactnet.errors import InputError
from compactnet.measure import published_mflops
from compactnet.networks import CATALOGUE, VGG8, MobileNetV1, NetworkSpec, ResNet50, Standard

PIXELS = 224 * 224


@pytest.mark.parametrize(
    ("skeleton", "extra"),
    [
        (VGG8, 9 * 2 * 64 * PIXELS),
        (ResNet50, 49 * 2 * 64 * PIXELS),
        (MobileNetV1, 9 * 2 * 32 * PIXELS / 4),
    ],
)
@pytest.mark.parametrize("width", [1, 0.5])
def test_the_stem_has_two_more_input_channels_at_its_width(skeleton, extra, width):
    spec = NetworkSpec(title="network", skeleton=skeleton(width=width), convolution=Standard())
    scaled = 100 * PIXELS / (128 * 512)
    assert published_mflops("ic", 100, spec) == pytest.approx(scaled + width * extra / 1e6)
    assert published_mflops("sed", 100, spec) == 100 * 201 / 512


def test_what_table_iv_does_not_have_is_refused():
    with pytest.raises(InputError, match=r"must have the skeleton .* Received: .*, ShuffleNetV2; use `complexity`"):
        published_mflops("ic", 100, CATALOGUE["shufflenet_v2_100"])
    with pytest.raises(InputError, match=r"`task` must be 'sed' or 'ic'. Received: task='asc'"):
        published_mflops("asc", 100, CATALOGUE["vgg8"])
