import keras
import numpy as np
import pytest

import compactnet
from compactnet.compression import warm_start as warm_start_module
from compactnet.compression.warm_start import grouped_order
from tests.compression.test_compress import SHAPE, samples, small, values

pytestmark = pytest.mark.usefixtures("untimed")


def grouped(kind, factor=2, channels=32, filters=8, agreeing=True, seed=0):
    """A network whose 1x1 weights are equal in groups of `factor` channels, in a random order of the channels.

    Returns:
        The network and its convolution that a compact one can replace without loss.
    """
    keras.utils.set_random_seed(seed)
    generator = np.random.default_rng(seed)
    groups = np.arange(channels) // factor if agreeing else np.arange(channels)
    rows = generator.normal(size=(channels, filters))[generator.permutation(groups)]
    inputs = keras.Input(SHAPE)
    outputs = keras.layers.Conv2D(channels, 3, name="stem")(inputs)
    outputs = keras.layers.BatchNormalization(name="first")(outputs)
    outputs = keras.layers.ReLU()(outputs)
    if kind == "chain":
        outputs = keras.layers.DepthwiseConv2D(3, 2)(outputs)
        outputs = keras.layers.BatchNormalization()(outputs)
        outputs = keras.layers.ReLU(6.0)(outputs)
        layer = keras.layers.Conv2D(filters, 1, use_bias=False, name="x")
    elif kind == "separable":
        layer = keras.layers.SeparableConv2D(filters, 3, activation="relu", name="x")
    else:
        layer = keras.layers.Conv2D(filters, 3, activation="relu", name="x")
    outputs = layer(outputs)
    outputs = keras.layers.BatchNormalization(name="last")(outputs)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(outputs))
    spatial = generator.normal(size=(3, 3, channels, 1))
    if kind == "chain":
        layer.set_weights([rows[None, None]])
    elif kind == "separable":
        layer.set_weights([spatial, rows[None, None], generator.normal(size=filters)])
    else:
        layer.set_weights([spatial * rows, generator.normal(size=filters)])
    return model, layer


@pytest.mark.parametrize("grouping", ["strided", "adjacent"])
@pytest.mark.parametrize("operation", ["sum", "average"])
@pytest.mark.parametrize("kind", ["chain", "separable", "standard"])
def test_a_network_of_compact_form_stays_the_same(kind, operation, grouping):
    model, _ = grouped(kind, factor=4)
    before = [weight.copy() for weight in model.get_weights()]
    x = samples(64)
    smaller, report = compactnet.compress(
        model, 4, operation, grouping=grouping, skip_first=False, warm_start=True, calibration_data=x
    )
    assert [row.name for row in report.replaced] == ["x"]
    expected = values(model, x)
    # The inner ReLU cuts off a few values far below the mean; a chain had its ReLU before.
    error = 1e-4 if kind == "chain" else 0.05
    assert np.abs(values(smaller, x) - expected).max() < error * np.abs(expected).max()
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_statistics_stay_where_nothing_changed():
    model, _ = grouped("chain")
    moved = model.get_layer("last")
    moved.moving_mean.assign(np.full(8, 3.0))
    smaller, _ = compactnet.compress(model, skip_first=False, warm_start=True, calibration_data=samples(8))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(smaller.get_layer("last").moving_mean), np.full(8, 3.0), atol=1e-4
    )


@pytest.mark.parametrize("operation", ["sum", "max"])
def test_a_warm_start_is_closer_than_new_weights(operation):
    x = samples(96)
    labels = (x.mean((1, 2)).argmax(-1) + np.arange(96) % 2).astype("int64")
    model = small(between=[keras.layers.BatchNormalization(momentum=0.8), keras.layers.ReLU()])
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(x, labels, batch_size=32, epochs=4, verbose=0)
    errors, reports = {}, {}
    for warm_start in (False, True):
        smaller, reports[warm_start] = compactnet.compress(
            model, 2, operation, warm_start=warm_start, calibration_data=(x[:64], labels[:64])
        )
        errors[warm_start] = np.square(values(smaller, x[64:]) - values(model, x[64:])).mean()
    assert errors[True] < errors[False] / 4
    report = reports[True]
    text = str(report)
    assert "(warm start, on the calibration data, before fine-tuning)" in text
    assert "(new weights, on the calibration data, before fine-tuning)" in str(reports[False])
    tuned = report.fine_tuned(smaller, x, labels[:, None])
    assert 0 <= tuned.accuracy_fine_tuned <= 1
    assert report.accuracy_fine_tuned is None
    assert f"accuracy after fine-tuning: {tuned.accuracy_fine_tuned:.1%}" in str(tuned)


