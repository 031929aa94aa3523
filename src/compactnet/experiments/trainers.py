"""Train and evaluate one epoch: batch by batch through Keras, or many steps in one call on samples held in memory.

A step on 32 small images takes less time than Python needs to launch and feed it, on a GPU and on a processor alike.
Where the samples fit into memory, one call makes many steps. All trainers make the same steps in the same order.
"""

import functools
import time

import keras
import numpy as np
import psutil

from compactnet import fast
from compactnet.experiments.batches import Batches
from compactnet.experiments.recomputation import with_recomputation

STEPS_PER_CALL = 200
"""The most steps of one call."""

SECONDS_PER_CALL = 1.0
"""A call makes fewer steps where they take longer than this together, so that progress is seen."""

MAX_MEMORY_SHARE = 0.1
"""Share of the memory that samples may take; above it they are fed batch by batch. Several runs may share a machine."""


def compile_model(run):
    """Return the compiled model of a `Run`, its layers and its optimizer in the form that its `Execution` names."""
    model = run.build()
    if run.execution.implementation == "fast":
        fast.use_fast_forms(model)
        optimizer = fast.adam(run.training.learning_rate)
    else:
        optimizer = keras.optimizers.Adam(learning_rate=run.training.learning_rate)
    if run.execution.recompute:
        model = with_recomputation(model)
    model.compile(
        optimizer=optimizer,
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        # XLA on CPU runs depthwise convolutions tens of times slower on TensorFlow; JAX always compiles with it.
        jit_compile=keras.config.backend() == "jax",
    )
    return model


def choose_trainer(model, dataset, batch_size, on_step, implementation="keras", stored_bytes=None):
    """Return a trainer, whose `run` trains one epoch.

    Args:
        model: The compiled `keras.Model`.
        dataset: The `Dataset`.
        batch_size: Samples per step.
        on_step: Function that is called with the number of finished steps of the epoch and their {"loss", "accuracy"}.
        implementation: The form of the model's layers, see `compactnet.schema.Execution`. XLA on a processor makes
            Keras' convolutions tens of times slower inside a call of many steps.
        stored_bytes: Bytes of all samples as they are stored; those of the data set if left out.

    Returns:
        A `FitTrainer` or, where the samples fit into memory, a `JaxTrainer` (on a GPU, or with fast forms) or a
        `TensorFlowTrainer` (with fast forms).
    """
    backend = keras.config.backend()
    stored = _bytes(dataset) if stored_bytes is None else stored_bytes
    memory = psutil.virtual_memory().total if implementation == "fast" else 0
    if backend == "jax":
        memory = _gpu_bytes() or memory
    many = {"jax": JaxTrainer, "tensorflow": TensorFlowTrainer}.get(backend, FitTrainer)
    return (many if stored <= MAX_MEMORY_SHARE * memory else FitTrainer)(model, dataset, batch_size, on_step)


class FitTrainer:
    """Trains with `keras.Model.fit`; the arguments are those of `choose_trainer`."""

    def __init__(self, model, dataset, batch_size, on_step):
        self._model, self._dataset, self._batch_size = model, dataset, batch_size
        self._callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: on_step(batch + 1, logs))

    def run(self, order):
        """Train one epoch in an order of the training samples, and evaluate.

        Args:
            order: Integer array, a permutation of them.

        Returns:
            {"loss", "accuracy", "val_loss", "val_accuracy"}
        """
        dataset, size = self._dataset, self._batch_size
        history = self._model.fit(
            Batches(dataset, dataset.train, size, order),
            validation_data=Batches(dataset, dataset.test, size),
            shuffle=False,
            verbose=0,
            callbacks=[self._callback],
        ).history
        return {name: values[0] for name, values in history.items()}


class _ManyStepsTrainer:
    """Makes many steps in one call, on samples in memory; the arguments are those of `choose_trainer`."""

    def __init__(self, model, dataset, batch_size, on_step):
        self._model, self._batch_size, self._on_step = model, batch_size, on_step
        self._counts = {"train": len(dataset.train), "test": len(dataset.test)}
        self._steps_per_call = 1
        _build(model, dataset)

    def run(self, order):
        """Train one epoch and evaluate, see `FitTrainer.run`."""
        logs = self._run_steps("train", order, self._on_step)
        found = self._run_steps("test", np.arange(self._counts["test"]))
        return {**logs, **{f"val_{name}": value for name, value in found.items()}}

    def _call(self, split, indices, size):
        """Make a step on each `size` of the samples at `indices` of a split."""
        raise NotImplementedError

    def _run_steps(self, split, order, on_step=None):
        """Make a step on each batch, and return the metrics over all of them."""
        model, size = self._model, self._batch_size
        order = order.astype(np.int32)
        whole, rest = divmod(len(order), size)
        model.reset_metrics()
        done, logs = 0, {}
        while done < whole + bool(rest):
            count = min(self._steps_per_call, whole - done) or 1
            began = time.monotonic()
            self._call(split, order[done * size : (done + count) * size], size if done < whole else rest)
            logs = {name: float(value) for name, value in model.get_metrics_result().items()}
            done += count
            if on_step:
                on_step(done, logs)
            if on_step and count == self._steps_per_call:
                # The first calls trace or compile, so the number grows step by step.
                wanted = round(count * SECONDS_PER_CALL / max(time.monotonic() - began, 1e-6))
                self._steps_per_call = max(1, min(2 * count, wanted, STEPS_PER_CALL))
        model.reset_metrics()
        return logs


