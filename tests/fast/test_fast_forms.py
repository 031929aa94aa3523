"""The fast forms are the functions of Keras' own layers: outputs, gradients and moving statistics."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compactnet import fast
from compactnet.errors import InputError
from compactnet.layers import CompactConv2D, GroupedConv2D, InterchannelPooling
from compactnet.networks import CATALOGUE, build

BACKEND = keras.config.backend()
SIZES = st.integers(1, 7)

needs_forms = pytest.mark.skipif(BACKEND not in ("jax", "tensorflow"), reason="PyTorch has no fast forms")
on_jax = pytest.mark.skipif(BACKEND != "jax", reason="a form for JAX")
on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="a form for TensorFlow")


def gradients(model, inputs):
    """Return the outputs of a model in training, the gradients of a weighted sum of them by inputs and weights, and the
    non-trainable variables after the step."""
    weights = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]
    scale = np.random.default_rng(1).normal(size=(1, *model.output_shape[1:])).astype(np.float32)
    if BACKEND == "jax":
        import jax

        def loss(weights, inputs):
            outputs, after = model.stateless_call(weights, others, inputs, training=True)
            return (outputs * scale).sum(), (outputs, after)

        (_, (outputs, after)), found = jax.value_and_grad(loss, (0, 1), has_aux=True)(weights, inputs)
        return [outputs], [*found[0], found[1]], after
    import tensorflow as tf

    inputs = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = model(inputs, training=True)
        loss = tf.reduce_sum(outputs * scale)
    found = tape.gradient(loss, [variable.value for variable in model.trainable_variables] + [inputs])
    return [outputs], found, [variable.value for variable in model.non_trainable_variables]


def check_same(make, shape, changed, seed=0, tolerance=1e-5):
    """Compare a layer's model before and after it takes the fast forms, of which it has `changed`."""
    inputs = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    found = []
    for fast_forms in (False, True):
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.Input(shape[1:]), make()])
        if fast_forms:
            assert fast.use_fast_forms(model) == changed
        found.append(gradients(model, inputs))
    for ours, theirs in zip(found[1], found[0], strict=True):
        for one, other in zip(ours, theirs, strict=True):
            one, other = (keras.ops.convert_to_numpy(array) for array in (one, other))
            np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * max(1, np.abs(other).max()))


