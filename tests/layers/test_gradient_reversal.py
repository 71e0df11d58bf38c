"""GradientReversal: values, gradients, the schedule, and where popular ports go wrong."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.layers import GradientReversal


def gradient_through(layer, inputs):
    inputs = tf.convert_to_tensor(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = tf.reduce_sum(layer(inputs) ** 2)
    return tape.gradient(total, inputs)


def test_values_pass_and_gradients_come_back_with_the_other_sign():
    inputs = np.array([[1.0, -2.0]], "float32")
    np.testing.assert_array_equal(GradientReversal()(inputs), inputs)
    np.testing.assert_allclose(gradient_through(GradientReversal(0.5), inputs), -0.5 * 2 * inputs)
    np.testing.assert_array_equal(gradient_through(GradientReversal(0.0), inputs), 0 * inputs)


def test_two_reversals_in_a_row_are_none():
    inputs = np.array([[1.0, -2.0]], "float32")
    both = keras.Sequential([GradientReversal(), GradientReversal()])
    np.testing.assert_allclose(gradient_through(both, inputs), 2 * inputs)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_graphs_and_half_precision_reverse_too(jit_compile):
    layer = GradientReversal(3.0, dtype="float16")
    rule = tf.function(lambda inputs: gradient_through(layer, inputs), jit_compile=jit_compile)
    inputs = np.array([[1.0, -2.0]], "float16")
    np.testing.assert_array_equal(rule(inputs), -3 * 2 * inputs)


def test_the_tower_learns_to_tell_while_the_body_learns_to_hide():
    # To subtract the loss would train the tower to fail as well.
    keras.utils.set_random_seed(0)
    body, tower = keras.layers.Dense(2, use_bias=False), keras.layers.Dense(1, use_bias=False)
    inputs, labels = np.ones((1, 2), "float32"), np.ones((1, 1), "float32")
    layer = GradientReversal()

    def loss_of(reversal):
        with tf.GradientTape() as tape:
            features = body(inputs)
            prediction = tower(reversal(features) if reversal else features)
            loss = tf.reduce_mean((prediction - labels) ** 2)
        return tape.gradient(loss, [body.kernel.value, tower.kernel.value])

    plain, turned = loss_of(None), loss_of(layer)
    np.testing.assert_allclose(turned[0], -plain[0], rtol=1e-6)
    np.testing.assert_allclose(turned[1], plain[1], rtol=1e-6)


def test_the_strength_rises_as_in_the_paper_and_counts_training_alone():
    layer, inputs = GradientReversal(warmup_steps=4), np.ones((1, 1), "float32")
    layer(inputs)
    strengths = []
    for _ in range(6):
        strengths.append(float(layer.current_strength()))
        layer(inputs, training=False)
        layer(inputs, training=True)
    golden = [0, 0.8483, 0.9866, 0.9989, 0.9999, 0.9999]
    np.testing.assert_allclose(strengths, golden, atol=5e-5)


def test_a_saved_network_goes_on_with_its_warm_up(tmp_path):
    inputs = keras.Input((2,))
    model = keras.Model(inputs, GradientReversal(0.5, warmup_steps=4, name="turn")(inputs))
    model(np.ones((1, 2), "float32"), training=True)
    model.save(tmp_path / "model.keras")
    layer = keras.models.load_model(tmp_path / "model.keras").get_layer("turn")
    np.testing.assert_allclose(layer.current_strength(), 0.5 * 0.8483, atol=5e-5)


def test_a_callback_may_change_the_strength():
    layer = GradientReversal()
    layer.build((None, 2))
    layer.strength.assign(2.0)
    np.testing.assert_allclose(gradient_through(layer, np.ones((1, 2), "float32")), [[-4, -4]])


def test_masks_pass():
    inputs = tf.ones((1, 2, 1))
    inputs._keras_mask = tf.constant([[True, False]])
    np.testing.assert_array_equal(GradientReversal()(inputs)._keras_mask, [[True, False]])


@pytest.mark.parametrize("strength", [-0.1, float("nan"), float("inf"), "1"])
def test_a_strength_that_helps_the_adversary_is_refused(strength):
    with pytest.raises(ValueError, match="strength must be a number of at least 0, since"):
        GradientReversal(strength)


def test_a_warm_up_of_no_steps_is_refused():
    with pytest.raises(ValueError, match="warmup_steps must be a whole number from 1"):
        GradientReversal(warmup_steps=0)