class JaxTrainer(_ManyStepsTrainer):
    """Trains through JAX on samples that stay on its device; the arguments are those of `choose_trainer`."""

    def __init__(self, model, dataset, batch_size, on_step):
        import jax

        super().__init__(model, dataset, batch_size, on_step)
        self._data = {
            split: jax.device_put(_in_memory(dataset, samples))
            for split, samples in (("train", dataset.train), ("test", dataset.test))
        }
        weights = [model.trainable_variables, model.non_trainable_variables]
        self._variables = {
            "train": [*weights, model.optimizer.variables, model.metrics_variables],
            "test": [*weights, model.metrics_variables],
        }
        # On a processor one operation after the other, each on all threads: a network is a chain of small operations.
        options = {"xla_cpu_enable_concurrency_optimized_scheduler": False} if jax.default_backend() == "cpu" else {}
        self._steps = {
            split: jax.jit(functools.partial(_steps, step), static_argnames="size", compiler_options=options)
            for split, step in (("train", model.train_step), ("test", model.test_step))
        }

    def _call(self, split, indices, size):
        count = len(indices) // size
        # Padded to one length, so that a shorter call uses the same program.
        padded = (STEPS_PER_CALL if size == self._batch_size else 1) * size
        indices = np.pad(indices, (0, padded - len(indices)))
        groups = self._variables[split]
        values = [[variable.value for variable in group] for group in groups]
        state = self._steps[split](values, self._data[split], indices, count, size=size)
        for group, values in zip(groups, state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)


class TensorFlowTrainer(_ManyStepsTrainer):
    """Trains through TensorFlow on samples in memory; the arguments are those of `choose_trainer`."""

    def __init__(self, model, dataset, batch_size, on_step):
        import tensorflow as tf

        super().__init__(model, dataset, batch_size, on_step)
        self._data = {
            split: {name: tf.constant(array) for name, array in _in_memory(dataset, samples).items()}
            for split, samples in (("train", dataset.train), ("test", dataset.test))
        }
        self._functions = {}

    def _call(self, split, indices, size):
        import tensorflow as tf

        if (split, size) not in self._functions:
            step = self._model.train_step if split == "train" else self._model.test_step
            steps = functools.partial(_graph_steps, step, self._data[split], size)
            signature = [tf.TensorSpec([None], tf.int32)]
            self._functions[split, size] = tf.function(steps, input_signature=signature, autograph=False)
        self._functions[split, size](indices)


def _steps(step, state, data, indices, count, size):
    """Make `count` steps of `size` samples each, the first `count * size` of `indices`."""

    def one(number, state):
        batch = keras.ops.slice(indices, [number * size], [size])
        _, state = step(tuple(state), _take(data, batch))
        return [list(group) for group in state]

    return keras.ops.fori_loop(0, count, one, state)


def _graph_steps(step, data, size, indices):
    """Make a step on each `size` of `indices`; on TensorFlow a step assigns the new state itself."""
    import tensorflow as tf

    def one(start):
        step(_take(data, tf.slice(indices, [start], [size])))
        return start + size

    tf.while_loop(lambda start: start < tf.size(indices), one, [tf.constant(0)], parallel_iterations=1)


def _take(data, batch):
    """Return the standardized samples of a batch, and their labels."""
    samples = keras.ops.cast(keras.ops.take(data["samples"], batch, axis=0), "float32")
    return (samples - data["mean"]) / data["std"], keras.ops.take(data["labels"], batch)


def _in_memory(dataset, split):
    arrays = {"samples": split.read(slice(None)), "labels": split.labels.astype(np.int32)}
    return {**arrays, "mean": dataset.mean, "std": dataset.std}


def _build(model, dataset):
    """Create the variables of optimizer and metrics, which Keras creates at the first batch of `fit`."""
    # Not twice: Keras' loss scaling for half precision would add its variables again.
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    samples, labels = dataset.batch(dataset.train, np.arange(1))
    scores = np.full((1, len(dataset.class_names)), 1 / len(dataset.class_names), np.float32)
    model.compute_loss(samples, labels, scores, training=False)
    model.compute_metrics(samples, labels, scores)
    model.reset_metrics()


def _bytes(dataset):
    """Return the bytes of all samples as they are stored."""
    return (len(dataset.train) + len(dataset.test)) * dataset.train.samples[:1].nbytes


def _gpu_bytes():
    """Return the memory of JAX' first GPU, 0 where it has none."""
    import jax

    device = jax.devices()[0]
    return (device.memory_stats() or {}).get("bytes_limit", 0) if device.platform == "gpu" else 0
