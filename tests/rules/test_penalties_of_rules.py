"""The penalties of rules, beside numbers by hand and enumerations of all outcomes."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task, rules
from keras_mtl.rules._max_constraint import MaxConstraint

NAMES = ["z", "a", "m"]
TASKS = [Task.binary(name) for name in NAMES]
COLUMNS = Task.multilabel("t", columns=["p", "q", "r"])
TOPIC = Task.multiclass("topic", 3)
NUMBERS = [Task.regression("n.1"), Task.regression("n.2"), Task.regression("k")]
ALL = [*TASKS, COLUMNS, TOPIC, *NUMBERS]


def outputs_of(**values):
    return {name: tf.constant(rows, tf.float32) for name, rows in values.items()}


def look_up(rule):
    rule.look_up(ALL)
    return rule


def penalty(rule, **values):
    return float(look_up(rule).penalize(outputs_of(**values), {})[0])


def minus_log_of(holds, *probabilities):
    """Returns -log of the probability of all outcomes in which a rule holds."""
    total = 0.0
    for outcome in itertools.product([0, 1], repeat=len(probabilities)):
        pairs = zip(probabilities, outcome, strict=True)
        total += holds(*outcome) * math.prod(p if true else 1 - p for p, true in pairs)
    return -math.log(total)


def test_the_golden_values():
    assert penalty(rules.implies("z", "a"), z=[[0.9]], a=[[0.6]]) == pytest.approx(0.4463, abs=5e-5)
    three = {"z": [[0.7]], "a": [[0.2]], "m": [[0.4]]}
    assert penalty(rules.exactly_one(NAMES), **three) == pytest.approx(0.7593, abs=5e-5)
    assert penalty(rules.at_most_one(NAMES), **three) == pytest.approx(0.4910, abs=5e-5)
    assert penalty(rules.ordered(["a", "z"]), z=[[0.9]], a=[[0.6]]) == pytest.approx(0.3)
    two = penalty(
        rules.sums("k", ["n.1", "n.2"], unit=2.0), **{"k": [[10]], "n.1": [[4]], "n.2": [[5]]}
    )
    assert two == pytest.approx(0.25)


@pytest.mark.parametrize("teach", ["both", "consequence"])
def test_the_semantic_gradient_lowers_the_condition_unless_it_is_held(teach):
    rule = look_up(rules.implies("z", "a", teach=teach))
    values = outputs_of(z=[[0.9]], a=[[0.6]])
    with tf.GradientTape() as tape:
        tape.watch(values)
        value = rule.penalize(values, {})
    gradients = tape.gradient(value, values)
    assert float(gradients["a"][0, 0]) == pytest.approx(-1.40625)
    if teach == "both":
        assert float(gradients["z"][0, 0]) == pytest.approx(0.6250, abs=5e-5)
    else:
        assert gradients["z"] is None or not gradients["z"].numpy().any()


def test_penalties_are_the_logarithms_of_all_outcomes():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.02, 0.98, 5)
    rows = {"z": [[p[0]]], "a": [[p[1]]], "t": [[p[2], p[3], p[4]]]}
    refs = ["z", "a", "t.p", "t.q", "t.r"]
    expected = minus_log_of(lambda *o: sum(o) == 1, *p)
    assert penalty(rules.exactly_one(refs), **rows) == pytest.approx(expected, rel=1e-5)
    expected = minus_log_of(lambda *o: sum(o) <= 1, *p)
    assert penalty(rules.at_most_one(refs), **rows) == pytest.approx(expected, rel=1e-5)
    tree = rules.hierarchy({"z": "a", "t.p": ["a", "t.q"]})
    pairs = [(p[0], p[1]), (p[2], p[1]), (p[2], p[3])]
    expected = sum(minus_log_of(lambda c, b: b or not c, *pair) for pair in pairs)
    assert penalty(tree, **rows) == pytest.approx(expected, rel=1e-5)
    chain = rules.ordered(["z", "a", "t.r"], by="semantic")
    expected = sum(
        minus_log_of(lambda c, b: b or not c, *pair) for pair in [(p[1], p[0]), (p[4], p[1])]
    )
    assert penalty(chain, **rows) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("knows_logits", [True, False])
@pytest.mark.parametrize("distance", [5.0, 30.0, 60.0])
def test_the_gradient_does_not_fade_where_a_rule_is_broken_most(distance, knows_logits):
    """Checks it for sure and wrong predictions: popular code clips p, and has no gradient there."""
    logits = [tf.Variable([[distance]]), tf.Variable([[-distance]])]
    rule = look_up(rules.implies("z", "a"))
    with tf.GradientTape() as tape:
        values = [keras.activations.sigmoid(logit + 0.0) for logit in logits]
        if not knows_logits:
            values = [tf.identity(value) for value in values]
        value = rule.penalize(dict(zip("za", values, strict=True)), {})
    assert float(value[0]) == pytest.approx(distance - math.log(2) * knows_logits, abs=1.0)
    condition, consequence = (float(g[0, 0]) for g in tape.gradient(value, logits))
    assert consequence < -0.45
    if knows_logits:  # exp(-distance) each: halves
        assert condition == pytest.approx(0.5, abs=0.01)


def test_a_class_is_one_entry_of_a_distribution():
    logits = tf.constant([[2.0, -1.0, 0.5], [80.0, -3.0, 0.0]])
    softmax = keras.activations.softmax(logits)
    rule = look_up(rules.implies("topic.2", "z"))
    z = tf.constant([[0.3], [0.3]])
    p = tf.nn.softmax(tf.cast(logits, tf.float64))[:, 2]
    expected = -np.log(1 - p * (1 - 0.3))
    for output in (softmax, tf.identity(softmax)):
        value = rule.penalize({"topic": output, "z": z}, {})
        np.testing.assert_allclose(value, expected, rtol=2e-5, atol=1e-30)


def test_violations_are_rows_beyond_the_tolerance():
    rule = look_up(rules.ordered(["z", "a"]))
    values = outputs_of(z=[[0.5], [0.5], [0.5]], a=[[0.5], [0.5 + 5e-7], [0.51]])
    assert rule.violation(values).numpy().tolist() == [False, False, True]
    rule = look_up(rules.exactly_one(["z", "a"]))
    assert rule.violation(values).numpy().tolist() == [False, False, True]
    rule = look_up(rules.at_most_one(["z", "a"]))
    assert rule.violation(outputs_of(z=[[0.1]], a=[[0.2]])).numpy().tolist() == [False]
    rule = look_up(rules.hierarchy({"z": "a"}))
    assert rule.violation(values).numpy().tolist() == [False, False, False]


def test_rows_do_not_count_where_a_side_is_not_defined():
    rule = look_up(rules.implies("z", "a", labeled=["m", "t"]))
    values = outputs_of(z=[[0.9]] * 3, a=[[0.6]] * 3)
    weights = {"m": np.array([1.0, 0.0, -2.0]), "t": np.array([[0, 1, 0], [1, 1, 1], [0, 0, 0]])}
    np.testing.assert_allclose(rule.penalize(values, weights), [0.44629, 0, 0], atol=1e-5)


def test_the_loss_of_a_hierarchy_credits_what_is_true_below():
    loss = MaxConstraint({1: 0, 2: 0}, 3)
    labels, h = [[1.0, 0.0, 1.0]], [[0.3, 0.6, 0.2]]
    assert float(loss(labels, tf.constant(h))) == pytest.approx(1.2432, abs=5e-5)
    maxima = tf.constant([[0.6, 0.6, 0.2]])  # plain cross-entropy of these would raise label 1
    plain = keras.losses.BinaryCrossentropy()(tf.constant(labels), maxima)
    assert float(plain) == pytest.approx(1.0122, abs=5e-5)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert float(again(labels, tf.constant(h))) == pytest.approx(1.2432, abs=5e-5)


def test_the_loss_of_a_hierarchy_is_that_of_the_papers_formula():
    rng = np.random.default_rng(1)
    parents = {1: 0, 2: 0, 3: [1, 2], 4: 2}
    below = {0: [0, 1, 2, 3, 4], 1: [1, 3], 2: [2, 3, 4], 3: [3], 4: [4]}
    h = rng.uniform(0.05, 0.95, (9, 5))
    y = (rng.random((9, 5)) < 0.5).astype("float64")
    for child, above in parents.items():
        for parent in [above] if isinstance(above, int) else above:
            y[:, parent] = np.maximum(y[:, parent], y[:, child])
    y[:, 0] = y.max(1)
    expected = np.zeros((9, 5))
    for a, d in below.items():
        positive = -np.log(np.maximum((y[:, d] * h[:, d]).max(1), 1e-300))
        expected[:, a] = np.where(y[:, a] > 0, positive, -np.log(1 - h[:, d].max(1)))
    loss = MaxConstraint(parents, 5)
    np.testing.assert_allclose(
        loss.call(y, tf.constant(h, tf.float32)), expected.mean(1), rtol=1e-4
    )
    known = keras.activations.sigmoid(tf.constant(np.log(h / (1 - h)), tf.float32))
    np.testing.assert_allclose(loss.call(y, known), expected.mean(1), rtol=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rules.implies("z", "q"), r"'q' is no task of the network; expected one of \['z'"),
        (lambda: rules.implies("z", "n.1"), "task 'n.1' predicts a number, and the rule"),
        (lambda: rules.implies("z", "t"), r"'t' names no entry of task 't'; .*write 't\.p'"),
        (lambda: rules.implies("z", "t.s"), "'t.s' names no entry"),
        (lambda: rules.implies("z", "topic.3"), "'topic.3' names no entry .* has 3 entries"),
        (lambda: rules.exactly_one(["topic.0", "topic.1"]), "several classes of the task 'topic'"),
        (lambda: rules.implies("topic.0", "topic.1"), "'topic.0' cannot imply 'topic.1'"),
        (lambda: rules.implies("z", "z"), "at least two different outputs"),
        (lambda: rules.at_most_one(["z"]), "at least two different outputs"),
        (lambda: rules.implies("z", "a", teach="b"), "teach must be"),
        (lambda: rules.at_most_one(["z", "a"], serve="max"), "serve must be"),
        (lambda: rules.ordered(["z", "a"], by="l2"), "by must be"),
        (lambda: rules.ordered(["z", "n.1"], by="semantic"), "predicts a number"),
        (lambda: rules.sums("k", []), "at least two different outputs"),
        (lambda: rules.sums("k", ["n.1"], unit=0.0), "unit and variances must be positive"),
        (lambda: rules.sums("k", ["n.1"], variances=[1.0]), "one variance for each"),
        (lambda: rules.implies("z", "a", labeled="q"), r"labeled=\['q'\] are no tasks"),
        (lambda: rules.implies("z", "a", -1.0), "strength is"),
        (lambda: rules.hierarchy({"z": "a", "a": "m", "m": "z"}), "make a cycle"),
        (lambda: MaxConstraint({1: 0, 0: 1}, 3), "label 0 stands above itself"),
        (lambda: MaxConstraint({1: 3}, 3), r"names the labels \[3\]"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        look_up(make())


def test_logits_are_refused():
    tasks = [Task("l", head=mtl.Head(1), loss=keras.losses.BinaryCrossentropy(from_logits=True))]
    with pytest.raises(ValueError, match="'l' is of the kind 'yes or no', as logits"):
        rules.implies("l", "z").look_up([*tasks, *TASKS])


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (
            [rules.implies("z", "a", name="x"), rules.implies("a", "z", name="y")],
            r"\['x', 'y'\] make a cycle",
        ),
        (
            [rules.implies("z", "a", name="x"), rules.at_most_one(["a", "m", "z"], name="y")],
            r"\['x', 'y'\] contradict each other: 'z' implies 'a'",
        ),
        (
            [rules.ordered(["z", "a", "m"], name="x"), rules.exactly_one(["m", "z"], name="y")],
            "'m' implies 'z'",
        ),
        (
            [rules.exactly_one(["z", "a"], name="x"), rules.at_most_one(NAMES, name="y")],
            r"\['m'\] never are",
        ),
    ],
)
def test_rules_that_contradict_each_other_are_refused(listed, message):
    network = mtl.architectures.hard_sharing(keras.Input((2,)), TASKS, shared=(3,))
    with pytest.raises(ValueError, match=message):
        mtl.BalancedModel(network, TASKS, mtl.balancers.Equal(), penalties=listed)
