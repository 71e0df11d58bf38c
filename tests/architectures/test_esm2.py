import keras
import numpy as np
import pytest
from funnel import SIZE, impressions, moved_by, predict, probability, randomize

from keras_mtl import Task, architectures

NAMES = ["click", "cart", "conversion", "purchase"]
TASKS = [Task.binary(name, weight=0 if name == "conversion" else 1) for name in NAMES]


@pytest.fixture
def network():
    network = architectures.esm2(keras.Input((SIZE,)), TASKS, tower=(4,))
    randomize(network)
    return network


def test_the_outputs_equal_the_papers_compositions(network):
    x, _ = impressions()
    towers = ["click", "cart", "purchase_with_cart", "purchase_without_cart"]
    y1, y2, y3, y4 = (probability(network, name, x) for name in towers)
    rate = y2 * y3 + (1 - y2) * y4
    expected = {"click": y1, "cart": y1 * y2, "conversion": rate, "purchase": y1 * rate}
    outputs = predict(network, x)
    for name in NAMES:
        np.testing.assert_allclose(outputs[name], expected[name], rtol=1e-4)


@pytest.mark.parametrize(
    ("tower", "moved"),
    [
        ("click", {"click", "cart", "purchase"}),
        ("cart", {"cart", "conversion", "purchase"}),
        ("purchase_with_cart", {"conversion", "purchase"}),
        ("purchase_without_cart", {"conversion", "purchase"}),
    ],
)
def test_each_tower_moves_what_it_is_part_of(network, tower, moved):
    x, _ = impressions()
    assert moved_by(network, network.get_layer(f"{tower}_logits").bias, x) == moved


def test_a_purchase_is_never_more_probable_than_a_click(network):
    outputs = predict(network, 3 * impressions()[0])
    assert (outputs["purchase"] <= outputs["click"]).all() and (
        outputs["cart"] <= outputs["click"]
    ).all()


@pytest.mark.parametrize(
    ("tasks", "match"),
    [
        (TASKS[:3], r"esm2 takes four tasks: .* received \['click', 'cart', 'conversion'\]"),
        ([*TASKS[:3], Task.count("purchase")], "task 'purchase': esm2 composes probabilities"),
        ([*TASKS[:2], Task.binary("cvr"), TASKS[3]], r"task 'cvr': esm2 trains no loss"),
    ],
)
def test_tasks_that_are_no_chain_are_refused(tasks, match):
    with pytest.raises(ValueError, match=match):
        architectures.esm2(keras.Input((SIZE,)), tasks)


def test_a_live_tower_is_refused():
    live = keras.layers.Dense(4)
    with pytest.raises(TypeError, match="click_tower: received the live layer"):
        architectures.esm2(keras.Input((SIZE,)), TASKS, tower=live)
    with pytest.raises(ValueError, match="'click' and 'cart' share the layer"):
        architectures.esm2(keras.Input((SIZE,)), TASKS, tower=lambda x: live(x))
