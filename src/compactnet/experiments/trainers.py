"""Train and evaluate one epoch: batch by batch through Keras or, on a GPU through JAX, many steps in one call.

On a GPU a step on 32 small images takes less time than Python needs to launch it. There the samples stay on the device
and one call makes hundreds of steps. Both trainers make the same steps in the same order.
"""

import functools

import keras
import numpy as np

from compactnet.experiments.batches import Batches

STEPS_PER_CALL = 200
MAX_MEMORY_SHARE = 0.1
"""Share of a GPU's memory that samples may take; above it they are fed batch by batch. Several runs may share a GPU."""


def compile_model(run):
    """Return the compiled model of a `Run`."""
    model = run.build()
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=run.training.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        # XLA on CPU runs depthwise convolutions tens of times slower on TensorFlow; JAX always compiles with it.
        jit_compile=keras.config.backend() == "jax",
    )
    return model


def choose_trainer(model, dataset, batch_size, on_step, stored_bytes=None):
    """Return a trainer, whose `run` trains one epoch.

    Args:
        model: The compiled `keras.Model`.
        dataset: The `Dataset`.
        batch_size: Samples per step.
        on_step: Function that is called with the number of finished steps of the epoch and their {"loss", "accuracy"}.
        stored_bytes: Bytes of all samples as they are stored; those of the data set if left out.

    Returns:
        A `FitTrainer` or, where the samples fit into a GPU's memory on JAX, a `DeviceTrainer`.
    """
    stored = _bytes(dataset) if stored_bytes is None else stored_bytes
    fits = keras.config.backend() == "jax" and stored <= MAX_MEMORY_SHARE * _gpu_bytes()
    return (DeviceTrainer if fits else FitTrainer)(model, dataset, batch_size, on_step)


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


class DeviceTrainer:
    """Trains through JAX on samples that stay on its device; the arguments are those of `choose_trainer`."""

    def __init__(self, model, dataset, batch_size, on_step):
        import jax

        self._model, self._batch_size, self._on_step = model, batch_size, on_step
        self._train, self._test = (_on_device(dataset, split) for split in (dataset.train, dataset.test))
        _build(model, dataset)
        self._train_steps = jax.jit(functools.partial(_steps, model.train_step), static_argnames="size")
        self._test_steps = jax.jit(functools.partial(_steps, model.test_step), static_argnames="size")

    def run(self, order):
        """Train one epoch and evaluate, see `FitTrainer.run`."""
        model = self._model
        groups = [model.trainable_variables, model.non_trainable_variables]
        trained = [*groups, model.optimizer.variables, model.metrics_variables]
        logs = self._run_steps(self._train_steps, trained, self._train, order, self._on_step)
        evaluated = [*groups, model.metrics_variables]
        found = self._run_steps(self._test_steps, evaluated, self._test, np.arange(len(self._test["labels"])))
        return {**logs, **{f"val_{name}": value for name, value in found.items()}}

    def _run_steps(self, steps, groups, data, order, on_step=None):
        """Make a step on each batch, and return the metrics over all of them."""
        model, size = self._model, self._batch_size
        whole, rest = divmod(len(order), size)
        order = order.astype(np.int32)
        calls = [
            (order[first * size : min(first + STEPS_PER_CALL, whole) * size], size)
            for first in range(0, whole, STEPS_PER_CALL)
        ]
        if rest:
            calls.append((order[-rest:], rest))
        model.reset_metrics()
        done, logs = 0, {}
        for indices, batch in calls:
            # Padded to one length, so that a shorter call uses the same program.
            count = len(indices) // batch
            indices = np.pad(indices, (0, (STEPS_PER_CALL if batch == size else 1) * batch - len(indices)))
            values = [[variable.value for variable in group] for group in groups]
            state = steps(values, data, indices, count, size=batch)
            for group, values in zip(groups, state, strict=True):
                for variable, value in zip(group, values, strict=True):
                    variable.assign(value)
            done += count
            logs = {name: float(value) for name, value in model.get_metrics_result().items()}
            if on_step:
                on_step(done, logs)
        model.reset_metrics()
        return logs


def _steps(step, state, data, indices, count, size):
    """Make `count` steps of `size` samples each, the first `count * size` of `indices`."""

    def one(number, state):
        batch = keras.ops.slice(indices, [number * size], [size])
        samples = keras.ops.cast(keras.ops.take(data["samples"], batch, axis=0), "float32")
        samples = (samples - data["mean"]) / data["std"]
        _, state = step(tuple(state), (samples, keras.ops.take(data["labels"], batch)))
        return [list(group) for group in state]

    return keras.ops.fori_loop(0, count, one, state)


def _on_device(dataset, split):
    import jax

    arrays = {"samples": split.read(slice(None)), "labels": split.labels.astype(np.int32)}
    return jax.device_put({**arrays, "mean": dataset.mean, "std": dataset.std})


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
