import keras
import numpy as np
import pytest

import keras_mtl as mtl
from keras_mtl import Task, architectures

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3)]
X = np.random.default_rng(0).normal(size=(8, 5)).astype("float32")
Y = {"zeta": np.ones(8, "float32"), "alpha": np.zeros((8, 3), "float32")}


def build(**arguments):
    return architectures.soft_sharing(keras.Input((5,)), TASKS, **{"body": (4, 3)} | arguments)


def distance(network):
    """Computes the squared distance of the bodies, from the layers by name."""
    pairs = [[network.get_layer(f"{task}_body_{i}") for task in ("zeta", "alpha")] for i in (0, 1)]
    pairs = [pair for a, b in pairs for pair in ((a.kernel, b.kernel), (a.bias, b.bias))]
    return sum(np.sum((np.asarray(a) - np.asarray(b)) ** 2) for a, b in pairs)


def test_the_penalty_ties_the_bodies_and_nothing_else():
    network = build(strength=0.5, tower=(4,))
    np.testing.assert_allclose(
        network.get_layer("shared_ties").penalty(), 0.5 * distance(network), rtol=1e-5
    )


def test_bodies_of_recipes_are_tied():
    def stage(features):
        return keras.layers.Dense(4)(keras.layers.LayerNormalization()(features))

    network = build(body=[stage, 3], strength=1.0)
    assert [len(names) for names in network.get_layer("shared_ties").branches] == [3, 3]
    assert float(network.get_layer("shared_ties").penalty()) > 0


def test_copies_of_a_model_start_without_distance():
    body = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4), keras.layers.Dense(3)])
    network = build(body=body, strength=1.0)
    ties = network.get_layer("shared_ties")
    assert float(ties.penalty()) == 0.0
    network.get_layer("zeta_body_0").weights[0].assign(np.ones((5, 4)))
    assert float(ties.penalty()) > 0.0


@pytest.mark.parametrize("balanced", [False, True], ids=["plain", "balanced"])
def test_training_logs_the_penalty_and_draws_the_bodies_together(balanced):
    network = build(strength=10.0)
    if balanced:
        model = mtl.BalancedModel(network, TASKS, mtl.balancers.Equal())
        model.compile(keras.optimizers.SGD(0.01))
    else:
        model = network
        model.compile(keras.optimizers.SGD(0.01), **mtl.compile_args(TASKS))
    start = distance(network)
    many = np.tile(X, (30, 1)), {name: np.concatenate([y] * 30) for name, y in Y.items()}
    logs = model.fit(*many, verbose=0, batch_size=8).history
    assert distance(network) < 0.05 * start
    penalty = 10 * distance(network)
    np.testing.assert_allclose(logs["shared_ties_penalty"], [penalty], rtol=1e-3, atol=1e-4)
    logs = model.evaluate(X, Y, verbose=0, return_dict=True)
    np.testing.assert_allclose(
        logs["loss"], logs["zeta_mean_loss"] + logs["alpha_mean_loss"] + penalty, rtol=1e-4
    )


def test_both_doors_give_the_same_step():
    weights = []
    for balanced in (False, True):
        keras.utils.set_random_seed(1)
        network = build(strength=0.3)
        model = network
        if balanced:
            model = mtl.BalancedModel(network, TASKS, mtl.balancers.Equal())
            model.compile(keras.optimizers.SGD(0.1))
        else:
            model.compile(keras.optimizers.SGD(0.1), **mtl.compile_args(TASKS))
        model.fit(X, Y, epochs=2, verbose=0, batch_size=8)
        weights.append(network.get_weights())
    for plain, other in zip(*weights, strict=True):
        np.testing.assert_allclose(plain, other, atol=1e-6)


def test_a_balancer_of_gradients_finds_nothing_shared():
    with pytest.raises(ValueError, match=r"the tasks \['zeta', 'alpha'\] share none"):
        mtl.BalancedModel(build(), TASKS, mtl.balancers.PCGrad())


def test_a_saved_network_is_tied_like_the_first(tmp_path):
    network = build(distance="cosine", strength=[[0, 2.0], [2.0, 0]])
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras")
    ties = network.get_layer("shared_ties")
    np.testing.assert_allclose(again.get_layer("shared_ties").penalty(), ties.penalty(), rtol=1e-6)


def test_one_tasks_part_holds_no_other_tower():
    network = build()
    part = keras.Model(network.input, {"zeta": network.output["zeta"]})
    assert not [layer.name for layer in part.layers if layer.name.startswith("alpha")]


@pytest.mark.parametrize("strength", [-1, [[0.0]], "much"])
def test_the_strength_is_checked(strength):
    with pytest.raises(ValueError):
        build(strength=strength)
