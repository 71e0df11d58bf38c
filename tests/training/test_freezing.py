"""Layers that are frozen or thawed after a model was made: exact after `compile`, or refused."""

import every_balancer
import keras
import numpy as np
import pytest
import small_problem as problem

import keras_mtl as mtl

# They keep numbers for each shared variable.
WITH_STATE = ("DBMTL", "ExcessMTL", "MConFIG", "MetaBalance", "MoCo")
EVERYDAY = ("Equal", "PCGrad", "DBMTL", "MConFIG", "MoCo")
every_name = pytest.mark.parametrize(
    "name",
    [
        name if name in EVERYDAY else pytest.param(name, marks=pytest.mark.slow)
        for name in every_balancer.names()
    ],
)


def make(name, frozen=()):
    balancer = every_balancer.make(name)
    network = every_balancer.network(balancer)
    for layer in frozen:
        network.get_layer(layer).trainable = False
    model = mtl.BalancedModel(network, problem.tasks(), balancer)
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    return model


def refreeze(model, *layers):
    for layer in layers:
        model.network.get_layer(layer).trainable = not model.network.get_layer(layer).trainable
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)


def fit(model, batches=2):
    model.fit(problem.dataset(batches), verbose=0, **every_balancer.more_data(model.balancer))


def shared_layer(model):
    """Returns a layer of the trunk, beside which another one stays trainable if possible."""
    names = [layer.name for layer in model.network.layers if layer.name.startswith("shared_")]
    return names[0], len(names)


@every_name
def test_layers_may_be_frozen_before_another_compile(name):
    model = make(name)
    layer, num_layers = shared_layer(model)
    if num_layers == 1:  # nothing would be shared
        layer = "z_logits"
    refreeze(model, layer)
    expected = make(name, [layer])
    fit(model)
    fit(expected)
    kept = problem.values(make(name).network.get_layer(layer).variables)
    for one, other in zip(model.network.variables, expected.network.variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6, err_msg=one.path)
    for one, other in zip(model.network.get_layer(layer).variables, kept, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["Equal", "TrimmedMean"])
def test_a_trained_model_goes_on_with_layers_frozen_and_thawed(name):
    model = make(name)
    fit(model)
    for frozen in (True, False):
        before = problem.values(model.network.variables)
        refreeze(model, "shared_0")
        fit(model)
        after = problem.values(model.network.variables)
        changed = {
            variable.path.split("/")[0]
            for variable, a, b in zip(model.network.variables, before, after, strict=True)
            if not np.array_equal(a, b)
        }
        expected = {layer.name for layer in model.network.layers if layer.variables}
        assert changed == expected - ({"shared_0"} if frozen else set())


@pytest.mark.parametrize(
    "name", [n if n == "MoCo" else pytest.param(n, marks=pytest.mark.slow) for n in WITH_STATE]
)
def test_state_for_each_variable_goes_with_it(name, tmp_path):
    model = make(name)
    fit(model)
    sizes = model.balancer.sizes
    before = [np.array(s.variable) for s in model.balancer.states]
    refreeze(model, "shared_0")
    assert model.balancer.sizes == sizes[:2]  # of the layer that is nearest to the towers
    for array, state in zip(before, model.balancer.states, strict=True):
        if array.shape[-1:] == (sum(sizes),):
            expected = array[..., : sum(sizes[:2])]
        elif array.shape[-1:] == (4,):
            expected = array[..., :2]
        else:
            expected = array
        np.testing.assert_array_equal(state.variable, expected)
    fit(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for one, other in zip(model.balancer.states, loaded.balancer.states, strict=True):
        np.testing.assert_array_equal(one.variable, other.variable)
    refreeze(model, "shared_0")  # thawed: its state begins anew
    assert model.balancer.sizes == sizes
    fit(model)
    with pytest.raises(ValueError, match=r"another model\. Make a model with a new balancer"):
        refreeze(model, "shared_0")
        model.network.get_layer("shared_0").trainable = True
        mtl.BalancedModel(model.network, problem.tasks(), model.balancer)


def test_state_does_not_pass_to_another_variable_of_equal_size():
    x = keras.Input((4,))
    features = keras.layers.Dense(4, name="shared_0")(x)
    features = keras.layers.Dense(4, name="shared_1")(features)
    network = keras.Model(x, {task.name: task.output(features) for task in problem.tasks()})
    network.get_layer("shared_0").trainable = False
    model = mtl.BalancedModel(network, problem.tasks(), every_balancer.make("MoCo"))
    model.compile("sgd", run_eagerly=True)
    fit(model)
    assert np.any(model.balancer.average.variable)
    refreeze(model, "shared_0", "shared_1")
    assert not np.any(model.balancer.average.variable)


@pytest.mark.parametrize(
    ("name", "layer"),
    [("Equal", "shared_0"), pytest.param("MGDA", "r_tower", marks=pytest.mark.slow)],
)
def test_a_change_without_compile_is_refused(name, layer):
    model = mtl.BalancedModel(problem.network(), problem.tasks(), every_balancer.make(name))
    model.network.get_layer("b_tower").trainable = False
    model.compile("sgd")
    x, y, w = problem.batch()
    model.train_on_batch(x, y, w)  # the step is traced from here on
    model.network.get_layer(layer).trainable = False
    message = rf"frozen since compile: \['{layer}/bias', '{layer}/kernel'\]. Call compile again"
    with pytest.raises(ValueError, match=message):
        fit(model)
    with pytest.raises(ValueError, match=message):
        model.train_on_batch(x, y, w)
    model.network.get_layer("b_tower").trainable = True
    with pytest.raises(ValueError, match="and thawed since compile: "):
        fit(model)
    model.compile("sgd")
    before = problem.values(model.network.get_layer(layer).variables)
    model.train_on_batch(x, y, w)
    after = problem.values(model.network.get_layer(layer).variables)
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


class Freeze(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.network.get_layer("shared_0").trainable = False


def test_a_callback_that_freezes_without_effect_is_refused():
    model = mtl.BalancedModel(problem.network(), problem.tasks(), mtl.balancers.Equal())
    model.compile("sgd")  # the step is traced, and would train on
    with pytest.raises(ValueError, match="frozen since compile"):
        model.fit(problem.dataset(1), epochs=2, verbose=0, callbacks=[Freeze()])


def test_a_network_of_which_all_that_is_shared_is_frozen_is_refused():
    model = make("MGDA")
    with pytest.raises(ValueError, match="share none"):
        refreeze(model, "shared_0", "shared_1")
    equal = make("Equal")
    refreeze(equal, "shared_0", "shared_1")
    fit(equal)
