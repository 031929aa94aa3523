"""What is found out about a model after its last epoch: each prediction, and what its moving statistics cost.

A batch normalization learns its moving statistics at its own pace: after few steps they still contain their initial
values, and follow the weights late. Statistics of many batches at the final weights tell how much accuracy that costs.
"""

import keras
import numpy as np

from compactnet.experiments.batches import Batches, permutation
from compactnet.networks.keras_internals import all_sublayers
from compactnet.schema import Predictions

BATCHES = 100
"""Training batches whose statistics are averaged."""

REMAINING_STEPS = 10
"""A run should have this many times the steps in which a moving average forgets: 1 / (1 - momentum)."""


def predict(model, dataset, batch_size):
    """Return the `Predictions` of a model on the test split, or None where there are more classes than they can have.

    Args:
        model: The `keras.Model`.
        dataset: The `Dataset`.
        batch_size: Samples that are predicted at once.
    """
    if len(dataset.class_names) > Predictions.CLASSES:
        return None
    return Predictions.of(dataset.test.labels, _predicted(model, dataset, batch_size))


def _predicted(model, dataset, batch_size):
    # Keras compiles its prediction; calling the layers one by one takes ten times as long on JAX.
    return model.predict(Batches(dataset, dataset.test, batch_size), verbose=0).argmax(-1)


def recalibrated_accuracy(model, dataset, batch_size, seed):
    """Return the test accuracy with moving statistics from `BATCHES` training batches at the final weights.

    The model is as before when it returns.

    Args:
        model: The trained `keras.Model`.
        dataset: The `Dataset`.
        batch_size: Samples of a training batch.
        seed: The run's seed, for the choice of the batches.

    Returns:
        The accuracy, or None where nothing is normalized with statistics.
    """
    layers = normalizations(model)
    if not layers:
        return None
    kept = [(layer.momentum, layer.get_weights()) for layer in layers]
    # With a momentum of 0 the moving statistics after a batch are those of the batch.
    order = permutation(len(dataset.train), seed, epoch=0)[: BATCHES * batch_size]
    # A smaller last batch, if there is another, would count as much as a whole one.
    order = order[: len(order) // batch_size * batch_size or len(order)]
    sums, count = [0.0] * (2 * len(layers)), 0
    try:
        for layer in layers:
            layer.momentum = 0.0
        batches = Batches(dataset, dataset.train, batch_size, order)
        for number in range(len(batches)):
            samples, _ = batches[number]
            model(samples, training=True)
            found = [keras.ops.convert_to_numpy(value) for layer in layers for value in _statistics(layer)]
            sums = [total + value for total, value in zip(sums, found, strict=True)]
            count += 1
        for number, layer in enumerate(layers):
            for variable, total in zip(_statistics(layer), sums[2 * number :], strict=False):
                variable.assign(total / count)
        return float(np.mean(_predicted(model, dataset, batch_size) == dataset.test.labels))
    finally:
        for layer, (momentum, weights) in zip(layers, kept, strict=True):
            layer.momentum = momentum
            layer.set_weights(weights)


def initial_share(model, steps):
    """Return the share of their initial values that moving statistics still contain after some steps: momentum^steps.

    It is that of the slowest batch normalization; None without one.
    """
    momenta = [layer.momentum for layer in normalizations(model)]
    return max(momenta) ** steps if momenta else None


def few_steps(runs, train_samples):
    """Return a sentence for each network whose moving statistics have too few steps to become good estimates.

    Args:
        runs: `Run`s.
        train_samples: {fold name: number of training samples}.
    """
    said = {}
    for run in runs:
        momentum = run.network.skeleton.momentum
        steps = run.training.epochs * -(-train_samples[run.data.fold_name] // run.training.batch_size)
        wanted = round(REMAINING_STEPS / (1 - momentum)) if momentum < 1 else 0
        if steps < wanted:
            said[run.network.name] = (
                f"{run.network.name}: {steps} steps are few for batch normalization with momentum {momentum:g}, whose "
                f"test accuracy follows the weights after about {wanted}. Train longer, or lower the momentum."
            )
    return list(said.values())


def normalizations(model):
    """Return the batch normalizations of a model, those inside other layers included."""
    return [layer for layer in all_sublayers(model) if isinstance(layer, keras.layers.BatchNormalization)]


def _statistics(layer):
    return layer.moving_mean, layer.moving_variance
