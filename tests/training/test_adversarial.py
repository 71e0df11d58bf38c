"""Rows moved to where the loss rises: the rules by hand, and what a step does with them."""

import keras
import numpy as np
import pytest
import small_problem as problem
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.training import Adversarial, VirtualAdversarial


def logistic(rows=1):
    """Builds the logistic network of the golden values: weights 3 and 4, no bias."""
    x = keras.Input((2,), name="x")
    task = mtl.Task.binary("a", metrics=())
    output = keras.layers.Dense(1, activation="sigmoid", use_bias=False, name="a")(x)
    network = keras.Model(x, {"a": output})
    network.set_weights([np.array([[3.0], [4.0]])])
    return network, [task]


def moved(hook, network, tasks, x, y, w=None):
    """Returns the rows that a hook appends."""
    hook.bind(network, tasks)
    x = tf.constant(x, tf.float32)
    names = [task.name for task in tasks]
    weights = w or {name: tf.ones((len(x),)) for name in names}
    rows = hook.prepare(lambda i: network(i, training=True), x, y, weights, tf.constant([0, 0]))
    return np.array(rows[0])[len(x) :] - np.array(x), rows


def loss_at(x, y=1.0):
    return float(np.log1p(np.exp(-(2 * y - 1) * (np.array(x) @ [3.0, 4.0]))))


@pytest.mark.parametrize(
    ("options", "step", "loss"),
    [
        ({}, (-0.06, -0.08), 0.4741),
        ({"norm": "inf"}, (-0.1, -0.1), 0.5544),
        ({"steps": 3}, (-0.06, -0.08), 0.4741),
    ],
)
def test_golden_steps_of_a_logistic_regression(options, step, loss):
    network, tasks = logistic()
    assert loss_at([1.0, -0.5]) == pytest.approx(0.3133, abs=5e-5)
    r, _ = moved(Adversarial(0.1, **options), network, tasks, [[1.0, -0.5]], {"a": tf.ones((1,))})
    np.testing.assert_allclose(r[0], step, atol=1e-6)
    assert loss_at([1.0, -0.5] + r[0]) == pytest.approx(loss, abs=5e-5)


def test_golden_divergence_of_virtual_adversarial_training():
    network, tasks = logistic()
    hook = VirtualAdversarial(0.1)
    r, rows = moved(hook, network, tasks, [[1.0, -0.5]], {"a": tf.ones((1,))})
    # The direction has two signs, by the draw; which one is a matter of the seed.
    np.testing.assert_allclose(np.abs(r[0]), (0.06, 0.08), atol=1e-5)
    expected = 0.0226 if r[0, 0] > 0 else 0.0263
    values = hook.penalties[0].penalize(network(rows[0]), {})
    np.testing.assert_allclose(values, [0.0, 2 * expected], atol=2e-4)
    np.testing.assert_array_equal(rows[2]["a"], [1.0, 0.0])


def test_each_example_gets_the_whole_length_and_keeps_to_the_limits():
    """Checks against popular code, which divides by one norm of the whole batch."""
    network, tasks = logistic()
    x, y = [[1.0, -0.5], [2.0, 1.0], [1.0, -0.5]], {"a": tf.constant([1.0, 1.0, 0.0])}
    w = {"a": tf.constant([1.0, 1.0, 0.0])}
    r, rows = moved(Adversarial(0.1, alpha=0.5), network, tasks, x, y, w)
    # The gradient of the second example is a thousandth of the first one's; the third has no label.
    np.testing.assert_allclose(r, [(-0.06, -0.08), (-0.06, -0.08), (0, 0)], atol=1e-5)
    np.testing.assert_allclose(rows[2]["a"], [1.0, 1.0, 0.0, 0.5, 0.5, 0.0])
    r, _ = moved(
        Adversarial(5.0, steps=3, clip=(-1, 1.5)), network, tasks, x[:1], {"a": y["a"][:1]}
    )
    assert np.all(np.abs(np.array(x[0]) + r[0] - 0.25) <= 1.25)


def hooked(balancer, kind=Adversarial, **options):
    hook = kind(0.3, name="nearby", **options)
    model = mtl.BalancedModel(problem.network(), problem.tasks(), balancer, prepare=hook)
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    return model


@pytest.mark.parametrize("name", ["MGDA", pytest.param("Uncertainty", marks=pytest.mark.slow)])
def test_a_step_is_that_on_clean_and_moved_rows_of_three_tasks(name):
    model = hooked(getattr(mtl.balancers, name)(), alpha=0.5)
    x, y, w = problem.batch()
    by_task = problem.gradients_of_inputs(model.network, x, y, w)
    # The goal is the sum of the tasks' losses times their weights.
    g = sum(by_task)
    assert min(np.linalg.norm(g, axis=1)) > 0
    near = (x + 0.3 * g / np.linalg.norm(g, axis=1, keepdims=True)).astype("float32")
    plain = problem.balanced(getattr(mtl.balancers, name)())
    plain.train_on_batch(
        np.concatenate([x, near]),
        {key: np.concatenate([value, value]) for key, value in y.items()},
        {key: np.concatenate([value, 0.5 * value]) for key, value in w.items()},
    )
    model.train_on_batch(x, y, w)
    problem.assert_close(
        problem.values(model.network.variables), problem.values(plain.network.variables), 1e-5
    )


