from collections import Counter
from itertools import pairwise

import keras
import numpy as np
import pytest

from compactnet.errors import InputError
from compactnet.layers import CompactConv2D, GroupedConv2D
from compactnet.networks import (
    CATALOGUE,
    VGG8,
    Compact,
    MobileNetV1,
    MobileNetV2,
    NetworkSpec,
    Partial,
    ResNet50,
    Separable,
    ShuffleNetV1,
    ShuffleNetV2,
    Slim,
    Standard,
    build,
    get_spec,
)


def spec(skeleton, convolution):
    return NetworkSpec(title="test network", skeleton=skeleton, convolution=convolution)


def compact(factor, operation="sum", **fields):
    return Compact(compact_factor=factor, operation=operation, **fields)


def layers_of(model, kind):
    """All layers of a kind, those inside compact convolutions included."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, kind)]


def randomize(model, seed=0):
    """Give every weight random values, positive ones where a variance must be."""
    source = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.path.endswith(("variance", "gamma")):
            weight.assign(source.uniform(0.5, 1.5, weight.shape))
        elif len(weight.shape) == 1:
            weight.assign(source.normal(scale=0.3, size=weight.shape))


def pooled_features(model, samples):
    """The features before the classifier: a saturated softmax would hide differences."""
    features = keras.Model(model.input, model.get_layer("global_pooling").output)
    return keras.ops.convert_to_numpy(features(samples))


def images(size, seed=5):
    return np.random.default_rng(seed).normal(size=(2, size, size, 3)).astype("float32")


def refusal(build_it):
    with pytest.raises(InputError) as caught:
        build_it()
    message = str(caught.value)
    assert "\n" not in message
    return message


# Refused inputs


def test_a_misspelt_name_is_refused_with_the_closest_names():
    message = refusal(lambda: build("vgg9"))
    assert "'vgg9'" in message
    assert "Did you mean" in message
    assert "vgg8" in message


@pytest.mark.parametrize("name", ["????", 8, None])
def test_a_name_like_no_other_is_refused_with_all_names(name):
    message = refusal(lambda: build(name))
    assert repr(name) in message
    assert all(known in message for known in CATALOGUE)


def test_a_name_and_its_spec_give_the_same_spec():
    assert get_spec("vgg8") is CATALOGUE["vgg8"]
    assert get_spec(CATALOGUE["vgg8"]) is CATALOGUE["vgg8"]


@pytest.mark.parametrize(
    ("skeleton", "smallest"),
    [
        (VGG8(width=0.05), 76),
        (VGG8(width=0.05, padding="same"), 16),
        (ResNet50(width=0.05), 11),
        (MobileNetV1(width=0.05), 1),
    ],
    ids=["vgg8-valid", "vgg8-same", "resnet50", "mobilenet_v1"],
)
@pytest.mark.parametrize("axis", [0, 1])
def test_the_smallest_size_that_a_refusal_names_works_and_one_less_does_not(skeleton, smallest, axis):
    network = spec(skeleton, Separable())
    shape = [smallest + 20, smallest + 20, 1]
    shape[axis] = smallest
    model = build(network, tuple(shape), classes=2)
    outputs = keras.ops.convert_to_numpy(model(np.zeros((1, *shape), dtype="float32")))
    np.testing.assert_allclose(outputs.sum(), 1, rtol=1e-5)
    assert model.get_layer("global_pooling").input.shape[1 + axis] == 1

    shape[axis] -= 1
    message = refusal(lambda: build(network, tuple(shape)))
    if smallest > 1:
        assert f"An input of {shape[0]}x{shape[1]} is too small for test network" in message
        assert f"The smallest that works is {smallest}x{smallest}" in message
        assert ("padding 'same'" in message) == (smallest == 76)
    else:
        assert f"`input_shape[{axis}]`" in message


@pytest.mark.parametrize("classes", [1, 0, -3, True, 10.0, "10", None])
def test_fewer_than_two_classes_or_no_integer_are_refused(classes):
    message = refusal(lambda: build("mobilenet_v1_025", (32, 32, 3), classes=classes))
    assert "`classes`" in message
    assert f"Received: classes={classes!r}" in message
    assert "at least 2" in message


@pytest.mark.parametrize("shape", [(32, 32), (1, 32, 32, 3), 32, "abc", None, np.array([32, 32, 3])], ids=str)
def test_an_input_shape_of_another_rank_is_refused(shape):
    message = refusal(lambda: build("mobilenet_v1_025", shape))
    assert "`input_shape` must be a tuple of 3 integers" in message
    assert " ".join(f"input_shape={shape!r}".split()) in message


@pytest.mark.parametrize("extent", [0, -1, 32.0, None, True, "32"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_input_extent_that_is_no_positive_integer_is_refused(axis, extent):
    shape = [32, 32, 3]
    shape[axis] = extent
    message = refusal(lambda: build("mobilenet_v1_025", tuple(shape)))
    assert f"`input_shape[{axis}]` must be an integer of at least 1" in message
    assert message.endswith(f"={extent!r}")


def test_what_is_left_out_is_a_scene_and_ten_classes():
    model = build("mobilenet_v1_025")
    assert (model.input_shape, model.output_shape) == ((None, 128, 512, 1), (None, 10))


def test_more_classes_than_a_convolutional_classifier_has_channels_are_refused():
    message = refusal(lambda: build("channelnet_v3", (64, 64, 3), classes=2000))
    assert "`classes` must be at most the number of channels. Received: classes=2000 for 1024 channels" in message


@pytest.mark.parametrize("size", [(16,), (16, 16, 3), 16, (0, 16), (16.0, 16)], ids=str)
def test_a_bad_size_to_resize_to_is_refused(size):
    assert refusal(lambda: build("mobilenet_v1_025", (32, 32, 3), resize_to=size)).startswith("`resize_to")


def test_a_size_to_resize_to_that_is_too_small_is_refused():
    message = refusal(lambda: build(spec(ResNet50(width=0.05), Standard()), (64, 64, 3), resize_to=(10, 64)))
    assert "An input of 10x64 is too small" in message


def test_a_shape_of_numpy_integers_is_taken():
    assert build("mobilenet_v1_025", tuple(np.array([32, 32, 3]))).input_shape == (None, 32, 32, 3)


def test_a_class_count_of_numpy_is_taken():
    assert build("mobilenet_v1_025", (32, 32, 3), classes=np.int64(3)).output_shape == (None, 3)


@pytest.mark.parametrize(
    "skeleton",
    [VGG8(), ResNet50(), MobileNetV1(), MobileNetV2(), ShuffleNetV1(), ShuffleNetV2()],
    ids=lambda skeleton: skeleton.kind,
)
def test_a_factor_that_does_not_divide_a_layers_channels_is_refused(skeleton):
    message = refusal(lambda: build(spec(skeleton, Compact(compact_factor=48)), (80, 80, 3)))
    assert "test network" in message
    assert "`compact_factor` must divide the channel count" in message
    assert "compact_factor=48" in message


@pytest.mark.parametrize("skeleton", [VGG8, ResNet50, MobileNetV1, MobileNetV2, ShuffleNetV1, ShuffleNetV2])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 0),
        ("width", -1.0),
        ("width", 17),
        ("width", True),
        ("width", "wide"),
        ("width", float("nan")),
        ("momentum", 0),
        ("momentum", 1.5),
        ("epsilon", 0.0),
        ("epsilon", None),
    ],
)
def test_a_skeleton_refuses_a_number_out_of_its_range(skeleton, field, value):
    message = refusal(lambda: skeleton(**{field: value}))
    assert message.startswith(f"{field}: ")
    assert message.endswith(f"Received: {value!r}")


@pytest.mark.parametrize(
    ("kind", "arguments", "allowed"),
    [
        (MobileNetV1, {"global_pooling": "sum"}, ["average", "max"]),
        (MobileNetV2, {"dropout": 1}, ["less than 1"]),
        (ShuffleNetV1, {"groups": 0}, [1]),
        (ShuffleNetV2, {"width": 0.75}, [0.5, 1, 1.5, 2]),
        (VGG8, {"padding": "causal"}, ["valid", "same"]),
        (Compact, {"compact_factor": 0}, [1]),
        (Compact, {"compact_factor": 2.0}, ["integer"]),
        (Compact, {"operation": "mean"}, ["sum", "max", "average"]),
        (Compact, {"grouping": "random"}, ["strided", "adjacent"]),
    ],
)
def test_a_skeleton_or_convolution_refuses_a_value_that_is_not_allowed(kind, arguments, allowed):
    ((name, value),) = arguments.items()
    message = refusal(lambda: kind(**arguments))
    assert message.startswith(f"{name}: ")
    assert message.endswith(f"Received: {value!r}")
    for choice in allowed:
        assert str(choice) in message


@pytest.mark.parametrize(
    ("skeleton", "convolution", "field", "received"),
    [
        ("vgg8", Standard(), "skeleton", "vgg8"),
        (VGG8(), "compact", "convolution", "compact"),
        (Standard(), Standard(), "skeleton", "standard"),
        (VGG8(), VGG8(), "convolution", "vgg8"),
    ],
)
def test_a_spec_of_other_things_is_refused(skeleton, convolution, field, received):
    message = refusal(lambda: spec(skeleton, convolution))
    assert message.startswith(field)
    assert message.endswith(f"Received: {received!r}")


# Fields


@pytest.fixture(scope="module")
def compact_networks():
    """{kind: network} of three skeletons with a compact convolution, built once; tests do not change them."""
    fields = {"width": 0.25, "momentum": 0.9, "epsilon": 0.01}
    skeletons = (VGG8(**fields, padding="same"), ResNet50(**fields), MobileNetV1(**fields))
    convolution = compact(4, "max", grouping="adjacent")
    return {skeleton.kind: build(spec(skeleton, convolution), (32, 32, 1)) for skeleton in skeletons}


def test_width_scales_every_layers_channels(compact_networks):
    model = build(spec(VGG8(width=0.5, padding="same"), Standard()), (16, 16, 3))
    assert [layer.filters for layer in layers_of(model, keras.layers.Conv2D)] == [32, 32, 64, 64, 128, 128, 256, 256]
    model = build(spec(MobileNetV1(width=0.25), Separable()), (32, 32, 3))
    assert model.get_layer("stem").filters == 8
    assert model.get_layer("block13_pointwise").filters == 256
    model = compact_networks["resnet50"]
    assert model.get_layer("stem").filters == 16
    assert model.get_layer("stage4_block3_reduce").filters == 128
    assert model.get_layer("stage4_block3_expand").pointwise.filters == 512
    assert model.get_layer("stage4_block1_shortcut").filters == 512


def test_a_width_that_gives_no_whole_channels_is_rounded_and_never_vanishes():
    assert VGG8(width=0.3).channels(64) == 19
    assert VGG8(width=0.001).channels(64) == 1


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_padding_reaches_every_convolution(padding):
    model = build(spec(VGG8(width=0.25, padding=padding), compact(2)), (76, 76, 1))
    assert {model.get_layer(f"conv1_{number}").padding for number in (1, 2)} == {padding}
    layers = layers_of(model, CompactConv2D)
    assert len(layers) == 6
    assert {layer.depthwise.padding for layer in layers} == {padding}


@pytest.mark.parametrize(
    ("skeleton", "convolution", "count"),
    [
        (VGG8, None, 8 + 6),
        (VGG8, Separable(), 8),
        (ResNet50, None, 1 + 4 + 2 * 16 + 16),
        (ResNet50, Standard(), 1 + 4 + 3 * 16),
        (MobileNetV1, None, 1 + 13 + 13),
        (MobileNetV1, Separable(), 1 + 13 + 13),
    ],
)
def test_momentum_and_epsilon_reach_every_normalization(compact_networks, skeleton, convolution, count):
    if convolution is None:
        model = compact_networks[skeleton().kind]
    else:
        model = build(spec(skeleton(width=0.125, momentum=0.9, epsilon=0.01), convolution), (76, 76, 1))
    normalizations = layers_of(model, keras.layers.BatchNormalization)
    assert len(normalizations) == count
    assert {(layer.momentum, layer.epsilon) for layer in normalizations} == {(0.9, 0.01)}


@pytest.mark.parametrize(
    ("global_pooling", "kind"),
    [("average", keras.layers.GlobalAveragePooling2D), ("max", keras.layers.GlobalMaxPooling2D)],
)
def test_global_pooling_is_chosen_by_the_skeleton(global_pooling, kind):
    model = build(spec(MobileNetV1(width=0.125, global_pooling=global_pooling), Separable()), (32, 32, 1))
    assert type(model.get_layer("global_pooling")) is kind


@pytest.mark.parametrize(
    ("kind", "count", "activation", "use_bias"),
    [("vgg8", 6, "relu", True), ("resnet50", 16, "relu", True), ("mobilenet_v1", 13, "relu6", False)],
)
def test_a_compact_convolution_takes_the_layer_defaults_of_its_skeleton(
    compact_networks, kind, count, activation, use_bias
):
    layers = layers_of(compact_networks[kind], CompactConv2D)
    assert len(layers) == count
    for layer in layers:
        assert keras.activations.serialize(layer.depthwise_activation) == activation
        assert layer.depthwise.use_bias == layer.pointwise.use_bias == use_bias
        assert layer.interchannel.compact_factor == 4
        assert layer.interchannel.operation == "max"
        assert layer.interchannel.grouping == "adjacent"
        assert layer.pointwise.activation is keras.activations.linear


def test_the_depthwise_activation_can_be_left_out():
    convolution = compact(4, depthwise_activation=False)
    layers = layers_of(build(spec(MobileNetV1(width=0.25), convolution), (32, 32, 1)), CompactConv2D)
    assert {layer.depthwise_activation for layer in layers} == {keras.activations.linear}


def test_networks_group_strided_channels_unless_told_otherwise():
    layers = layers_of(build(spec(MobileNetV1(width=0.25), compact(2)), (32, 32, 1)), CompactConv2D)
    assert {layer.interchannel.grouping for layer in layers} == {"strided"}


def test_the_first_pair_of_vgg8_is_always_standard(compact_networks):
    model = compact_networks["vgg8"]
    assert {type(model.get_layer(name)) for name in ("conv1_1", "conv1_2")} == {keras.layers.Conv2D}
    assert {type(model.get_layer(name)) for name in ("conv2_1", "conv4_2")} == {CompactConv2D}


def test_strides_come_where_a_block_shrinks_the_map(compact_networks):
    model = compact_networks["mobilenet_v1"]
    strided = [layer.name for layer in layers_of(model, CompactConv2D) if layer.depthwise.strides == (2, 2)]
    assert strided == ["block2", "block4", "block6", "block12", "block13"]
    model = compact_networks["resnet50"]
    strided = {layer.name for layer in layers_of(model, keras.layers.Conv2D) if layer.strides == (2, 2)}
    shrinking = {f"stage{stage}_block1_{part}" for stage in (2, 3, 4) for part in ("reduce", "shortcut")}
    assert strided == {"stem"} | shrinking


def test_resize_to_resizes_the_input_first():
    model = build("mobilenet_v1_025", (20, 30, 3), classes=3, resize_to=(64, 48))
    resize = model.get_layer("resize")
    assert type(resize) is keras.layers.Resizing
    assert resize.output.shape == (None, 64, 48, 3)
    assert resize.interpolation == "bilinear"
    assert model.input_shape == (None, 20, 30, 3)
    assert model.get_layer("stem").output.shape == (None, 32, 24, 8)
    assert model(np.zeros((1, 20, 30, 3), dtype="float32")).shape == (1, 3)


def test_an_input_too_small_for_the_skeleton_works_resized():
    network = spec(VGG8(width=0.05), Standard())
    assert build(network, (4, 4, 3), resize_to=(76, 76)).output_shape == (None, 10)


@pytest.mark.parametrize(
    ("network", "given", "expected"),
    [
        ("mobilenet_v1_025", None, "mobilenet_v1_025"),
        ("mobilenet_v1_025", "mine", "mine"),
        (spec(MobileNetV1(width=0.25), Separable()), None, "mobilenet_v1"),
    ],
)
def test_a_model_is_named_after_its_network(network, given, expected):
    assert build(network, (32, 32, 1), name=given).name == expected


def test_the_classifier_stays_in_full_precision_under_a_mixed_policy():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = build(spec(MobileNetV1(width=0.25), compact(4)), (32, 32, 1))
    finally:
        keras.config.set_dtype_policy(before)
    assert model.output.dtype == "float32"
    assert model.get_layer("global_pooling").compute_dtype == "float16"
    assert {layer.depthwise.compute_dtype for layer in layers_of(model, CompactConv2D)} == {"float16"}


# The two groupings are one network


def layers_before(model):
    """For each compact convolution, the convolution and the normalization whose filters are its input channels."""
    compact = [layer.name for layer in layers_of(model, CompactConv2D)]
    if model.name == "resnet50":
        before = [name.replace("expand", "reduce") for name in compact]
    elif model.name == "mobilenet_v1":
        before = ["stem", *compact[:-1]]
    else:
        before = ["conv1_2", *compact[:-1]]
    for name, previous in zip(compact, before, strict=True):
        convolution = model.get_layer(previous)
        outer = convolution.pointwise if isinstance(convolution, CompactConv2D) else convolution
        yield model.get_layer(name), outer, model.get_layer(f"{previous}_normalization")


def permute(weights, order, axis=-1):
    for weight in weights:
        weight.assign(np.take(weight.numpy(), order, axis=axis))


@pytest.mark.parametrize(
    ("skeleton", "operation", "size"),
    [
        (VGG8(width=0.25, padding="same"), "max", 16),
        (ResNet50(width=0.25), "sum", 33),
        (MobileNetV1(width=0.25), "sum", 32),
        (MobileNetV1(width=0.25), "max", 32),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_both_groupings_are_one_network_up_to_a_permutation_of_the_preceding_filters(skeleton, operation, size):
    strided, adjacent = (
        build(spec(skeleton, compact(4, operation, grouping=grouping)), (size, size, 3))
        for grouping in ("strided", "adjacent")
    )
    randomize(strided)
    adjacent.set_weights(strided.get_weights())
    expected = pooled_features(strided, images(size))
    scale = np.abs(expected).max()
    assert np.abs(pooled_features(adjacent, images(size)) - expected).max() > 0.01 * scale

    for layer, convolution, normalization in layers_before(adjacent):
        channels = layer.depthwise.kernel.shape[2]
        # Place nC + c, the c-th of adjacent group n, takes the filter n + cN', the c-th of strided group n.
        order = np.arange(channels).reshape(4, channels // 4).T.ravel()
        permute([*convolution.weights, *normalization.weights], order)
        permute(layer.depthwise.weights[:1], order, axis=2)
        permute([*layer.depthwise.weights[1:], *layer.normalization.weights], order)

    np.testing.assert_allclose(pooled_features(adjacent, images(size)), expected, rtol=1e-3, atol=1e-4 * scale)
    probabilities = [keras.ops.convert_to_numpy(model(images(size))) for model in (strided, adjacent)]
    np.testing.assert_allclose(*probabilities, rtol=1e-2, atol=1e-4)


# Independent references


def parameters_of_vgg8(channels, classes):
    pairs = [channels, 64, 64, 128, 128, 256, 256, 512, 512]
    convolutions = sum(9 * before * after + after + 4 * after for before, after in pairwise(pairs))
    return convolutions + 512 * classes + classes


def test_vgg8_has_the_parameters_of_its_eight_convolutions():
    assert build("vgg8", (76, 76, 3)).count_params() == parameters_of_vgg8(3, 10)


def test_mobilenet_has_the_weights_of_keras_mobilenet_and_its_outputs_up_to_the_last_block():
    # The reference keeps stride 1 in its last block, which no weight shows.
    reference = keras.applications.MobileNet(alpha=1.0, weights=None, include_top=False, input_shape=(64, 64, 3))
    model = build("mobilenet_v1_100", (64, 64, 3), classes=10)
    assert reference.count_params() == 3_228_864
    assert model.count_params() - (1024 * 10 + 10) == 3_228_864
    body = keras.Model(model.input, model.get_layer("block13_activation").output)
    assert [weight.shape for weight in body.weights] == [weight.shape for weight in reference.weights]

    randomize(reference)
    body.set_weights(reference.get_weights())
    ours = keras.Model(model.input, model.get_layer("block12_activation").output)
    theirs = keras.Model(reference.input, reference.get_layer("conv_pw_12_relu").output)
    outputs = [keras.ops.convert_to_numpy(network(images(64))) for network in (ours, theirs)]
    assert outputs[1].std() > 0.01
    np.testing.assert_allclose(*outputs, rtol=1e-3, atol=1e-3)


def test_resnet_has_the_weights_of_keras_resnet50_and_its_outputs_after_the_stem():
    reference = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(64, 64, 3))
    # The epsilon of the reference; the size leaves the same map after a stem without zero padding.
    model = build(spec(ResNet50(epsilon=1.001e-5), Standard()), (71, 71, 3), classes=10)
    assert reference.count_params() == 23_587_712
    assert model.count_params() - (2048 * 10 + 10) == 23_587_712

    randomize(reference)
    parts = {"0": "shortcut", "1": "reduce", "2": "conv", "3": "expand"}
    for layer in reference.layers:
        match layer.name.split("_"):
            case [stage, block, part, kind] if layer.weights:
                name = f"stage{int(stage[4:]) - 1}_{block}_{parts[part]}"
            case ["conv1", kind] if layer.weights:
                name = "stem"
            case _:
                continue
        ours = model.get_layer(name if kind == "conv" else f"{name}_normalization")
        ours.set_weights(layer.get_weights())

    # Both stems shrink the image, but the reference pads it first, so the bodies start from the same map instead.
    theirs = keras.Model(reference.get_layer("pool1_pool").output, reference.output)
    ours = keras.Model(model.get_layer("stem_pool").output, model.get_layer("stage4_block3_activation").output)
    assert ours.input_shape == theirs.input_shape == (None, 16, 16, 64)
    features = np.random.default_rng(3).uniform(size=(2, 16, 16, 64)).astype("float32")
    outputs = [keras.ops.convert_to_numpy(network(features)) for network in (ours, theirs)]
    assert outputs[1].std() > 0.01
    np.testing.assert_allclose(*outputs, rtol=1e-3, atol=1e-3 * np.abs(outputs[1]).max())


def test_channels_first_is_refused_before_a_wrong_network_is_built():
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(InputError, match="channels last, and Keras is set to 'channels_first'"):
            build("mobilenet_v1_100", (64, 64, 3))
    finally:
        keras.config.set_image_data_format("channels_last")


def test_shufflenet_v2_shuffles_what_it_split():
    model = build("shufflenet_v2_050", (33, 33, 1))
    unit = model.get_layer("stage2_unit2_concatenate")
    left, right = (tensor.shape[-1] for tensor in unit.input)
    assert left == right == 24
    # The half that is passed on is filtered, the other one is kept as it is.
    assert model.get_layer("stage2_unit2_reduce").input.shape[-1] == 24
    assert model.get_layer("stage2_unit1_reduce").input.shape[-1] == 24


@pytest.mark.parametrize("convolution", [Partial(ratio=8), Slim()], ids=lambda convolution: convolution.kind)
def test_the_bottlenecks_of_shufflenet_v1_have_channels_that_a_convolution_can_divide(convolution):
    skeleton = ShuffleNetV1(width=0.25, channel_multiple=24)
    model = build(spec(skeleton, convolution), (33, 33, 1))
    bottlenecks = [model.get_layer(f"stage{stage}_unit2_reduce").filters for stage in (2, 3, 4)]
    # A quarter of 72, 120 and 240 channels, to the nearest multiple.
    assert bottlenecks == [24, 24, 48]


@pytest.mark.parametrize("width", [0.25, 0.37, 1])
def test_the_bottlenecks_of_shufflenet_v1_are_a_quarter_rounded_down(width):
    skeleton = ShuffleNetV1(width=width, groups=1)
    model = build(spec(skeleton, Separable()), (33, 33, 1))
    bottlenecks = [model.get_layer(f"stage{stage}_unit2_reduce").filters for stage in (2, 3, 4)]
    assert bottlenecks == [skeleton.channels(filters) // 4 for filters in (240, 480, 960)]


def test_shufflenet_v1_groups_all_but_its_first_unit():
    model = build("shufflenet_v1_050", (33, 33, 1))
    grouped = layers_of(model, GroupedConv2D)
    assert {layer.groups for layer in grouped} == {3}
    assert len(grouped) == 2 * 15
    assert type(model.get_layer("stage2_unit1_reduce")) is keras.layers.Conv2D


def test_mobilenet_v2_has_the_weights_of_keras_mobilenet_v2_but_for_its_biases_and_its_first_widening():
    reference = keras.applications.MobileNetV2(alpha=1.0, weights=None, include_top=False, input_shape=(64, 64, 3))
    model = build("mobilenet_v2_100", (64, 64, 3), classes=10)
    ours = {
        weight.path: tuple(weight.shape)
        for layer in model.layers
        for weight in layer.weights
        if isinstance(layer, keras.layers.BatchNormalization) or weight.path.endswith("kernel")
        if not weight.path.startswith(("classifier", "stage1_block1_expand"))
    }
    theirs = [tuple(weight.shape) for layer in reference.layers for weight in layer.weights]
    assert sorted(ours.values()) == sorted(theirs)


@pytest.mark.parametrize(
    ("skeleton", "places"),
    [(MobileNetV2(width=0.5), 17), (ShuffleNetV1(width=0.5), 16), (ShuffleNetV2(width=0.5), 3 * 2 + 13)],
    ids=["mobilenet_v2", "shufflenet_v1", "shufflenet_v2"],
)
def test_the_convolution_of_the_efficient_skeletons_can_be_swapped_too(skeleton, places):
    model = build(spec(skeleton, compact(2)), (64, 64, 3))
    assert len(layers_of(model, CompactConv2D)) == places
    assert not layers_of(model, keras.layers.DepthwiseConv2D)[places:]


KINDS = ("Activation", "Add", "AveragePooling2D", "ChannelShuffle", "Concatenate", "Dropout", "MaxPooling2D")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vgg8", {"Activation": 8, "MaxPooling2D": 4}),
        ("resnet50", {"Activation": 1 + 3 * 16, "Add": 16, "MaxPooling2D": 1}),
        ("compact_resnet_sum_c2", {"Activation": 1 + 2 * 16, "Add": 16, "MaxPooling2D": 1}),
        ("mobilenet_v2_100", {"Activation": 1 + 2 * 17 + 1, "Add": 10, "Dropout": 1}),
        (
            "shufflenet_v1_050",
            {"Activation": 1 + 2 * 16, "Add": 13, "Concatenate": 3, "ChannelShuffle": 16, "MaxPooling2D": 1},
        ),
        (
            "shufflenet_v2_050",
            {"Activation": 1 + 2 * 16 + 3 + 1, "Concatenate": 16, "ChannelShuffle": 16, "MaxPooling2D": 1},
        ),
        ("channelnet_v1", {"Activation": 1 + 2 * 14, "Add": 3}),
    ],
)
def test_a_skeleton_has_the_layers_without_weights_of_its_paper(name, expected):
    size = 80 if name == "vgg8" else 64
    found = Counter(type(layer).__name__ for layer in build(name, (size, size, 1)).layers)
    assert {kind: found[kind] for kind in KINDS if found[kind]} == expected
