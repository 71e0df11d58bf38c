"""Predictions of teachers as labels, beside numbers by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Head, Task, transfer
from keras_mtl.transfer._soft_labels import Softened

TASKS = [Task.multiclass("z", 3), Task.binary("a", metrics=()), Task.regression("n")]
X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
LABELS = {
    "z": np.array([0, 1, 2, np.nan, np.nan, 1]),
    "a": np.array([1, np.nan, 0, 1, np.nan, 0]),
    "n": np.array([0.5, 1, np.nan, 2, 3, 4]),
}


def rows(labels=None, size=3):
    return tf.data.Dataset.from_tensor_slices((X, labels or LABELS)).batch(size)


def softmax(z):
    return np.exp(z) / np.exp(z).sum(-1, keepdims=True)


@pytest.fixture(scope="module")
def teacher():
    keras.utils.set_random_seed(1)
    return mtl.architectures.hard_sharing(keras.Input((4,), name="x"), TASKS, shared=(5,))


def test_the_golden_values():
    teacher, student = np.array([[2.0, 1, -1]]), np.array([[1.0, 1, 0]])
    p_teacher, p_student = softmax(teacher).astype("float32"), softmax(student).astype("float32")
    for prediction in (
        tf.constant(p_student),
        keras.activations.softmax(tf.constant(student, tf.float32)),
    ):
        loss = float(Softened(2.0).call(p_teacher, prediction)[0])
        assert loss == pytest.approx(4.0760, abs=5e-5)
    soft = softmax(teacher / 2)
    np.testing.assert_allclose(soft, [[0.5465, 0.3315, 0.1220]], atol=5e-5)
    assert loss + 4 * (soft * np.log(soft)).sum() == pytest.approx(0.2648, abs=5e-5)  # T^2 KL
    hard = np.array([[1.0, 0, 0]])
    losses = [
        float(Softened(1.0).call(share * hard + (1 - share) * p_teacher, prediction)[0])
        for share in (0, 0.25, 0.5, 1)
    ]
    np.testing.assert_allclose(losses, [0.8971, 0.8883, 0.8796, 0.8620], atol=6e-5)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_labels_are_mixed_where_there_are_some(teacher, share):
    mixed = transfer.with_teachers(rows(), dict.fromkeys("zan", teacher), TASKS, share=share)
    x, y, w = next(iter(mixed.unbatch().batch(6)))
    soft = {name: np.asarray(value) for name, value in teacher(x).items()}
    for task in TASKS:
        known = ~np.isnan(LABELS[task.name])
        hard = np.nan_to_num(LABELS[task.name])
        hard = np.eye(3)[hard.astype(int)] if task.name == "z" else hard[:, None]
        expected = np.where(
            known[:, None], share * hard + (1 - share) * soft[task.name], soft[task.name]
        )
        np.testing.assert_allclose(y[task.name], expected, atol=1e-6)
        np.testing.assert_array_equal(np.ravel(w[task.name]), np.ones(6))


def test_the_share_rises_over_batches(teacher):
    mixed = transfer.with_teachers(rows(size=1), {"a": teacher}, TASKS, annealing=4)
    labels = [float(y["a"][0, 0]) for _, y, _ in mixed]
    soft = teacher(X)["a"][:, 0]
    expected = [soft[0], soft[1], 0.5 * soft[2], 0.75 + 0.25 * soft[3], soft[4], 0.0]
    np.testing.assert_allclose(labels, expected, atol=1e-6)


def test_a_network_learns_without_forgetting_its_old_self(teacher):
    """Checks that the teacher stays as it was while layers that it shares are trained."""
    new = Task.binary("new", metrics=())
    larger = transfer.add_task(teacher, new)
    tasks = [*TASKS, new]
    labels = {**{name: np.full(6, np.nan) for name in "zan"}, "new": np.array([0, 1, 0, 1, 1, 0.0])}
    data = transfer.with_teachers(rows(labels), dict.fromkeys("zan", teacher), tasks)
    before = [np.asarray(y["z"]) for _, y, _ in data]
    students = [transfer.taught(TASKS[0], 2.0), transfer.taught(TASKS[1]), TASKS[2], new]
    model = mtl.BalancedModel(larger, students, mtl.balancers.PCGrad())
    model.compile(keras.optimizers.Adam(0.05))
    kept = teacher.get_weights()
    history = model.fit(data, epochs=2, verbose=0).history
    assert np.isfinite([history[f"{name}_loss"] for name in ("z", "a", "n", "new")]).all()
    assert np.abs(teacher.get_weights()[0] - kept[0]).max() > 0.01
    for old, (_, y, _) in zip(before, data, strict=True):
        np.testing.assert_allclose(y["z"], old, atol=1e-6)
    teacher.set_weights(kept)


INPUTS = keras.Input((4,), name="x")


def of(width):
    """Builds a teacher that predicts logits."""
    return keras.Model(INPUTS, {"z": keras.layers.Dense(width)(INPUTS)})


@pytest.mark.parametrize(
    ("teachers", "options", "message"),
    [
        ({"q": None}, {}, r"\['q'\] are no tasks"),
        ({}, {}, "dict from some of the tasks"),
        ({"z": of(3)}, {}, "task 'z': the teacher's predictions are no probabilities"),
        ({"z": of(4)}, {}, "and the task has 3 entries"),
        ({"a": of(3)}, {}, "task 'a' has no output of that name"),
        ({"z": of(3)}, {"share": 1.5}, "share is"),
        ({"z": of(3)}, {"annealing": 0}, "annealing must be"),
    ],
)
def test_bad_input_is_refused(teachers, options, message):
    with pytest.raises(ValueError, match=message):
        transfer.with_teachers(rows(), teachers, TASKS, **options)


def test_what_cannot_be_taught_is_refused():
    with pytest.raises(ValueError, match="task 'a': a temperature softens"):
        transfer.taught(TASKS[1], 2.0)
    with pytest.raises(ValueError, match="temperature must be positive"):
        transfer.taught(TASKS[0], -1.0)
    with pytest.raises(ValueError, match="task 'u': what its labels say"):
        transfer.taught(Task("u", head=Head(1), loss=lambda y, p: abs(y - p)))
