"""One step equals the step that one tape per task and NumPy compute."""

import itertools

import keras
import numpy as np
import pytest
import small_problem as problem
import tensorflow as tf

import keras_mtl as mtl

RATE = 0.1
TASKS = [task.name for task in problem.tasks()]
WEIGHTS = np.array([task.weight for task in problem.tasks()])


def weights_by_hand(balancer, jacobian, losses):
    """Computes the rule's weights for a Jacobian [K, n] in float64."""
    gramian = (jacobian @ jacobian.T).astype("float32")
    return np.array(balancer.weigh(gramian, losses.astype("float32")), "float64")


def losses_of(network, x, y, w):
    predictions = network(x, training=True)
    return np.array(problem.losses_by_hand(predictions, y, w), "float64") * WEIGHTS


def check_task_variables(model, before, batch, factors):
    """Checks that each task's variables moved by the gradient of its loss times a factor."""
    for k, name in enumerate(TASKS):
        start = problem.network()
        gradients = problem.gradients_by_hand(start, problem.variables_of(start, name), *batch)[k]
        problem.assert_close(
            problem.values(problem.variables_of(model.network, name)),
            [v - RATE * factors[k] * g for v, g in zip(before[name], gradients, strict=True)],
        )


def starting_values():
    """Returns the initial values of the shared variables and of each task's variables."""
    start = problem.network()
    return {name: problem.values(problem.variables_of(start, name)) for name in (*TASKS, "shared")}


@pytest.mark.parametrize(
    ("name", "at", "rescale"),
    [
        ("MGDA", "parameters", False),
        ("PCGrad", "representation", True),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ("MGDA", "representation", True),
                ("PCGrad", "parameters", True),
                ("PCGrad", "representation", False),
                ("CAGrad", "parameters", False),
                ("CAGrad", "representation", False),
            )
        ),
    ],
)
def test_a_step_by_gramian_equals_one_by_hand(name, at, rescale):
    rule, batch, before = getattr(mtl.balancers, name), problem.batch(), starting_values()
    model = problem.balanced(rule(), at=at, rescale_weights=rescale, scale_towers=rescale)
    model.train_on_batch(*batch)

    start = problem.network()
    shared = problem.variables_of(start, "shared")
    gradients = problem.gradients_by_hand(start, shared, *batch)
    statistic = gradients
    if at == "representation":
        statistic = problem.gradients_by_hand(start, None, *batch, at="shared_1")
    weights = weights_by_hand(rule(), problem.joined(statistic), losses_of(start, *batch))
    if rescale:
        weights *= 3 / weights.sum()
    problem.assert_close([list(model.task_weights.values())], [weights], 1e-4)
    problem.assert_close(
        problem.values(problem.variables_of(model.network, "shared")),
        [
            v - RATE * np.tensordot(weights, np.stack(g), 1)
            for v, g in zip(before["shared"], zip(*gradients, strict=True), strict=True)
        ],
    )
    check_task_variables(model, before, batch, weights if rescale else np.ones(3))


@pytest.mark.parametrize("at", ["parameters", "representation"])
def test_a_step_by_merged_gradients_equals_one_by_hand(at):
    batch, before = problem.batch(), starting_values()
    model = problem.balanced(mtl.balancers.GradDrop(seed=3), at=at)
    model.train_on_batch(*batch)

    start = problem.network()
    shared = problem.variables_of(start, "shared")
    # GradDrop draws by position in the vector of all entries: put the variables in the engine's
    # order.
    order = [variable.path for variable in model.frontier.shared]
    shared = sorted(shared, key=lambda variable: order.index(variable.path))
    before = {**before, "shared": problem.values(shared)}
    layer = None if at == "parameters" else "shared_1"
    rows = problem.gradients_by_hand(start, shared, *batch, at=layer)
    losses = losses_of(start, *batch).astype("float32")
    merged = mtl.balancers.GradDrop(seed=3).merge(problem.joined(rows).astype("float32"), losses)
    direction = problem.split(np.array(merged, "float64"), rows[0])
    if at == "representation":
        below, _ = problem.cut(start, layer)
        with tf.GradientTape() as tape:
            features = below(batch[0])
        direction = tape.gradient(features, shared, tf.constant(direction[0], "float32"))
    problem.assert_close(
        problem.values(model.frontier.shared),
        [v - RATE * np.array(d) for v, d in zip(before["shared"], direction, strict=True)],
    )
    check_task_variables(model, before, batch, np.ones(3))


