"""Many steps in one call equal the steps of `fit` up to rounding, on JAX and TensorFlow, where such calls exist."""

import keras
import numpy as np
import pytest

from compactnet import fast
from compactnet.data.dataset import Dataset, Split
from compactnet.experiments import trainers
from compactnet.experiments.batches import permutation
from compactnet.experiments.checkpoints import Checkpoints
from compactnet.experiments.trainers import FitTrainer, JaxTrainer, TensorFlowTrainer
from compactnet.layers import CompactConv2D
from compactnet.schema import Epoch

BACKEND = keras.config.backend()
pytestmark = pytest.mark.skipif(BACKEND == "torch", reason="PyTorch has no steps in one call")
on_jax = pytest.mark.skipif(BACKEND != "jax", reason="a way of JAX")
ManyStepsTrainer = JaxTrainer if BACKEND == "jax" else TensorFlowTrainer
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


def network(precision, fast_forms=False):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(precision)
    try:
        model = keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                keras.layers.Conv2D(8, 3, activation="relu"),
                # A bias before a normalization has no gradient but rounding, which Adam follows.
                CompactConv2D(8, 3, compact_factor=2, operation="max", use_bias=False),
                keras.layers.BatchNormalization(momentum=0.9),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dropout(0.3),
                keras.layers.Dense(2, activation="softmax", dtype="float32"),
            ]
        )
        optimizer = "adam"
        if fast_forms:
            assert fast.use_fast_forms(model)
            optimizer = fast.adam(0.001)
        jit_compile = BACKEND == "jax"
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=jit_compile)
    finally:
        keras.config.set_dtype_policy("float32")
    return model


@pytest.mark.parametrize(
    ("precision", "fast_forms"),
    [("float32", False), ("float32", True), pytest.param("mixed_bfloat16", False, marks=on_jax)],
)
@pytest.mark.parametrize("steps_per_call", [pytest.param(1, marks=pytest.mark.slow), 3, 200])
def test_many_steps_in_one_call_are_the_steps_of_keras(dataset, monkeypatch, steps_per_call, precision, fast_forms):
    monkeypatch.setattr(trainers, "STEPS_PER_CALL", steps_per_call)
    monkeypatch.setattr(trainers, "SECONDS_PER_CALL", 1e9)
    logs, heard, weights = {}, {}, {}
    for way in (FitTrainer, ManyStepsTrainer):
        steps = heard[way] = []
        model = network(precision, fast_forms=fast_forms and way is ManyStepsTrainer)
        trainer = way(model, dataset, BATCH, lambda done, logs, steps=steps: steps.append((done, logs["loss"])))
        logs[way] = [trainer.run(permutation(70, 0, epoch)) for epoch in range(3)]
        weights[way] = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
        assert int(model.optimizer.iterations.value) == 15
    tolerance = 1e-4 if precision == "float32" else 2e-2
    for kept, ours in zip(logs[FitTrainer], logs[ManyStepsTrainer], strict=True):
        assert kept.keys() == ours.keys() == {"loss", "accuracy", "val_loss", "val_accuracy"}
        assert ours["loss"] == pytest.approx(kept["loss"], abs=tolerance)
        assert ours["val_loss"] == pytest.approx(kept["val_loss"], abs=tolerance)
        if precision == "float32":
            assert ours["accuracy"] == pytest.approx(kept["accuracy"])
            assert ours["val_accuracy"] == pytest.approx(kept["val_accuracy"])
    for kept, ours in zip(weights[FitTrainer], weights[ManyStepsTrainer], strict=True):
        np.testing.assert_allclose(ours, kept, atol=10 * tolerance)
    # 70 samples are four whole batches and one of six.
    assert {done for done, _ in heard[ManyStepsTrainer]} == ({1, 2, 3, 4, 5} if steps_per_call == 1 else {1, 3, 4, 5})
    assert heard[ManyStepsTrainer][-1][1] == pytest.approx(logs[ManyStepsTrainer][-1]["loss"])


def test_how_many_steps_a_call_makes_changes_no_bit(dataset, monkeypatch):
    weights = []
    for seconds in (0, 1e9):  # one step a call, and as many as there are
        monkeypatch.setattr(trainers, "SECONDS_PER_CALL", seconds)
        model, calls = network("float32", fast_forms=True), []
        trainer = ManyStepsTrainer(model, dataset, BATCH, lambda done, logs, calls=calls: calls.append(done))
        for epoch in range(3):
            trainer.run(permutation(70, 0, epoch))
        weights.append([keras.ops.convert_to_numpy(weight) for weight in model.weights])
        assert len(calls) == (15 if seconds == 0 else 8)
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_samples_are_held_in_memory_only_where_they_fit(dataset, monkeypatch):
    size = 90 * 8 * 8 * 3

    class Memory:
        total = 0

    monkeypatch.setattr(trainers.psutil, "virtual_memory", lambda: Memory)
    for memory, kind in ((0, FitTrainer), (9 * size, FitTrainer), (11 * size, ManyStepsTrainer)):
        Memory.total = memory
        assert type(trainers.choose_trainer(network("float32"), dataset, BATCH, None, "fast")) is kind
        assert type(trainers.choose_trainer(network("float32"), dataset, BATCH, None)) is FitTrainer


@on_jax
def test_samples_go_to_a_gpu_only_where_they_fit(dataset, monkeypatch):
    size = 90 * 8 * 8 * 3
    for memory, kind in ((9 * size, FitTrainer), (11 * size, JaxTrainer)):
        monkeypatch.setattr(trainers, "_gpu_bytes", lambda memory=memory: memory)
        assert type(trainers.choose_trainer(network("float32"), dataset, BATCH, None)) is kind


@pytest.mark.parametrize("precision", ["float32", pytest.param("mixed_float16", marks=on_jax)])
def test_a_checkpoint_after_many_steps_in_one_call_is_read_again(dataset, tmp_path, precision):
    model = network(precision)
    checkpoints = Checkpoints(tmp_path, "protocol")
    assert checkpoints.restore(model, print) == ([], [])
    ManyStepsTrainer(model, dataset, BATCH, lambda done, logs: None).run(permutation(70, 0, 0))
    checkpoints.save(model, EPOCHS, [])
    restored = network(precision)
    assert checkpoints.restore(restored, pytest.fail) == (EPOCHS, [])
    for one, other in zip(model.weights, restored.weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other))
    ManyStepsTrainer(restored, dataset, BATCH, lambda done, logs: None)
    assert len(restored.optimizer.variables) == len(model.optimizer.variables)


@on_jax
def test_without_a_gpu_there_is_no_gpu_memory():
    import jax

    if jax.default_backend() != "cpu":
        pytest.skip("there is an accelerator")
    assert trainers._gpu_bytes() == 0