def test_inputs_used_twice_and_additions_are_followed():
    inputs = keras.Input(SHAPE)
    stem = keras.layers.Conv2D(32, 3, 2, activation="relu")(inputs)
    branch = keras.layers.Conv2D(32, 3, padding="same", name="branch")(stem)
    branch = keras.layers.BatchNormalization()(branch)
    outputs = keras.layers.ReLU()(branch + stem)
    outputs = keras.layers.Conv2D(32, 3, use_bias=False, name="end")(outputs * 2)
    outputs = keras.layers.GlobalAveragePooling2D()(keras.layers.Add()([outputs, outputs]))
    model = keras.Model(inputs, outputs)
    x = samples(32)
    errors = {}
    for warm_start in (False, True):
        smaller, report = compactnet.compress(model, warm_start=warm_start, calibration_data=x)
        assert [row.name for row in report.replaced] == ["branch", "end"]
        errors[warm_start] = np.square(values(smaller, x) - values(model, x)).mean()
    assert errors[True] < errors[False] / 4


def test_an_activation_before_the_normalization_keeps_the_constant_out():
    # The kernel is one that a compact convolution represents, but nothing takes in a constant.
    inputs = keras.Input(SHAPE)
    outputs = keras.layers.Conv2D(32, 3, 2, activation="relu")(inputs)
    layer = keras.layers.Conv2D(16, 3, use_bias=False, activation="relu", name="x")
    model = keras.Model(inputs, keras.layers.BatchNormalization()(layer(outputs)))
    generator = np.random.default_rng(0)
    rows = np.repeat(generator.normal(size=(16, 16)), 2, axis=0)
    layer.set_weights([generator.normal(size=(3, 3, 32, 1)) * rows])
    x = samples(64)
    smaller, report = compactnet.compress(model, skip_first=False, warm_start=True, calibration_data=x)
    assert [row.name for row in report.replaced] == ["x"]
    expected = values(model, x)
    error = values(smaller, x) - expected
    assert error.var() < 0.2 * expected.var()


def test_a_shared_normalization_keeps_its_statistics():
    inputs = keras.Input(SHAPE)
    stem = keras.layers.Conv2D(32, 3, 2, activation="relu")(inputs)
    shared = keras.layers.BatchNormalization(name="shared")
    outputs = keras.layers.Add()(
        [shared(keras.layers.Conv2D(32, 3, padding="same", name=name)(stem)) for name in ("a", "b")]
    )
    model = keras.Model(inputs, outputs)
    smaller, report = compactnet.compress(model, warm_start=True, calibration_data=samples(32))
    assert {row.name for row in report.replaced} == {"a", "b"}
    for before, after in zip(shared.get_weights(), smaller.get_layer("shared").get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_pixels_of_whole_numbers_are_calibration_data():
    model, _ = grouped("separable")
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.Rescaling(1 / 255), model])
    x = np.random.default_rng(0).integers(0, 256, (32, *SHAPE), dtype="uint8")
    smaller, report = compactnet.compress(model, skip_first=False, warm_start=True, calibration_data=x)
    assert [row.name for row in report.replaced] == ["x"]
    expected = values(model, x)
    assert np.abs(values(smaller, x) - expected).max() < 0.05 * np.abs(expected).max()


@pytest.mark.parametrize("grouping", ["strided", "adjacent"])
def test_channels_with_similar_rows_come_into_one_group(grouping):
    generator = np.random.default_rng(0)
    row = generator.normal(size=(6, 16))
    kind = generator.permutation(np.arange(24) % 6)
    rows = row[kind] * generator.choice([-2.0, -1.0, 1.0, 3.0], 24)[:, None]
    order = grouped_order(rows, 4, grouping, either_sign=True)
    assert sorted(order) == list(range(24))
    shape, axis = ((4, 6), 0) if grouping == "strided" else ((6, 4), 1)
    assert np.all(np.ptp(kind[order].reshape(shape), axis=axis) == 0)
    signed = grouped_order(np.abs(row)[kind], 4, grouping, either_sign=False)
    assert np.all(np.ptp(kind[signed].reshape(shape), axis=axis) == 0)


def test_variances_of_later_normalizations_move_with_their_inputs():
    x = samples(64)
    model = small(between=[keras.layers.BatchNormalization(name="after")])
    smaller, _ = compactnet.compress(model, 8, "max", filters="middle", warm_start=True, calibration_data=x)
    before, after = (
        values(keras.Model(one.input, one.get_layer("after").input), x).var((0, 1, 2)) for one in (model, smaller)
    )
    assert np.abs(after / before - 1).max() > 0.01
    moved = keras.ops.convert_to_numpy(smaller.get_layer("after").moving_variance)
    # The moving variance was 1, and epsilon is 0.001.
    np.testing.assert_allclose(moved + 0.001, 1.001 * (after + 0.001) / (before + 0.001), rtol=1e-3)


def test_least_squares_improve_the_depthwise_kernels(monkeypatch):
    x, errors = samples(96), []
    for largest in (0, warm_start_module.LARGEST_ALTERNATED):
        monkeypatch.setattr(warm_start_module, "LARGEST_ALTERNATED", largest)
        keras.utils.set_random_seed(0)
        model = small()
        smaller, _ = compactnet.compress(model, 4, filters="middle", warm_start=True, calibration_data=x)
        errors.append(np.square(values(smaller, x) - values(model, x)).mean())
    assert errors[1] < 0.95 * errors[0]
