"""Features that are computed again change no step: its loss and gradients stay, and every layer is in some segment."""

import keras
import numpy as np
import pytest

from compactnet import fast
from compactnet.experiments.recomputation import _segments, with_recomputation
from compactnet.networks import CATALOGUE, build

BACKEND = keras.config.backend()


def step(make_model):
    """Return the loss of a step, and what it changes: the gradients, and the updates of the moving statistics."""
    keras.utils.set_random_seed(0)
    model = make_model(build("compact_mobilenet_max_c4", (32, 32, 3)))
    model.compile(keras.optimizers.SGD(1.0), "sparse_categorical_crossentropy", jit_compile=BACKEND == "jax")
    before, generator = model.get_weights(), np.random.default_rng(0)
    images = generator.normal(size=(16, 32, 32, 3)).astype(np.float32)
    loss = float(model.train_on_batch(images, generator.integers(0, 10, 16)))
    return loss, [after - weight for after, weight in zip(model.get_weights(), before, strict=True)]


def in_fast_forms(model):
    fast.use_fast_forms(model)
    return model


no_forms = pytest.mark.skipif(BACKEND == "torch", reason="PyTorch has no fast forms")


@pytest.mark.parametrize("forms", [pytest.param("keras", marks=pytest.mark.slow), pytest.param("fast", marks=no_forms)])
def test_a_step_stays_the_same(forms):
    prepare = in_fast_forms if forms == "fast" else (lambda model: model)
    loss, changes = step(prepare)
    other_loss, others = step(lambda model: with_recomputation(prepare(model)))
    assert other_loss == pytest.approx(loss, rel=1e-5)
    # The second computation does not update the moving statistics again.
    squares = [(np.sum((one - other) ** 2), np.sum(one**2)) for one, other in zip(changes, others, strict=True)]
    difference, size = np.sum(squares, axis=0)
    assert size > 0.1
    assert difference < 1e-5**2 * size
    assert all(differs < 1e-3**2 * of + 1e-12 for differs, of in squares)


@pytest.mark.parametrize(
    "name", ["xvgg8", "compact_resnet_sum_c8", "mobilenet_v1_025", "mobilenet_v2", "shufflenet_v2"]
)
def test_segments_end_in_convolutions_and_share_the_weights(name):
    names = [known for known in CATALOGUE if known.startswith(name)]
    model = build(names[0], (96, 96, 3))
    recomputed = with_recomputation(model)
    assert [id(weight) for weight in recomputed.weights] == [id(weight) for weight in model.weights]
    segments = _segments(model)
    assert len(segments) > 5
    assert sum(segment.count_params() for segment in segments) == model.count_params()
    images = np.random.default_rng(0).normal(size=(1, 96, 96, 3)).astype(np.float32)
    ours, theirs = (keras.ops.convert_to_numpy(network(images, training=False)) for network in (recomputed, model))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
