"""The laws of all balancers: one table of cases, each law written once."""

import inspect

import gradient_cases
import gramian_cases
import keras
import loss_cases
import numpy as np
import pytest
import sampled_cases
import tensorflow as tf
from law_case import JACOBIAN

from keras_mtl import balancers
from keras_mtl.balancers import Balancer, GradientBalancer, LossBalancer

_FILES = (loss_cases, gramian_cases, gradient_cases, sampled_cases)
CASES = {name: case for file in _FILES for name, case in file.CASES.items()}
VARIANTS = CASES | {name: case for file in _FILES for name, case in file.VARIANTS.items()}
every_case = pytest.mark.parametrize("name", VARIANTS)
# The laws that take long in the everyday run see one case of each class.
every_class = pytest.mark.parametrize(
    "name", [n if n in CASES else pytest.param(n, marks=pytest.mark.slow) for n in VARIANTS]
)
# To trace or compile a rule takes seconds: the everyday run has one for each kind of computation.
TRACED = ("DWA", "RandomWeighting", "UPGrad", "CAGrad", "NashMTL", "EPO", "GradDrop", "ConFIG")
traced_case = pytest.mark.parametrize(
    "name", [n if n in TRACED else pytest.param(n, marks=pytest.mark.slow) for n in VARIANTS]
)
# A loss balancer sees no gradients: test_loss_extremes.py has losses of any size for it.
of_gradients = [n for n, c in VARIANTS.items() if not issubclass(c.kind, LossBalancer)]
every_case_of_gradients = pytest.mark.parametrize("name", of_gradients)
every_class_of_gradients = pytest.mark.parametrize(
    "name", [n if n in CASES else pytest.param(n, marks=pytest.mark.slow) for n in of_gradients]
)
# Draws depend on a task's position, and XLA draws other numbers.
every_case_not_drawn = pytest.mark.parametrize(
    "name", [n for n, c in VARIANTS.items() if "drawn" not in c.laws]
)


def claiming(law):
    return pytest.mark.parametrize("name", [n for n in of_gradients if law in VARIANTS[n].laws])


def result_of(balancer, jacobian, losses=None):
    """Returns the weights of a loss or Gramian balancer, the direction of a gradient balancer."""
    jacobian = tf.convert_to_tensor(jacobian, "float32")
    losses = tf.ones(jacobian.shape[0]) if losses is None else tf.convert_to_tensor(losses)
    losses = tf.cast(losses, "float32")
    if isinstance(balancer, LossBalancer):
        with tf.GradientTape() as tape:
            tape.watch(losses)
            scalar = balancer.scalarize(losses)
        return tape.gradient(scalar, losses)
    if isinstance(balancer, GradientBalancer):
        return balancer.merge(jacobian, losses)
    if not balancer.needs.inner_steps:
        return balancer.weigh(jacobian @ tf.transpose(jacobian), losses)
    # With inner steps: the same batch twice, and losses that plain steps halve.
    both = tf.concat([jacobian, jacobian], axis=0)
    weights = balancer.weigh(both @ tf.transpose(both), tf.concat([losses, losses / 2], axis=0))
    return tf.add_n(tf.split(weights, 2))


def random_jacobian(num_tasks, size=6, seed=0):
    return np.random.default_rng(seed).normal(size=(num_tasks, size))


def built(case, tasks):
    """Builds the balancer of a case for these tasks and for gradients of two variables."""
    balancer = case.make(tasks)
    if isinstance(balancer, GradientBalancer):
        balancer.lay_out([2, 4])
    balancer.build(len(tasks))
    return balancer


# Matrices that resemble another one: only the slow run has them.
SIMILAR_MATRICES = {
    *("two zero", "one row not zero", "two equal rows", "opposed rows", "tiny", "spread"),
    *("rank 2 of 6", "64 tasks in 10 dimensions"),
}


def matrices():
    """Returns Jacobians of every difficult kind, by name."""
    rng = np.random.default_rng(1)
    plain = rng.normal(size=(3, 5))
    spread = 10.0 ** np.array([[-10.0], [0.0], [10.0]])
    return {
        "all zero": np.zeros((3, 4)),
        "two zero": np.zeros((2, 4)),
        "one zero row": plain * [[1], [0], [1]],
        "one row not zero": plain * [[0], [0], [1]],
        "equal rows": np.tile(plain[:1], (4, 1)),
        "two equal rows": np.tile(plain[:1], (2, 1)),
        "opposed rows": np.concatenate([plain[:1], -plain[:1]]),
        "opposed and another": np.array([[1.0, 0], [-1, 0], [0, 1]]),
        "rank 1": np.array([[1.0], [-2], [3], [-0.5]]) * plain[:1],
        "rank 2 of 6": rng.normal(size=(6, 2)) @ rng.normal(size=(2, 9)),
        "tiny": plain * 1e-10,
        "huge": plain * 1e10,
        "spread": plain * spread,
        "spread and opposed": np.tile(plain[:1], (3, 1)) * spread * [[1], [-1], [1]],
        "one task": plain[:1],
        "64 tasks": rng.normal(size=(64, 200)),
        "64 tasks in 10 dimensions": rng.normal(size=(64, 10)),
    }


