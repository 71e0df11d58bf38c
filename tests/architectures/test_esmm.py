import keras
import numpy as np
import pytest
import tensorflow as tf
from funnel import SIZE, impressions, moved_by, predict, probability, randomize, value

import keras_mtl as mtl
from keras_mtl import Task, architectures

CLICK = Task.binary("click")
CONVERSION = Task.binary("conversion", weight=0)
PURCHASE = Task.binary("purchase", weight=0.5)
TASKS = [CLICK, CONVERSION, PURCHASE]


@pytest.fixture
def network():
    network = architectures.esmm(keras.Input((SIZE,)), TASKS, tower=(4,))
    randomize(network)
    return network


def entropy(labels, p):
    return -np.mean(np.where(labels == 1, np.log(p), np.log1p(-p)))


def dataset():
    return mtl.data.mask_missing(tf.data.Dataset.from_tensor_slices(impressions()).batch(32), TASKS)


def test_a_purchase_is_a_click_times_a_conversion(network):
    x, _ = impressions()
    outputs = predict(network, x)
    click, conversion = (probability(network, name, x) for name in ("click", "conversion"))
    np.testing.assert_allclose(outputs["click"], click, rtol=1e-4)
    np.testing.assert_allclose(outputs["conversion"], conversion, rtol=1e-4)
    np.testing.assert_allclose(outputs["purchase"], click * conversion, rtol=1e-4)


def test_the_loss_is_that_of_clicks_and_purchases_over_all_impressions(network):
    x, labels = impressions()
    network.compile("sgd", **mtl.compile_args(TASKS), run_eagerly=True)
    logs = network.evaluate(dataset(), return_dict=True, verbose=0)
    click, conversion = (probability(network, name, x)[:, 0] for name in ("click", "conversion"))
    losses = [entropy(labels["click"], click), entropy(labels["purchase"], click * conversion)]
    assert logs["loss"] == pytest.approx(losses[0] + 0.5 * losses[1], rel=1e-5)
    # The task that is not trained is measured where its label is known.
    clicked = labels["click"] == 1
    expected = entropy(labels["conversion"][clicked], conversion[clicked])
    assert logs["conversion_mean_loss"] == pytest.approx(expected, rel=1e-5)


def test_labels_of_conversions_train_nothing(network):
    x, labels = impressions()
    weights = []
    for conversion in (np.zeros_like(x[:, 0]), np.ones_like(x[:, 0])):
        copy = keras.models.clone_model(network)
        copy.set_weights(network.get_weights())
        copy.compile("sgd", **mtl.compile_args(TASKS), run_eagerly=True)
        copy.train_on_batch(x, labels | {"conversion": conversion})
        weights.append(copy.get_weights())
    for one, other, before in zip(*weights, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
        assert np.abs(one - before).max() > 0  # its tower learns from purchases all the same


def test_each_tower_moves_what_it_is_a_factor_of(network):
    x, _ = impressions()
    bias = network.get_layer("click_logits").bias
    assert moved_by(network, bias, x) == {"click", "purchase"}
    bias = network.get_layer("conversion_logits").bias
    assert moved_by(network, bias, x) == {"conversion", "purchase"}


def test_the_loss_of_a_rare_purchase_is_not_clipped(network):
    x, labels = impressions()
    for name in ("click", "conversion"):
        network.get_layer(f"{name}_logits").bias.assign([-1000.0])
        network.get_layer(f"{name}_logits").kernel.assign(np.full((4, 1), 0.0))
    network.compile("sgd", **mtl.compile_args(TASKS), run_eagerly=True)
    ones = dict.fromkeys(labels, np.ones_like(labels["click"]))
    logs = network.test_on_batch(x, ones, return_dict=True)
    assert logs["purchase_mean_loss"] == pytest.approx(2000.0, rel=1e-5)


def test_a_longer_chain_multiplies_all_steps():
    names = ["view", "click_rate", "click", "buy_rate", "buy"]
    tasks = [Task.binary(name, weight=0 if "rate" in name else 1) for name in names]
    network = architectures.esmm(keras.Input((SIZE,)), tasks, tower=(4,))
    randomize(network)
    x, _ = impressions()
    view, click, buy = (probability(network, name, x) for name in (names[0], names[1], names[3]))
    outputs = predict(network, x)
    np.testing.assert_allclose(outputs["click"], view * click, rtol=1e-4)
    np.testing.assert_allclose(outputs["buy"], view * click * buy, rtol=1e-4)


def test_a_shared_body_and_towers_of_other_kinds():
    def tower(features):
        return keras.layers.LayerNormalization()(keras.layers.Dense(3)(features))

    network = architectures.esmm(keras.Input((SIZE,)), TASKS, shared=(6,), tower=tower)
    assert network.get_layer("shared_body_0").units == 6
    assert sum(isinstance(layer, keras.layers.LayerNormalization) for layer in network.layers) == 2
    assert value(network.get_layer("conversion_logits").kernel).shape == (3, 1)


@pytest.mark.slow
def test_conversion_rates_are_learned_without_their_labels():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, SIZE)).astype("float32")
    click = rng.random(len(x)) < 1 / (1 + np.exp(1 - 2 * x[:, 0]))
    truth = 1 / (1 + np.exp(-2 * x[:, 1]))
    purchase = click & (rng.random(len(x)) < truth)
    labels = {"click": click, "conversion": np.zeros(len(x)), "purchase": purchase}
    labels = {name: values.astype("float32") for name, values in labels.items()}
    network = architectures.esmm(keras.Input((SIZE,)), TASKS, tower=(16,))
    network.compile(keras.optimizers.Adam(0.01), **mtl.compile_args(TASKS))
    network.fit(x, labels, batch_size=500, epochs=10, verbose=0)
    predicted = predict(network, x)["conversion"][:, 0]
    assert np.abs(predicted - truth).mean() < 0.06
    assert np.abs(predicted - truth)[~click].mean() < 0.08  # also where nobody clicked


@pytest.mark.parametrize(
    ("tasks", "match"),
    [
        (TASKS[:2], r"esmm takes the click, .* received \['click', 'conversion'\]"),
        ([CLICK, CONVERSION, Task.regression("purchase")], "task 'purchase': esmm multiplies"),
        ([CLICK, Task.binary("cvr"), PURCHASE], r"task 'cvr': esmm trains no loss .* weight=0"),
    ],
)
def test_tasks_that_are_no_chain_are_refused(tasks, match):
    with pytest.raises(ValueError, match=match):
        architectures.esmm(keras.Input((SIZE,)), tasks)


def test_a_live_tower_is_refused():
    live = keras.layers.Dense(4)
    with pytest.raises(TypeError, match="click_tower: received the live layer"):
        architectures.esmm(keras.Input((SIZE,)), TASKS, tower=live)
    with pytest.raises(ValueError, match="'click' and 'conversion' share the layer"):
        architectures.esmm(keras.Input((SIZE,)), TASKS, tower=lambda x: live(x))
