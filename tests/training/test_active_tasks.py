"""Tasks that are not active in a step: absent, broken, or of weight 0."""

import itertools

import keras
import numpy as np
import pytest
import small_problem as problem
import tensorflow as tf

import keras_mtl as mtl

RULES = {
    "Fixed": lambda: mtl.balancers.Fixed([1.0, 2.0, 0.5]),
    "Uncertainty": mtl.balancers.Uncertainty,
    "MGDA": mtl.balancers.MGDA,
    "PCGrad": mtl.balancers.PCGrad,
    "CAGrad": mtl.balancers.CAGrad,
    "GradDrop": mtl.balancers.GradDrop,
}
KINDS = ["Fixed", "MGDA", "GradDrop"]
ALL_WAYS = [
    ("Fixed", "parameters"),  # a rule on losses reads no gradient, so `at` makes no difference
    ("Uncertainty", "parameters"),
    ("MGDA", "parameters"),
    ("MGDA", "representation"),
    ("PCGrad", "parameters"),
    ("CAGrad", "representation"),
    ("GradDrop", "parameters"),
    ("GradDrop", "representation"),
]


def everyday(rows, chosen):
    """Returns the cases, of which all but the chosen ones are slow."""
    return [row if row in chosen else pytest.param(*row, marks=pytest.mark.slow) for row in rows]


FEW_WAYS = everyday(ALL_WAYS, [("Uncertainty", "parameters"), ("MGDA", "representation")])


def without_labels(batch, *names):
    """Returns the batch without the labels of some tasks."""
    x, y, w = batch
    return x, y, {name: np.zeros_like(v) if name in names else v for name, v in w.items()}


def values_of(model, name):
    """Returns the values of the shared variables, or of the variables of a task."""
    return problem.values(problem.variables_of(model.network, name))


def two_task_network(names):
    """Builds the same network, with the same initial values, without the other tasks' towers."""
    whole = problem.network()
    outputs = {name: whole.output[name] for name in names}
    return keras.Model(whole.input, outputs)


@pytest.mark.parametrize(("name", "at"), everyday(ALL_WAYS, ALL_WAYS[::2]))
def test_an_absent_task_keeps_its_variables_and_the_others_train_as_if_alone(name, at):
    batch = without_labels(problem.batch(), "b")
    model = problem.balanced(RULES[name](), at=at)
    before = values_of(model, "b")
    logs = model.train_on_batch(*batch, return_dict=True)
    assert all(np.array_equal(a, b) for a, b in zip(before, values_of(model, "b"), strict=True))
    assert logs["b_weight"] == 0.0

    rule = mtl.balancers.Fixed([1.0, 0.5]) if name == "Fixed" else RULES[name]()
    remaining = [task for task in problem.tasks() if task.name != "b"]
    alone = problem.balanced(
        rule, network=lambda: two_task_network(["z", "r"]), tasks=lambda: remaining, at=at
    )
    x, y, w = batch
    alone.train_on_batch(x, {n: y[n] for n in ("z", "r")}, {n: w[n] for n in ("z", "r")})
    for group in ("shared", "z", "r"):
        problem.assert_close(values_of(model, group), values_of(alone, group))
    for task in ("z", "r"):
        assert model.task_weights[task] == pytest.approx(alone.task_weights[task], rel=1e-4)


@pytest.mark.parametrize(("name", "at"), FEW_WAYS)
def test_a_step_with_one_active_task_or_none_is_still_right(name, at):
    model = problem.balanced(RULES[name](), at=at)
    model.train_on_batch(*problem.batch())
    before = problem.values(model.network.variables)
    model.train_on_batch(*without_labels(problem.batch(1), "z", "b", "r"))
    after = problem.values(model.network.variables)
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))

    shared = values_of(model, "shared")
    twin = problem.network()
    twin.set_weights(model.network.get_weights())
    logs = model.train_on_batch(*without_labels(problem.batch(1), "z", "r"), return_dict=True)
    variables = problem.variables_of(twin, "shared")
    gradients = problem.gradients_by_hand(twin, variables, *problem.batch(1))[1]
    weight = logs["b_weight"]
    # A lone task gets 1 from most rules, 2 from Fixed, 1 + c from CAGrad, 0.51 from Uncertainty.
    assert weight > 0.4
    problem.assert_close(
        values_of(model, "shared"),
        [v - 0.1 * weight * g for v, g in zip(shared, gradients, strict=True)],
        1e-5,
    )
    assert all(value == 0 for value in model.left_out.values())


def test_an_absent_task_leaves_its_history_and_its_learned_state_as_they_were():
    model = problem.balanced(mtl.balancers.DWA(window=1))
    for index in (0, 1, 3):
        model.train_on_batch(*problem.batch(index))
    history = {s.variable.name: np.array(s.variable) for s in model.balancer.states}
    model.train_on_batch(*without_labels(problem.batch(4), "b"))
    changed = {
        s.variable.name: np.array(s.variable) != history[s.variable.name]
        for s in model.balancer.states
        if s.task_axes
    }
    assert not any(entries[1] for entries in changed.values())
    assert all(changed["previous"][[0, 2]])

    model = problem.balanced(mtl.balancers.Uncertainty())
    model.train_on_batch(*without_labels(problem.batch(), "b"))
    learned = np.array(model.balancer.log_variance.variable)
    assert learned[1] == 0.0 and learned[0] != 0.0 and learned[2] != 0.0


def broken_batch(index=1):
    x, y, w = problem.batch(index)
    y["r"][0] = 1e30  # its square is infinite; NaN would be refused before the step
    return x, y, w


