import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_mtl import Task
from keras_mtl.data import (
    LabelSummary,
    balanced_class_weights,
    class_weights,
    resample,
    weigh_tasks,
)

KIND = Task.multiclass("kind", 4)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=6))
@settings(deadline=None)
def test_balanced_classes_weigh_the_same_together_and_examples_one_on_average(counts):
    summary = {"kind": LabelSummary(classes=dict(enumerate(counts)))}
    weights = list(balanced_class_weights(summary)["kind"].values())
    totals = np.array(weights) * counts
    np.testing.assert_allclose(totals, totals[0])
    np.testing.assert_allclose(totals.sum(), sum(counts))


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=6), st.floats(0, 0.9999))
@settings(deadline=None)
def test_effective_numbers_are_sums_of_powers(counts, beta):
    summary = {"kind": LabelSummary(classes=dict(enumerate(counts)))}
    weights = np.array(list(balanced_class_weights(summary, beta=beta)["kind"].values()))
    # (1 - beta^n) / (1 - beta) = 1 + beta + ... + beta^(n - 1)
    effective = np.array([np.sum(beta ** np.arange(count)) for count in counts])
    np.testing.assert_allclose(weights * effective, (weights * effective)[0], rtol=1e-6)
    np.testing.assert_allclose(weights.sum(), len(counts))


def test_balanced_weights_make_frequent_and_rare_classes_equal_in_the_data():
    labels = np.array([0] * 90 + [3] * 10)
    dataset = tf.data.Dataset.from_tensor_slices((labels, {"kind": labels})).batch(100)
    summary = {"kind": LabelSummary(classes={0: 90, 3: 10}), "age": LabelSummary(labels=5)}
    weighted = class_weights(dataset, [KIND], balanced_class_weights(summary))
    ((_, _, w),) = weighted
    assert np.sum(w["kind"][:90]) == pytest.approx(np.sum(w["kind"][90:]), rel=1e-6)


def test_tasks_weigh_by_their_labels_and_by_what_they_weighed():
    tasks = [Task.binary("seldom", weight=3.0), Task.binary("often")]
    summary = {"often": LabelSummary(labels=300), "seldom": LabelSummary(labels=100)}
    assert [task.weight for task in weigh_tasks(summary, tasks)] == [1.5, 1.5]
    assert [task.weight for task in weigh_tasks(summary, tasks, power=0)] == [3, 1]
    inverse = [task.weight for task in weigh_tasks(summary, tasks, power=-1)]
    assert inverse == pytest.approx([4.5, 0.5])
    assert [task.weight for task in tasks] == [3, 1]


def test_numbers_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="beta must be at least 0 and below 1; received 1"):
        balanced_class_weights({}, beta=1.0)
    with pytest.raises(ValueError, match="task 'kind' has no labels in the summary"):
        weigh_tasks({"kind": LabelSummary()}, [KIND])


def examples(labels, weights=None):
    ids = np.arange(len(labels))
    parts = (ids, {"kind": labels, "id": ids})
    return tf.data.Dataset.from_tensor_slices(
        parts if weights is None else (*parts, {"kind": weights})
    )


LABELS = np.array([0, 0, 1, 0, -1, 0, 3, 0, 0, 1, 0, 0])


@pytest.mark.parametrize("until", ["first", "last"])
def test_classes_come_at_the_rates_and_examples_keep_their_labels_and_order(until):
    drawn = resample(examples(LABELS), KIND, rates={3: 0.25, 0: 0.75}, until=until)
    rows = [(int(x), int(y["kind"]), int(y["id"])) for x, y in drawn]
    assert drawn.cardinality() == len(rows)
    assert all(x == number and LABELS[x] == label for x, label, number in rows)
    counts = np.bincount([x for x, *_ in rows], minlength=12)
    frequent = counts[LABELS == 0]
    if until == "last":
        assert frequent.min() >= 1 >= frequent.max() - frequent.min()
    else:
        assert counts.max() == 1
    assert not counts[(LABELS != 0) & (LABELS != 3)].any()
    first = [x for x, label, _ in rows if label == 0][: (LABELS == 0).sum()]
    assert first == sorted(first)


def test_uniform_rates_even_out_all_classes_that_there_are():
    drawn = resample(examples(LABELS), KIND).repeat().take(3000)
    share = np.bincount([int(y["kind"]) for _, y in drawn]) / 3000
    np.testing.assert_allclose(share, [1 / 3, 1 / 3, 0, 1 / 3], atol=0.1)


def test_examples_of_any_length_and_without_weight_are_drawn_by_class():
    def rows():
        for place, label in enumerate(LABELS):
            yield [0] * place, {"kind": label}, {"kind": float(place != 6)}

    spec = (
        tf.TensorSpec([None], "int32"),
        {"kind": tf.TensorSpec([], "int64")},
        {"kind": tf.TensorSpec([], "float32")},
    )
    drawn = resample(tf.data.Dataset.from_generator(rows, output_signature=spec), KIND)
    places = [len(x) for x, _, _ in itertools.islice(drawn, 12)]
    assert {int(LABELS[place]) for place in places} == {0, 1}
    weights = (np.arange(12) != 6).astype("float32")
    drawn = resample(examples(LABELS, weights), KIND)
    assert {int(y["kind"]) for _, y, _ in drawn} == {0, 1}


@pytest.mark.parametrize(
    ("dataset", "task", "options", "message"),
    [
        (
            examples(LABELS),
            Task.binary("mood"),
            {},
            "task 'mood': the dataset has no label of it; it",
        ),
        (examples(LABELS).batch(2), KIND, {}, "'kind': resample draws single examples"),
        (examples(LABELS).repeat(), KIND, {}, "the dataset is infinite"),
        (examples(LABELS), Task.regression("kind"), {}, "'kind' has not one class per example"),
        (examples(LABELS * 0 - 1), KIND, {}, "'kind': the dataset has no label of it"),
        (
            examples(LABELS),
            KIND,
            {"rates": {0: 0.5, 2: 0.5}},
            r"the class\(es\) \[2\], which have no",
        ),
        (examples(LABELS), KIND, {"rates": {0: 0.5, 1: 0.6}}, "sum to 1.1"),
        (examples(LABELS), KIND, {"until": "once"}, "until is 'once'"),
    ],
)
def test_what_cannot_be_resampled_is_refused(dataset, task, options, message):
    with pytest.raises(ValueError, match=message):
        resample(dataset, task, **options)
