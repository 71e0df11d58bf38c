import keras
import numpy as np
import pytest
import tensorflow as tf
from funnel import SIZE, dense, impressions, moved_by, predict, randomize, tower
from scipy import special

from keras_mtl import Task, architectures

TASKS = [Task.multiclass("zeta", 3), Task.regression("alpha"), Task.binary("mid")]


def build(tasks=TASKS, **arguments):
    arguments = {"shared": (6,), "tower": (4,)} | arguments
    network = architectures.cascade(keras.Input((SIZE,)), tasks, **arguments)
    randomize(network)
    return network


@pytest.mark.parametrize("stop_gradient", [False, True])
@pytest.mark.parametrize("feed", ["prediction", "hidden"])
def test_each_task_reads_what_those_before_it_found(feed, stop_gradient):
    network, (x, _) = build(feed=feed, stop_gradient=stop_gradient), impressions()
    body = tower(network, "shared_body", x)
    fed, expected = [], {}
    ends = {"zeta": lambda y: special.softmax(y, -1), "mid": special.expit}
    for task in TASKS:
        top = tower(network, f"{task.name}_tower", np.concatenate([body, *fed], -1))
        logits = dense(network, f"{task.name}_logits", top)
        expected[task.name] = ends.get(task.name, lambda y: y)(logits)
        fed.append(top if feed == "hidden" else expected[task.name])
    outputs = predict(network, x)
    for task in TASKS:
        np.testing.assert_allclose(outputs[task.name], expected[task.name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("feed", ["prediction", "hidden"])
def test_with_stopped_gradients_later_tasks_leave_earlier_ones_as_they_are(feed):
    x = impressions()[0]
    for stop in (False, True):
        network = build(feed=feed, stop_gradient=stop)
        kernel = network.get_layer("zeta_tower_0").kernel
        with tf.GradientTape() as tape:
            later = tf.reduce_sum(network(x)["mid"] ** 2)
        gradient = tape.gradient(later, kernel.value)
        assert (gradient is None) == stop
        moved = moved_by(network, network.get_layer("zeta_logits").bias, x)
        assert moved == ({"zeta", "alpha", "mid"} if feed == "prediction" else {"zeta"})


def test_the_graph_names_who_reads_whom():
    network = build(stop_gradient=True)
    assert network.get_layer("alpha_reads").output.shape == (None, 6 + 3)
    assert network.get_layer("mid_reads").output.shape == (None, 6 + 3 + 1)
    assert {"zeta_fed", "alpha_fed"} <= {layer.name for layer in network.layers}


def test_tags_are_fed_to_tags_with_their_mask():
    words = keras.Input((None,), dtype="int32")
    features = keras.layers.Embedding(9, SIZE, mask_zero=True)(words)
    tasks = [Task.tagging("pos", 4), Task.tagging("entity", 3)]
    network = architectures.cascade(features, tasks, shared=(6,), tower=(4,), stop_gradient=True)
    tokens = np.array([[3, 1, 4, 0], [5, 0, 0, 0]])
    outputs = network(tokens)
    assert outputs["entity"].shape == (2, 4, 3)
    np.testing.assert_array_equal(outputs["entity"]._keras_mask, tokens != 0)


def test_a_row_is_not_fed_to_a_sequence():
    def head(features):
        return keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(features))

    tasks = [Task("spam", head=head, loss="mse"), Task.tagging("pos", 4)]
    with pytest.raises(ValueError, match=r"pos_reads: reads features of shapes .* cannot be"):
        architectures.cascade(keras.Input((None, SIZE)), tasks)


def test_what_is_fed_is_checked():
    with pytest.raises(ValueError, match=r"feed must be one of \['prediction', 'hidden'\]"):
        build(feed="logits")


def test_live_layers_are_refused():
    live, head = keras.layers.Dense(4), keras.layers.Dense(1)
    with pytest.raises(TypeError, match="zeta_tower: received the live layer"):
        build(tower=live)
    tasks = [Task(name, head=lambda x: head(x), loss="mse") for name in ("zeta", "alpha")]
    with pytest.raises(ValueError, match="'zeta' and 'alpha' share the layer"):
        build(tasks)
