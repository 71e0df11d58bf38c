"""Penalties of a step join the goal as regularizers do, and a hook changes the batch before it."""

import keras
import numpy as np
import pytest
import rule_penalties as rules
import small_problem as problem
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.training import BatchHook, Penalty


def goal_by_hand(model, x, y, w):
    """Returns the goal of a step with equal weights, by formulas."""
    outputs = model.network(x, training=True)
    losses = problem.losses_by_hand(outputs, y, w)
    total = sum(t.weight * loss for t, loss in zip(model.tasks, losses, strict=True))
    kernel = model.network.get_layer("shared_1").kernel.value
    hinge = tf.reduce_mean(tf.nn.relu(outputs["z"][:, 0] - outputs["r"][:, 0]))
    start = model.penalties[1].start.value
    return total, 0.7 * hinge + 0.3 * tf.reduce_sum(tf.square(kernel - start))


def step_by_hand(model, batch):
    variables = model.network.trainable_variables
    with tf.GradientTape() as tape:
        goal = sum(goal_by_hand(model, *batch))
    gradients = tape.gradient(goal, [variable.value for variable in variables])
    return float(goal), [np.array(v) - 0.1 * g for v, g in zip(variables, gradients, strict=True)]


def test_a_step_goes_along_the_gradient_of_the_losses_and_the_penalties():
    model = rules.model(mtl.balancers.Equal(), prepare=None)
    goal, expected = step_by_hand(model, problem.batch())
    outputs = model.network(problem.batch()[0])
    logs = model.train_on_batch(*problem.batch(), return_dict=True)
    problem.assert_close(problem.values(model.network.trainable_variables), expected)
    assert logs["loss"] == pytest.approx(goal, rel=1e-5)
    broken = np.mean(outputs["z"] > outputs["r"])
    assert 0 < broken < 1
    assert logs["funnel_violation"] == pytest.approx(broken)
    assert logs["funnel_penalty"] == pytest.approx(
        np.mean(np.maximum(outputs["z"] - outputs["r"], 0)), rel=1e-5
    )
    assert "stay_violation" not in logs
    goal, _ = step_by_hand(model, problem.batch(1))
    logs = model.test_on_batch(*problem.batch(1), return_dict=True)
    assert logs["loss"] == pytest.approx(goal, rel=1e-5)


@pytest.mark.parametrize(
    ("rule", "at", "every"),
    [
        ("MGDA", "parameters", 2),
        ("Uncertainty", "parameters", 2),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ("MGDA", "representation", 1),
                ("GradDrop", "parameters", 1),
                ("MoDo", "parameters", 1),
                ("AutoLambda", "parameters", 1),
            )
        ),
    ],
)
def test_no_rule_sees_a_penalty(rule, at, every):
    """Checks that the penalties add the same gradient under every rule, in each step."""
    models = [
        rules.model(getattr(mtl.balancers, rule)(), at=at, every=every, penalties=p, prepare=None)
        for p in (rules.penalties(), [])
    ]
    with_penalties, without = models
    second = problem.batch(4)
    for index in range(2):
        start = problem.values(with_penalties.network.trainable_variables)
        variables = with_penalties.network.trainable_variables
        with tf.GradientTape() as tape:
            _, penalty = goal_by_hand(with_penalties, *problem.batch(index))
        gradients = tape.gradient(
            penalty, [v.value for v in variables], unconnected_gradients="zero"
        )
        for model in models:
            for variable, value in zip(model.network.trainable_variables, start, strict=True):
                variable.assign(value)
            data = problem.batch(index)
            if model.balancer.needs.second_batch:
                model.train_step(keras.tree.map_structure(tf.constant, (data, second)))
            else:
                model.train_on_batch(*data)
        moved = [
            b - a
            for a, b in zip(
                problem.values(without.network.trainable_variables),
                problem.values(variables),
                strict=True,
            )
        ]
        problem.assert_close(moved, [-0.1 * np.array(g) for g in gradients], 1e-5)
        assert with_penalties.task_weights == pytest.approx(without.task_weights, rel=1e-5)


