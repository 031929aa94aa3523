"""Every kind of convolution in the skeletons of the paper, and the controls of the compact one."""

import keras
import numpy as np
import pytest

from compactnet.errors import InputError
from compactnet.networks import (
    VGG8,
    Compact,
    LearnedSqueeze,
    MobileNetV1,
    NetworkSpec,
    ResNet50,
    Separable,
    ShuffleNetV2,
    build,
)
from compactnet.networks.complexity import complexity
from compactnet.schema import Experiment

SKELETONS = {
    "vgg8": (VGG8(padding="same", width=0.25), (16, 16, 3)),
    "resnet50": (ResNet50(width=0.25), (64, 64, 3)),
    "mobilenet_v1": (MobileNetV1(width=0.25), (32, 32, 3)),
}
KINDS = {
    "standard": {},
    "separable": {},
    "compact": {"compact_factor": 4, "operation": "first"},
    "learned_squeeze": {"compact_factor": 4},
    "slim": {"folds": 2},
    "channelwise": {"kernel_size": 16},
    "group_channelwise": {"groups": 2},
    "factorized": {"fraction": 0.5},
    "decoupled": {"depth": 2},
    "ghost": {"ratio": 2},
    "partial": {"ratio": 4},
    "max_feature_map": {},
}


def experiment(kind, skeleton, **fields):
    """Return an experiment of one network, as a YAML file would give it."""
    base = {"vgg8": "xvgg8", "resnet50": "resnet50", "mobilenet_v1": "mobilenet_v1_025"}[skeleton]
    network = {"name": "network", "base": base, "convolution": {"kind": kind, **fields}}
    return Experiment(
        name="test", data={"source": "cifar10"}, networks=[network], training={"epochs": 1}, seeds=[0]
    ).networks[0]


# ResNet-50 has all kinds of convolution that the others have, in many more layers.
@pytest.mark.parametrize(
    "skeleton", [pytest.param(name, marks=[pytest.mark.slow] * (name == "resnet50")) for name in SKELETONS]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_yaml_file_can_put_every_kind_into_every_skeleton(kind, skeleton):
    convolution = experiment(kind, skeleton, **KINDS[kind]).convolution
    narrow, shape = SKELETONS[skeleton]
    spec = NetworkSpec(title=kind, skeleton=narrow, convolution=convolution)
    model = build(spec, shape, 7)
    probabilities = keras.ops.convert_to_numpy(model(np.zeros((1, *shape), "float32")))
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)
    assert complexity(model).unknown == ()


def test_the_control_first_has_the_weights_and_shapes_of_sum_and_fewer_additions():
    counted = {}
    for operation in ("sum", "first"):
        spec = NetworkSpec(
            title=operation,
            skeleton=MobileNetV1(width=0.25),
            convolution=Compact(compact_factor=4, operation=operation),
        )
        counted[operation] = complexity(build(spec, (32, 32, 3)))
    rows = zip(counted["sum"].layers, counted["first"].layers, strict=True)
    additions = 0
    for one, other in rows:
        assert (one.output_shape, one.params) == (other.output_shape, other.params)
        if one.kind == "InterchannelPooling":
            assert one.flops == 3 * np.prod(one.output_shape)
            additions += one.flops
    assert counted["sum"].flops - counted["first"].flops == additions > 0


def test_a_learned_squeeze_has_the_shapes_of_the_operation_and_a_kernel_in_its_place():
    spec = NetworkSpec(title="", skeleton=MobileNetV1(width=0.25), convolution=LearnedSqueeze(compact_factor=4))
    rows = {row.name: row for row in complexity(build(spec, (32, 32, 3))).layers}
    assert rows["block6_squeeze"].output_shape == (2, 2, 64 // 4)
    assert rows["block6_squeeze"].params == 64 * 16
    assert rows["block6_pointwise"].params == 16 * 128


@pytest.mark.parametrize(
    ("kind", "inner", "outer"), [("learned_squeeze", "depthwise", "squeeze"), ("slim", "slim", "pointwise")]
)
def test_the_activation_of_the_skeleton_is_inside_too(kind, inner, outer):
    convolution = experiment(kind, "mobilenet_v1", **KINDS[kind]).convolution
    spec = NetworkSpec(title=kind, skeleton=MobileNetV1(width=0.25), convolution=convolution)
    layers = build(spec, (32, 32, 3)).layers
    names = [layer.name for layer in layers]
    between = layers[names.index(f"block6_{inner}") + 1 : names.index(f"block6_{outer}")]
    activations = [layer.activation for layer in between if isinstance(layer, keras.layers.Activation)]
    assert activations == [keras.activations.relu6]
    if kind == "slim":
        assert layers[names.index("block6_slim")].activation is keras.activations.relu6


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        ("slim", {"folds": 3}, "`2 \\* folds` must divide the channel count"),
        ("partial", {"ratio": 5}, "`ratio` must divide the channel count"),
        ("learned_squeeze", {"compact_factor": 5}, "`compact_factor` must divide the channel count"),
        ("group_channelwise", {"groups": 3}, "groups"),
    ],
)
def test_numbers_that_do_not_divide_the_channels_are_one_line(kind, fields, reason):
    convolution = experiment(kind, "mobilenet_v1", **fields).convolution
    spec = NetworkSpec(title=kind, skeleton=MobileNetV1(width=0.25), convolution=convolution)
    with pytest.raises(InputError, match=f"cannot be built: .*{reason}") as caught:
        build(spec, (32, 32, 3))
    assert len(str(caught.value).splitlines()) == 1


def test_channels_that_a_channelwise_convolution_cannot_reach_are_one_line():
    convolution = experiment("channelwise", "mobilenet_v1").convolution
    spec = NetworkSpec(title="", skeleton=MobileNetV1(width=0.51), convolution=convolution)
    with pytest.raises(InputError, match="needs filters that are a multiple of the input channels or divide them"):
        build(spec, (32, 32, 3))


@pytest.mark.parametrize(
    ("kind", "fields"), [("slim", {"folds": 1}), ("ghost", {"ratio": 1}), ("factorized", {"fraction": 0})]
)
def test_a_yaml_file_with_a_value_out_of_range_is_refused(kind, fields):
    with pytest.raises(InputError, match=rf"convolution.{next(iter(fields))}"):
        experiment(kind, "vgg8", **fields)


def test_channel_multiple_rounds_the_channels_and_leaves_old_hashes():
    skeleton = MobileNetV1(width=0.3, channel_multiple=8)
    assert [skeleton.channels(filters) for filters in (8, 32, 64, 1024)] == [8, 8, 16, 304]
    spec = NetworkSpec(title="", skeleton=MobileNetV1(), convolution=Separable())
    assert "channel_multiple" not in spec.architecture()["skeleton"]
    with pytest.raises(InputError, match="channel_multiple: ShuffleNet v2 has the channels of its paper"):
        ShuffleNetV2(channel_multiple=4)
    assert "use_bias" not in ResNet50().model_dump()
    assert ResNet50(use_bias=False).model_dump()["use_bias"] is False
