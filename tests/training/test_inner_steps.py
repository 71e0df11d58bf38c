"""Steps that combine two batches and take inner steps, against the same computed by hand."""

import warnings

import keras
import numpy as np
import pytest
import small_problem as problem
import tensorflow as tf
from keras import ops

import keras_mtl as mtl
from keras_mtl.balancers import FORUM, MOML, GramianBalancer, Needs


class InnerSteps(GramianBalancer):
    """Returns constant weights for both batches, and remembers the matrix and the losses."""

    needs = Needs(second_batch=True, inner_steps=3, inner_learning_rate=0.2)

    def build(self, num_tasks):
        super().build(num_tasks)
        self.matrix = self.add_state("matrix", (2 * num_tasks, 2 * num_tasks), task_axes=0)
        self.seen_losses = self.add_state("seen_losses", (2 * num_tasks,), task_axes=0)

    def look_ahead_weights(self):
        return ops.array([0.5, 1.0, 2.0])

    def weigh(self, gramian, losses):
        self.matrix.assign(gramian)
        self.seen_losses.assign(losses)
        return ops.array([1.0, 2.0, 3.0, -1.0, 0.5, 4.0])


def losses_after_plain_steps(network, batch, weights, rate, steps):
    """Computes the losses after plain descent on one batch, by a loop.

    The variables of each task follow the gradient of its loss, and the shared variables that of
    the weighted sum of the losses.
    """
    shared = problem.variables_of(network, "shared")
    of_tasks = [(k, v) for k, name in enumerate("zbr") for v in problem.variables_of(network, name)]
    variables = [*shared, *[variable for _, variable in of_tasks]]
    factors_of = [weights] * len(shared) + [np.eye(3)[k] for k, _ in of_tasks]
    for _ in range(steps):
        rows = problem.gradients_by_hand(network, variables, *batch)
        for variable, factors, gradients in zip(
            variables, factors_of, zip(*rows, strict=True), strict=True
        ):
            variable.assign(variable.value - rate * np.tensordot(factors, gradients, 1))
    losses = problem.losses_by_hand(network(batch[0]), *batch[1:])
    return [task.weight * loss for task, loss in zip(problem.tasks(), losses, strict=True)]


def test_both_batches_are_combined_and_inner_steps_are_undone():
    balancer, network = InnerSteps(), problem.network()
    model = problem.balanced(balancer, lambda: network)
    groups = {name: problem.variables_of(network, name) for name in ("shared", "z", "b", "r")}
    before = {name: problem.values(variables) for name, variables in groups.items()}
    batches = [problem.batch(1), problem.batch(0)]
    here, other = (
        problem.joined(problem.gradients_by_hand(network, groups["shared"], *batch))
        for batch in batches
    )
    of_tasks = [
        problem.gradients_by_hand(network, groups[name], *batches[0])[k]
        for k, name in enumerate("zbr")
    ]
    first = losses_after_plain_steps(problem.network(), batches[0], [0.5, 1.0, 2.0], 0.2, 0)
    after = losses_after_plain_steps(problem.network(), batches[0], [0.5, 1.0, 2.0], 0.2, 3)
    train, balance = (tf.data.Dataset.from_tensors(batch) for batch in batches)
    model.fit(train, balance_data=balance, verbose=0)
    both = np.concatenate([here, other])
    np.testing.assert_allclose(balancer.matrix.variable, both @ both.T, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(balancer.seen_losses.variable, [*first, *after], rtol=1e-5)
    direction = problem.split(np.array([1.0, 2.0, 3.0, -1.0, 0.5, 4.0]) @ both, before["shared"])
    for name, gradients in zip(("shared", *"zbr"), (direction, *of_tasks), strict=True):
        expected = [v - 0.1 * g for v, g in zip(before[name], gradients, strict=True)]
        problem.assert_close(problem.values(groups[name]), expected)
    assert list(model.task_weights.values()) == [1, 2, 3]


def from_batches(batches):
    """Returns a dataset of these batches."""
    rows = keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *batches)
    return tf.data.Dataset.from_tensor_slices(rows).batch(problem.BATCH)


def broken(batch, name):
    """Returns the batch with labels that make the loss of a task, and its gradient, infinite."""
    x, y, w = batch
    return x, {**y, name: np.full_like(y[name], 1e30)}, w


@pytest.mark.parametrize("which", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_task_broken_on_one_batch_leaves_the_inner_steps_to_the_others(which):
    outcomes = []
    for spoil in (broken, lambda batch, name: (*batch[:2], {**batch[2], name: 0 * batch[2][name]})):
        model = problem.balanced(FORUM(rho=2.0, inner_steps=3))
        sets = [[problem.batch(1), problem.batch(0)], [problem.batch(0), problem.batch(1)]]
        sets[which][1] = spoil(sets[which][1], "r")
        train, other = (from_batches(batches) for batches in sets)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the warning that names the task
            model.fit(train, balance_data=other, verbose=0)
        outcomes.append(problem.values([*model.network.variables, *model.balancer.variables]))
    problem.assert_close(*outcomes)
    assert all(np.isfinite(value).all() for value in outcomes[0])


def with_embedding():
    """Builds a network whose trunk looks up the signs of its inputs."""
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    signs = keras.layers.Embedding(2, 3, name="shared_signs")(ops.cast(x > 0, "int32"))
    features = keras.layers.Dense(5, name="shared_0")(keras.layers.Flatten()(signs))
    return keras.Model(x, {task.name: task.output(features) for task in problem.tasks()})


@pytest.mark.slow
def test_inner_steps_of_a_graph_take_the_gradients_of_an_embedding():
    """The gradient of a lookup is sparse; that of the tasks without a broken one is not."""
    batches = from_batches([broken(problem.batch(1), "r"), problem.batch(0)])
    outcomes = []
    for eager in (True, False):
        model = mtl.BalancedModel(with_embedding(), problem.tasks(), FORUM(inner_steps=2))
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=eager)
        with pytest.warns(UserWarning, match=r"finite for 'r' in 1 step"):
            model.fit(batches, balance_data=problem.dataset(2), verbose=0)
        outcomes.append(problem.values(model.network.variables))
    problem.assert_close(*outcomes)


def test_rules_that_look_at_a_second_batch_refuse_the_options_they_cannot_take():
    with pytest.raises(ValueError, match=r"FORUM weighs gradients of two.*scale_towers=True"):
        problem.balanced(FORUM(), scale_towers=True)
    with pytest.raises(ValueError, match="MOML looks ahead in each step; received every=2"):
        problem.balanced(MOML(), every=2)
    task = mtl.Task.multilabel("t", columns=["a", "b"])
    network = mtl.architectures.hard_sharing(keras.Input((4,)), [task], shared=(8,))
    with pytest.raises(ValueError, match=r"MOML looks ahead task by task.*\['t'\] have columns"):
        mtl.BalancedModel(network, [task], MOML())
