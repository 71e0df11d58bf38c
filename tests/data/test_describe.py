import warnings

import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import Task
from keras_mtl.data import describe, mixture

TASKS = [
    Task.regression("price"),
    Task.multiclass("topic", 4),
    Task.multilabel("assays", columns=["b", "a", "c"]),
    Task.tagging("pos", 3),
]
RNG = np.random.default_rng(0)
ROWS = 50
LABELS = {
    "price": np.where(RNG.random(ROWS) < 0.3, np.nan, RNG.normal(1e4, 3, ROWS)).astype("float32"),
    "topic": RNG.integers(-1, 4, ROWS),
    "assays": np.where(
        RNG.random((ROWS, 3)) < 0.5, np.nan, RNG.integers(0, 2, (ROWS, 3)).astype("float32")
    ),
    "pos": RNG.integers(0, 3, (ROWS, 6)),
}
ROWS_OF_X = np.zeros((ROWS, 1), "float32")
RARE = [Task.binary("often"), Task.binary("seldom")]


def quietly(dataset, tasks):
    with warnings.catch_warnings(action="ignore"):
        return describe(dataset, tasks)


@pytest.mark.parametrize("batch_size", [None, 7])
def test_counts_and_moments_are_those_of_numpy(batch_size):
    dataset = tf.data.Dataset.from_tensor_slices((ROWS_OF_X, LABELS))
    summary = quietly(dataset.batch(batch_size) if batch_size else dataset, TASKS)
    assert list(summary) == [task.name for task in TASKS]
    for name, values in LABELS.items():
        there = ~np.isnan(values) if values.dtype.kind == "f" else values != -1
        assert summary[name].examples == ROWS
        assert (summary[name].entries, summary[name].labels) == (values.size, there.sum())
        assert summary[name].missing == pytest.approx(1 - there.mean())
        labels = values[there].astype("float64")
        assert summary[name].mean == pytest.approx(labels.mean(), rel=1e-9)
        assert summary[name].std == pytest.approx(labels.std(), rel=1e-9)
        assert (summary[name].low, summary[name].high) == (labels.min(), labels.max())
        if name == "price":
            assert summary[name].classes == {}
        else:
            classes, counts = np.unique(labels, return_counts=True)
            assert summary[name].classes == dict(zip(classes, counts, strict=True))
    for index, column in enumerate(["b", "a", "c"]):
        labels = LABELS["assays"][:, index]
        column_summary = summary["assays"].columns[column]
        assert column_summary.labels == (~np.isnan(labels)).sum()
        assert column_summary.classes.get(1, 0) == np.nansum(labels)


def test_tokens_beyond_the_end_of_a_sentence_are_no_labels():
    sentences = [[0, 1], [2], [1, 1, -1]]
    dataset = tf.data.Dataset.from_generator(
        lambda: ((0, {"pos": tags}) for tags in sentences),
        output_signature=(tf.TensorSpec([], "int32"), {"pos": tf.TensorSpec([None], "int64")}),
    )
    summary = quietly(dataset, TASKS[3:])["pos"]
    assert (summary.examples, summary.entries, summary.labels) == (3, 6, 5)
    assert summary.classes == {0: 1, 1: 3, 2: 1}


def test_the_table_names_tasks_counts_and_shares(capsys):
    quietly(tf.data.Dataset.from_tensor_slices((ROWS_OF_X, LABELS)).batch(9), TASKS)
    title, *rows = capsys.readouterr().out.splitlines()
    assert title.split() == ["task", "examples", "labels", "missing", "values"]
    assert [row.split()[0] for row in rows] == ["price", "topic", "assays", "pos"]
    assert "(3 columns)" in rows[2]
    missing = np.mean(LABELS["topic"] == -1)
    assert f"{missing:.1%}".replace("%", " %") in rows[1]
    assert f"2: {np.sum(LABELS['topic'] == 2)}" in rows[1]


def test_many_classes_are_listed_in_part(capsys):
    labels = np.arange(40)
    describe(
        tf.data.Dataset.from_tensor_slices((labels, {"id": labels})), [Task.multiclass("id", 40)]
    )
    assert "9: 1, ... 40 in all" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("tasks", "labels", "message"),
    [
        (RARE, {"often": [0.0, 1.0], "seldom": [np.nan] * 2}, "'seldom' has no label"),
        (
            RARE,
            {"often": [0.0, 1.0] * 150, "seldom": [0.0, 1.0] + [np.nan] * 298},
            r"'seldom' has 2 labels, 0.67% of those of 'often'",
        ),
        (TASKS[1:2], {"topic": [0, 1, 3]}, "'topic': 1 of 4 classes have no example: 2"),
        (TASKS[:1], {"price": [3.0, 3.0]}, "'price': all labels are 3"),
        (
            TASKS[2:3],
            {"assays": [[0.0, 1.0, np.nan], [1.0, 1.0, np.nan]]},
            "'assays': 2 of 3 columns have no label or one value only.*: a, c",
        ),
    ],
)
def test_what_will_hurt_is_warned_of_by_name(tasks, labels, message):
    rows = len(next(iter(labels.values())))
    dataset = tf.data.Dataset.from_tensor_slices((np.zeros(rows), labels)).batch(100)
    with pytest.warns(UserWarning, match=message):
        describe(dataset, tasks)


def test_good_data_are_not_warned_of():
    labels = {"often": [0.0, 1.0], "seldom": [1.0, 0.0]}
    describe(tf.data.Dataset.from_tensor_slices(([0, 0], labels)), RARE)


def test_a_mixture_is_described_by_the_labels_of_its_sets():
    sets = {
        name: tf.data.Dataset.from_tensor_slices((np.zeros(size), {name: np.arange(size) % 2}))
        for name, size in {"often": 30, "seldom": 10}.items()
    }
    summary = describe(mixture(sets, RARE, batch_size=8), RARE)
    assert summary["seldom"].classes == {0: 5, 1: 5}
    assert summary["seldom"].missing == 0.75


def test_data_without_rows_or_without_end_are_refused():
    dataset = tf.data.Dataset.from_tensor_slices(([0], {"often": [1]}))
    with pytest.raises(ValueError, match="the dataset is empty"):
        describe(dataset.take(0), RARE[:1])
    with pytest.raises(ValueError, match="the dataset is infinite"):
        describe(dataset.repeat(), RARE[:1])
