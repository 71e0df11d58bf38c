import keras
import numpy as np
import pytest
import tensorflow as tf
from funnel import SIZE, impressions, predict, probability, randomize, relu, tower, value
from scipy import special

import keras_mtl as mtl
from keras_mtl import Head, Task, architectures
from keras_mtl.layers import CounterfactualRisk


def make_tasks(estimator="dr", **arguments):
    return [
        Task.binary("click"),
        Task.binary("conversion", weight=0),
        Task.binary("purchase", weight=0.5),
        Task(
            "risk",
            head=Head(1, "softplus"),
            loss=CounterfactualRisk(estimator, clip=0.4),
            weight=0.25,
            **arguments,
        ),
    ]


def build(tasks, **arguments):
    network = architectures.escm2(keras.Input((SIZE,)), tasks, **{"tower": (4,)} | arguments)
    randomize(network)
    return network


def labeled():
    x, labels = impressions()
    labels["conversion"] = np.nan_to_num(labels["conversion"])
    return x, labels | {"risk": labels["click"] + labels["purchase"]}


@pytest.mark.parametrize("estimator", ["ips", "dr"])
def test_the_loss_is_the_papers_sum(estimator):
    tasks = make_tasks(estimator)
    network, (x, labels) = build(tasks), labeled()
    click, rate = (probability(network, name, x)[:, 0] for name in ("click", "conversion"))

    def entropy(label, p):
        return np.where(label == 1, -np.log(p), -np.log1p(-p))

    weight = labels["click"] / np.maximum(click, 0.4)
    delta = entropy(labels["purchase"], rate)
    risk = weight * delta
    if estimator == "dr":
        top = tower(network, "risk_tower", x)
        layer = network.get_layer("risk_logits")
        imputed = np.logaddexp(0, top @ value(layer.kernel) + value(layer.bias))[:, 0]
        risk = imputed + weight * (delta - imputed) + weight * (delta - imputed) ** 2
    expected = (
        entropy(labels["click"], click).mean()
        + 0.25 * risk.mean()
        + 0.5 * entropy(labels["purchase"], click * rate).mean()
    )
    network.compile("sgd", **mtl.compile_args(tasks), run_eagerly=True)
    logs = network.evaluate(x, labels, return_dict=True, verbose=0)
    assert logs["loss"] == pytest.approx(expected, rel=1e-4)
    assert logs["risk_mean_loss"] == pytest.approx(risk.mean(), rel=1e-4)


@pytest.mark.parametrize(("estimator", "width"), [("ips", 2), ("dr", 3)])
def test_the_output_of_the_risk_holds_what_it_is_computed_from(estimator, width):
    network, (x, _) = build(make_tasks(estimator)), labeled()
    outputs = predict(network, x)
    assert outputs["risk"].shape == (len(x), width) and outputs["risk"].dtype == "float32"
    assert {name: output.shape[1] for name, output in outputs.items() if name != "risk"} == {
        **{"click": 1, "conversion": 1, "purchase": 1}
    }
    np.testing.assert_allclose(
        special.expit(outputs["risk"][:, :1]), outputs["conversion"], rtol=1e-5
    )
    np.testing.assert_allclose(special.expit(outputs["risk"][:, 1:2]), outputs["click"], rtol=1e-5)
    assert (outputs["risk"][:, 2:] > 0).all()  # softplus
    names = {layer.name for layer in network.layers}
    assert ("risk_tower_0" in names) == (estimator == "dr")


@pytest.mark.parametrize("estimator", ["ips", "dr"])
def test_the_risk_does_not_bend_the_click(estimator):
    tasks = make_tasks(estimator)
    network, (x, labels) = build(tasks), labeled()
    towers = {
        name: network.get_layer(f"{name}_tower_0").kernel.value for name in ("click", "conversion")
    }
    with tf.GradientTape() as tape:
        loss = tasks[3].make_loss()(labels["risk"], network(x)["risk"])
    gradients = tape.gradient(loss, towers)
    assert gradients["click"] is None or not np.any(gradients["click"])
    assert np.any(gradients["conversion"])


def test_a_missing_label_of_the_risk_does_not_count():
    tasks = make_tasks("ips", labels=mtl.Labels(integer=True, low=0, high=2))
    network, (x, labels) = build(tasks), labeled()
    network.compile("sgd", **mtl.compile_args(tasks), run_eagerly=True)
    known = np.arange(len(x)) % 2 == 0
    expected = network.evaluate(
        x[known], {k: v[known] for k, v in labels.items()}, return_dict=True, verbose=0
    )
    labels["risk"] = np.where(known, labels["risk"], -1).astype("int32")
    dataset = tf.data.Dataset.from_tensor_slices((x, labels)).batch(len(x))
    logs = network.evaluate(mtl.data.mask_missing(dataset, tasks), return_dict=True, verbose=0)
    assert logs["risk_mean_loss"] == pytest.approx(expected["risk_mean_loss"], rel=1e-5)


def test_what_is_served_needs_no_risk():
    tasks = make_tasks()
    network, (x, _) = build(tasks), labeled()
    served = keras.Model(network.input, {t.name: network.output[t.name] for t in tasks[:3]})
    assert len(served.weights) == 8 < len(network.weights)
    np.testing.assert_array_equal(served(x)["conversion"], network(x)["conversion"])


def test_the_imputing_tower_follows_the_tower():
    network, (x, _) = build(make_tasks(), tower=(4, 3)), labeled()
    top = tower(network, "risk_tower", x, depth=2)
    assert top.shape == (len(x), 3) and (relu(top) == top).all()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda tasks: tasks[:3], "escm2 takes four tasks: .* the last with the loss"),
        (lambda tasks: [*tasks[:3], Task.binary("risk")], "CounterfactualRisk"),
        (
            lambda tasks: [Task.regression("click"), *tasks[1:]],
            "task 'click': escm2 multiplies probabilities",
        ),
        (
            lambda tasks: [tasks[0], Task.binary("cvr"), *tasks[2:]],
            r"task 'cvr': the fourth task holds the loss of this probability",
        ),
        (
            lambda tasks: [*tasks[:3], Task("risk", head=Head(2), loss=CounterfactualRisk())],
            r"task 'risk': its head imputes one error .* returns the shape \(None, 2\)",
        ),
    ],
)
def test_tasks_that_are_no_chain_are_refused(change, match):
    with pytest.raises(ValueError, match=match):
        architectures.escm2(keras.Input((SIZE,)), change(make_tasks()))


def test_a_live_tower_is_refused():
    dense_layers = []

    def tower(features):  # the third call reuses the first one's layer
        dense_layers.append(keras.layers.Dense(4) if len(dense_layers) < 2 else dense_layers[0])
        return dense_layers[-1](features)

    with pytest.raises(ValueError, match="'click' and 'risk' share the layer"):
        architectures.escm2(keras.Input((SIZE,)), make_tasks(), tower=tower)
