import csv
import math
import re
from functools import cache
from pathlib import Path

import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from compactnet.errors import InputError
from compactnet.layers import CompactConv2D, InterchannelPooling
from compactnet.measure import CONVENTION, complexity
from compactnet.networks import CATALOGUE, build

TABLES = [Path(__file__).parents[2] / "results" / "paper" / f"{name}.csv" for name in ("table1", "table2")]


def chain(shape, *stack):
    inputs = outputs = keras.Input(shape)
    for layer in stack:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


def flops(shape, *stack, **arguments):
    return complexity(chain(shape, *stack), **arguments).flops


# Tables I and II

UNEXPLAINED = {"mobilenet_v2_100": ("797.0", "700.4"), "shufflenet_v1_200": ("1406.4", "1221.2")}
"""MFLOPs, counted and printed, where no reading of the paper gives the printed ones. Parameters are exact."""


@cache
def published_rows():
    rows = {}
    for table in TABLES:
        with table.open() as file:
            rows |= {row["model"]: row for row in csv.DictReader(file)}
    return rows


def row_of(name):
    # The table has one row for the three operations, whose titles differ in a letter.
    return re.sub(r"CompactNet-[SMA]", "CompactNet", CATALOGUE[name].title)


def test_every_row_of_both_tables_has_its_networks():
    # Two of the twenty rows are in both tables.
    assert len(published_rows()) == 18
    assert set(published_rows()) <= {row_of(name) for name in CATALOGUE}


NAMES = [name for name in CATALOGUE if row_of(name) in published_rows()]
# "max" has the counts of "sum", and networks that differ in a compact factor alone are alike.
SLOW = [name for name in NAMES if "vgg" not in name and ("_max_" in name or ("resnet_" in name and "_c2" not in name))]


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in NAMES])
def test_parameters_and_flops_are_those_of_both_tables_in_every_digit(name):
    row = published_rows()[row_of(name)]
    operation = getattr(CATALOGUE[name].convolution, "operation", None)
    counted = complexity(build(name))
    assert counted.params == int(row["params"])
    printed = row["mflops_average" if operation == "average" else "mflops_max_or_sum"]
    if name in ("compact_mobilenet_sum_c4", "compact_mobilenet_max_c4"):
        # The one figure of the tables that is cut off and not rounded.
        assert (f"{counted.mflops:.2f}", printed) == ("382.98", "382.9")
    elif name in UNEXPLAINED:
        assert (f"{counted.mflops:.1f}", printed) == UNEXPLAINED[name]
    else:
        assert f"{counted.mflops:.1f}" == printed
    assert counted.unknown == ()
    assert counted.convention == CONVENTION


# Rules


