"""Balancing inside networks whose tasks read each other: no single frontier separates them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from all_cases import build, setting
from funnel import SIZE, impressions

import keras_mtl as mtl
from keras_mtl import Task, architectures, balancers

RATE = 0.1
# Layers that steps share, a penalty, stopped gradients, a task that is measured alone.
EVERYDAY = [
    ("aitm", {"calibrator": 0.6}),
    ("cascade", {"feed": "hidden", "stop_gradient": True}),
    ("esmm", {}),
    ("stem", {}),
]
LONG = [
    ("aitm", {}),
    ("cascade", {}),
    ("deep_bayesian", {}),
    ("escm2", {}),
    ("esm2", {}),
    ("mti_net", {}),
    ("pad_net", {}),
]


def events(count):
    return [Task.binary(name) for name in ("view", "click", "buy")][:count]


def problem(name, arguments):
    kind = setting(name)
    if arguments.get("calibrator"):
        purchases = impressions()[1]["purchase"][:12]
        return events(3), {task.name: purchases for task in events(3)}, kind.features()
    chained = kind.chained or name == "stem"
    tasks = kind.tasks(3) if chained else kind.tasks(kind.usual_count)
    return tasks, kind.labels(tasks), kind.features()


def rows_of_gradients(network, tasks, labels, features):
    """Computes the gradients of each task's loss, and those of the penalty, for all variables."""
    values = [variable.value for variable in network.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        outputs = network(tf.constant(features), training=True)
        losses = [t.weight * t.make_loss()(labels[t.name], outputs[t.name]) for t in tasks]
        penalty = tf.add_n([tf.constant(0.0), *network.losses])
    return [tape.gradient(loss, values) for loss in losses], tape.gradient(penalty, values)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [*EVERYDAY, *(pytest.param(*case, marks=pytest.mark.slow) for case in LONG)],
)
def test_a_step_equals_the_rule_on_the_gradients_of_what_tasks_share(name, arguments):
    tasks, labels, features = problem(name, arguments)
    network = build(name, tasks, **arguments)
    variables = network.trainable_variables
    before = [np.asarray(variable, "float64") for variable in variables]
    rows, penalty = rows_of_gradients(network, tasks, labels, features)
    shared = [sum(row[i] is not None for row in rows) > 1 for i in range(len(variables))]
    assert any(shared)

    model = mtl.BalancedModel(network, tasks, balancers.MGDA())
    model.compile(keras.optimizers.SGD(RATE), run_eagerly=True)
    model.train_on_batch(features, labels)

    def flat(row):
        return np.concatenate(
            [
                (np.zeros(old.shape) if gradient is None else np.asarray(gradient)).ravel()
                for gradient, old, both in zip(row, before, shared, strict=True)
                if both
            ]
        )

    taught = [k for k, task in enumerate(tasks) if task.weight > 0]
    jacobian = np.stack([flat(rows[k]) for k in taught]).astype("float64")
    weights = np.zeros(len(tasks))
    gramian = (jacobian @ jacobian.T).astype("float32")
    weights[taught] = balancers.MGDA().weigh(gramian, np.ones(len(taught), "float32"))
    np.testing.assert_allclose(list(model.task_weights.values()), weights, rtol=1e-3, atol=1e-5)
    for i, (variable, old) in enumerate(zip(variables, before, strict=True)):
        factors = (
            weights if shared[i] else np.array([float(k in taught) for k in range(len(tasks))])
        )
        parts = [
            f * np.asarray(row[i])
            for f, row in zip(factors, rows, strict=True)
            if row[i] is not None
        ]
        parts += [] if penalty[i] is None else [np.asarray(penalty[i])]
        np.testing.assert_allclose(variable, old - RATE * sum(parts), atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arguments"), EVERYDAY + LONG)
def test_a_step_in_a_graph_equals_an_eager_one(name, arguments):
    tasks, labels, features = problem(name, arguments)
    weights = []
    for eagerly in (False, True):
        keras.utils.set_random_seed(0)
        network = build(name, tasks, **arguments)
        model = mtl.BalancedModel(network, tasks, balancers.PCGrad())
        model.compile(keras.optimizers.SGD(RATE), run_eagerly=eagerly)
        for _ in range(2):
            model.train_on_batch(features, labels)
        weights.append(network.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cascade", "deep_bayesian", "esmm", "mti_net", "pad_net"])
def test_chains_train_at_their_representation(name):
    tasks, labels, features = problem(name, {})
    model = mtl.BalancedModel(build(name, tasks), tasks, balancers.MGDA(), at="representation")
    model.compile(keras.optimizers.SGD(RATE))
    logs = [model.train_on_batch(features, labels, return_dict=True) for _ in range(5)]
    assert np.isfinite([list(step_logs.values()) for step_logs in logs]).all()
    assert logs[-1]["loss"] < logs[0]["loss"]


@pytest.mark.slow
def test_a_funnel_from_missing_labels_to_serving(tmp_path):
    tasks = [Task.binary("click"), Task.binary("conversion", weight=0), Task.binary("purchase")]
    network = architectures.esmm(keras.Input((SIZE,), name="features"), tasks, tower=(4,))
    model = mtl.BalancedModel(network, tasks, balancers.PCGrad())
    model.compile("adam", run_eagerly=True)
    x, labels = impressions()
    dataset = mtl.data.mask_missing(
        tf.data.Dataset.from_tensor_slices((x, labels)).batch(32), tasks
    )
    logs = model.fit(dataset, validation_data=dataset, verbose=0).history
    assert logs["conversion_weight"] == [0.0] and logs["val_conversion_auc"][0] > 0
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    folder = mtl.export.saved_model(again, tasks, tmp_path / "1")
    served = tf.saved_model.load(folder)
    outputs = served.signatures["conversion"](features=tf.constant(x))
    np.testing.assert_allclose(outputs["conversion"], network(x)["conversion"], atol=1e-6)
