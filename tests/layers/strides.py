"""What TensorFlow can do with strides, which depends on the processor and the build."""

import keras

from compactnet.networks.keras_internals import uses_onednn


def depthwise_strides_must_be_equal():
    """Say whether depthwise convolutions refuse unequal strides here: TensorFlow has none without oneDNN."""
    return keras.config.backend() == "tensorflow" and not uses_onednn()