@pytest.mark.parametrize(("name", "at"), FEW_WAYS)
def test_a_loss_that_is_infinite_leaves_its_task_out_and_the_others_alone(name, at):
    outcomes = []
    for batch in (broken_batch(), without_labels(problem.batch(1), "r")):
        model = problem.balanced(RULES[name](), at=at)
        model.train_on_batch(*problem.batch())
        before = values_of(model, "r")
        logs = model.train_on_batch(*batch, return_dict=True)
        assert all(np.array_equal(a, b) for a, b in zip(before, values_of(model, "r"), strict=True))
        state = [*model.network.variables, *model.balancer.variables]
        outcomes.append((problem.values(state), logs, dict(model.left_out)))
    (actual, logs, left_out), (expected, expected_logs, _) = outcomes
    assert left_out == {"z": 0, "b": 0, "r": 1}
    problem.assert_close(actual, expected, 1e-7)
    for key in ("z_auc", "b_accuracy", "z_loss", "b_loss", "z_weight", "b_weight", "loss"):
        assert logs[key] == pytest.approx(expected_logs[key], rel=1e-6), key


def singular(place):
    """Builds a network in which the loss of task `r` is finite and its gradient is not.

    The derivative of the square root is infinite at 0. With `place="tower"` there is a layer of
    the tower below the square root, with `place="frontier"` there is none.
    """

    @keras.saving.register_keras_serializable("tests")
    class Root(keras.layers.Layer):
        def call(self, x):
            return keras.ops.sqrt(keras.ops.relu(x))

    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    h = keras.layers.Dense(8, activation="tanh", name="shared_0")(x)
    ends = {}
    for task in problem.tasks():
        tower = h
        if task.name == "r":
            tower = keras.layers.Dense(4, name="r_tower")(h) if place == "tower" else h
            tower = Root()(keras.layers.Rescaling(0.0)(tower))
        ends[task.name] = task.output(tower)
    return keras.Model(x, ends)


@pytest.mark.parametrize(
    ("name", "place", "at"),
    everyday(
        itertools.product(KINDS, ["tower", "frontier"], ["parameters", "representation"]),
        [
            ("Fixed", "tower", "parameters"),
            ("MGDA", "frontier", "parameters"),
            ("MGDA", "tower", "representation"),
            ("GradDrop", "frontier", "representation"),
        ],
    ),
)
def test_a_gradient_that_is_not_finite_does_not_reach_the_shared_variables(name, place, at):
    outcomes = []
    for batch in (problem.batch(), without_labels(problem.batch(), "r")):
        model = problem.balanced(RULES[name](), network=lambda: singular(place), at=at)
        logs = model.train_on_batch(*batch, return_dict=True)
        assert np.isfinite(logs["loss"])
        outcomes.append((problem.values(model.network.variables), model.left_out["r"]))
    assert [count for _, count in outcomes] == [1, 0]
    problem.assert_close(outcomes[0][0], outcomes[1][0], 1e-7)


def test_the_warning_at_the_end_of_an_epoch_names_the_task_and_counts_its_steps():
    x, y, w = problem.arrays()
    w["r"] = np.ones_like(w["r"])
    y["r"][[20, 21, 70]] = 1e30  # a loss that is infinite, in the second and in the last batch
    data = tf.data.Dataset.from_tensor_slices((x, y, w)).batch(problem.BATCH)
    model = problem.balanced(mtl.balancers.PCGrad())
    with pytest.warns(UserWarning, match=r"epoch 1: .* 'r' in 2 step\(s\)") as caught:
        logs = model.fit(data, verbose=0).history
    assert len(caught) == 1 and "'z'" not in str(caught[0].message)
    assert all(np.all(np.isfinite(v)) for v in problem.values(model.network.variables))
    assert np.isfinite(logs["loss"][0]) and np.isfinite(logs["r_loss"][0])
    with pytest.warns(UserWarning, match=r"epoch 2: .* 'r' in 2 step\(s\)"):
        model.fit(data, initial_epoch=1, epochs=2, verbose=0)


def test_a_task_without_a_label_is_not_reported():
    model = problem.balanced(mtl.balancers.PCGrad())
    model.fit(problem.dataset(3), verbose=0)  # warnings are errors here
    assert set(model.left_out.values()) == {0}


@pytest.mark.parametrize("name", ["MGDA", "PCGrad", "Uncertainty", "Equal"])
def test_a_task_of_weight_0_is_measured_but_takes_no_part_in_the_balancing(name):
    z, a = (mtl.Task(task, head=mtl.Head(1), loss="mse") for task in ("z", "a"))
    measured = mtl.Task("measured", head=mtl.Head(1), loss="mse", weight=0.0)
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    y = {"z": x[:, 0] * x[:, 1], "a": np.abs(x[:, 1]), "measured": x[:, 2]}

    def train(tasks):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4,))
        body = keras.layers.Dense(5, activation="tanh", name="body")(inputs)
        outputs = {task.name: task.output(body) for task in [z, a, measured]}
        outputs = {task.name: outputs[task.name] for task in tasks}
        balancer = getattr(mtl.balancers, name)()
        model = mtl.BalancedModel(keras.Model(inputs, outputs), tasks, balancer)
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        for _ in range(2):
            labels = {task.name: y[task.name] for task in tasks}
            logs = model.train_on_batch(x, labels, return_dict=True)
        return model, logs

    model, logs = train([z, measured, a])
    assert logs["measured_loss"] > 0 == model.task_weights["measured"] == logs["measured_weight"]
    without, _ = train([z, a])
    for task in (z, a):
        assert model.task_weights[task.name] == pytest.approx(without.task_weights[task.name])
    kernel = model.network.get_layer("body").kernel
    np.testing.assert_allclose(kernel, without.network.get_layer("body").kernel, atol=1e-6)
