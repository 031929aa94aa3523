import dataclasses
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
    ResNet50,
    Separable,
    ShuffleNetV1,
    ShuffleNetV2,
    Standard,
    build,
    find,
)


def spec(skeleton, convolution):
    return NetworkSpec("test network", skeleton, convolution)


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


def test_a_name_and_its_spec_find_the_same():
    assert find("vgg8") is CATALOGUE["vgg8"]
    assert find(CATALOGUE["vgg8"]) is CATALOGUE["vgg8"]


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
        assert "`input_shape`" in message


@pytest.mark.parametrize(
    "skeleton",
    [
        VGG8(width=0.05),
        VGG8(width=0.05, padding="same"),
        ResNet50(width=0.05),
        MobileNetV1(width=0.05),
        MobileNetV2(width=0.1),
        ShuffleNetV1(width=0.1),
        ShuffleNetV2(width=0.5),
    ],
    ids=["vgg8-valid", "vgg8-same", "resnet50", "mobilenet_v1", "mobilenet_v2", "shufflenet_v1", "shufflenet_v2"],
)
@pytest.mark.parametrize("size", [128, 201])
def test_the_size_that_a_skeleton_foretells_is_that_of_its_last_feature_map(skeleton, size):
    inputs = keras.Input((size, size, 1))
    assert skeleton.features(inputs, Standard()).shape[1:3] == (skeleton.final_size(size),) * 2


@pytest.mark.parametrize("classes", [1, 0, -3, True, 10.0, "10", None])
def test_fewer_than_two_classes_or_no_integer_are_refused(classes):
    message = refusal(lambda: build("mobilenet_v1_025", (32, 32, 3), classes=classes))
    assert "`classes`" in message
    assert f"Received: {classes!r}" in message
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
    assert "`input_shape` takes integers of at least 1" in message
    assert f"Received: {extent!r}" in message


@pytest.mark.parametrize("size", [(16,), (16, 16, 3), 16, (0, 16), (16.0, 16)], ids=str)
def test_a_bad_size_to_resize_to_is_refused(size):
    assert "`resize_to`" in refusal(lambda: build("mobilenet_v1_025", (32, 32, 3), resize_to=size))


def test_a_size_to_resize_to_that_is_too_small_is_refused():
    message = refusal(lambda: build("resnet50", (64, 64, 3), resize_to=(10, 64)))
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
        ("width", "1"),
        ("width", float("nan")),
        ("momentum", 0),
        ("momentum", 1.5),
        ("epsilon", 0.0),
        ("epsilon", None),
    ],
)
def test_a_skeleton_refuses_a_number_out_of_its_range(skeleton, field, value):
    message = refusal(lambda: skeleton(**{field: value}))
    assert f"`{field}`" in message
    assert f"{field}={value!r}" in message


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (MobileNetV1, {"global_pooling": "sum"}),
        (MobileNetV2, {"dropout": 1}),
        (ShuffleNetV1, {"groups": 0}),
        (ShuffleNetV2, {"width": 0.75}),
        (VGG8, {"padding": "causal"}),
        (Compact, {"compact_factor": 0}),
        (Compact, {"compact_factor": 2.0}),
        (Compact, {"operation": "mean"}),
        (Compact, {"grouping": "random"}),
    ],
)
def test_a_skeleton_or_convolution_refuses_an_unknown_choice(kind, arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}={value!r}"):
        kind(**arguments)


@pytest.mark.parametrize(
    ("skeleton", "convolution", "named"),
    [("vgg8", Standard(), "skeleton='vgg8'"), (VGG8(), "compact", "convolution='compact'")],
)
def test_a_spec_of_other_things_is_refused(skeleton, convolution, named):
    message = refusal(lambda: spec(skeleton, convolution))
    assert named in message
    assert "instance of" in message


# Fields


def test_width_scales_every_layers_channels():
    model = build(spec(VGG8(width=0.5, padding="same"), Standard()), (16, 16, 3))
    assert [layer.filters for layer in layers_of(model, keras.layers.Conv2D)] == [32, 32, 64, 64, 128, 128, 256, 256]
    model = build(spec(MobileNetV1(width=0.25), Separable()), (32, 32, 3))
    assert model.get_layer("stem").filters == 8
    assert model.get_layer("block13_pointwise").filters == 256
    model = build(spec(ResNet50(width=0.25), Compact(4)), (32, 32, 3))
    assert model.get_layer("stem").filters == 16
    assert model.get_layer("stage4_block3_reduce").filters == 128
    assert model.get_layer("stage4_block3_expand").pointwise.filters == 512
    assert model.get_layer("stage4_block1_shortcut").filters == 512


def test_a_width_that_gives_no_whole_channels_is_rounded_and_never_vanishes():
    assert VGG8(width=0.3).channels(64) == 19
    assert VGG8(width=0.001).channels(64) == 1


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_padding_reaches_every_convolution(padding):
    model = build(spec(VGG8(width=0.25, padding=padding), Compact(2)), (76, 76, 1))
    assert {model.get_layer(f"conv1_{number}").padding for number in (1, 2)} == {padding}
    compact = layers_of(model, CompactConv2D)
    assert len(compact) == 6
    assert {layer.depthwise.padding for layer in compact} == {padding}