def test_a_step_by_losses_weights_towers_and_trunk_and_trains_the_variables_of_the_rule():
    batch, before = problem.batch(), starting_values()
    model = problem.balanced(mtl.balancers.Uncertainty(regression={"z": 0, "b": 0, "r": 1}))
    model.train_on_batch(*batch)

    start = problem.network()
    gradients = problem.gradients_by_hand(start, problem.variables_of(start, "shared"), *batch)
    weights = np.array([1.0, 1.0, 0.5])
    problem.assert_close(
        problem.values(problem.variables_of(model.network, "shared")),
        [
            v - RATE * np.tensordot(weights, np.stack(g), 1)
            for v, g in zip(before["shared"], zip(*gradients, strict=True), strict=True)
        ],
    )
    check_task_variables(model, before, batch, weights)
    derivative = 0.5 - weights * losses_of(start, *batch)
    problem.assert_close(
        [np.array(model.balancer.log_variance.variable)], [-RATE * derivative], 1e-6
    )


def test_at_the_representation_of_a_mixture_the_frontier_is_the_output_of_the_experts():
    def network():
        keras.utils.set_random_seed(0)
        x = keras.Input((4,))
        return mtl.architectures.mmoe(x, problem.tasks(), num_experts=3, expert=(8,), tower=(4,))

    batch, start = problem.batch(), network()
    model = problem.balanced(mtl.balancers.MGDA(), network=network, at="representation")
    model.train_on_batch(*batch)
    experts = [layer for layer in start.layers if "expert" in layer.name]
    cotangents = problem.gradients_by_hand(start, None, *batch, at=experts[-1].name)
    weights = weights_by_hand(
        mtl.balancers.MGDA(), problem.joined(cotangents), losses_of(start, *batch)
    )
    problem.assert_close([list(model.task_weights.values())], [weights], 1e-5)
    assert len(model.frontier.shared) == sum(len(layer.trainable_variables) for layer in experts)


@pytest.mark.parametrize("at", ["parameters", "representation"])
def test_between_the_steps_that_compute_weights_the_last_ones_are_used(at):
    model = problem.balanced(mtl.balancers.PCGrad(seed=1), at=at, every=2)
    rule, reference = mtl.balancers.PCGrad(seed=1), problem.network()
    for index, batch in enumerate(map(problem.batch, (0, 1, 3))):
        model.train_on_batch(*batch)
        shared = problem.variables_of(reference, "shared")
        gradients = problem.gradients_by_hand(reference, shared, *batch)
        if index % 2 == 0:
            statistic = gradients
            if at == "representation":
                statistic = problem.gradients_by_hand(reference, None, *batch, at="shared_1")
            weights = weights_by_hand(rule, problem.joined(statistic), losses_of(reference, *batch))
        problem.assert_close([list(model.task_weights.values())], [weights], 1e-4)
        steps = [
            (v, np.tensordot(weights, np.stack(g), 1))
            for v, g in zip(shared, zip(*gradients, strict=True), strict=True)
        ]
        for k, name in enumerate(TASKS):
            task_variables = problem.variables_of(reference, name)
            rows = problem.gradients_by_hand(reference, task_variables, *batch)
            steps += list(zip(task_variables, rows[k], strict=True))
        for variable, gradient in steps:
            variable.assign(variable.numpy() - RATE * gradient)
    problem.assert_close(
        problem.values(model.network.trainable_variables),
        problem.values(reference.trainable_variables),
        5e-6,
    )
    assert int(model.balancer.iteration.variable) == 2


