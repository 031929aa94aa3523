"""Many steps in one call equal the steps of `fit` up to rounding: on JAX, where such calls exist."""

import keras
import numpy as np
import pytest

from compactnet.data.dataset import Dataset, Split
from compactnet.experiments import trainers
from compactnet.experiments.batches import permutation
from compactnet.experiments.checkpoints import Checkpoints
from compactnet.experiments.trainers import DeviceTrainer, FitTrainer
from compactnet.layers import CompactConv2D
from compactnet.schema import Epoch

pytestmark = pytest.mark.skipif(keras.config.backend() != "jax", reason="steps in one call need JAX")
BATCH = 16
EPOCHS = [Epoch(epoch=1, train_loss=1, train_accuracy=0, test_loss=1, test_accuracy=0, seconds=1)]


@pytest.fixture
def dataset():
    generator = np.random.default_rng(0)
    samples = generator.integers(0, 256, (90, 8, 8, 3), dtype=np.uint8)
    labels = (samples.mean(axis=(1, 2, 3)) > 127).astype(np.int64)
    train = Split(samples, labels[:70], indices=np.arange(70)[::-1])
    test = Split(samples[70:], labels[70:])
    mean, std = np.full((1, 1, 3), 120.0, np.float32), np.full((1, 1, 3), 70.0, np.float32)
    return Dataset(train, test, ("dark", "light"), mean, std, "", {}, True)


def network(precision):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(precision)
    try:
        model = keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                keras.layers.Conv2D(8, 3, activation="relu"),
                CompactConv2D(8, 3, compact_factor=2, operation="max"),
                keras.layers.BatchNormalization(momentum=0.9),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dropout(0.3),
                keras.layers.Dense(2, activation="softmax", dtype="float32"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=True)
    finally:
        keras.config.set_dtype_policy("float32")
    return model


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("steps_per_call", [1, 3, 200])
def test_many_steps_in_one_call_are_the_steps_of_keras(dataset, monkeypatch, steps_per_call, precision):
    monkeypatch.setattr(trainers, "STEPS_PER_CALL", steps_per_call)
    logs, heard, weights = {}, {}, {}
    for way in (FitTrainer, DeviceTrainer):
        steps = heard[way] = []
        model = network(precision)
        trainer = way(model, dataset, BATCH, lambda done, logs, steps=steps: steps.append((done, logs["loss"])))
        logs[way] = [trainer.run(permutation(70, 0, epoch)) for epoch in range(3)]
        weights[way] = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
        assert int(model.optimizer.iterations.value) == 15
    tolerance = 1e-4 if precision == "float32" else 2e-2
    for kept, ours in zip(logs[FitTrainer], logs[DeviceTrainer], strict=True):
        assert kept.keys() == ours.keys() == {"loss", "accuracy", "val_loss", "val_accuracy"}
        assert ours["loss"] == pytest.approx(kept["loss"], abs=tolerance)
        assert ours["val_loss"] == pytest.approx(kept["val_loss"], abs=tolerance)
        if precision == "float32":
            assert ours["accuracy"] == pytest.approx(kept["accuracy"])
            assert ours["val_accuracy"] == pytest.approx(kept["val_accuracy"])
    for kept, ours in zip(weights[FitTrainer], weights[DeviceTrainer], strict=True):
        np.testing.assert_allclose(ours, kept, atol=10 * tolerance)
    # 70 samples are four whole batches and one of six.
    assert {done for done, _ in heard[DeviceTrainer]} == {1: {1, 2, 3, 4, 5}, 3: {3, 4, 5}, 200: {4, 5}}[steps_per_call]
    assert heard[DeviceTrainer][-1][1] == pytest.approx(logs[DeviceTrainer][-1]["loss"])


def test_samples_go_to_the_device_only_where_they_fit(dataset, monkeypatch):
    size = 90 * 8 * 8 * 3
    for memory, kind in ((0, FitTrainer), (9 * size, FitTrainer), (11 * size, DeviceTrainer)):
        monkeypatch.setattr(trainers, "_gpu_bytes", lambda memory=memory: memory)
        assert type(trainers.choose_trainer(network("float32"), dataset, BATCH, None)) is kind


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_checkpoint_of_the_device_trainer_is_read_again(dataset, tmp_path, precision):
    model = network(precision)
    checkpoints = Checkpoints(tmp_path, "protocol")
    assert checkpoints.restore(model, print) == ([], [])
    DeviceTrainer(model, dataset, BATCH, lambda done, logs: None).run(permutation(70, 0, 0))
    checkpoints.save(model, EPOCHS, [])
    restored = network(precision)
    assert checkpoints.restore(restored, pytest.fail) == (EPOCHS, [])
    for one, other in zip(model.weights, restored.weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other))
    DeviceTrainer(restored, dataset, BATCH, lambda done, logs: None)
    assert len(restored.optimizer.variables) == len(model.optimizer.variables)


def test_without_a_gpu_there_is_no_gpu_memory():
    import jax

    if jax.default_backend() != "cpu":
        pytest.skip("there is an accelerator")
    assert trainers._gpu_bytes() == 0
