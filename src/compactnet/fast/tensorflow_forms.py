"""Forms for TensorFlow on processors: one fused operation each where Keras makes a chain of them."""

import functools

import keras
import tensorflow as tf

from compactnet.fast.layers import normalizes_last_axis


def fast_call(layer):
    """Return what replaces the `call` of a Keras layer, or None where it has no faster form."""
    if type(layer) is not keras.layers.BatchNormalization or not normalizes_last_axis(layer):
        return None
    return functools.partial(_batch_normalization, layer)


def _batch_normalization(layer, inputs, training=None, mask=None):
    if mask is not None:
        return type(layer).call(layer, inputs, training=training, mask=mask)
    gamma, beta = tf.convert_to_tensor(layer.gamma), tf.convert_to_tensor(layer.beta)
    mean, variance = tf.convert_to_tensor(layer.moving_mean), tf.convert_to_tensor(layer.moving_variance)
    if not (training and layer.trainable):
        return tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=layer.epsilon, is_training=False
        ).y
    found = tf.raw_ops.FusedBatchNormV3(
        x=inputs, scale=gamma, offset=beta, mean=[], variance=[], epsilon=layer.epsilon, is_training=True
    )
    # TensorFlow gives the variance of a sample, divided by n - 1; Keras keeps that of the batch, divided by n.
    count = tf.cast(tf.size(inputs) / inputs.shape[-1], "float32")
    moments = (found.batch_mean, found.batch_variance * (count - 1) / count)
    for moving, old, new in zip((layer.moving_mean, layer.moving_variance), (mean, variance), moments, strict=True):
        moving.assign(old * layer.momentum + tf.stop_gradient(new) * (1 - layer.momentum))
    return found.y


class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam, each variable updated by one operation."""

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations.value + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].handle,
            v=self._velocities[index].handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, variable.dtype), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, variable.dtype), step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )
