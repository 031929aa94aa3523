"""Small models for the tests of the command."""

import keras


def image_model(size=8, classes=3, channels=4):
    """Return a model of images whose second convolution is compressible if it has 32 channels."""
    return _model((size, size, 3), classes, channels)


def sound_model(bands=8, frames=32, classes=3):
    """Return a model of spectrograms."""
    return _model((bands, frames, 1), classes, 4)


def _model(shape, classes, channels):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    features = keras.layers.Conv2D(channels, 3, strides=2, padding="same", name="first", activation="relu")(inputs)
    features = keras.layers.Conv2D(channels, 3, padding="same", name="second")(features)
    features = keras.layers.BatchNormalization()(features)
    features = keras.layers.ReLU()(features)
    features = keras.layers.GlobalAveragePooling2D()(features)
    return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(features), name="small")
