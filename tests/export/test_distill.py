"""A small network learns the predictions of a large one, whatever labels there are."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.export import distill
from keras_mtl.transfer._soft_labels import soft_label, soft_loss

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(256, 3)).astype("float32")


def make_tasks():
    scaled = mtl.Task.regression("b", scale="standard").fit_scale([325.0, 475.0])
    return [mtl.Task.binary("z", weight=2.0), scaled, mtl.Task.multiclass("a", 3)]


def network_on(inputs, tasks, slope=0.0):
    """Builds heads on the inputs alone, so that a student can be as good as its teacher."""
    network = keras.Model(inputs, {task.name: task.output(inputs) for task in tasks})
    for variable in network.trainable_variables:
        variable.assign(slope * RANDOM.normal(size=variable.shape))
    return network


def student_of(tasks):
    return network_on(keras.Input((3,), name="x"), tasks)


@pytest.fixture(scope="module")
def taught():
    tasks = make_tasks()
    teacher = network_on(keras.Input((3,), name="x"), tasks, slope=1.5)
    missing = {"z": np.full(256, np.nan), "b": np.full(256, np.nan), "a": np.full(256, -1)}
    dataset = tf.data.Dataset.from_tensor_slices((X, missing)).batch(32)
    before = [variable.numpy() for variable in teacher.variables]
    student = distill(
        teacher,
        student_of,
        dataset,
        tasks,
        optimizer=keras.optimizers.Adam(0.15),
        epochs=20,
        verbose=0,
        validation_data=dataset,
        validation_freq=20,
    )
    return tasks, teacher, before, student


def test_a_student_of_the_teachers_form_becomes_the_teacher_without_a_label(taught):
    _, teacher, _, student = taught
    expected, predicted = (network.predict(X, verbose=0) for network in (teacher, student))
    for name in ("z", "a"):
        assert np.ptp(expected[name]) > 0.5
        np.testing.assert_allclose(predicted[name], expected[name], atol=0.03)
    np.testing.assert_allclose(predicted["b"], expected["b"], atol=0.03 * np.std(expected["b"]))


def test_the_teacher_stays_as_it_is(taught):
    _, teacher, before, _ = taught
    for variable, values in zip(teacher.variables, before, strict=True):
        np.testing.assert_array_equal(variable, values)


def test_the_loss_at_the_teacher_is_the_entropy_of_its_predictions(taught):
    _, teacher, _, student = taught
    p, q = (np.float64(teacher.predict(X, verbose=0)[name]) for name in ("z", "a"))
    entropies = -(p * np.log(p) + (1 - p) * np.log(1 - p)), -(q * np.log(q)).sum(1)
    # The weight of z is 2; the distance of a number to itself is 0.
    least = 2 * entropies[0].mean() + entropies[1].mean()
    assert least < student.history.history["val_loss"][-1] < 1.02 * least


def test_logits_of_the_teacher_become_probabilities_and_those_of_the_student_stay():
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    task = mtl.Task("z", head=mtl.Head(1), loss=loss)
    logits = np.float32([[2.0], [-1.0]])
    probabilities = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(soft_label(task, logits), probabilities, rtol=1e-6)
    assert float(soft_loss(task)(probabilities, logits)) == pytest.approx(
        float(keras.losses.BinaryCrossentropy()(probabilities, probabilities)), rel=1e-5
    )


@pytest.mark.parametrize(
    ("student", "message"),
    [
        (
            lambda tasks: student_of(tasks[:2]),
            r"exactly the tasks \['z', 'b', 'a'\]; .*\['b', 'z'\]",
        ),
        (
            lambda tasks: student_of([*tasks[:2], mtl.Task.multiclass("a", 4)]),
            r"task 'a': the teacher predicts \(3,\) per row and the student \(4,\)",
        ),
    ],
)
def test_a_student_of_other_tasks_or_shapes_is_refused(taught, student, message):
    tasks, teacher, _, _ = taught
    with pytest.raises(ValueError, match=message):
        distill(teacher, student, tf.data.Dataset.from_tensor_slices(X).batch(8), tasks)


def test_what_cannot_be_taught_is_refused(taught):
    tasks, teacher, _, _ = taught
    with pytest.raises(ValueError, match=r"the teacher has no tasks \['c'\]"):
        distill(teacher, student_of, None, [*tasks, mtl.Task.binary("c")])
    with pytest.raises(TypeError, match=r"a batched tf.data.Dataset of x, .* received a ndarray"):
        distill(teacher, student_of, X, tasks)
    with pytest.raises(TypeError, match=r"the teacher must be a functional keras\.Model"):
        distill(keras.Sequential(), student_of, None, tasks)
