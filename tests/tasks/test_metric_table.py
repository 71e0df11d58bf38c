"""Every metric of Keras in every kind of task: its value on the valid labels, or a refusal."""

import keras
import numpy as np
import pytest
from metric_table import (
    CLASSES,
    KINDS,
    SORTS,
    WIDTH,
    K,
    batch,
    binary_iou,
    by_class,
    by_row,
    dense,
    each_column,
    entry,
    f1_of_rows,
    iou,
    mean_of_columns,
    pooled,
    top_entry,
    weighted_f1,
)

DENSE = {*SORTS["yes or no"], *SORTS["one-hot"], *SORTS["number"]}
YES_OR_NO = {*SORTS["yes or no"], *SORTS["one-hot"], *SORTS["class"]}
WIDE = {kind for kind in KINDS if WIDTH.get(kind, CLASSES) > 1} - {"columns"}
FOUR = {kind for kind in WIDE if WIDTH.get(kind, CLASSES) == CLASSES}
CLASS = {*SORTS["class"]}

# For each metric: how it is made, by which road its value is found, and the tasks it is for.
NUMBERS = {
    name: (getattr(K, name), pooled, DENSE)
    for name in (
        "MeanAbsoluteError",
        "MeanAbsolutePercentageError",
        "MeanSquaredError",
        "MeanSquaredLogarithmicError",
        "RootMeanSquaredError",
        "LogCoshError",
        "Poisson",
        "Hinge",
        "SquaredHinge",
    )
}
BINARY = {
    name: (getattr(K, name), pooled, YES_OR_NO)
    for name in (
        "BinaryAccuracy",
        "BinaryCrossentropy",
        "TruePositives",
        "TrueNegatives",
        "FalsePositives",
        "FalseNegatives",
        "Precision",
        "Recall",
        "AUC",
    )
}
AXIS = {
    name: (getattr(K, name), by_row, WIDE)
    for name in (
        "CategoricalAccuracy",
        "CategoricalCrossentropy",
        "CategoricalHinge",
        "KLDivergence",
    )
}
METRICS = {
    **NUMBERS,
    **BINARY,
    **AXIS,
    "Accuracy": (K.Accuracy, pooled, {*SORTS["number"]}),
    "R2Score": (K.R2Score, mean_of_columns, DENSE),
    "CosineSimilarity": (K.CosineSimilarity, by_row, WIDE & DENSE),
    "PearsonCorrelation": (K.PearsonCorrelation, by_row, WIDE & DENSE),
    "ConcordanceCorrelation": (K.ConcordanceCorrelation, by_row, WIDE & DENSE),
    "SensitivityAtSpecificity": (lambda: K.SensitivityAtSpecificity(0.5), pooled, YES_OR_NO),
    "SpecificityAtSensitivity": (lambda: K.SpecificityAtSensitivity(0.5), pooled, YES_OR_NO),
    "PrecisionAtRecall": (lambda: K.PrecisionAtRecall(0.5), pooled, YES_OR_NO),
    "RecallAtPrecision": (lambda: K.RecallAtPrecision(0.5), pooled, YES_OR_NO),
    "BinaryIoU": (K.BinaryIoU, binary_iou, YES_OR_NO),
    "TopKCategoricalAccuracy": (lambda: K.TopKCategoricalAccuracy(k=2), by_row, WIDE),
    "OneHotIoU": (lambda: K.OneHotIoU(CLASSES, [0, 2]), iou([0, 2]), FOUR),
    "OneHotMeanIoU": (lambda: K.OneHotMeanIoU(CLASSES), iou(), FOUR),
    "IoU": (lambda: K.IoU(CLASSES, [1], sparse_y_pred=False), iou([1]), CLASS),
    "MeanIoU": (lambda: K.MeanIoU(CLASSES, sparse_y_pred=False), iou(), CLASS),
    "SparseCategoricalAccuracy": (K.SparseCategoricalAccuracy, by_class, CLASS),
    "SparseCategoricalCrossentropy": (K.SparseCategoricalCrossentropy, by_class, CLASS),
    "SparseTopKCategoricalAccuracy": (
        lambda: K.SparseTopKCategoricalAccuracy(k=2),
        by_class,
        CLASS,
    ),
    # The largest entry of a row is positive; a single one is where it is above 0.5.
    "F1Score": (lambda: K.F1Score("macro"), f1_of_rows, YES_OR_NO),
    "FBetaScore": (
        lambda: K.FBetaScore("macro", beta=2.0, threshold=0.5),
        mean_of_columns,
        YES_OR_NO,
    ),
    "MeanMetricWrapper": (
        lambda: K.MeanMetricWrapper(keras.losses.mean_squared_error),
        pooled,
        DENSE,
    ),
    # Arguments on which the road depends.
    "F1Score at 0.5": (lambda: K.F1Score("macro", 0.5), mean_of_columns, YES_OR_NO),
    "weighted F1Score": (
        lambda: K.F1Score("weighted", 0.5),
        weighted_f1,
        YES_OR_NO,
    ),
    "micro F1Score": (lambda: K.F1Score("micro", 0.5), pooled, YES_OR_NO),
    "F1Score of each column": (
        lambda: K.F1Score(None, 0.5),
        each_column,
        YES_OR_NO,
    ),
    "AUC of labels": (
        lambda: K.AUC(multi_label=True),
        mean_of_columns,
        YES_OR_NO,
    ),
    "precision of the first": (
        lambda: K.Precision(top_k=1),
        top_entry("precision"),
        WIDE & YES_OR_NO,
    ),
    "recall of the first": (lambda: K.Recall(top_k=1), top_entry("recall"), WIDE & YES_OR_NO),
    "recall of one class": (lambda: K.Recall(class_id=1), entry(K.Recall, 1), WIDE & YES_OR_NO),
    "AUC of precision and recall": (lambda: K.AUC(curve="PR"), pooled, YES_OR_NO),
    "bounded specificity of a class": (
        lambda: K.SpecificityAtSensitivity(0.5, class_id=0),
        entry(lambda: K.SpecificityAtSensitivity(0.5), 0),
        YES_OR_NO,
    ),
}

