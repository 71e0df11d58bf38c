"""Metrics and functions that users wrote: copied whole, and fed with what they read."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from metric_table import KINDS

from keras_mtl import Head, Task

rng = np.random.default_rng(0)


class ShareAbove(keras.metrics.Mean):
    """Neither registered, nor with a configuration, nor obedient to weights."""

    def __init__(self, threshold=0.5, name="above", **kwargs):
        super().__init__(name=name, **kwargs)
        self.threshold = threshold

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(ops.cast(y_pred > self.threshold, "float32"))


class AllRight(keras.metrics.Mean):
    """The share of rows all of whose labels are right."""

    def __init__(self, name="all_right"):
        super().__init__(name=name)

    def update_state(self, y_true, y_pred, sample_weight=None):
        right = ops.all(ops.equal(y_true > 0.5, y_pred > 0.5), axis=-1)
        super().update_state(right, sample_weight)


class SentencesRight(keras.metrics.Mean):
    """The share of sequences all of whose positions are right."""

    def __init__(self, name="sentences", obeys=True):
        super().__init__(name=name)
        self.obeys = obeys

    def update_state(self, y_true, y_pred, sample_weight=None):
        right = ops.equal(ops.cast(y_true, "int32"), ops.cast(ops.argmax(y_pred, -1), "int32"))
        weights = sample_weight if self.obeys else ops.ones_like(sample_weight)
        right = ops.all(ops.logical_or(right, ops.equal(weights, 0.0)), axis=-1)
        super().update_state(right, ops.max(weights, axis=-1))


class Widest(keras.metrics.Metric):
    """The largest error; it takes no weights, and begins below all errors."""

    def __init__(self, name="widest"):
        super().__init__(name=name)
        self.value = self.add_variable((), "zeros")

    def update_state(self, y_true, y_pred):
        self.value.assign(ops.maximum(self.value, ops.max(ops.abs(y_true - y_pred))))

    def result(self):
        return self.value


class Nested(keras.metrics.Metric):
    """Two metrics inside of one, in a list, and a dict of settings."""

    def __init__(self, parts, name="nested"):
        super().__init__(name=name)
        self.parts = list(parts)
        self.settings = {"factor": 2.0}

    def update_state(self, y_true, y_pred, sample_weight=None):
        for part in self.parts:
            part.update_state(y_true, y_pred, sample_weight=sample_weight)

    def result(self):
        return self.settings["factor"] * sum(part.result() for part in self.parts)

    def reset_state(self):
        for part in self.parts:
            part.reset_state()


def rmsle(y_true, y_pred):
    return ops.mean(ops.square(ops.log1p(y_true) - ops.log1p(y_pred)), axis=-1)


def log_ratio(y_true, y_pred):
    """Is not finite for the label 0, with which missing labels are filled."""
    return ops.abs(ops.log(y_true) - ops.log(y_pred))


def hits_of_rows(y_true, y_pred):
    return ops.all(ops.equal(y_true > 0.5, y_pred > 0.5), axis=-1)


def columns(rows=12, width=3):
    """Returns labels, predictions and weights `(rows, width)`, with filled labels."""
    y = rng.integers(0, 2, (rows, width)).astype("float32")
    p = np.where(rng.random(y.shape) < 0.8, np.abs(y - 0.2), rng.random(y.shape))
    w = (rng.random(y.shape) < 0.7).astype("float32")
    w[0], w[1] = 0.0, 1.0
    return y * w, p.astype("float32"), w


def value(metric, *batches):
    for batch in batches:
        metric.update_state(*batch)
    return float(metric.result())


def first(task):
    return task.make_metrics()[0]


def test_a_copy_has_the_arguments_that_no_configuration_holds():
    metric = first(Task.binary("a", metrics=[ShareAbove(0.9)]))
    _, p, _ = columns(width=1)
    assert value(metric, (p > 0.5, p)) == pytest.approx((p > 0.9).mean())


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_missing_labels_are_taken_out_where_a_metric_does_not_obey_weights(kind):
    metric = first(KINDS[kind]([ShareAbove(0.6)]))
    batches = [columns(width=1 if kind == "binary" else 3) for _ in range(2)]
    nothing = tuple(np.zeros_like(values) for values in batches[0])
    p, w = (np.concatenate([batch[i] for batch in batches]) for i in (1, 2))
    # A batch without any label counts nothing, neither first nor later.
    assert value(metric, nothing, *batches, nothing) == pytest.approx((p > 0.6)[w > 0].mean())


def test_a_metric_without_weights_sees_valid_labels_only():
    metric = first(Task.regression("a", 3, metrics=[Widest()]))
    y, p, w = columns()
    y = np.where(w > 0, y, 100.0)
    assert value(metric, (y, p, w)) == pytest.approx(np.abs(y - p)[w > 0].max())


@pytest.mark.parametrize("metric", [AllRight(), hits_of_rows])
def test_a_metric_of_rows_sees_rows_without_missing_labels(metric):
    task = Task.multilabel("a", 3, metrics=[metric])
    y, p, w = columns()
    rows = w.all(axis=1)
    expected = ((y > 0.5) == (p > 0.5)).all(axis=1)[rows].mean()
    assert value(first(task), (y, p, w)) == pytest.approx(expected)
    assert task.metric_names == (getattr(metric, "name", "hits_of_rows"),)


def test_a_metric_of_sequences_sees_sequences_with_their_masks():
    metric = first(Task.tagging("a", 3, metrics=[SentencesRight()]))
    y = rng.integers(0, 3, (8, 4))
    w = (rng.random(y.shape) < 0.7).astype("float32")
    chosen = np.where(rng.random(y.shape) < 0.8, y, 0)
    right = ((y == chosen) | (w == 0)).all(axis=1)[w.any(axis=1)]
    p = np.eye(3, dtype="float32")[chosen]
    assert value(metric, (y, p, w)) == pytest.approx(right.mean())
    p = tf.constant(p)
    p._keras_mask = tf.constant(w > 0)
    metric.reset_state()
    assert value(metric, (y, p)) == pytest.approx(right.mean())


@pytest.mark.parametrize("function", [rmsle, log_ratio])
@pytest.mark.parametrize("wrap", [False, True])
def test_a_function_is_averaged_over_valid_labels(function, wrap):
    metric = keras.metrics.MeanMetricWrapper(function, name="mine") if wrap else function
    y, p, w = columns()
    y = np.where(w > 0, y + 1.0, 0.0).astype("float32")
    task = Task.count("a", metrics=[metric])
    parts = [values[:, :1] for values in (y, p, w)]
    expected = np.asarray(function(y, p))[w > 0] if function is log_ratio else None
    if expected is None:
        expected = ((np.log1p(y) - np.log1p(p)) ** 2)[w > 0]
    seen = value(first(Task.regression("a", 3, metrics=[metric])), (y, p, w))
    assert seen == pytest.approx(expected.mean(), rel=1e-5)
    assert value(first(task), parts) > 0
    assert task.metric_names == ("mine" if wrap else function.__name__,)


def test_functions_of_keras_are_known():
    y, p, w = columns()
    task = Task.multilabel("a", 3, metrics=[keras.metrics.binary_accuracy])
    assert value(first(task), (y, p, w)) == pytest.approx(((p > 0.5) == y)[w > 0].mean())
    with pytest.raises(ValueError, match=r"mean_squared_error.* compares numbers"):
        Task.multiclass("a", 3, metrics=[keras.losses.mean_squared_error])


def test_metrics_inside_of_a_metric_are_copied_with_it():
    outer = Nested([keras.metrics.MeanAbsoluteError(), keras.metrics.MeanSquaredError()])
    task = Task.regression("a", metrics=[outer])
    one, other = first(task), first(task)
    y, p, w = columns(width=1)
    errors = np.abs(y - p)[w > 0]
    assert value(one, (y, p, w)) == pytest.approx(2 * (errors + errors**2).mean(), rel=1e-5)
    assert float(other.result()) == float(outer.result()) == 0.0
    one.reset_state()
    assert float(one.result()) == 0.0


class KnownByItsBase(keras.metrics.AUC):
    def result(self):
        return 1.0 - super().result()


class Overridden(keras.metrics.AUC):
    reads = "last axis"

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_true, y_pred, sample_weight)


def test_a_subclass_reads_as_the_class_whose_update_it_has():
    y, p, w = columns()
    task = Task.multilabel("a", 3, metrics=[KnownByItsBase(name="x"), keras.metrics.AUC(name="y")])
    subclass, base, _ = task.make_metrics()
    assert value(subclass, (y, p, w)) == pytest.approx(1 - value(base, (y, p, w)))
    assert subclass.reading.reads == "element"
    said = first(Task.multilabel("a", 3, metrics=[Overridden(name="z")]))
    assert said.reading.reads == "last axis"


class Graph(keras.metrics.MeanAbsoluteError):
    @tf.function
    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_true, y_pred, sample_weight)


def test_an_update_that_is_a_graph_is_tried_as_well():
    metric = first(Task.regression("a", 3, metrics=[Graph(name="gap")]))
    y, p, w = columns()
    assert value(metric, (y, p, w)) == pytest.approx(np.abs(y - p)[w > 0].mean(), rel=1e-5)


class NoMetric(keras.metrics.Mean):
    pass


class Hidden(keras.metrics.Mean):
    def __init__(self):
        super().__init__(name="hidden")
        self.total_of_all = tf.Variable(0.0)

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_pred, sample_weight)


class Failing(keras.metrics.Mean):
    def update_state(self, y_true, y_pred, sample_weight=None):
        raise RuntimeError("wrong universe")


def mean_of_all(y_true, y_pred):
    return ops.mean(y_true * y_pred)


@pytest.mark.parametrize(
    ("kind", "metric", "message"),
    [
        ("regression", NoMetric(), "takes .*values, sample_weight=None.* pass the function itself"),
        ("regression", keras.metrics.Sum(), "pass the function itself"),
        ("regression", mean_of_all, "mean_of_all.* one value for each example"),
        ("regression", lambda y, p: y, "no name for the logs; write it with def"),
        ("regression", functools.partial(rmsle), "no name for the logs"),
        ("regression", 3, "a metric is a name, a keras.metrics.Metric or a function"),
        ("regression", Hidden(), "Hidden.total_of_all is a variable .* self.add_variable"),
        ("regression", Failing(name="f"), "'f' .Failing. fails on labels .* wrong universe"),
        ("tagging", SentencesRight(obeys=False), "has to leave out what has sample_weight 0"),
        ("columns", ShareAbove(), "cannot be computed for many columns at once"),
        ("multilabel", keras.metrics.CosineSimilarity(axis=0), "has axis=0"),
        ("regression", keras.metrics.R2Score(num_regressors=2), "num_regressors=2"),
        ("binary", keras.metrics.AUC(from_logits=True), "has from_logits=True"),
        ("multiclass", keras.metrics.MeanIoU(4), "sparse_y_pred=False"),
    ],
)
def test_what_cannot_be_counted_is_refused_in_a_sentence(kind, metric, message):
    with pytest.raises(ValueError, match=f"task 't': .*{message}"):
        KINDS[kind]([metric]).make_metrics()


@pytest.mark.parametrize(
    ("metric", "cure"),
    [
        (keras.metrics.BinaryAccuracy(), "threshold=0.0"),
        (keras.metrics.Precision(), "thresholds=0.0"),
        (keras.metrics.AUC(), "from_logits=True to the metric"),
        (keras.metrics.F1Score(), "'f1' or 'macro_f1'"),
        (keras.metrics.PrecisionAtRecall(0.5), "without thresholds"),
    ],
)
def test_a_metric_of_probabilities_is_refused_beside_logits(metric, cure):
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    with pytest.raises(ValueError, match=f"task 't': .* predicts logits .*{cure}"):
        Task("t", head=Head(1), loss=loss, metrics=[metric])


def test_a_saved_task_has_the_arguments_of_a_class_without_a_configuration():
    keras.saving.register_keras_serializable("tests")(ShareAbove)
    task = Task.binary("a", metrics=[ShareAbove(0.9)])
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(task))
    assert first(back).metric.threshold == 0.9
    config = keras.saving.serialize_keras_object(first(task))
    assert keras.saving.deserialize_keras_object(config).metric.threshold == 0.9