def test_the_hook_changes_the_batch_of_training_alone():
    model = rules.model(mtl.balancers.MGDA(), penalties=[])
    plain = rules.model(mtl.balancers.MGDA(), penalties=[], prepare=None)
    x, y, w = problem.batch()
    noise = tf.random.stateless_normal(x.shape, [0, 0])
    near = x + np.abs(model.network(x)["z"] - 0.5) * noise
    before = [np.array(v) for v in model.network.non_trainable_variables]

    def twice(arrays):
        return {name: np.concatenate([array, array]) for name, array in arrays.items()}

    plain.train_on_batch(np.concatenate([x, near]), twice(y), twice(w))
    model.train_on_batch(x, y, w)
    problem.assert_close(
        problem.values(model.network.trainable_variables),
        problem.values(plain.network.trainable_variables),
    )
    for old, new in zip(before, model.network.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(old, new)
    assert model.test_on_batch(x, y, w, return_dict=True)["loss"] == pytest.approx(
        plain.test_on_batch(x, y, w, return_dict=True)["loss"], rel=1e-5
    )
    # Another step, other numbers.
    seeds = []
    model.prepare.draw_normal = lambda tensor, seed: seeds.append(np.array(seed)) or tensor
    for _ in range(2):
        model.train_on_batch(x, y, w)
    assert [list(seed) for seed in seeds] == [[1, 0], [2, 0]]


def test_a_saved_model_goes_on_with_its_penalties_and_its_hook(tmp_path):
    model = rules.model(mtl.balancers.PCGrad(), every=2)
    for index in range(2):
        model.train_on_batch(*problem.batch(index))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.prepare, rules.Doubled)
    assert [penalty.strength for penalty in loaded.penalties] == [0.7, 0.3]
    np.testing.assert_array_equal(loaded.penalties[1].start, model.penalties[1].start)
    logs = [m.train_on_batch(*problem.batch(2), return_dict=True) for m in (model, loaded)]
    for one, other in zip(model.variables, loaded.variables, strict=True):
        if "seed" not in one.path:
            np.testing.assert_array_equal(one, other, err_msg=one.path)
    assert logs[0]["funnel_violation"] > 0


@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_in_half_precision_penalties_are_computed_in_float32(jit):
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        model = rules.model(
            mtl.balancers.MGDA(),
            keras.optimizers.SGD(0.1),
            run_eagerly=not jit,
            jit_compile=jit,
        )
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    full = rules.model(mtl.balancers.MGDA())
    dtypes = []
    penalize = model.penalties[0].penalize
    model.penalties[0].penalize = lambda outputs, weights: (
        dtypes.extend(value.dtype for value in outputs.values()) or penalize(outputs, weights)
    )
    for index in range(2):
        half, exact = (
            m.train_on_batch(*problem.batch(index), return_dict=True) for m in (model, full)
        )
    assert set(dtypes) == {tf.float32}
    for key in ("loss", "funnel_penalty", "stay_penalty"):
        assert half[key] == pytest.approx(exact[key], rel=0.02), key
    problem.assert_close(
        problem.values(model.network.trainable_variables),
        problem.values(full.network.trainable_variables),
        0.01,
    )


class Wrong(Penalty):
    def penalize(self, outputs, sample_weights):
        return outputs["z"]


class Short(BatchHook):
    def prepare(self, forward, inputs, labels, sample_weights, seed):
        return inputs, {"z": labels["z"]}, sample_weights


def test_what_cannot_be_a_penalty_or_a_hook_is_refused_with_a_sentence():
    network, tasks = problem.network(), problem.tasks()

    def build(**options):
        return mtl.BalancedModel(network, tasks, mtl.balancers.Equal(), **options)

    with pytest.raises(ValueError, match=r"must be a list; received one: write \[funnel\]"):
        build(penalties=rules.Implies(name="funnel"))
    with pytest.raises(ValueError, match=r"derive from keras_mtl.training.Penalty; received 0.1"):
        build(penalties=[0.1])
    with pytest.raises(ValueError, match=r"different names; \['a'\] occur more than once"):
        build(penalties=[rules.Implies(name="a"), rules.Implies(name="a")])
    with pytest.raises(ValueError, match=r"keras_mtl.training.BatchHook; received 'noise'"):
        build(prepare="noise")
    with pytest.raises(ValueError, match="penalty 'a': strength is -1"):
        rules.Implies(-1, name="a")
    with pytest.raises(ValueError, match="penalty 'a' belongs to no network yet"):
        assert rules.Implies(name="a").network
    used = rules.Implies(name="a")
    used.bind(network, tasks)
    with pytest.raises(ValueError, match="penalty 'a' belongs to another network already"):
        mtl.BalancedModel(problem.network(), tasks, mtl.balancers.Equal(), penalties=[used])
    model = rules.model(mtl.balancers.Equal(), penalties=[Wrong(name="wide")], prepare=None)
    with pytest.raises(ValueError, match=r"'wide' must return one number per row, of shape \(16,"):
        model.train_on_batch(*problem.batch())
    model = rules.model(mtl.balancers.Equal(), penalties=[], prepare=Short(name="short"))
    with pytest.raises(ValueError, match=r"'short' must return labels of the tasks .* \['z'\]"):
        model.train_on_batch(*problem.batch())
