import keras
import numpy as np
import pytest

from compactnet.networks import (
    CATALOGUE,
    VGG8,
    ChannelNet,
    Compact,
    MobileNetV1,
    MobileNetV2,
    ResNet50,
    ResNet101,
    Separable,
    ShuffleNetV1,
    ShuffleNetV2,
    Standard,
    build,
)
from compactnet.networks.complexity import complexity

# The smallest inputs that leave some room: VGG-8 is padded, or it would need 76 pixels.
SIZES = {VGG8: 16}
SIZE = 33


def small(name):
    spec = CATALOGUE[name]
    if isinstance(spec.skeleton, VGG8):
        spec = spec.model_copy(update={"skeleton": VGG8(padding="same")})
    return spec, SIZES.get(type(spec.skeleton), SIZE)


# The others differ from these in a width or a compact factor, and the tests of complexity build most of them.
FAST = (
    *(name for name in CATALOGUE if "vgg" in name),
    *("resnet50", "compact_resnet_max_c4", "mobilenet_v1_025", "compact_mobilenet_average_c8"),
    *("mobilenet_v2_025", "shufflenet_v1_050", "shufflenet_v2_050", "slim_resnet50_k83", "channelnet_v3"),
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


def test_the_catalogue_holds_table_one_for_each_operation_three_widths_of_table_two_and_six_other_networks():
    assert len(CATALOGUE) == 6 + 3 * 3 * 3 + 3 * 3 + 6
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


# Networks of other papers, at 224x224 with 1000 classes; MACs are in units of 1e9, with the classifier. The papers
# print them rounded: 16.76, 12.10, 27.96, 3.7, 2.7 and 1.7 million parameters, and 2.65, 1.88, 4.87 and, for ChannelNet
# version 1, 0.407. No reading of the papers reproduces the last two.
@pytest.mark.parametrize(
    ("name", "weights", "total", "macs"),
    [
        ("slim_resnet50_k43", 16_758_740, 16_812_096, 2.652),
        pytest.param("slim_resnet50_k83", 12_098_388, 12_147_968, 1.880, marks=pytest.mark.slow),
        pytest.param("slim_resnet101_k43", 27_956_708, 28_062_560, 4.822, marks=pytest.mark.slow),
        ("channelnet_v1", 3_714_376, 3_738_312, 0.468),
        pytest.param("channelnet_v2", 2_663_816, 2_685_704, 0.420, marks=pytest.mark.slow),
        ("channelnet_v3", 1_640_041, 1_661_929, 0.421),
    ],
)
def test_networks_of_other_papers_have_their_parameters_and_multiply_accumulates(name, weights, total, macs):
    counted = complexity(build(name, (224, 224, 3), 1000), count_dense=True)
    model = build(name, (224, 224, 3), 1000)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == weights
    assert counted.params == total
    additions = sum(row.flops for row in counted.layers if row.kind == "InterchannelPooling")
    assert round((counted.flops - additions) / 2e9, 3) == macs
    assert counted.unknown == ()


def test_their_skeletons_come_in_other_forms_too():
    assert build(CATALOGUE["resnet50"].model_copy(update={"skeleton": ResNet101(width=0.125)}), (64, 64, 3), 10).built
    grouped = ChannelNet(version=2, groups=4, width=0.25)
    assert build(CATALOGUE["channelnet_v2"].model_copy(update={"skeleton": grouped}), (64, 64, 3), 10).built