@pytest.mark.parametrize(
    ("shape", "layer", "expected"),
    [
        ((8, 7, 4), layers.Conv2D(6, 3), 2 * (6 * 5) * 9 * 4 * 6),
        ((8, 7, 4), layers.Conv2D(6, (3, 5), padding="same"), 2 * (8 * 7) * 15 * 4 * 6),
        ((8, 7, 4), layers.Conv2D(6, 3, strides=2), 2 * (3 * 3) * 9 * 4 * 6),
        ((8, 7, 4), layers.Conv2D(6, 3, strides=2, padding="same"), 2 * (4 * 4) * 9 * 4 * 6),
        ((8, 7, 4), layers.Conv2D(6, 3, dilation_rate=2), 2 * (4 * 3) * 9 * 4 * 6),
        ((8, 7, 4), layers.Conv2D(6, 3, groups=2), 2 * (6 * 5) * 9 * 2 * 6),
        ((4, 8, 7), layers.Conv2D(6, 3, data_format="channels_first"), 2 * (6 * 5) * 9 * 4 * 6),
        ((8, 4), layers.Conv1D(6, 3), 2 * 6 * 3 * 4 * 6),
        ((4, 5, 6, 2), layers.Conv3D(3, 2), 2 * (3 * 4 * 5) * 8 * 2 * 3),
        # Each of the 5 x 4 input positions meets the whole kernel.
        ((5, 4, 4), layers.Conv2DTranspose(6, 3, strides=2, padding="same"), 2 * (5 * 4) * 9 * 4 * 6),
        ((5, 4), layers.Conv1DTranspose(6, 3, strides=2), 2 * 5 * 3 * 4 * 6),
        ((8, 7, 4), layers.DepthwiseConv2D(3), 2 * (6 * 5) * 9 * 4),
        ((8, 7, 4), layers.DepthwiseConv2D(3, depth_multiplier=2, strides=2), 2 * (3 * 3) * 9 * 4 * 2),
        ((8, 4), layers.DepthwiseConv1D(3), 2 * 6 * 3 * 4),
        ((8, 7, 4), layers.SeparableConv2D(6, 3), 2 * (6 * 5) * (9 * 4 + 4 * 6)),
        ((8, 7, 4), layers.SeparableConv2D(6, 3, depth_multiplier=2), 2 * (6 * 5) * (9 * 8 + 8 * 6)),
        ((8, 4), layers.SeparableConv1D(6, 3), 2 * 6 * (3 * 4 + 4 * 6)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, layers.Layer) else None,
)
def test_a_convolution_counts_twice_its_multiply_accumulates(shape, layer, expected):
    counted = complexity(chain(shape, layer))
    assert counted.flops == expected
    assert counted.params == layer.count_params()
    assert counted.unknown == ()


@pytest.mark.parametrize("grouping", ["adjacent", "strided"])
@pytest.mark.parametrize(
    ("factor", "operation", "expected"),
    [
        (4, "sum", 3 * 6 * 5 * 2),
        (4, "max", 3 * 6 * 5 * 2),
        (4, "average", 4 * 6 * 5 * 2),
        (8, "average", 8 * 6 * 5 * 1),
        (1, "sum", 0),
        (1, "average", 0),
    ],
)
def test_an_interchannel_operation_counts_what_it_does_per_output_element(factor, operation, expected, grouping):
    assert flops((6, 5, 8), InterchannelPooling(factor, operation, grouping)) == expected


def test_a_compact_convolution_counts_its_three_counted_parts():
    counted = complexity(chain((6, 5, 8), CompactConv2D(7, 3, 4, "average", padding="same", name="compact")))
    depthwise, squeeze, pointwise = 2 * 30 * 9 * 8, 4 * 30 * 2, 2 * 30 * 2 * 7
    assert [row.flops for row in counted.layers] == [depthwise, 0, 0, squeeze, pointwise]
    assert [row.params for row in counted.layers] == [9 * 8 + 8, 4 * 8, 0, 0, 2 * 7 + 7]
    assert [row.output_shape for row in counted.layers] == [(6, 5, 8)] * 3 + [(6, 5, 2), (6, 5, 7)]
    kinds = ["DepthwiseConv2D", "BatchNormalization", "Activation", "InterchannelPooling", "Conv2D"]
    assert [row.kind for row in counted.layers] == kinds
    assert all(row.name.startswith("compact") for row in counted.layers)


def test_biases_are_parameters_but_no_flops():
    with_bias, without = (complexity(chain((8, 7, 4), layers.Conv2D(6, 3, use_bias=use))) for use in (True, False))
    assert with_bias.flops == without.flops
    assert with_bias.params == without.params + 6


@pytest.mark.parametrize(
    "layer",
    [
        layers.BatchNormalization(),
        layers.LayerNormalization(),
        layers.GroupNormalization(2),
        layers.PReLU(),
        layers.ReLU(),
        layers.MaxPooling2D(2),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_normalization_activation_pooling_and_dense_layers_count_no_flops(layer):
    counted = complexity(chain((8, 7, 4), layer))
    assert counted.flops == 0
    assert counted.params == layer.count_params()
    assert counted.unknown == ()


def test_dense_layers_count_on_request():
    stack = (layers.Conv2D(6, 3), layers.Dense(3), layers.GlobalAveragePooling2D(), layers.Dense(5))
    convolution = 2 * (6 * 5) * 9 * 4 * 6
    assert flops((8, 7, 4), *stack) == convolution
    counted = complexity(chain((8, 7, 4), *stack), count_dense=True)
    assert counted.flops == convolution + 2 * (6 * 5) * 6 * 3 + 2 * 3 * 5
    assert counted.convention == f"{CONVENTION} + dense layers"


def test_a_layer_with_weights_and_no_rule_is_reported_and_counts_no_flops():
    einsum = layers.EinsumDense("bij,jk->bik", output_shape=(5, 3), name="einsum")
    counted = complexity(chain((5, 4), einsum, layers.Conv1D(2, 1, name="known")))
    assert counted.unknown == ("einsum",)
    assert counted.flops == 2 * 5 * 3 * 2
    assert counted.params == 4 * 3 + 3 * 2 + 2
    assert [row.known for row in counted.layers] == [False, True]


def attending(kind, *arguments, **fields):
    """Return a function of a tensor that attends from it to itself."""
    return lambda inputs: kind(*arguments, **fields, name="layer")(inputs, inputs)


@pytest.mark.parametrize(
    ("shape", "layer", "parameters"),
    [
        ((8, 16), attending(layers.MultiHeadAttention, 2, 4), 3 * (16 * 8 + 8) + 8 * 16 + 16),
        ((8, 16), attending(layers.GroupQueryAttention, 4, 2, 1), 2 * (16 * 4 + 4) + 16 * 8 + 8 + 8 * 16 + 16),
        ((2, 8, 8, 4), layers.TimeDistributed(CompactConv2D(6, 3), name="layer"), 9 * 4 + 4 + 4 * 4 + 2 * 6 + 6),
    ],
    ids=["MultiHeadAttention", "GroupQueryAttention", "TimeDistributed"],
)
def test_a_layer_that_loses_sizes_inside_counts_as_a_whole(shape, layer, parameters):
    inputs = keras.Input(shape)
    counted = complexity(keras.Model(inputs, layers.Dense(3)(layer(inputs))))
    assert counted.unknown == ("layer",)
    assert counted.flops == 0
    assert next(row.params for row in counted.layers) == parameters
    assert None not in counted.layers[0].output_shape
    assert counted.peak_activation_bytes > 4 * math.prod(shape)


def test_flops_that_depend_on_a_size_that_a_layer_lost_are_unknown_and_no_other():
    einsum = layers.EinsumDense("bij,jk->bik", output_shape=(None, 3), name="einsum")
    stack = (
        *(layers.Conv1D(4, 1, name="before"), einsum, layers.BatchNormalization(), layers.Conv1D(4, 1, name="conv")),
        *(InterchannelPooling(2, name="pooling"), layers.Dense(2, name="dense"), layers.GlobalAveragePooling1D()),
    )
    counted = complexity(chain((5, 4), *stack, layers.Dense(2, name="last")), count_dense=True)
    assert counted.unknown == ("einsum", "conv", "pooling", "dense")
    assert counted.flops == 2 * 5 * 4 * 4 + 2 * 2 * 2
    assert math.isnan(counted.peak_activation_bytes)


@pytest.mark.parametrize("kind", [layers.Attention, layers.AdditiveAttention])
@pytest.mark.parametrize("use_scale", [False, True])
def test_attention_is_unknown_with_and_without_weights(kind, use_scale):
    inputs = keras.Input((8, 4))
    assert complexity(keras.Model(inputs, kind(use_scale=use_scale, name="attention")([inputs, inputs]))).unknown == (
        "attention",
    )


def test_what_cannot_be_opened_or_multiplies_outside_a_layer_is_unknown():
    recurrent = complexity(chain((5, 4), layers.LSTM(3, name="memory")))
    assert recurrent.unknown == ("memory",)
    assert recurrent.params == 4 * 3 * (4 + 3 + 1)
    inputs = keras.Input((5, 4))
    product = complexity(keras.Model(inputs, keras.ops.matmul(inputs, keras.ops.transpose(inputs, (0, 2, 1)))))
    assert len(product.unknown) == 1
    assert product.flops == 0


@pytest.mark.parametrize(
    ("application", "parameters", "million_macs"),
    [
        ("ResNet50", 25_636_712, 3_856),
        ("MobileNetV2", 3_538_984, 300),
        pytest.param("DenseNet121", 8_062_504, 2_833, marks=pytest.mark.slow),
    ],
)
def test_well_known_networks_have_their_well_known_figures(application, parameters, million_macs):
    counted = complexity(getattr(keras.applications, application)(weights=None))
    assert counted.params == parameters
    assert round(counted.mflops / 2) == pytest.approx(million_macs, abs=1)
    assert counted.unknown == ()


def test_mflops_are_millions():
    counted = complexity(chain((8, 7, 4), layers.Conv2D(6, 3)))
    assert counted.mflops == counted.flops / 1e6 == 0.01296


def test_a_shared_layer_counts_its_weights_once_and_its_flops_each_time():
    inputs = keras.Input((6, 5, 8))
    compact = CompactConv2D(8, 3, 2, padding="same", name="compact")
    once = complexity(keras.Model(inputs, compact(inputs)))
    twice = complexity(keras.Model(inputs, compact(compact(inputs))))
    assert twice.flops == 2 * once.flops
    assert twice.params == once.params == compact.count_params()
    assert twice.weight_bytes == once.weight_bytes
    assert len(twice.layers) == 2 * len(once.layers)


def test_a_sequential_model_counts_as_the_functional_one():
    stack = [layers.Conv2D(6, 3), CompactConv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(3)]
    sequential = keras.Sequential([keras.Input((8, 7, 4)), *stack])
    assert complexity(sequential) == complexity(chain((8, 7, 4), *stack))


def test_a_nested_model_counts_its_layers():
    inner = keras.Sequential([keras.Input((6, 5, 4)), layers.Conv2D(4, 1), layers.ReLU()], name="inner")
    nested = complexity(chain((8, 7, 4), layers.Conv2D(4, 3), inner))
    plain = complexity(chain((8, 7, 4), layers.Conv2D(4, 3), layers.Conv2D(4, 1), layers.ReLU()))
    assert (nested.flops, nested.params, nested.weight_bytes) == (plain.flops, plain.params, plain.weight_bytes)


def test_an_unknown_size_is_refused():
    for shape in ((None, None, 3), (8, None, 3)):
        with pytest.raises(InputError, match=r"depends on an input size that is unknown.*fixed input shape") as caught:
            complexity(chain(shape, layers.Conv2D(6, 3)))
        assert "\n" not in str(caught.value)


# Memory


@pytest.mark.parametrize(("dtype", "size"), [("float32", 4), ("float16", 2), ("mixed_float16", 4), ("float64", 8)])
def test_weights_take_the_bytes_of_their_data_type(dtype, size):
    counted = complexity(chain((8, 7, 4), layers.Conv2D(6, 3, dtype=dtype), layers.BatchNormalization(dtype=dtype)))
    assert counted.weight_bytes == size * (9 * 4 * 6 + 6 + 4 * 6)


@pytest.mark.parametrize(("dtype", "size"), [("float32", 4), ("float16", 2), ("mixed_float16", 2)])
def test_the_peak_of_a_chain_is_its_largest_neighbours(dtype, size):
    stack = (
        layers.Conv2D(4, 3, padding="same", dtype=dtype),  # 64 -> 256 elements
        layers.BatchNormalization(dtype=dtype),  # in place
        layers.ReLU(dtype=dtype),  # in place
        layers.Conv2D(3, 1, dtype=dtype),  # 256 -> 192
        layers.MaxPooling2D(2, dtype=dtype),  # 192 -> 48
        layers.Flatten(dtype=dtype),  # in place
        layers.Dense(5, dtype=dtype),  # 48 -> 5
    )
    assert complexity(chain((8, 8, 1), *stack)).peak_activation_bytes == size * (256 + 192)


def test_the_input_is_alive_with_the_first_output():
    assert complexity(chain((8, 8, 3), layers.Conv2D(1, 1))).peak_activation_bytes == 4 * (192 + 64)
    assert complexity(chain((8, 8, 3), layers.ReLU())).peak_activation_bytes == 4 * 192


def residual(*inside):
    """8x8x1 -> 4 channels, kept beside `inside` until the addition."""
    inputs = keras.Input((8, 8, 1))
    kept = outputs = layers.Conv2D(4, 1)(inputs)
    for layer in inside:
        outputs = layer(outputs)
    return keras.Model(inputs, layers.ReLU()(layers.Add()([kept, outputs])))


@pytest.mark.parametrize(
    ("inside", "elements"),
    [
        # The addition: both branches and their sum.
        ((layers.Conv2D(4, 1),), 3 * 256),
        # The activation may not overwrite what the addition still needs, so it takes room of its own.
        ((layers.ReLU(),), 3 * 256),
        # The last convolution: the kept branch, 512 and 256 elements.
        ((layers.Conv2D(8, 1), layers.BatchNormalization(), layers.ReLU(), layers.Conv2D(4, 1)), 256 + 512 + 256),
    ],
    ids=["convolution", "activation", "wide"],
)
def test_the_peak_of_a_residual_graph_holds_the_kept_branch(inside, elements):
    assert complexity(residual(*inside)).peak_activation_bytes == 4 * elements


def test_an_output_stays_alive_to_the_end():
    inputs = keras.Input((8, 8, 1))
    early = layers.Conv2D(4, 1)(inputs)
    late = layers.Conv2D(2, 1)(layers.Conv2D(4, 1)(early))
    # While the last convolution runs: the early output, its input and the late output.
    assert complexity(keras.Model(inputs, [early, late])).peak_activation_bytes == 4 * (256 + 256 + 128)
    # Without the early output: two maps of 256 elements.
    assert complexity(keras.Model(inputs, late)).peak_activation_bytes == 4 * (256 + 256)


def test_nesting_does_not_change_the_peak():
    inner = keras.Sequential([keras.Input((8, 8, 4)), layers.Conv2D(1, 1)], name="inner")
    nested = complexity(chain((8, 8, 1), layers.Conv2D(4, 1), inner))
    plain = complexity(chain((8, 8, 1), layers.Conv2D(4, 1), layers.Conv2D(1, 1)))
    assert nested.peak_activation_bytes == plain.peak_activation_bytes


# Any model

BLOCKS = {
    "convolution": lambda channels: layers.Conv2D(channels, 3, padding="same"),
    "grouped": lambda channels: layers.Conv2D(channels, 1, groups=2, use_bias=False),
    "depthwise": lambda channels: layers.DepthwiseConv2D(3, padding="same"),
    "separable": lambda channels: layers.SeparableConv2D(channels, 3, padding="same"),
    "compact": lambda channels: CompactConv2D(channels, 3, 2, padding="same"),
    "nested": lambda channels: keras.Sequential([keras.Input((4, 3, channels)), layers.Conv2D(channels, 1)]),
    "normalization": lambda channels: layers.BatchNormalization(),
    "activation": lambda channels: layers.ReLU(),
    "dense": lambda channels: layers.Dense(channels),
}
STEPS = st.tuples(st.sampled_from(sorted(BLOCKS)), st.sampled_from(["plain", "residual", "twice"]))


@settings(deadline=None, max_examples=15)
@given(channels=st.sampled_from([2, 4, 6]), steps=st.lists(STEPS, min_size=1, max_size=5))
def test_rows_sum_to_the_totals_and_parameters_are_those_of_keras(channels, steps):
    inputs = outputs = keras.Input((4, 3, channels))
    for block, way in steps:
        layer = BLOCKS[block](channels)
        made = layer(outputs)
        if way == "twice":
            made = layer(made)
        outputs = layers.Add()([outputs, made]) if way == "residual" else made
    model = keras.Model(inputs, outputs)

    counted = complexity(model)

    assert counted.params == model.count_params() == sum(row.params for row in counted.layers)
    assert counted.flops == sum(row.flops for row in counted.layers)
    assert counted.weight_bytes == 4 * counted.params
    assert counted.peak_activation_bytes >= 4 * 4 * 3 * channels
    assert all(row.known for row in counted.layers)
