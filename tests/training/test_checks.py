"""Bad input is refused before training starts, with an error that names the task."""

import keras
import numpy as np
import pytest
import small_problem as problem
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.training import _checks

layers = keras.layers


@pytest.fixture(scope="module")
def model():
    return problem.balanced(mtl.balancers.PCGrad())


def two_outputs(names=("z", "b")):
    x = keras.Input((4,))
    h = layers.Dense(4)(x)
    return keras.Model(x, {name: layers.Dense(1, name=name)(h) for name in names})


TWO = [mtl.Task.regression("z"), mtl.Task.regression("b")]


def subclassed_network():
    class Network(keras.Model):
        def call(self, x):
            return {"z": x, "b": x}

    return Network()


def same_layer_twice():
    x = keras.Input((4,))
    end = layers.Dense(1, name="z")
    return keras.Model(x, [end(x), end(layers.Dense(4)(x))])


def nested_outputs():
    x = keras.Input((4,))
    return keras.Model(x, {"z": layers.Dense(1)(x), "b": {"inner": layers.Dense(1)(x)}})


@pytest.mark.parametrize(
    ("network", "tasks", "message"),
    [
        (two_outputs, TWO[:1], r"no task for the output\(s\) \['b'\]"),
        (lambda: two_outputs(("z",)), TWO, r"no output for the task\(s\) \['b'\]"),
        (lambda: two_outputs(("z", "c")), TWO, r"task\(s\) \['b'\]; no task .* \['c'\]"),
        (two_outputs, [TWO[0], TWO[0]], r"\['z'\] appear more than once"),
        (two_outputs, [], "at least one task"),
        (subclassed_network, TWO, "functional keras.Model.*received Network"),
        (lambda: "network", TWO, "functional keras.Model.*received str"),
        (same_layer_twice, TWO, r"different names; their layers are called \['z', 'z'\]"),
        (nested_outputs, TWO, r"one tensor each; \['b'\] hold several"),
    ],
)
def test_a_network_that_does_not_fit_the_tasks_is_refused(network, tasks, message):
    with pytest.raises(ValueError, match=message):
        mtl.BalancedModel(network(), tasks, mtl.balancers.Equal())


@pytest.mark.parametrize("tasks", [TWO[0], ["z", "b"]])
def test_tasks_are_a_list_of_tasks(tasks):
    with pytest.raises(TypeError, match="z"):
        mtl.BalancedModel(two_outputs(), tasks, mtl.balancers.Equal())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at": "gradients"}, "at must be 'parameters' or 'representation'; received 'gradients'"),
        ({"every": 0}, "every must be a whole number of steps, at least 1; received 0"),
        ({"every": 2.0}, "received 2.0"),
        ({"every": True}, "received True"),
    ],
)
def test_an_unknown_option_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        mtl.BalancedModel(two_outputs(), TWO, mtl.balancers.MGDA(), **options)


@pytest.mark.parametrize("balancer", ["PCGrad", None, mtl.balancers.PCGrad])
def test_an_object_that_is_no_balancer_is_refused(balancer):
    with pytest.raises(TypeError, match="balancer must be"):
        mtl.BalancedModel(two_outputs(), TWO, balancer)


def test_a_rule_for_two_tasks_is_refused_for_one():
    with pytest.raises(ValueError, match=r"MGDA needs at least 2 tasks; received \['z'\]"):
        mtl.BalancedModel(two_outputs(("z",)), TWO[:1], mtl.balancers.MGDA())


def test_a_rule_on_gradients_is_refused_if_no_variable_is_shared():
    x = keras.Input((4,))
    network = keras.Model(x, {name: layers.Dense(1, name=name)(x) for name in ("z", "b")})
    with pytest.raises(ValueError, match=r"tasks \['z', 'b'\] share none"):
        mtl.BalancedModel(network, TWO, mtl.balancers.CAGrad())
    mtl.BalancedModel(network, TWO, mtl.balancers.Equal())