@pytest.mark.parametrize("name", ["DWA", "Uncertainty"])
def test_a_loss_rule_logs_the_loss_that_is_minimized_between_the_steps_that_compute_weights(name):
    model = problem.balanced(getattr(mtl.balancers, name)(), every=2)
    for index in (0, 1):
        logs = model.train_on_batch(*problem.batch(index), return_dict=True)
    weighted = sum(
        task.weight * logs[f"{task.name}_loss"] * model.task_weights[task.name]
        for task in problem.tasks()
    )
    assert logs["loss"] == pytest.approx(weighted, rel=1e-5)


def test_the_logged_losses_are_unweighted_means_over_valid_labels():
    batches = [problem.batch(index) for index in range(3)]
    model = problem.balanced(mtl.balancers.PCGrad(), optimizer=keras.optimizers.SGD(0.0))
    logs = model.fit(problem.dataset(3), verbose=0).history
    start = problem.network()
    for k, task in enumerate(problem.tasks()):
        counts = [w[task.name].sum() for _, _, w in batches]
        means = [float(problem.losses_by_hand(start(x), y, w)[k]) for x, y, w in batches]
        expected = np.dot(counts, means) / np.sum(counts)
        assert logs[f"{task.name}_loss"][0] == pytest.approx(expected, rel=1e-5)
        assert logs[f"{task.name}_mean_loss"] == logs[f"{task.name}_loss"]
    totals = [losses_of(start, *batch).sum() for batch in batches]
    assert logs["loss"][0] == pytest.approx(np.mean(totals), rel=1e-5)


def test_weights_are_logged_as_means_over_the_steps_in_which_a_task_was_active():
    model = problem.balanced(mtl.balancers.Fixed([1.0, 2.0, 0.5]))
    logs = model.fit(problem.dataset(3), verbose=0).history
    assert [logs[f"{name}_weight"][0] for name in TASKS] == [1.0, 2.0, 0.5]


def test_the_scale_of_towers_follows_stored_weights_too():
    moved = []
    for scale in (False, True):
        model = problem.balanced(mtl.balancers.PCGrad(), every=5, scale_towers=scale)
        model._step.state.iteration.assign(1)
        model._step.state.task_weights.assign([1.0, 2.0, 0.0])
        before = {name: problem.values(problem.variables_of(model.network, name)) for name in TASKS}
        model.train_on_batch(*problem.batch())
        moved.append(
            {
                name: [
                    new - old
                    for new, old in zip(
                        problem.values(problem.variables_of(model.network, name)),
                        before[name],
                        strict=True,
                    )
                ]
                for name in TASKS
            }
        )
    for name, factor in zip(TASKS, (1.0, 2.0, 0.0), strict=True):
        for plain, scaled in zip(moved[0][name], moved[1][name], strict=True):
            np.testing.assert_allclose(scaled, factor * plain, rtol=1e-4, atol=1e-7)


def test_rules_of_different_kinds_with_equal_weights_take_the_same_step():
    """Equal weights give one step, whether by a sum of losses or by a rule on the Gramian."""

    class Ones(mtl.balancers.GramianBalancer):
        def weigh(self, gramian, losses):
            return keras.ops.ones_like(losses)

    results = []
    for balancer, at in itertools.product(
        (mtl.balancers.Equal(), Ones()), ("parameters", "representation")
    ):
        model = problem.balanced(balancer, at=at)
        model.train_on_batch(*problem.batch())
        results.append(problem.values(model.network.trainable_variables))
    for result in results[1:]:
        problem.assert_close(result, results[0])


def test_a_rule_that_counts_epochs_learns_of_their_ends():
    model = problem.balanced(mtl.balancers.DWA(temperature=2.0))
    logs = model.fit(problem.dataset(1), epochs=3, verbose=0).history
    for name in TASKS:
        assert logs[f"{name}_weight"][:2] == pytest.approx([1.0, 1.0])
    rates = np.array([logs[f"{name}_loss"][1] / logs[f"{name}_loss"][0] for name in TASKS])
    expected = 3 * np.exp(rates / 2) / np.exp(rates / 2).sum()
    actual = [logs[f"{name}_weight"][2] for name in TASKS]
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    assert np.ptp(actual) > 1e-4
