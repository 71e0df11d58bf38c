"""Every builder's network under `BalancedModel` has the losses and gradients of plain Keras.

Also where predictions are so sure that their probabilities have lost all digits: losses read the
logits behind them, which every way through the graph has to keep.
"""

import base_cases
import keras
import numpy as np
import pytest
import tensorflow as tf
from all_cases import build, setting

import keras_mtl as mtl
from keras_mtl import Task, architectures

# A task of these reads the prediction of another one; all others are slow.
FED = ("cascade", "aitm", "esmm", "hard_sharing")


def by_name(extra=()):
    rows = [(name, {}) for name in architectures.__all__] + list(extra)
    return pytest.mark.parametrize(
        ("name", "options"),
        [
            pytest.param(*row, marks=() if row[0] in FED else pytest.mark.slow, id=f"{row}")
            for row in rows
        ],
    )


def sure(network):
    """Multiplies the kernels of the heads by a hundred, but those of a count."""
    for layer in network.layers:
        if layer.name.endswith("_logits") and not layer.name.startswith(("calls", "shared")):
            layer.set_weights([100.0 * weight for weight in layer.get_weights()])


def plain_step(network, tasks, features, labels):
    """Returns the losses of the tasks, `loss`, and its gradients, as plain Keras has them."""
    with tf.GradientTape() as tape:
        outputs = network(features, training=True)
        losses = [task.make_loss()(labels[task.name], outputs[task.name]) for task in tasks]
        weighted = [task.weight * loss for task, loss in zip(tasks, losses, strict=True)]
        total = tf.add_n([*weighted, *network.losses])
    gradients = tape.gradient(total, [v.value for v in network.trainable_variables])
    dense = [np.asarray(tf.convert_to_tensor(gradient)) for gradient in gradients]
    return [float(loss) for loss in losses], float(total), dense


def check(network, tasks, features, labels, balancer=None, at="parameters"):
    model = mtl.BalancedModel(network, tasks, balancer or mtl.balancers.Equal(), at=at)
    model.compile(keras.optimizers.SGD(1.0), run_eagerly=True)
    # Seeds of dropout and moving averages are variables, too.
    start = [np.asarray(variable) for variable in network.variables]

    def restart():
        for variable, value in zip(network.variables, start, strict=True):
            variable.assign(value)

    losses, total, gradients = plain_step(network, tasks, features, labels)
    restart()
    before = [np.asarray(variable) for variable in network.trainable_variables]
    logs = model.train_on_batch(features, labels, return_dict=True)
    after = [np.asarray(variable) for variable in network.trainable_variables]
    for task, loss in zip(tasks, losses, strict=True):
        assert logs[f"{task.name}_loss"] == pytest.approx(loss, rel=1e-5, abs=1e-6), task.name
    assert logs["loss"] == pytest.approx(total, rel=1e-5, abs=1e-6)
    for variable, old, new, gradient in zip(
        network.trainable_variables, before, after, gradients, strict=True
    ):
        # A step of SGD loses the digits of the variable.
        scale = np.abs(gradient).max() + 0.01 * np.abs(old).max()
        np.testing.assert_allclose(old - new, gradient, atol=1e-5 * scale, err_msg=variable.path)

    restart()
    in_training, in_evaluation = (network(features, training=t) for t in (True, False))
    if all(np.array_equal(in_training[key], in_evaluation[key]) for key in in_training):
        restart()
        evaluated = model.test_on_batch(features, labels, return_dict=True)
        for task in tasks:
            key = f"{task.name}_loss"
            assert evaluated[key] == pytest.approx(logs[key], rel=1e-6, abs=1e-6)


@by_name([("cascade", {"stop_gradient": True}), ("cascade", {"feed": "hidden"})])
def test_losses_and_gradients_are_those_of_plain_keras(name, options):
    tasks = setting(name).tasks(setting(name).counts[-1])
    keras.utils.set_random_seed(0)
    network = build(name, tasks, **options)
    sure(network)
    check(network, tasks, setting(name).features(), setting(name).labels(tasks))


class Sum(mtl.balancers.GramianBalancer):
    def weigh(self, gramian, losses):
        return keras.ops.ones_like(losses)


class MergedSum(mtl.balancers.GradientBalancer):
    def merge(self, gradients, losses):
        return keras.ops.sum(gradients, axis=0)


CLASSES = [Task.multiclass("topic", 4), Task.binary("income"), Task.multilabel("assays", 3)]


@pytest.mark.parametrize("at", ["parameters", "representation"])
@pytest.mark.parametrize("balancer", [Sum, MergedSum])
def test_rules_on_gradients_see_those_of_the_logits(balancer, at):
    keras.utils.set_random_seed(0)
    network = build("cascade", CLASSES)
    sure(network)
    features, labels = base_cases.rows_of_numbers(), base_cases.labels_of_all_kinds(CLASSES)
    check(network, CLASSES, features, labels, balancer(), at)


def test_a_prediction_that_passes_an_identity_keeps_its_logits():
    inputs = keras.Input((3,))
    sigmoid = keras.layers.Dense(1, activation="sigmoid", name="p_logits")(inputs)
    tasks = [Task.binary("income"), Task.regression("yield")]
    same = keras.layers.Identity(name="income")(sigmoid)
    end = tasks[1].output(keras.layers.Concatenate()([inputs, sigmoid]))
    network = keras.Model(inputs, {"income": same, "yield": end})
    sure(network)
    rng = np.random.default_rng(0)
    features = 9 * rng.normal(size=(8, 3)).astype("float32")
    labels = {"income": rng.integers(0, 2, 8).astype("float32"), "yield": rng.normal(size=8)}
    check(network, tasks, features, labels)