def test_a_variable_that_no_loss_reaches_is_named():
    class Idle(layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(name="idle_scale", shape=(), initializer="ones")

        def call(self, x):
            return x

    x = keras.Input((4,))
    h = layers.Dense(4)(x)
    network = keras.Model(x, {"z": layers.Dense(1)(Idle()(h)), "b": layers.Dense(1)(h)})
    model = mtl.BalancedModel(network, TWO, mtl.balancers.MGDA())
    model.compile("sgd", run_eagerly=True)
    x, y, _ = problem.batch()
    with pytest.raises(ValueError, match="idle_scale"):
        model.fit(x, {"z": y["r"], "b": y["r"]}, verbose=0)


def labeled(**changes):
    """Returns a dataset of one batch of the small problem, with some of its labels changed."""
    x, y, _ = problem.batch()
    return tf.data.Dataset.from_tensor_slices((x, {**y, **changes})).batch(8)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: labeled(extra=np.zeros(16)), "extra"),
        (lambda: labeled().map(lambda x, y: (x, {"z": y["z"], "b": y["b"]})), "'r'"),
        (lambda: labeled(z=np.full(16, 2.0)), "task 'z': labels go from 2.0 to 2.0"),
        (lambda: labeled(b=np.full(16, 3)), "task 'b': labels go from 3 to 3"),
        (lambda: labeled(r=np.full(16, np.nan)), "task 'r': a label is NaN"),
        (lambda: labeled(r=np.zeros((16, 3))), "task 'r': labels have shape"),
        (lambda: labeled().unbatch(), "unknown|not to be batched"),
        (lambda: labeled().filter(lambda *_: True), "number of batches is unknown"),
    ],
)
@pytest.mark.parametrize("where", ["training", "validation"])
def test_a_dataset_that_does_not_fit_is_refused_before_training(model, data, message, where):
    if where == "training":
        arguments = {"x": data()}
    else:
        arguments = {"validation_data": data(), "x": labeled()}
    with pytest.raises(ValueError, match=message):
        model.fit(**arguments, verbose=0)
    assert int(model.optimizer.iterations) == 0


def test_a_dataset_without_an_end_needs_steps_per_epoch(model):
    with pytest.raises(ValueError, match="infinite; pass steps_per_epoch"):
        model.fit(labeled().repeat(), verbose=0)


def test_arrays_are_checked_like_a_dataset(model):
    x, y, w = problem.batch()
    with pytest.raises(ValueError, match=r"y must be a dictionary .* \['z', 'b', 'r'\].*list"):
        model.fit(x, list(y.values()), verbose=0)
    with pytest.raises(ValueError, match="sample_weight must be a dictionary"):
        model.fit(x, y, sample_weight=np.ones(16), verbose=0)
    with pytest.raises(ValueError, match="task 'b': labels go from"):
        model.fit(x, {**y, "b": y["b"] + 2}, verbose=0)
    with pytest.raises(ValueError, match="task 'r': a label is NaN"):
        model.fit(x, y, validation_data=(x, {**y, "r": y["r"] * np.nan}), verbose=0)
    with pytest.raises(ValueError, match="y must be a dictionary"):
        model.fit(x, y, validation_data=(x, list(y.values())), verbose=0)
    with pytest.raises(ValueError, match="'r'"):
        model.fit(x, {"z": y["z"], "b": y["b"]}, sample_weight=w, verbose=0)


def test_class_weight_is_refused_with_an_alternative(model):
    x, y, _ = problem.batch()
    with pytest.raises(ValueError, match=r"class_weights\(dataset, tasks"):
        model.fit(x, y, class_weight={0: 1.0, 1: 2.0}, verbose=0)


def test_a_generator_of_unknown_length_is_refused(model):
    with pytest.raises(ValueError, match="number of batches"):
        model.fit((problem.batch(index) for index in range(3)), verbose=0)
    assert int(model.optimizer.iterations) == 0


def test_a_dataset_of_unknown_length_is_exact_with_steps_per_epoch():
    results = []
    for data, arguments in (
        (problem.dataset(3).filter(lambda *_: True), {"steps_per_epoch": 2}),
        (problem.dataset(3).repeat(), {"steps_per_epoch": 2}),
    ):
        model = problem.balanced(mtl.balancers.PCGrad(), optimizer=keras.optimizers.Adam(0.01))
        logs = model.fit(data, epochs=2, verbose=0, **arguments).history
        assert int(model.optimizer.iterations) == 4
        results.append((problem.values(model.variables), logs))
    problem.assert_close(results[0][0], results[1][0], 1e-7)
    assert results[0][1] == results[1][1]


@pytest.mark.parametrize(
    ("options", "compiling", "option"),
    [
        ({"gradient_accumulation_steps": 2}, {}, "gradient_accumulation_steps=2"),
        ({"use_ema": True, "ema_overwrite_frequency": 3}, {}, "ema_overwrite_frequency=3"),
        ({}, {"jit_compile": True}, "jit_compile=True"),
        ({}, {"steps_per_execution": 2}, "steps_per_execution=2"),
    ],
)
def test_options_that_keras_gets_wrong_on_replicas_are_refused_only_there(
    model, monkeypatch, options, compiling, option
):
    optimizer = keras.optimizers.SGD(0.1, **options)
    model.compile(optimizer, **compiling)
    monkeypatch.setattr(_checks, "num_replicas", lambda: 2)
    with pytest.raises(ValueError, match=f"on 2 replicas {option}"):
        model.compile(optimizer, **compiling)
    model.compile(keras.optimizers.SGD(0.1))
