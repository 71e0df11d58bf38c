"""What is served obeys the rules: the nearest numbers, found by another road."""

import keras
import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task, export, rules

RNG = np.random.default_rng(5)
NAMES = ["z", "a", "m", "b"]
TASKS = [*map(Task.binary, NAMES), Task.multilabel("t", columns=["p", "q"]), Task.regression("n")]


def project(rule, *values):
    columns = [tf.constant(np.atleast_1d(value), tf.float32) for value in values]
    return np.stack([np.asarray(value) for value in rule.obey(columns)], axis=-1)


def nearest(values, constraints, weights=1.0):
    """Returns the nearest numbers under linear constraints, by a solver of SciPy."""
    done = scipy.optimize.minimize(
        lambda x: 0.5 * np.sum(weights * (x - values) ** 2),
        np.full(len(values), 0.3),
        jac=lambda x: weights * (x - values),
        constraints=constraints,
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 300},
    )
    return done.x


def test_the_golden_values():
    chain = rules.ordered(["z", "a", "m"])
    np.testing.assert_allclose(project(chain, 0.9, 0.2, 0.6)[0], [0.9, 0.4, 0.4], rtol=1e-6)
    lowest = rules.ordered(["z", "a", "m"], serve="minimum")
    np.testing.assert_allclose(project(lowest, 0.9, 0.2, 0.6)[0], [0.9, 0.2, 0.2], rtol=1e-6)
    total = rules.sums("n", ["z", "a"])
    np.testing.assert_allclose(project(total, 10, 4, 5)[0], [9.6667, 4.3333, 5.3333], atol=5e-5)
    total = rules.sums("n", ["z", "a"], variances=[4, 1, 1])
    np.testing.assert_allclose(project(total, 10, 4, 5)[0], [9.3333, 4.1667, 5.1667], atol=5e-5)
    one = rules.exactly_one(["z", "a", "m"])
    np.testing.assert_allclose(project(one, 0.7, 0.5, 0.1)[0], [0.6, 0.4, 0], atol=1e-6)
    one = rules.exactly_one(["z", "a", "m"], serve="normalized")
    np.testing.assert_allclose(project(one, 0.7, 0.6, 0.1)[0], np.array([7, 6, 1]) / 14, rtol=1e-6)
    np.testing.assert_allclose(project(one, 0, 0, 0)[0], [1 / 3] * 3, rtol=1e-6)
    tree = rules.hierarchy({"a": "z", "m": "z"})
    np.testing.assert_allclose(project(tree, 0.6, 0.2, 0.3)[0], [0.6, 0.2, 0.6], rtol=1e-6)


def test_projections_are_the_nearest_numbers():
    values = RNG.uniform(0, 1, (6, 4))
    falling = [{"type": "ineq", "fun": lambda x, i=i: x[i] - x[i + 1]} for i in range(3)]
    at_most = [{"type": "ineq", "fun": lambda x: 1 - x.sum()}]
    at_most += [{"type": "ineq", "fun": lambda x, i=i: x[i]} for i in range(4)]
    exactly = [{"type": "eq", "fun": lambda x: 1 - x.sum()}, *at_most[1:]]
    for rule, constraints in [
        (rules.ordered(NAMES), falling),
        (rules.at_most_one(NAMES), at_most),
        (rules.exactly_one(NAMES), exactly),
        (rules.implies("z", "a"), [{"type": "ineq", "fun": lambda x: x[1] - x[0]}]),
    ]:
        rows = values[:, : len(rule.references)]
        expected = [nearest(row, constraints) for row in rows]
        np.testing.assert_allclose(project(rule, *rows.T), expected, atol=2e-4)


@pytest.mark.parametrize(
    "rule",
    [
        rules.implies("z", "a"),
        rules.implies("z", "a", teach="consequence"),
        rules.at_most_one(NAMES),
        rules.at_most_one(NAMES, serve="normalized"),
        rules.exactly_one(NAMES),
        rules.exactly_one(NAMES, serve="normalized"),
        rules.ordered(NAMES),
        rules.ordered(NAMES, serve="minimum"),
        rules.hierarchy({"z": ["a", "m"], "a": "b", "m": "b"}),
        rules.sums("b", ["z", "a", "m"]),
    ],
    ids=lambda rule: rule.name,
)
def test_a_projection_obeys_its_rule_and_leaves_what_obeys_it(rule):
    values = RNG.uniform(0, 1, (200, len(rule.references))).astype("float32")
    values[:3] = [[0] * values.shape[1], [1] * values.shape[1], [0.5] * values.shape[1]]
    once = project(rule, *values.T)
    excess = rule.excess([tf.constant(column) for column in once.T])
    assert float(tf.reduce_max(excess)) <= 1e-6
    np.testing.assert_allclose(project(rule, *once.T), once, atol=2e-7)
    kept = np.asarray(rule.excess([tf.constant(column) for column in values.T])) <= 0
    np.testing.assert_array_equal(once[kept], values[kept])
    copied = type(rule).from_config(rule.get_config())
    np.testing.assert_array_equal(project(copied, *values.T), once)