def test_the_divergence_is_added_to_the_goal_of_training_alone(tmp_path):
    model = hooked(mtl.balancers.MGDA(), VirtualAdversarial, alpha=2.0)
    unmoved = problem.balanced(mtl.balancers.MGDA())
    x, y, w = problem.batch()
    assert [task.name for task in model.prepare._tasks] == ["z", "b"]  # not a number
    evaluated = model.test_on_batch(x, y, w, return_dict=True)
    assert evaluated["loss"] == pytest.approx(
        unmoved.test_on_batch(x, y, w, return_dict=True)["loss"], rel=1e-5
    )
    model.reset_metrics()
    logs = model.train_on_batch(x, y, w, return_dict=True)
    unmoved.train_on_batch(x, y, w)
    assert logs["nearby_penalty"] > 0
    # No rule sees it: the weights of the tasks are those without it.
    assert model.task_weights == pytest.approx(unmoved.task_weights, rel=1e-4)
    moved_by = [
        a - b
        for a, b in zip(
            problem.values(model.network.variables),
            problem.values(unmoved.network.variables),
            strict=True,
        )
    ]
    assert max(np.abs(difference).max() for difference in moved_by) > 1e-4
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert len(loaded.penalties) == 1
    loaded.run_eagerly = True
    again = [m.train_on_batch(*problem.batch(1), return_dict=True) for m in (model, loaded)]
    assert again[0]["nearby_penalty"] != logs["nearby_penalty"]
    for one, other in zip(model.network.variables, loaded.network.variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_input_of_zeros_behind_an_embedding_is_moved():
    keras.utils.set_random_seed(0)
    tokens, shift = (
        keras.Input((3,), dtype="int32", name="tokens"),
        keras.Input((3, 4), name="shift"),
    )
    embedded = keras.layers.Embedding(9, 4)(tokens)
    features = keras.layers.Flatten()(keras.layers.Add()([embedded, shift]))
    task = mtl.Task.binary("a", metrics=())
    network = keras.Model({"tokens": tokens, "shift": shift}, {"a": task.output(features)})
    hook = Adversarial(5.0, on="shift")
    model = mtl.BalancedModel(network, [task], mtl.balancers.Equal(), prepare=hook)
    x = {"tokens": tf.constant([[1, 2, 3], [4, 5, 6]]), "shift": tf.zeros((2, 3, 4))}
    rows = hook.prepare(
        lambda i: model(i, training=True), x, {"a": tf.ones((2,))}, {"a": tf.ones((2,))}, None
    )
    np.testing.assert_array_equal(rows[0]["tokens"], [[1, 2, 3], [4, 5, 6]] * 2)
    norms = np.linalg.norm(np.array(rows[0]["shift"]).reshape(4, -1), axis=1)
    np.testing.assert_allclose(norms, [0, 0, 5, 5], rtol=1e-5)
    with pytest.raises(ValueError, match=r"on must name one of the inputs \['shift', 'tokens'\]"):
        Adversarial(1.0).bind(network, [task])
    with pytest.raises(ValueError, match=r"'tokens' is of int32, which no small step can move"):
        Adversarial(1.0, on="tokens").bind(network, [task])
    with pytest.raises(ValueError, match=r"on is 'words'; expected one of"):
        Adversarial(1.0, on="words").bind(network, [task])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": 0}, "epsilon is 0; expected a finite number > 0"),
        ({"norm": 1}, "norm must be 2 or 'inf'; received 1"),
        ({"clip": (1, 0)}, r"clip must be \(lowest, highest\); received \(1, 0\)"),
        ({"tasks": "z"}, "tasks must be a list of names; received 'z'"),
        ({"tasks": ["q"]}, r"\['q'\] are no tasks; the model has \['z', 'b', 'r'\]"),
    ],
)
def test_arguments_that_do_not_fit_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Adversarial(**{"epsilon": 1.0, **options}).bind(problem.network(), problem.tasks())


def test_tasks_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"compares distributions, and \['r'\] predict none"):
        VirtualAdversarial(1.0, tasks=["r"]).bind(problem.network(), problem.tasks())
    task = mtl.Task.survival("time", [1.0, 2.0], method="cox")
    network = mtl.architectures.hard_sharing(keras.Input((4,)), [task], shared=(4,))
    with pytest.raises(ValueError, match=r"the losses of \['time'\] compare the examples"):
        Adversarial(1.0).bind(network, [task])