@st.composite
def convolutions(draw):
    """Return the arguments of a convolution and the shape of an input that it accepts."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = draw(st.sampled_from(["valid", "same"]))
    least = kernel if padding == "valid" else (1, 1)
    extents = [draw(st.integers(size, 8)) for size in least]
    strides = draw(st.sampled_from([1, 2, 3]))
    shape = (draw(st.integers(1, 3)), *extents, draw(st.integers(1, 4)))
    return {"kernel_size": kernel, "padding": padding, "strides": strides, "use_bias": draw(st.booleans())}, shape


@on_jax
@settings(max_examples=10, deadline=None)
@given(convolutions())
def test_convolutions(case):
    arguments, shape = case
    check_same(lambda: keras.layers.Conv2D(3, activation="relu", **arguments), shape, 1)
    check_same(lambda: keras.layers.DepthwiseConv2D(activation="relu", **arguments), shape, 1)


@on_jax
@pytest.mark.parametrize("limit", [0, 1e9])
def test_a_convolution_whose_patches_are_too_large_stays_xlas_own(monkeypatch, limit):
    from compactnet.fast import jax_forms

    monkeypatch.setattr(jax_forms, "MAX_PATCH_BYTES", limit)
    check_same(lambda: keras.layers.Conv2D(4, 3, strides=2, padding="same"), (2, 7, 6, 3), 1)


@on_jax
@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.layers.SeparableConv2D(4, 3, padding="same"),
        lambda: GroupedConv2D(4, 1, groups=2),
        lambda: GroupedConv2D(4, 3, groups=2, padding="same"),
        lambda: keras.layers.MaxPooling2D(2),
        lambda: keras.layers.MaxPooling2D((3, 2)),
        lambda: InterchannelPooling(2, "max"),
        lambda: InterchannelPooling(2, "max", grouping="strided"),
    ],
)
def test_other_layers(make):
    check_same(make, (2, 7, 6, 4), 1)


@on_jax
def test_a_maximum_that_several_share_goes_to_the_first():
    inputs = np.zeros((1, 2, 2, 4), np.float32)
    for layer in (keras.layers.MaxPooling2D(2), InterchannelPooling(4, "max")):
        model = keras.Sequential([keras.Input((2, 2, 4)), layer])
        fast.use_fast_forms(model)
        found = np.asarray(gradients(model, inputs)[1][-1])
        assert np.count_nonzero(found) == 4
        first = found[0, 0, 0] if isinstance(layer, keras.layers.MaxPooling2D) else found[0, :, :, 0]
        assert np.count_nonzero(first) == 4


@on_jax
def test_a_maximum_shows_what_is_not_a_number():
    from compactnet.fast.jax_forms import maximum

    for parts in ([np.nan, 1.0], [1.0, np.nan], [1.0, np.nan, 2.0]):
        assert np.isnan(maximum(np.array([part]) for part in parts))


@needs_forms
@settings(max_examples=8, deadline=None)
@given(st.tuples(st.integers(1, 4), SIZES, SIZES, SIZES), st.booleans())
def test_batch_normalization(shape, trainable):
    def make():
        return keras.layers.BatchNormalization(
            momentum=0.7,
            epsilon=0.01,
            beta_initializer="uniform",
            gamma_initializer="uniform",
            moving_mean_initializer="uniform",
            trainable=trainable,
        )

    check_same(make, shape, 1, tolerance=1e-4)


@needs_forms
@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Conv2D(2, 3, dilation_rate=2),
        keras.layers.Conv2D(2, 3, groups=2),
        keras.layers.DepthwiseConv2D(3, depth_multiplier=2),
        keras.layers.MaxPooling2D(3, strides=2),
        keras.layers.BatchNormalization(axis=1),
        keras.layers.BatchNormalization(scale=False),
        InterchannelPooling(2, "sum"),
    ],
)
def test_what_has_no_fast_form_keeps_its_own(layer):
    assert fast.use_fast_forms(keras.Sequential([keras.Input((8, 8, 4)), layer])) == 0


@needs_forms
def test_a_small_epsilon_stays_as_it_is():
    layer = keras.layers.BatchNormalization(epsilon=1e-7)
    model = keras.Sequential([keras.Input((8, 8, 4)), layer])
    images = 1e-3 * np.random.default_rng(0).normal(size=(16, 8, 8, 4)).astype(np.float32)
    before = keras.ops.convert_to_numpy(model(images, training=True))
    assert fast.use_fast_forms(model) == 1
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(images, training=True)), before, atol=1e-3)


@needs_forms
def test_a_convolution_with_lora_keeps_its_own_form():
    layer = keras.layers.Conv2D(8, 3)
    model = keras.Sequential([keras.Input((8, 8, 4)), layer])
    layer.enable_lora(2)
    assert fast.use_fast_forms(model) == 0


def test_adam_is_refused_where_there_are_no_fast_forms(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    with pytest.raises(InputError, match="Fast forms exist on"):
        fast.adam(0.001)


@needs_forms
def test_evaluation_uses_the_moving_statistics():
    model = keras.Sequential([keras.Input((6, 6, 4)), CompactConv2D(4, 3), keras.layers.BatchNormalization()])
    model.set_weights([weight + 0.1 for weight in model.get_weights()])
    images = np.random.default_rng(0).normal(size=(3, 6, 6, 4)).astype(np.float32)
    before = keras.ops.convert_to_numpy(model(images, training=False))
    assert fast.use_fast_forms(model) == {"jax": 4, "tensorflow": 2}[BACKEND]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(images, training=False)), before, atol=1e-5)


@needs_forms
@pytest.mark.slow
@pytest.mark.parametrize("name", CATALOGUE)
def test_every_network_keeps_its_function(name):
    images = np.random.default_rng(0).normal(size=(2, 96, 96, 3)).astype(np.float32)
    model = build(name, (96, 96, 3))
    before = keras.ops.convert_to_numpy(model(images, training=False))
    assert fast.use_fast_forms(model) > 0
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(images, training=False)), before, atol=1e-4)


@needs_forms
def test_half_precision_is_refused():
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 3)])
    half = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 3)])
    half.dtype_policy = "mixed_bfloat16"
    assert fast.use_fast_forms(model) == (BACKEND == "jax")
    with pytest.raises(InputError, match=r"^Fast forms exist in float32, and '.*' computes in bfloat16"):
        fast.use_fast_forms(half)


@needs_forms
def test_half_precision_of_a_loaded_model_or_of_one_layer_is_refused(tmp_path):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = build("mobilenet_v1_025", (32, 32, 3))
    finally:
        keras.config.set_dtype_policy(before)
    model.save(tmp_path / "model.keras")
    one = keras.Sequential([keras.Input((4, 4, 1)), keras.Sequential([keras.layers.Conv2D(1, 3, dtype="float16")])])
    for half in (keras.models.load_model(tmp_path / "model.keras"), one):
        assert half.compute_dtype == "float32"
        with pytest.raises(InputError, match=r"^Fast forms exist in float32, and '.*' computes in float16. Build"):
            fast.use_fast_forms(half)


def test_pytorch_is_refused(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    with pytest.raises(InputError, match=r"^Fast forms exist on tensorflow and jax, and the backend is torch"):
        fast.use_fast_forms(keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 3)]))


@on_tensorflow
def test_fused_adam_makes_the_steps_of_adam():
    generator = np.random.default_rng(0)
    images, labels = generator.normal(size=(32, 6, 6, 3)).astype(np.float32), generator.integers(0, 2, 32)
    found = []
    for optimizer in (keras.optimizers.Adam(0.01), fast.adam(0.01)):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((6, 6, 3)),
                keras.layers.Conv2D(4, 3, activation="relu"),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(2, activation="softmax"),
            ]
        )
        model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
        model.fit(images, labels, batch_size=8, epochs=3, shuffle=False, verbose=0)
        assert int(optimizer.iterations.numpy()) == 12
        found.append([*model.get_weights(), *(variable.numpy() for variable in optimizer.variables)])
    for ours, theirs in zip(found[1], found[0], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