def test_every_public_balancer_has_a_row_in_the_table():
    classes = {name: getattr(balancers, name) for name in balancers.__all__}
    concrete = {
        n for n, c in classes.items() if issubclass(c, Balancer) and "._base." not in c.__module__
    }
    assert concrete == set(CASES)
    for name in concrete:
        assert issubclass(classes[name], CASES[name].kind)


@every_case
def test_the_golden_values_come_out(name):
    case = VARIANTS[name]
    result = result_of(case.make([0, 1]), JACOBIAN).numpy()
    if issubclass(case.kind, GradientBalancer):
        assert min(abs(result - direction).max() for direction in case.golden) < 5e-5
    elif case.golden:
        np.testing.assert_allclose(result, case.golden, atol=5e-5)


@every_class_of_gradients
@pytest.mark.parametrize(
    "matrix",
    [pytest.param(n, marks=pytest.mark.slow) if n in SIMILAR_MATRICES else n for n in matrices()],
)
def test_the_result_is_finite_for_difficult_matrices(name, matrix):
    case, jacobian = VARIANTS[name], matrices()[matrix]
    result = result_of(case.make(range(len(jacobian))), jacobian).numpy()
    assert np.isfinite(result).all()
    if "simplex" in case.laws:
        assert (result >= 0).all()
        np.testing.assert_allclose(result.sum(), 1, rtol=1e-6)


def results_under(floatx, name):
    """Returns the results of two steps, an epoch apart, and the state, under a default dtype."""
    keras.config.set_floatx(floatx)
    try:
        balancer, losses = built(VARIANTS[name], range(4)), np.arange(1.0, 5.0)
        results = [result_of(balancer, random_jacobian(4), losses)]
        balancer.end_epoch()
        results.append(result_of(balancer, random_jacobian(4, seed=1), losses / 2))
    finally:
        keras.config.set_floatx("float32")
    return [*results, *(state.variable.value for state in balancer.states)]


# The everyday run has draws, constants that depend on a condition, and solvers with constants.
UNDER_FLOAT64 = ("COSMOS", "RandomWeighting Dirichlet", "CoV with decay", "PCGrad", "FORUM", "DTP")


@pytest.mark.parametrize(
    "name",
    [n if n in UNDER_FLOAT64 else pytest.param(n, marks=pytest.mark.slow) for n in VARIANTS],
)
def test_the_default_dtype_changes_no_number(name):
    pairs = zip(results_under("float64", name), results_under("float32", name), strict=True)
    for result, expected in pairs:
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected)


@every_case_not_drawn
def test_reordering_the_tasks_reorders_the_weights(name):
    case = VARIANTS[name]
    num_tasks = 2 if "random order" in case.laws else 5
    jacobian, losses = random_jacobian(num_tasks), np.arange(1.0, num_tasks + 1)
    order = np.random.default_rng(2).permutation(num_tasks)
    expected = result_of(case.make(range(num_tasks)), jacobian, losses).numpy()
    result = result_of(case.make(order), jacobian[order], losses[order]).numpy()
    if not issubclass(case.kind, GradientBalancer):
        expected = expected[order]
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "name", [n for n in of_gradients if "scale matters" not in VARIANTS[n].laws]
)
@pytest.mark.parametrize("scale", [1e-6, pytest.param(1e6, marks=pytest.mark.slow)])
def test_a_common_scale_of_the_gradients_changes_no_weight(name, scale):
    case, jacobian = VARIANTS[name], random_jacobian(4)
    plain = result_of(case.make(range(4)), jacobian).numpy()
    if issubclass(case.kind, GradientBalancer):
        plain = plain * scale
    scaled = result_of(case.make(range(4)), jacobian * scale).numpy()
    np.testing.assert_allclose(scaled, plain, rtol=1e-4, atol=1e-6 * abs(plain).max())


@claiming("no conflict")
def test_the_direction_conflicts_with_no_task(name):
    balancer = VARIANTS[name].make(range(4))
    balancer.build(4)
    rule = tf.function(lambda jacobian: result_of(balancer, jacobian))  # traced once
    for seed in range(20):
        jacobian = random_jacobian(4, seed=seed)
        weights = rule(tf.constant(jacobian, "float32")).numpy()
        direction = weights @ jacobian
        assert (jacobian @ direction).min() > -1e-5 * np.linalg.norm(jacobian) ** 2


@claiming("no conflict of two")
def test_projected_gradients_of_two_tasks_conflict_with_neither(name):
    for seed in range(20):
        jacobian = random_jacobian(2, size=3, seed=seed)
        weights = result_of(VARIANTS[name].make(range(2)), jacobian).numpy()
        assert (jacobian @ (weights @ jacobian)).min() > -1e-5


