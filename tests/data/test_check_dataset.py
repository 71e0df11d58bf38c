import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import Task
from keras_mtl.data import check_dataset, known_cardinality, mask_missing

TASKS = [
    Task.regression("price"),
    Task.multiclass("topic", 3),
    Task.binary("click"),
    Task.multilabel("assays", 2),
    Task.segmentation("parts", 3),
    Task("anything", head=lambda features: features, loss="mse"),
]
GOOD = {
    "price": np.array([1.0, -2.0], "float32"),
    "topic": np.array([0, 2]),
    "click": np.array([0, 1]),
    "assays": np.array([[0, 1], [1, 1]]),
    "parts": np.ones((2, 4, 4), "int32"),
    "anything": np.array([[np.nan], [9.0]]),
}


def dataset(weights=None, **labels):
    x = np.zeros((2, 3), "float32")
    parts = (x, GOOD | labels) if weights is None else (x, GOOD | labels, weights)
    return tf.data.Dataset.from_tensor_slices(parts).batch(2)


def ones(**weights):
    return {name: np.ones(2, "float32") for name in GOOD} | weights


@pytest.mark.parametrize(
    "good",
    [
        dataset(),
        dataset(ones()),
        dataset(click=np.array([[0.0], [1.0]])),
        dataset(click=np.array([False, True])),
        dataset(topic=np.array([0.0, 2.0])),
        dataset(ones(price=np.array([1.0, 0.0])), price=np.array([1.0, np.nan])),
        dataset(ones(price=np.ones((2, 1)))),
        dataset(ones(assays=np.eye(2)), assays=np.array([[0.0, np.nan], [np.nan, 1.0]])),
        dataset(ones(parts=np.zeros((2, 4, 4))), parts=np.full((2, 4, 4), 255)),
    ],
)
def test_good_data_passes(good):
    check_dataset(good, TASKS)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"topic": np.array([0, 3])}, "task 'topic': labels go from 0 to 3; expected 0 to 2"),
        ({"topic": np.array([0, -1])}, "task 'topic': labels go from -1 to 0.*mask_missing"),
        ({"topic": np.array([0.0, 1.5])}, "task 'topic': labels are classes, and 1.5 is not"),
        ({"click": np.array([0, 2])}, "task 'click': labels go from 0 to 2; expected 0 to 1"),
        ({"price": np.array([0, np.nan])}, "task 'price': a label is NaN .*mask_missing"),
        ({"price": np.array([0, np.inf])}, "task 'price': a label is infinite"),
        ({"price": np.zeros((2, 2))}, r"task 'price': labels have shape \(None, 2\)"),
        ({"assays": np.zeros((2, 3))}, r"task 'assays': labels have shape \(None, 3\)"),
        ({"assays": np.zeros(2)}, "task 'assays': .*seems not to be batched"),
        ({"click": np.array(["yes", "no"])}, "task 'click': labels are .*expected a dense tensor"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        check_dataset(dataset(**labels), TASKS)


def test_counts_have_no_upper_bound():
    task = Task.count("rentals")
    rows = tf.data.Dataset.from_tensor_slices(([0.0, 0.0], {"rentals": [-1, 2]})).batch(2)
    with pytest.raises(ValueError, match=r"task 'rentals': labels go from -1 to 2.*at least 0"):
        check_dataset(rows, [task])


def test_ragged_labels_are_refused():
    ragged = tf.ragged.constant([[1], [0, 1]])
    rows = tf.data.Dataset.from_tensor_slices(([0.0, 0.0], {"pos": ragged})).batch(2)
    with pytest.raises(ValueError, match=r"task 'pos': .*expected a dense tensor"):
        check_dataset(rows, [Task.tagging("pos", 3)])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (ones(price=np.ones((2, 2))), "task 'price': sample weights have shape"),
        (ones(assays=np.ones((2, 3))), "task 'assays': sample weights have shape"),
        (ones(pric=np.ones(2)), "sample weight 'pric' belongs to no task"),
        ({"price": np.ones(2)}, "no sample weight for task .*data.mask_missing adds weights"),
    ],
)
def test_weights_that_do_not_fit_are_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        check_dataset(dataset(bad), TASKS)


def test_unbatched_data_are_refused():
    with pytest.raises(ValueError, match=r"task 'price': .*seems not to be batched"):
        check_dataset(dataset().unbatch().apply(known_cardinality), TASKS)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"b": [0]}, "no label for task 'a'"),
        ({"b": [0], "a": [0], "c": [0]}, "label 'c' belongs to no task"),
        ({"b": [0], "A": [0]}, "no label for task 'a' and label 'A' belongs to no task"),
    ],
)
def test_every_task_has_a_label_and_every_label_a_task(labels, message):
    rows = tf.data.Dataset.from_tensor_slices(([0.0], labels)).batch(1)
    with pytest.raises(ValueError, match=message):
        check_dataset(rows, [Task.binary("b"), Task.binary("a")])


@pytest.mark.parametrize("y", [([0], [1]), [0]])
def test_labels_that_are_no_dict_are_refused(y):
    rows = tf.data.Dataset.from_tensor_slices(([0.0], y)).batch(1)
    with pytest.raises(TypeError, match="labels must be a dict"):
        check_dataset(rows, [Task.binary("b"), Task.binary("a")])


def test_an_unknown_number_of_batches_is_refused():
    unknown = dataset().filter(lambda x, y: True)
    with pytest.raises(ValueError, match=r"number of batches is unknown.*known_cardinality"):
        check_dataset(unknown, TASKS)
    check_dataset(known_cardinality(unknown), TASKS)


def test_infinite_data_need_the_steps_of_an_epoch():
    with pytest.raises(ValueError, match="infinite; pass steps_per_epoch"):
        check_dataset(dataset().repeat(), TASKS)
    check_dataset(dataset().repeat(), TASKS, steps_per_epoch=3)


def test_empty_data_are_refused():
    with pytest.raises(ValueError, match="the dataset is empty"):
        check_dataset(dataset().take(0), TASKS)


def test_without_peek_no_batch_is_read():
    def fail(*_):
        raise RuntimeError("read")

    unread = dataset(click=np.array([0, 7])).map(
        lambda x, y: (x, y | {"price": tf.numpy_function(fail, [], tf.float32)})
    )
    unread = unread.map(lambda x, y: (x, y | {"price": tf.ensure_shape(y["price"], [None])}))
    check_dataset(unread, TASKS, peek=False)


def test_what_mask_missing_gives_passes():
    missing = dataset(
        price=np.array([1.0, np.nan]),
        topic=np.array([-1, 2]),
        assays=np.array([[np.nan, 0.0], [1.0, np.nan]]),
    )
    check_dataset(mask_missing(missing, TASKS), TASKS)
