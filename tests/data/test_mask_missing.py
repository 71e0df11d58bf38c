import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from keras_mtl import Labels, Task, compile_args
from keras_mtl.data import mask_missing

ROWS = 5
TASKS = [
    Task.regression("price"),
    Task.multiclass("topic", 4),
    Task.multilabel("assays", columns=["b", "a"]),
    Task.tagging("pos", 4),
]
maybe_float = st.floats(-4, 4, width=32) | st.just(float("nan"))
LABELS = st.fixed_dictionaries(
    {
        "price": arrays("float32", (ROWS,), elements=maybe_float),
        "topic": arrays("int64", (ROWS,), elements=st.integers(-1, 3)),
        "assays": arrays("float32", (ROWS, 2), elements=st.sampled_from([0.0, 1.0, np.nan])),
        "pos": arrays("int32", (ROWS, 3), elements=st.integers(-1, 3)),
    }
)
WEIGHTS = st.fixed_dictionaries(
    {},
    optional={
        "price": arrays("float32", (ROWS,), elements=st.sampled_from([0.5, 2.0])),
        "assays": arrays("float32", (ROWS,), elements=st.sampled_from([0.5, 2.0])),
        "pos": arrays("float32", (ROWS, 3), elements=st.sampled_from([0.5, 2.0])),
    },
)


def valid(label):
    return ~np.isnan(label) if label.dtype.kind == "f" else label != -1


def only(dataset):
    (element,) = list(dataset)
    return keras.tree.map_structure(np.asarray, element)


@settings(max_examples=15, deadline=None, phases=[Phase.generate])  # shrinking takes minutes
@given(LABELS, WEIGHTS)
def test_masking_before_and_after_batching_gives_what_numpy_gives(y, w):
    x = np.arange(ROWS, dtype="float32")
    rows = tf.data.Dataset.from_tensor_slices((x, y, w) if w else (x, y))
    before = mask_missing(rows, TASKS).batch(ROWS)
    after = mask_missing(rows.batch(ROWS), TASKS)
    for dataset in (before, after):
        assert dataset.cardinality() == 1
        inputs, labels, weights = only(dataset)
        np.testing.assert_array_equal(inputs, x)
        assert labels.keys() == weights.keys() == y.keys()
        for name, label in y.items():
            there = valid(label)
            weight = w.get(name, np.ones(ROWS, "float32"))
            weight = weight.reshape(weight.shape + (1,) * (label.ndim - weight.ndim))
            np.testing.assert_array_equal(labels[name], np.where(there, label, 0))
            np.testing.assert_array_equal(weights[name], np.where(there, weight, 0))
            assert labels[name].dtype == label.dtype
            assert weights[name].dtype == np.float32


def test_weights_beside_missing_labels_may_be_nan():
    y, w = {"price": [1.0, np.nan]}, {"price": [2.0, np.nan]}
    dataset = tf.data.Dataset.from_tensor_slices(([0, 0], y, w)).batch(2)
    _, _, weights = only(mask_missing(dataset, TASKS[:1]))
    assert weights["price"].tolist() == [2, 0]


def test_another_sentinel_leaves_minus_one_alone():
    task = Task("rank", head=lambda x: x, loss="mse", labels=Labels(integer=True))
    dataset = tf.data.Dataset.from_tensor_slices(([0, 0], {"rank": [-1, 99]})).batch(2)
    _, labels, weights = only(mask_missing(dataset, [task], sentinel=99))
    assert labels["rank"].tolist() == [-1, 0]
    assert weights["rank"].tolist() == [1, 0]


@pytest.mark.parametrize("dtype", ["uint8", "bool"])
def test_labels_that_cannot_hold_the_sentinel_are_all_valid(dtype):
    label = tf.cast([0, 1], dtype)
    dataset = tf.data.Dataset.from_tensor_slices(([0, 0], {"click": label})).batch(2)
    _, labels, weights = only(mask_missing(dataset, [Task.binary("click")]))
    assert weights["click"].tolist() == [1, 1]
    np.testing.assert_array_equal(labels["click"], label)


def test_single_weights_of_shape_batch_by_one_fit_labels_of_shape_batch():
    y, w = {"price": [1.0, np.nan]}, {"price": [[2.0], [2.0]]}
    dataset = tf.data.Dataset.from_tensor_slices(([0, 0], y, w)).batch(2)
    _, _, weights = only(mask_missing(dataset, TASKS[:1]))
    assert weights["price"].tolist() == [2, 0]


def test_weights_with_more_axes_than_labels_are_refused():
    y, w = {"price": [1.0, 2.0]}, {"price": [[2.0, 1.0], [2.0, 1.0]]}
    dataset = tf.data.Dataset.from_tensor_slices(([0, 0], y, w)).batch(2)
    with pytest.raises(ValueError, match=r"task 'price': sample weights of shape .* do not fit"):
        mask_missing(dataset, TASKS[:1])


