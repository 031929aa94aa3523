"""What a record says of a trained model beyond its curve: predictions, and the state of its moving statistics."""

import dataclasses

import keras
import numpy as np
import pytest

from compactnet.data.dataset import Dataset, Split
from compactnet.experiments import evaluation
from compactnet.experiments.batches import permutation
from compactnet.layers import CompactConv2D
from compactnet.schema import Experiment


@pytest.fixture
def dataset():
    generator = np.random.default_rng(0)
    samples = generator.integers(0, 256, (120, 6, 6, 3), dtype=np.uint8)
    labels = generator.integers(0, 3, 120)
    flat = np.zeros((1, 1, 3), np.float32)
    return Dataset(
        Split(samples[:64], labels[:64]), Split(samples[64:], labels[64:]), "abc", flat + 127, flat + 64, "", {}, True
    )


@pytest.fixture
def model():
    inputs = keras.Input((6, 6, 3))
    outputs = keras.layers.Conv2D(4, 3, name="convolution")(inputs)
    outputs = keras.layers.BatchNormalization(momentum=0.9, name="outer")(outputs)
    outputs = CompactConv2D(4, 3, momentum=0.99, name="compact")(outputs)
    outputs = keras.layers.GlobalAveragePooling2D()(outputs)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(outputs))


def test_predictions_are_those_of_the_model_in_the_order_of_the_test_split(model, dataset):
    kept = evaluation.predict(model, dataset, 16)
    samples, labels = dataset.batch(dataset.test, np.arange(56))
    expected = keras.ops.convert_to_numpy(model(samples, training=False)).argmax(-1)
    np.testing.assert_array_equal(kept.arrays[0], labels)
    np.testing.assert_array_equal(kept.arrays[1], expected)
    assert kept.accuracy == np.mean(labels == expected)


@pytest.mark.parametrize("count", [64, 50, 10])
def test_recalibration_averages_the_statistics_of_whole_batches_and_leaves_the_model_as_it_was(
    model, dataset, monkeypatch, count
):
    dataset = dataclasses.replace(dataset, train=dataset.train.take(count))
    before = [weight.copy() for weight in model.get_weights()]
    seen = []

    def look(model, dataset, batch_size):
        for layer in evaluation.normalizations(model):
            seen.extend(keras.ops.convert_to_numpy(value) for value in (layer.moving_mean, layer.moving_variance))
        return original(model, dataset, batch_size)

    original = evaluation._predicted
    monkeypatch.setattr(evaluation, "_predicted", look)
    accuracy = evaluation.recalibrated_accuracy(model, dataset, 16, seed=0)
    assert 0 <= accuracy <= 1
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert [layer.momentum for layer in evaluation.normalizations(model)] == [0.9, 0.99]
    # Means and variances of both normalizations in each batch of 16; a smaller one counts only where it is alone.
    whole, batches = max(1, count // 16), []
    for indices in np.split(permutation(count, seed=0, epoch=0)[: min(count, 16 * whole)], whole):
        samples, _ = dataset.batch(dataset.train, indices)
        outer = keras.ops.convert_to_numpy(model.get_layer("convolution")(samples))
        mean, variance = outer.mean((0, 1, 2)), outer.var((0, 1, 2))
        normalized = (outer - mean) / np.sqrt(variance + model.get_layer("outer").epsilon)
        inner = keras.ops.convert_to_numpy(model.get_layer("compact").depthwise(normalized))
        batches.append([mean, variance, inner.mean((0, 1, 2)), inner.var((0, 1, 2))])
    np.testing.assert_allclose(seen, np.mean(batches, axis=0), rtol=1e-3, atol=1e-4)


def test_predictions_of_very_many_classes_are_not_kept(model, dataset):
    many = dataclasses.replace(dataset, class_names=tuple(map(str, range(300))))
    assert evaluation.predict(model, many, 16) is None


def test_a_model_without_normalization_has_neither(dataset):
    model = keras.Sequential([keras.Input((6, 6, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
    assert evaluation.recalibrated_accuracy(model, dataset, 16, seed=0) is None
    assert evaluation.initial_share(model, 10) is None


def test_the_slowest_normalization_decides_what_is_left_of_the_initial_statistics(model):
    assert evaluation.initial_share(model, 100) == pytest.approx(0.99**100)


def test_few_steps_are_named(dataset):
    experiment = Experiment(
        name="few",
        data={"source": "cifar10"},
        networks=["xvgg8", "mobilenet_v1_025"],
        skeletons={"vgg8": {"padding": "same"}, "mobilenet_v1": {"momentum": 0.9}},
        training={"epochs": 5},
        seeds=[0, 1],
    )
    (sentence,) = evaluation.few_steps(experiment.runs(), {"": 3200})
    assert sentence.startswith("xvgg8: 500 steps are few for batch normalization with momentum 0.99, ")
    assert "after about 1000." in sentence
    assert evaluation.few_steps(experiment.runs(), {"": 6400}) == []
