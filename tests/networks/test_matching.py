import pytest

from compactnet.errors import InputError
from compactnet.networks import (
    CATALOGUE,
    VGG8,
    Compact,
    MobileNetV1,
    NetworkSpec,
    Partial,
    Separable,
    ShuffleNetV2,
    build,
    matched_width,
)
from compactnet.networks.complexity import complexity

SHAPE = (32, 32, 3)


def flops_of(spec):
    return complexity(build(spec, SHAPE)).flops


def spec_of(convolution, **fields):
    return NetworkSpec(title="MobileNet v1", skeleton=MobileNetV1(**fields), convolution=convolution)


@pytest.mark.slow
@pytest.mark.parametrize(("factor", "width"), [(4, 0.525), (8, 0.397)])
def test_mobilenet_is_as_narrow_as_the_compact_network_is_cheap(factor, width):
    target = flops_of(CATALOGUE[f"compact_mobilenet_sum_c{factor}"])
    assert matched_width("mobilenet_v1_100", target, SHAPE) == width


def test_the_width_gives_the_closest_flops_also_above_one():
    def vgg(width):
        skeleton = VGG8(padding="same", width=width)
        return NetworkSpec(title="XVGG-8", skeleton=skeleton, convolution=Separable())

    target = 60e6
    width = matched_width(vgg(0.5), target, (16, 16, 3))
    assert width > 1
    off = [abs(complexity(build(vgg(width + step), (16, 16, 3))).flops - target) for step in (-0.001, 0, 0.001)]
    assert min(off) == off[1]


@pytest.mark.slow
def test_channels_stay_multiples_where_the_convolution_needs_them():
    def vgg(width):
        skeleton = VGG8(padding="same", channel_multiple=4, width=width)
        return NetworkSpec(title="VGG-8", skeleton=skeleton, convolution=Partial(ratio=4))

    width = matched_width(vgg(1), 5e6, (16, 16, 3))
    assert complexity(build(vgg(width), (16, 16, 3))).flops == pytest.approx(5e6, rel=0.05)
    assert all(vgg(width).skeleton.channels(filters) % 4 == 0 for filters in (64, 128, 256, 512))


@pytest.fixture
def built(monkeypatch):
    """The widths of the networks that are built."""
    widths = []

    def noted(spec, input_shape):
        widths.append(spec.skeleton.width)
        return build(spec, input_shape)

    monkeypatch.setattr("compactnet.networks.matching.build", noted)
    return widths


@pytest.mark.parametrize(
    ("target", "has", "widths"),
    [
        (1, r"at least [\d,]+ at a width of 0.001", {1, 0.001}),
        (1e13, r"at most about [\d,]+ at the widest, 16", {1}),
    ],
)
def test_flops_that_no_width_reaches_are_refused_before_a_wide_network_is_built(target, has, widths, built):
    given = rf"No width gives MobileNet v1 {target:,.0f} FLOPs at 32x32x3: it has {has}\. .* \(not MFLOPs\)"
    with pytest.raises(InputError, match=given):
        matched_width(spec_of(Separable()), target, SHAPE)
    assert set(built) == widths


def test_flops_a_little_above_the_widest_are_refused(monkeypatch):
    monkeypatch.setattr("compactnet.networks.matching.WIDEST", 2)
    most = flops_of(spec_of(Separable(), width=2))
    with pytest.raises(InputError, match=f"it has at most {most:,} at the widest, 2"):
        matched_width(spec_of(Separable()), most + 1, SHAPE)
    assert matched_width(spec_of(Separable()), most, SHAPE) == 2


def test_no_network_much_wider_than_needed_is_built(built):
    target = flops_of(spec_of(Separable(), width=2.1))
    assert matched_width(spec_of(Separable()), target, SHAPE) == 2.1
    assert max(built) < 1.02 * 2.1


@pytest.mark.parametrize("target", [0, -1, True, "5", None, float("inf"), float("nan")])
def test_what_is_no_number_of_flops_is_refused(target, built):
    with pytest.raises(InputError, match=r"`target_flops` must be a number above 0, in FLOPs \(not MFLOPs\)"):
        matched_width("mobilenet_v1_100", target, SHAPE)
    assert built == []


def test_a_skeleton_of_few_widths_is_refused():
    spec = NetworkSpec(title="ShuffleNet v2", skeleton=ShuffleNetV2(width=1), convolution=Separable())
    with pytest.raises(InputError, match=r"has no width for every number of FLOPs: .* the widths 0.5, 1, 1.5, 2"):
        matched_width(spec, 12_345_678, SHAPE)


def test_what_cannot_be_built_at_any_width_is_refused():
    with pytest.raises(InputError, match="cannot be built"):
        matched_width(spec_of(Compact(compact_factor=7)), 5e6, SHAPE)