def run_with(wrap, name):
    """Returns the result of a case whose rule is wrapped, and the gradients that it received."""
    case = VARIANTS[name]
    # XLA draws other numbers. With two tasks no order matters, and few signs are drawn.
    num_tasks = 2 if {"random order", "random signs"} & case.laws else 5
    jacobian, losses = random_jacobian(num_tasks), np.arange(1.0, num_tasks + 1)
    balancer = built(case, range(num_tasks))
    return wrap(lambda: result_of(balancer, jacobian, losses))().numpy(), jacobian


@traced_case
def test_eager_and_graph_agree(name):
    eager, graph = run_with(lambda rule: rule, name)[0], run_with(tf.function, name)[0]
    np.testing.assert_allclose(graph, eager, rtol=1e-5, atol=1e-6)


@traced_case
def test_eager_and_xla_agree(name):
    laws, eager = VARIANTS[name].laws, run_with(lambda rule: rule, name)[0]
    compiled, jacobian = run_with(lambda rule: tf.function(rule, jit_compile=True), name)
    if "drawn" in laws:
        assert "simplex" not in laws or abs(compiled.sum() - 1) < 1e-6
    elif "random signs" in laws:
        kept = np.stack([jacobian[sign].sum(0) for sign in ([0], [1], [0, 1])])
        leaked = kept + 0.1 * jacobian[1] * np.array([[1], [0], [0]])
        assert (np.abs(compiled - leaked).min(axis=0) < 1e-5).all()
    else:
        np.testing.assert_allclose(compiled, eager, rtol=1e-5, atol=1e-6)


# A preference is drawn for all tasks, including those that are absent.
@pytest.mark.parametrize("name", [n for n, c in VARIANTS.items() if "drawn for all" not in c.laws])
def test_some_of_the_tasks_are_balanced_as_if_they_were_all(name):
    case, indices = VARIANTS[name], [3, 0, 2]
    jacobian, losses = random_jacobian(5)[indices], np.array([0.5, 2.0, 3.0])
    whole = built(case, range(5))
    with whole.on_tasks(tf.constant(indices)):
        some = result_of(whole, jacobian, losses).numpy()
    alone = result_of(built(case, indices), jacobian, losses).numpy()
    np.testing.assert_allclose(some, alone, rtol=1e-6, atol=1e-7)


@every_class
def test_the_state_of_absent_tasks_stands_still(name):
    balancer, indices = VARIANTS[name].make(range(4)), [0, 2]
    result_of(balancer, random_jacobian(4), np.arange(1.0, 5.0))
    before = {state.variable.path: state.variable.numpy() for state in balancer.states}
    with balancer.on_tasks(tf.constant(indices)) as updates:
        result_of(balancer, random_jacobian(2), np.array([7.0, 8.0]))
    assert balancer.iteration.variable.path in updates
    for state in balancer.states:
        np.testing.assert_array_equal(state.variable, before[state.variable.path])  # not yet
        after = np.asarray(updates.get(state.variable.path, state.variable))
        if state.task_axes:
            np.testing.assert_array_equal(after[[1, 3]], before[state.variable.path][[1, 3]])
    if name == "DWA":
        assert np.asarray(updates[balancer.previous.variable.path]).tolist() == [7, 2, 8, 4]


@every_class
def test_a_balancer_is_rebuilt_from_its_configuration(name):
    balancer = VARIANTS[name].make(range(3))
    balancer.bind(["c", "a", "b"])
    jacobian, losses = random_jacobian(3), np.array([1.0, 2.0, 3.0])
    expected = result_of(balancer, jacobian, losses)
    config = keras.saving.serialize_keras_object(balancer)
    assert config["registered_name"] == f"keras_mtl>{type(balancer).__name__}"
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == balancer.get_config()
    assert (copy.built, copy.num_tasks, copy.task_names) == (True, 3, ("c", "a", "b"))
    np.testing.assert_array_equal(result_of(copy, jacobian, losses), expected)
    arguments = set(inspect.signature(type(balancer).__init__).parameters)
    assert arguments - {"self", "kwargs"} <= set(balancer.get_config())


class Holder(keras.Model):
    def __init__(self, balancer):
        super().__init__()
        self.balancer = balancer
        self.built = True


@every_class
def test_a_restored_balancer_goes_on_as_the_first_would_have(name, tmp_path):
    case, path = VARIANTS[name], str(tmp_path / "state.weights.h5")
    losses = np.random.default_rng(4).uniform(1, 2, size=(4, 3))
    first, second = built(case, range(3)), built(case, range(3))
    for step in range(3):
        result_of(first, random_jacobian(3, seed=step), losses[step])
        first.end_epoch()
    Holder(first).save_weights(path)
    Holder(second).load_weights(path)
    assert int(second.iteration.variable) == 3
    for old, new in zip(first.states, second.states, strict=True):
        np.testing.assert_array_equal(new.variable, old.variable)
    np.testing.assert_array_equal(
        result_of(second, random_jacobian(3), losses[3]),
        result_of(first, random_jacobian(3), losses[3]),
    )