@pytest.mark.parametrize("skeleton", [VGG8, ResNet50, MobileNetV1])
@pytest.mark.parametrize("convolution", [Standard(), Separable(), Compact(2)], ids=lambda chosen: chosen.kind)
def test_momentum_and_epsilon_reach_every_normalization(skeleton, convolution):
    model = build(spec(skeleton(width=0.125, momentum=0.9, epsilon=0.01), convolution), (76, 76, 1))
    normalizations = layers_of(model, keras.layers.BatchNormalization)
    assert normalizations
    assert {(layer.momentum, layer.epsilon) for layer in normalizations} == {(0.9, 0.01)}


@pytest.mark.parametrize(
    ("global_pooling", "kind"),
    [("average", keras.layers.GlobalAveragePooling2D), ("max", keras.layers.GlobalMaxPooling2D)],
)
def test_global_pooling_is_chosen_by_the_skeleton(global_pooling, kind):
    model = build(spec(MobileNetV1(width=0.125, global_pooling=global_pooling), Separable()), (32, 32, 1))
    assert type(model.get_layer("global_pooling")) is kind


@pytest.mark.parametrize(
    ("skeleton", "activation", "use_bias"),
    [(VGG8(padding="same"), "relu", True), (ResNet50(), "relu", True), (MobileNetV1(), "relu6", False)],
    ids=["vgg8", "resnet50", "mobilenet_v1"],
)
def test_a_compact_convolution_takes_the_style_of_its_skeleton(skeleton, activation, use_bias):
    skeleton = dataclasses.replace(skeleton, width=0.25)
    convolution = Compact(4, "max", grouping="adjacent")
    layers = layers_of(build(spec(skeleton, convolution), (32, 32, 1)), CompactConv2D)
    assert len(layers) == {"vgg8": 6, "resnet50": 16, "mobilenet_v1": 13}[skeleton.kind]
    for layer in layers:
        assert keras.activations.serialize(layer.depthwise_activation.activation) == activation
        assert layer.depthwise.use_bias == layer.pointwise.use_bias == use_bias
        assert layer.interchannel.compact_factor == 4
        assert layer.interchannel.operation == "max"
        assert layer.interchannel.grouping == "adjacent"
        assert layer.pointwise.activation is keras.activations.linear


def test_the_depthwise_activation_can_be_left_out():
    convolution = Compact(4, depthwise_activation=False)
    layers = layers_of(build(spec(MobileNetV1(width=0.25), convolution), (32, 32, 1)), CompactConv2D)
    assert {layer.depthwise_activation.activation for layer in layers} == {keras.activations.linear}


def test_networks_group_strided_channels_unless_told_otherwise():
    layers = layers_of(build("compact_mobilenet_sum_c2", (32, 32, 1)), CompactConv2D)
    assert {layer.interchannel.grouping for layer in layers} == {"strided"}


def test_the_first_pair_of_vgg8_is_always_standard():
    model = build(spec(VGG8(width=0.25, padding="same"), Compact(4)), (16, 16, 1))
    assert {type(model.get_layer(name)) for name in ("conv1_1", "conv1_2")} == {keras.layers.Conv2D}
    assert {type(model.get_layer(name)) for name in ("conv2_1", "conv4_2")} == {CompactConv2D}


def test_strides_come_where_a_block_shrinks_the_map():
    model = build(spec(MobileNetV1(width=0.25), Compact(4)), (32, 32, 1))
    strided = [layer.name for layer in layers_of(model, CompactConv2D) if layer.depthwise.strides == (2, 2)]
    assert strided == ["block2", "block4", "block6", "block12", "block13"]
    model = build(spec(ResNet50(width=0.25), Compact(4)), (32, 32, 1))
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
    assert build("resnet50", (4, 4, 3), resize_to=(32, 32)).output_shape == (None, 10)


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
        model = build(spec(MobileNetV1(width=0.25), Compact(4)), (32, 32, 1))
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


@pytest.mark.parametrize("operation", ["sum", "max"])
@pytest.mark.parametrize(
    ("skeleton", "size"),
    [(VGG8(width=0.25, padding="same"), 16), (ResNet50(width=0.25), 33), (MobileNetV1(width=0.25), 32)],
    ids=["vgg8", "resnet50", "mobilenet_v1"],
)
def test_both_groupings_are_one_network_up_to_a_permutation_of_the_preceding_filters(skeleton, size, operation):
    strided, adjacent = (
        build(spec(skeleton, Compact(4, operation, grouping)), (size, size, 3)) for grouping in ("strided", "adjacent")
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
    model = build(spec(skeleton, Compact(2)), (64, 64, 3))
    assert len(layers_of(model, CompactConv2D)) == places
    assert not layers_of(model, keras.layers.DepthwiseConv2D)[places:]
