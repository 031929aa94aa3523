import keras
import numpy as np
import pytest

from compactnet.networks import (
    CATALOGUE,
    VGG8,
    Compact,
    MobileNetV1,
    MobileNetV2,
    ResNet50,
    Separable,
    ShuffleNetV1,
    ShuffleNetV2,
    Standard,
    build,
)

# The smallest inputs that leave some room: VGG-8 is padded, or it would need 76 pixels.
SIZES = {VGG8: 16, ResNet50: 33, MobileNetV1: 33, MobileNetV2: 33, ShuffleNetV1: 33, ShuffleNetV2: 33}


def small(name):
    spec = CATALOGUE[name]
    if isinstance(spec.skeleton, VGG8):
        spec = spec.model_copy(update={"skeleton": VGG8(padding="same")})
    return spec, SIZES[type(spec.skeleton)]


# The others differ from these in a width or a compact factor, and the tests of complexity build most of them.
FAST = (
    *(name for name in CATALOGUE if "vgg" in name),
    *("resnet50", "compact_resnet_max_c4", "mobilenet_v1_025", "compact_mobilenet_average_c8"),
    *("mobilenet_v2_025", "shufflenet_v1_050", "shufflenet_v2_050"),
)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in FAST)) for name in CATALOGUE]
)
def test_every_network_gives_probabilities_of_its_classes(name):
    spec, size = small(name)
    model = build(spec, (size, size + 3, 2), classes=7)
    samples = np.random.default_rng(0).normal(size=(2, size, size + 3, 2)).astype("float32")
    probabilities = keras.ops.convert_to_numpy(model(samples))
    assert probabilities.shape == (2, 7)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)


def test_the_catalogue_holds_the_networks_of_table_one_for_each_operation_and_three_widths_of_table_two():
    assert len(CATALOGUE) == 6 + 3 * 3 * 3 + 3 * 3
    assert len({spec.title for spec in CATALOGUE.values()}) == len(CATALOGUE)


@pytest.mark.parametrize(
    ("name", "title", "skeleton", "convolution"),
    [
        ("vgg8", "VGG-8", VGG8(), Standard()),
        ("xvgg8", "XVGG-8", VGG8(), Separable()),
        ("resnet50", "ResNet", ResNet50(), Standard()),
        ("mobilenet_v1_025", "0.25 MobileNet v1", MobileNetV1(width=0.25), Separable()),
        ("mobilenet_v2_100", "1.0 MobileNet v2", MobileNetV2(), Separable()),
        ("shufflenet_v1_200", "ShuffleNet v1 2x (g=3)", ShuffleNetV1(width=2.0), Separable()),
        ("shufflenet_v2_050", "ShuffleNet v2 0.5x", ShuffleNetV2(width=0.5), Separable()),
        ("compact_vgg_sum_c2", "VGG-like CompactNet-S (C=2)", VGG8(), Compact(compact_factor=2, operation="sum")),
        (
            "compact_resnet_max_c4",
            "ResNet-like CompactNet-M (C=4)",
            ResNet50(),
            Compact(compact_factor=4, operation="max"),
        ),
        (
            "compact_mobilenet_average_c8",
            "MobileNet-like CompactNet-A (C=8)",
            MobileNetV1(),
            Compact(compact_factor=8, operation="average"),
        ),
    ],
)
def test_a_name_says_the_skeleton_the_operation_and_the_factor(name, title, skeleton, convolution):
    assert CATALOGUE[name].title == title
    assert CATALOGUE[name].skeleton == skeleton
    assert CATALOGUE[name].convolution == convolution


def test_the_catalogue_cannot_be_changed():
    with pytest.raises(TypeError):
        CATALOGUE["vgg8"] = CATALOGUE["xvgg8"]