def test_the_order_of_keys_does_not_matter():
    y = {"b": [0.0, np.nan], "a": [np.nan, 1.0]}
    dataset = tf.data.Dataset.from_tensor_slices(([0, 0], y)).batch(2)
    for tasks in (["a", "b"], ["b", "a"]):
        _, _, weights = only(mask_missing(dataset, [Task.regression(name) for name in tasks]))
        assert weights["b"].tolist() == [1, 0]
        assert weights["a"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("element", "error", "message"),
    [
        (([0.0], {"b": [1.0]}), ValueError, "no label for task 'a'"),
        (([0.0], {"a": [1.0], "b": [1.0], "c": [1.0]}), ValueError, "'c' belongs to no task"),
        (([0.0], ([1.0], [1.0])), TypeError, "labels must be a dict.*tuple of length 2"),
        (([0.0], [1.0]), TypeError, "labels must be a dict.*one tensor"),
        (([0.0], {"a": [1.0], "b": [1.0]}, [1.0]), TypeError, "sample weights must be a dict"),
        (
            ([0.0], {"a": [1.0], "b": [1.0]}, {"bb": [1.0]}),
            ValueError,
            "sample weight 'bb' belongs to no task",
        ),
        ([0.0], TypeError, r"must yield \(x, y\)"),
    ],
)
def test_other_structures_are_refused(element, error, message):
    dataset = tf.data.Dataset.from_tensor_slices(element).batch(1)
    with pytest.raises(error, match=message):
        mask_missing(dataset, [Task.binary("b"), Task.binary("a")])


def test_arrays_are_refused():
    with pytest.raises(TypeError, match=r"expected a tf\.data\.Dataset.*received a tuple"):
        mask_missing((np.zeros(2), {"a": np.zeros(2)}), [Task.binary("a")])


def test_masked_labels_train_to_finite_weights_where_bare_nan_does_not():
    task = Task.regression("price")
    y = {"price": np.array([1.0, np.nan, 2.0, 0.5], "float32")}
    dataset = tf.data.Dataset.from_tensor_slices((np.ones((4, 2), "float32"), y)).batch(2)

    def trained(data):
        inputs = keras.Input((2,))
        network = keras.Model(inputs, {"price": task.output(inputs)})
        network.compile("sgd", **compile_args([task]))
        network.fit(data, shuffle=False, verbose=0)
        return np.concatenate([np.ravel(weights) for weights in network.get_weights()])

    assert np.isnan(trained(dataset)).any()
    assert np.isfinite(trained(mask_missing(dataset, [task]))).all()


def test_each_task_may_have_its_own_sentinel():
    tasks = [Task.regression("no2"), Task.multiclass("topic", 4), Task.multiclass("part", 4)]
    y = {"no2": [-200.0, -1.0, np.nan], "topic": [9, 0, -1], "part": [-1, 0, 3]}
    dataset = tf.data.Dataset.from_tensor_slices(([0, 0, 0], y)).batch(3)
    _, labels, weights = only(mask_missing(dataset, tasks, sentinel={"no2": -200.0, "topic": 9}))
    assert weights["no2"].tolist() == [0, 1, 0]
    assert labels["no2"].tolist() == [0, -1, 0]
    assert weights["topic"].tolist() == [0, 1, 1]
    assert weights["part"].tolist() == [0, 1, 1]


def test_ragged_labels_become_dense_and_what_is_beyond_their_end_has_no_weight():
    ragged = tf.ragged.constant([[1, -1, 3], [2]])
    ragged_weights = {"pos": tf.ragged.constant([[0.5, 1.0, 2.0], [4.0]])}
    dataset = tf.data.Dataset.from_tensors(([0, 0], {"pos": ragged}))
    _, labels, weights = only(mask_missing(dataset, TASKS[3:]))
    assert labels["pos"].tolist() == [[1, 0, 3], [2, 0, 0]]
    assert weights["pos"].tolist() == [[1, 0, 1], [1, 0, 0]]
    dataset = tf.data.Dataset.from_tensors(([0, 0], {"pos": ragged}, ragged_weights))
    _, _, weights = only(mask_missing(dataset, TASKS[3:]))
    assert weights["pos"].tolist() == [[0.5, 0, 2], [4, 0, 0]]


@pytest.mark.parametrize("batch_size", [None, 2])
def test_absent_tasks_get_labels_of_their_kind_without_weight(batch_size):
    x = np.zeros((2, 6, 3), "float32")
    dataset = tf.data.Dataset.from_tensor_slices((x, {"price": [1.0, 2.0]}))
    masked = mask_missing(dataset, TASKS, absent=["topic", "assays", "pos"])
    if batch_size:
        masked = mask_missing(dataset.batch(2), TASKS, absent=["topic", "assays", "pos"])
    _, labels, weights = only(masked if batch_size else masked.batch(2))
    assert list(labels) == list(weights) == [task.name for task in TASKS]
    assert labels["topic"].shape == weights["topic"].shape == (2,)
    assert labels["topic"].dtype == np.int64
    assert labels["assays"].shape == weights["assays"].shape == (2, 2)
    assert labels["pos"].shape == weights["pos"].shape == (2, 6)
    assert all(not weights[name].any() for name in ("topic", "assays", "pos"))
    assert weights["price"].tolist() == [1, 1]


def test_absent_tasks_and_sentinels_are_checked_by_name():
    dataset = tf.data.Dataset.from_tensor_slices(([0, 0], {"price": [1.0, 2.0]})).batch(2)
    with pytest.raises(ValueError, match="'topik' belongs to no task"):
        mask_missing(dataset, TASKS[:2], absent=["topik", "topic"])
    with pytest.raises(ValueError, match="sentinel 'prise' belongs to no task"):
        mask_missing(dataset, TASKS[:1], sentinel={"prise": 0})
    with pytest.raises(ValueError, match="inputs do not tell how long axis 0 is"):
        mask_missing(dataset, [TASKS[0], TASKS[3]], absent=["pos"])
    custom = Task("custom", head=lambda x: x, loss="mse")
    with pytest.raises(ValueError, match="task 'custom' does not say what its labels look like"):
        mask_missing(dataset, [TASKS[0], custom], absent=["custom"])