@pytest.fixture(scope="module")
def network():
    """Builds a network of two inputs whose tasks break most rules in most rows."""
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    outputs = {}
    for i, task in enumerate(TASKS):
        features = keras.layers.Dense(4, name=f"f{i}")(left if i % 2 else right)
        outputs[task.name] = task.output(features)
    return keras.Model({"left": left, "right": right}, outputs)


X = {
    "left": RNG.normal(size=(40, 3)).astype("float32"),
    "right": RNG.normal(size=(40, 2)).astype("float32"),
}


def test_a_served_network_obeys_its_rules(network, tmp_path):
    listed = [rules.implies("z", "a", name="x"), rules.ordered(["m", "t.q", "b"], name="y")]
    served = export.with_rules(network, listed, TASKS)
    plain, answers = network.predict(X, verbose=0), served.predict(X, verbose=0)
    assert list(answers) == [task.name for task in TASKS] and set(served.input) == set(X)
    assert (plain["z"] > plain["a"]).any() and (answers["z"] <= answers["a"] + 1e-7).all()
    assert (answers["t"][:, 1] <= answers["m"][:, 0] + 1e-7).all()
    np.testing.assert_array_equal(answers["t"][:, 0], plain["t"][:, 0])
    np.testing.assert_array_equal(answers["n"], plain["n"])
    served.save(tmp_path / "served.keras")
    again = keras.saving.load_model(tmp_path / "served.keras")
    for name, answer in again.predict(X, verbose=0).items():
        np.testing.assert_array_equal(answer, answers[name])
    # The signature of one task reads the inputs of all tasks of its rule.
    export.saved_model(served, TASKS, tmp_path / "1")
    loaded = tf.saved_model.load(tmp_path / "1")
    signature = loaded.signatures["a"]
    assert set(signature.structured_input_signature[1]) == {"left", "right"}
    assert set(loaded.signatures["n"].structured_input_signature[1]) == {"left"}
    result = signature(**{name: tf.constant(value) for name, value in X.items()})
    np.testing.assert_allclose(np.ravel(result["a"]), np.ravel(answers["a"]), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "tasks", "message"),
    [
        (lambda: [rules.implies("z", "a")], None, "knows no tasks yet"),
        (lambda: [], TASKS, "at least one rule"),
        (lambda: rules.implies("z", "a"), TASKS, "must be a list"),
        (lambda: [rules.implies("z", "q")], TASKS, "'q' is no task"),
        (
            lambda: [rules.implies("z", "a", name="x"), rules.ordered(["m", "a"], name="y")],
            TASKS,
            r"\['x', 'y'\] both change 'a'",
        ),
        (
            lambda: [rules.implies("c.1", "z")],
            [*TASKS, Task.multiclass("c", 3)],
            r"reads the tasks \['c'\], which the network",
        ),
    ],
)
def test_bad_input_is_refused(network, make, tasks, message):
    with pytest.raises(ValueError, match=message):
        export.with_rules(network, make(), tasks)


def test_a_class_is_not_changed():
    tasks = [Task.multiclass("c", 3), Task.binary("z")]
    network = mtl.architectures.hard_sharing(keras.Input((2,)), tasks, shared=(3,))
    with pytest.raises(ValueError, match=r"would change 'c\.1', one class of the distribution"):
        export.with_rules(network, [rules.implies("c.1", "z")], tasks)


def test_relations_are_tasks_of_one_rule():
    matrix = rules.relations([rules.sums("n", ["z", "t.p"])], TASKS, 0.5)
    related = {(i, j) for i in range(6) for j in range(6) if matrix[i][j]}
    assert related == {(i, j) for i in (0, 4, 5) for j in (0, 4, 5) if i != j}
    assert np.array_equal(matrix, np.transpose(matrix)) and np.max(matrix) == 0.5
    mtl.architectures.soft_sharing(keras.Input((2,)), TASKS, body=(3,), strength=matrix)
