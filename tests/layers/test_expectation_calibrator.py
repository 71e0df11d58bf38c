import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from keras_mtl.layers import ExpectationCalibrator

LATER = np.array([[2.0], [-1.0], [0.0], [3.0]], "float32")
EARLIER = np.array([[0.0], [1.0], [0.0], [1.0]], "float32")


def excess(later, earlier):
    return np.maximum(special.expit(later) - special.expit(earlier), 0).mean()


def test_the_penalty_is_the_mean_excess_times_the_strength():
    layer = ExpectationCalibrator(0.3)
    np.testing.assert_array_equal(layer([LATER, EARLIER]), LATER)
    np.testing.assert_allclose(layer.losses, [0.3 * excess(LATER, EARLIER)], rtol=1e-6)


def test_only_pairs_in_the_wrong_order_get_a_gradient():
    layer, pair = ExpectationCalibrator(), [tf.constant(LATER), tf.constant(EARLIER)]
    with tf.GradientTape() as tape:
        tape.watch(pair)
        layer(pair)
        (penalty,) = layer.losses
    later, earlier = (np.ravel(gradient) for gradient in tape.gradient(penalty, pair))
    wrong = np.ravel(LATER > EARLIER)
    assert (later[wrong] > 0).all() and (earlier[wrong] < 0).all()
    assert not later[~wrong].any() and not earlier[~wrong].any()


def test_positions_that_a_mask_leaves_out_do_not_count():
    later, earlier = tf.reshape(LATER, (2, 2, 1)), tf.reshape(EARLIER, (2, 2, 1))
    later._keras_mask = tf.constant([[True, False], [True, False]])
    layer = ExpectationCalibrator(1.0)
    layer([later, earlier])
    np.testing.assert_allclose(layer.losses, [excess(LATER[::2], EARLIER[::2])], rtol=1e-6)


def test_a_batch_without_valid_positions_costs_nothing():
    later, earlier = tf.reshape(LATER, (2, 2, 1)), tf.reshape(EARLIER, (2, 2, 1))
    earlier._keras_mask = tf.zeros((2, 2), bool)
    layer = ExpectationCalibrator()
    layer([later, earlier])
    assert [float(loss) for loss in layer.losses] == [0.0]


@pytest.fixture
def model():
    inputs = [keras.Input((1,), name="later"), keras.Input((1,), name="earlier")]
    later = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")(inputs[0])
    layer = ExpectationCalibrator(0.5, name="buy_calibrator")
    model = keras.Model(inputs, layer([later, inputs[1]]))
    model.compile(keras.optimizers.SGD(0.0), loss="mse")
    return model


def test_the_logs_of_training_hold_it_apart_and_those_of_evaluation_do_not(model):
    data = ([LATER, EARLIER], LATER)  # so that the rest of the loss is zero
    history = model.fit(*data, batch_size=2, epochs=2, validation_data=data, verbose=0).history
    expected = excess(LATER, EARLIER)
    np.testing.assert_allclose(history["buy_calibrator_penalty"], [expected] * 2, rtol=1e-5)
    np.testing.assert_allclose(history["loss"], [0.5 * expected] * 2, rtol=1e-5)
    np.testing.assert_allclose(history["val_loss"], [0.5 * expected] * 2, rtol=1e-5)
    assert not any("calibrator" in name for name in history if name.startswith("val_"))
    assert model.evaluate(*data, return_dict=True, verbose=0).keys() == {"loss"}


def test_it_reloads_with_its_strength(model, tmp_path):
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_layer("buy_calibrator").strength == 0.5
    assert again.get_layer("buy_calibrator").penalty.name == "buy_calibrator_penalty"


@pytest.mark.parametrize("strength", [-0.1, float("nan"), float("inf"), "0.6", None])
def test_a_strength_that_is_no_number_of_at_least_zero_is_refused(strength):
    with pytest.raises(ValueError, match="strength must be a number of at least 0"):
        ExpectationCalibrator(strength)
