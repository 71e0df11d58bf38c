import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from funnel import SIZE, dense, impressions, predict, randomize, relu, tower, value
from scipy import special

import keras_mtl as mtl
from keras_mtl import Task, architectures

NAMES = ("view", "click", "buy")
TASKS = [Task.binary(name) for name in NAMES]


def build(tasks=TASKS, **arguments):
    network = architectures.aitm(keras.Input((SIZE,)), tasks, **{"tower": (6, 4)} | arguments)
    randomize(network)
    return network


def labels():
    _, known = impressions()
    return {"view": np.ones_like(known["click"]), "click": known["click"], "buy": known["purchase"]}


def reference(network, x):
    """Computes the paper's equations in float64, one step after the other."""
    h1, h2, h3 = (value(variable) for variable in network.get_layer("shared_transfer").weights)
    handed, outputs = None, {}
    for name in NAMES:
        z = tower(network, f"{name}_tower", x, depth=2)
        if handed is not None:
            p = dense(network, f"{name}_handed", handed, relu)
            scores = np.stack([((u @ h2) * (u @ h3)).sum(-1) / 2 for u in (p, z)])  # sqrt(4)
            weights = np.exp(scores - scores.max(0))
            weights /= weights.sum(0)
            z = weights[0, :, None] * (p @ h1) + weights[1, :, None] * (z @ h1)
        handed = z
        outputs[name] = special.expit(dense(network, f"{name}_logits", z))
    return outputs


@pytest.mark.parametrize("calibrator", [0.0, 0.6])
def test_the_outputs_equal_the_papers_equations(calibrator):
    network, (x, _) = build(calibrator=calibrator), impressions()
    outputs, expected = predict(network, x), reference(network, x)
    for name in NAMES:
        np.testing.assert_allclose(outputs[name], expected[name], rtol=1e-3, atol=1e-6)


def test_all_steps_share_one_attention():
    network = build()
    attentions = [layer for layer in network.layers if "transfer" in layer.name]
    assert [layer.name for layer in attentions] == ["shared_transfer"]
    assert len(attentions[0]._inbound_nodes) == 2


def test_the_calibrator_enters_the_loss_and_is_reported_apart():
    network, (x, _) = build(), impressions()
    p = reference(network, x)
    pairs = itertools.pairwise(NAMES)
    excess = {later: np.maximum(p[later] - p[earlier], 0).mean() for earlier, later in pairs}
    network.compile(keras.optimizers.SGD(0.0), **mtl.compile_args(TASKS), run_eagerly=True)
    for _ in range(2):  # nothing piles up
        logs = network.train_on_batch(x, labels(), return_dict=True)
        assert logs["click_calibrator_penalty"] == pytest.approx(excess["click"], rel=1e-3)
        assert logs["buy_calibrator_penalty"] == pytest.approx(excess["buy"], rel=1e-3)
        tasks = sum(logs[f"{name}_mean_loss"] for name in NAMES)
        assert logs["loss"] - tasks == pytest.approx(0.6 * sum(excess.values()), rel=1e-3)
        network.reset_metrics()


def test_a_calibrated_network_reloads(tmp_path):
    network, (x, _) = build(), impressions()
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    for name, output in predict(again, x).items():
        np.testing.assert_array_equal(output, network(x)[name])


@pytest.mark.slow
def test_a_calibrated_network_that_was_trained_is_served_as_it_is(tmp_path):
    network, (x, _) = build(), impressions()
    network.compile("sgd", **mtl.compile_args(TASKS))
    network.fit(x, labels(), verbose=0)
    mtl.export.saved_model(network, TASKS, tmp_path / "1")
    served = tf.saved_model.load(tmp_path / "1")
    outputs = served.signatures["serving_default"](inputs=tf.constant(x))
    for name, expected in predict(network, x).items():
        np.testing.assert_allclose(outputs[name], expected, atol=1e-6)


def test_without_a_calibrator_tasks_may_be_of_any_kind():
    tasks = [Task.multiclass("topic", 3), Task.regression("stay")]
    network = build(tasks, calibrator=0.0)
    assert predict(network, impressions()[0])["topic"].shape[1] == 3
    with pytest.raises(ValueError, match=r"task 'topic': aitm compares probabilities \(or pass"):
        build(tasks)


def test_one_task_has_nothing_to_take():
    network = build(TASKS[:1])
    assert not [layer for layer in network.layers if "transfer" in layer.name]


def test_a_negative_strength_is_refused():
    with pytest.raises(ValueError, match="strength must be a number of at least 0"):
        build(calibrator=-1.0)


def test_towers_that_end_in_other_sizes_are_refused():
    sizes = itertools.count(3)
    with pytest.raises(ValueError, match="what a task hands over"):
        build(tower=lambda features: keras.layers.Dense(next(sizes))(features)[..., None])
