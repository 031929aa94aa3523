"""Gradients on whichever backend is active."""

import keras
import numpy as np


def gradient(function, inputs, upstream):
    """Return the gradient of sum(upstream * function(x)) at x = `inputs`, as a NumPy array."""
    match keras.config.backend():
        case "tensorflow":
            import tensorflow as tf

            tensor = tf.convert_to_tensor(inputs)
            with tf.GradientTape() as tape:
                tape.watch(tensor)
                outputs = function(tensor)
            return tape.gradient(outputs, tensor, output_gradients=tf.convert_to_tensor(upstream)).numpy()
        case "jax":
            import jax

            _, pull_back = jax.vjp(function, jax.numpy.asarray(inputs))
            return np.asarray(pull_back(jax.numpy.asarray(upstream))[0])
        case "torch":
            import torch

            tensor = keras.ops.convert_to_tensor(inputs).detach().clone().requires_grad_(True)
            outputs = function(tensor)
            (result,) = torch.autograd.grad(outputs, tensor, keras.ops.convert_to_tensor(upstream))
            return keras.ops.convert_to_numpy(result)
        case other:
            raise NotImplementedError(f"no gradient for the backend {other!r}")