UNFIT = {"Mean", "Sum"}
"""They take values, and no labels: refused when they are to count."""


def test_every_metric_that_keras_exports_has_its_row():
    exported = {name for name in dir(K) if isinstance(getattr(K, name), type)} - {"Metric"}
    assert exported - UNFIT <= {*METRICS}


def expected_value(name, kind, weights):
    make, road, _ = METRICS[name]
    rows = dense(kind, [batch(kind, weights, seed) for seed in range(2)])
    if kind == "columns":
        return np.mean([road(make, *(values[:, [k]] for values in rows)) for k in range(3)])
    return road(make, *rows)


def seen_value(name, kind, weights):
    metric, *_ = KINDS[kind]([METRICS[name][0]()]).make_metrics()
    for seed in range(2):
        metric.update_state(*batch(kind, weights, seed))
    return keras.ops.convert_to_numpy(metric.result())


SLOW_KINDS = {"columns", "count", "segmentation", "regression"}
"""Kinds whose shapes another kind has as well."""
SOME = {
    *("MeanAbsoluteError", "R2Score", "CosineSimilarity", "AUC", "AUC of labels", "Precision"),
    *("CategoricalAccuracy", "IoU", "SparseCategoricalAccuracy", "F1Score", "F1Score at 0.5"),
    *("precision of the first", "recall of one class", "MeanMetricWrapper", "BinaryIoU"),
}
"""Metrics of the everyday run, one for each way in which a metric reads."""


def is_everyday(name, kind, weights):
    return name in SOME and kind not in SLOW_KINDS and weights == "fractions"


CELLS = [
    pytest.param(name, kind, weights, marks=() if everyday else pytest.mark.slow)
    for name in METRICS
    for kind in KINDS
    for weights in ("none", "zeros and ones", "fractions")
    if kind in METRICS[name][2]
    for everyday in [is_everyday(name, kind, weights)]
]


@pytest.mark.parametrize(("name", "kind", "weights"), CELLS)
def test_a_metric_is_that_of_keras_on_the_valid_labels(name, kind, weights):
    expected, seen = (value(name, kind, weights) for value in (expected_value, seen_value))
    # A correlation within a row of equal labels is not a number.
    np.testing.assert_allclose(seen, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_that_is_not_for_a_kind_of_task_is_refused(name):
    for kind in sorted(KINDS.keys() - METRICS[name][2]):
        with pytest.raises(ValueError, match="task 't': metric"):
            KINDS[kind]([METRICS[name][0]()])


@pytest.mark.parametrize("name", sorted(UNFIT))
def test_a_metric_of_values_is_refused_when_it_is_to_count(name):
    task = KINDS["regression"]([getattr(K, name)()])
    with pytest.raises(ValueError, match=r"task 't': metric .* takes .*values, sample_weight"):
        task.make_metrics()


@pytest.mark.slow
@pytest.mark.parametrize("name", METRICS)
def test_without_a_valid_label_a_metric_is_0_or_not_a_number(name):
    undefined = {"R2Score"}  # 0 / 0, as in Keras
    for kind in sorted(METRICS[name][2] & KINDS.keys()):
        value = seen_value(name, kind, "zeros")
        assert np.isnan(value) if name in undefined and kind != "columns" else not np.any(value)


def test_positions_of_short_batches_count_as_much_as_those_of_long_ones():
    metric, *_ = KINDS["tagging"](["accuracy"]).make_metrics()
    right = np.eye(CLASSES, dtype="float32")[[[0, 0]]]
    wrong = np.eye(CLASSES, dtype="float32")[[[1] * 8]]
    for p in (right, wrong):
        metric.update_state(np.zeros(p.shape[:2], "int32"), p)
    assert float(metric.result()) == pytest.approx(2 / 10)
