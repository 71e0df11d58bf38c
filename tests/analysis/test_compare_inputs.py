"""Labels and predictions as users bring them: the same verdict, or an error with a remedy."""

import numpy as np
import pandas as pd
import pytest

from keras_mtl.analysis import Metric, compare

RNG = np.random.default_rng(0)
LABELS = {
    "income": (RNG.random(80) < 0.4).astype(float),
    "age": RNG.normal(40, 10, 80),
}
LABELS["income"][:8] = np.nan
MODELS = [
    {name: np.nan_to_num(values) + RNG.normal(0, 1, (3, 80)) for name, values in LABELS.items()}
    for _ in range(2)
]
METRICS = {"income": "auc", "age": "mae"}
EXPECTED = compare(LABELS, *MODELS, METRICS)


def runs(model):
    """Returns predictions as `model.predict` returns them for three seeds: dicts of `[n, 1]`."""
    return [{name: values[seed][:, None] for name, values in model.items()} for seed in range(3)]


YES_OR_NO = LABELS["income"] == 1
FORMS_OF_LABELS = {
    "frame": pd.DataFrame(LABELS),
    "Int64 with NA": {
        **LABELS,
        "income": pd.Series(LABELS["income"]).astype("Int64"),
    },
    "list with None": {
        "income": [None if np.isnan(value) else int(value) for value in LABELS["income"]],
        "age": LABELS["age"].tolist(),
    },
    "booleans": {
        **LABELS,
        "income": pd.Series(YES_OR_NO).astype("boolean").mask(np.isnan(LABELS["income"])),
    },
    "one column": {name: values[:, None] for name, values in LABELS.items()},
    "masked": {**LABELS, "income": np.ma.masked_invalid(LABELS["income"])},
}


@pytest.mark.parametrize("form", FORMS_OF_LABELS)
def test_labels_come_in_any_form(form):
    assert compare(FORMS_OF_LABELS[form], *MODELS, METRICS) == EXPECTED


def test_predictions_come_as_arrays_or_as_runs():
    assert compare(LABELS, *map(runs, MODELS), METRICS) == EXPECTED
    assert compare(LABELS, runs(MODELS[0]), MODELS[1], METRICS) == EXPECTED
    with_axis = {name: values[:, :, None] for name, values in MODELS[0].items()}
    assert compare(LABELS, with_axis, MODELS[1], METRICS) == EXPECTED


def test_one_seed_comes_as_it_is_predicted():
    first = [{name: values[:1] for name, values in model.items()} for model in MODELS]
    expected = compare(LABELS, *first, METRICS)
    predicted = [runs(model)[0] for model in MODELS]
    assert compare(LABELS, *predicted, METRICS) == expected
    frames = [pd.DataFrame({name: values[0] for name, values in model.items()}) for model in first]
    assert compare(LABELS, *frames, METRICS) == expected
    assert {row.num_seeds for row in expected.rows} == {1}


def test_columns_of_a_frame_keep_their_names():
    labels = pd.DataFrame({"toxic": LABELS["income"], "active": LABELS["income"]})
    models = [{"assay": np.stack([model["income"]] * 2, axis=-1)} for model in MODELS]
    result = compare({"assay": labels}, *models, "auc")
    assert [row.column for row in result.rows] == ["toxic", "active"]
    assert "assay[toxic]" in str(result)
    assert result.rows[0].difference == EXPECTED.row("income").difference


def test_two_classes_are_yes_or_no():
    probability = RNG.random((3, 80))
    two = {"income": np.stack([1 - probability, probability], axis=-1)}
    one = {"income": probability}
    labels = {"income": LABELS["income"]}
    for metric in ("auc", "accuracy", "f1", "log_loss", "brier", "mcc", "pr_auc"):
        first, second = compare(labels, one, one, metric), compare(labels, two, two, metric)
        assert first.rows[0].baseline == pytest.approx(second.rows[0].baseline, abs=1e-12)


def change(**tasks):
    """Returns arguments of which some labels are replaced."""
    return {**LABELS, **tasks}, *MODELS, METRICS


def change_model(**tasks):
    """Returns arguments of which some predictions of the contender are replaced."""
    return LABELS, MODELS[0], {**MODELS[1], **tasks}, METRICS


NOT_FINITE = MODELS[1]["age"].copy()
NOT_FINITE[1, 3:5] = np.nan
BAD_VALUES = {
    "an infinite label": (change(age=np.full(80, np.inf)), "'age' hold infinite values; pass NaN"),
    "other rows": (
        change(age=np.ones(79)),
        "numbers of rows: .* same rows for all tasks, with NaN",
    ),
    "labels of three axes": (
        change(age=np.ones((80, 2, 2))),
        r"have shape \(80, 2, 2\); expected \[",
    ),
    "no row": (({"age": []}, {"age": [[]]}, {"age": [[]]}, "mae"), "with at least one row"),
    "labels of -1": (
        change(income=np.where(LABELS["income"] == 1, 1, -1)),
        "task 'income', metric 'auc': labels hold -1; expected 0 and 1, with NaN for a missing",
    ),
    "other tasks": (
        (LABELS, MODELS[0], {"income": MODELS[1]["income"], "Age": MODELS[1]["age"]}, METRICS),
        r"of the contender have the tasks \['Age', 'income'\]; expected those of the labels",
    ),
    "NaN in a prediction": (
        change_model(age=NOT_FINITE),
        "task 'age', metric 'mae': seed 1 of the contender predicts NaN or infinite values in 2",
    ),
    "other seeds": (change_model(age=np.ones((2, 80))), "numbers of seeds: .*expected the same"),
    "seeds that are not paired": (
        (LABELS, MODELS[0], {name: values[:2] for name, values in MODELS[1].items()}, METRICS),
        r"task 'income': predictions have shape \(3, 80\) for the baseline and \(2, 80\) for the",
    ),
    "other rows predicted": (change_model(age=np.ones((3, 79))), r"expected \[S, 80\] for S seeds"),
    "runs that differ": (
        (
            LABELS,
            MODELS[0],
            [*runs(MODELS[1])[:2], {name: np.ones(80) for name in LABELS}],
            METRICS,
        ),
        "have the shapes .* expected the same for all seeds",
    ),
    "columns that differ": (
        change_model(age=np.ones((3, 80, 4))),
        r"expected the same seeds, rows and entries: the models are paired",
    ),
    "metrics of other tasks": (
        (LABELS, *MODELS, {"income": "auc"}),
        r"metrics has the tasks \['income'\]; expected those of the labels, \['age', 'income'\]",
    ),
    "an unknown metric": ((LABELS, *MODELS, "auroc"), "metric 'auroc' is unknown; expected one of"),
    "a metric twice": ((LABELS, *MODELS, ["mae", "mae"]), "expected one or more names, once"),
    "a function without direction": (
        (LABELS, *MODELS, Metric("mine", lambda y, p: 0.0)),
        "metric 'mine' is a function without a direction; pass",
    ),
    "a wrong direction": (
        (LABELS, *MODELS, Metric("mae", mode="max")),
        "'mae' is better 'min', and",
    ),
    "a direction of another word": (
        (LABELS, *MODELS, Metric("mine", lambda y, p: 0.0, mode="up")),
        "direction of 'mine' is 'up'",
    ),
    "logits for probabilities": (
        ({"income": LABELS["income"]}, *({"income": m["income"]} for m in MODELS), "log_loss"),
        "predictions go from .* expected probabilities. Apply the sigmoid or softmax",
    ),
    "one prediction for macro AUC": (
        (LABELS, *MODELS, {**METRICS, "income": "macro_auc"}),
        "there is one prediction per row; take 'auc'",
    ),
    "numbers for classes": (
        ({"age": LABELS["age"]}, *({"age": np.ones((3, 80, 4))} for _ in MODELS), "accuracy"),
        "expected the numbers of 4 classes, 0 to 3",
    ),
    "classes for a number": (
        ({"age": LABELS["age"]}, *({"age": np.ones((3, 80, 4))} for _ in MODELS), "mae"),
        "predictions have 4 entries per row; expected one",
    ),
    "classes for yes or no": (
        ({"income": LABELS["income"]}, *({"income": np.ones((3, 80, 4))} for _ in MODELS), "auc"),
        "the metric is for yes-or-no labels, and predictions have 4 classes",
    ),
    "classes for ranks": (
        ({"age": LABELS["age"]}, *({"age": np.ones((3, 80, 4))} for _ in MODELS), "spearman"),
        "task 'age', metric 'spearman': the metric is for numbers, and predictions have 4",
    ),
    "numbers for precision": (
        ({"age": LABELS["age"]}, {"age": MODELS[0]["age"]}, {"age": MODELS[1]["age"]}, "pr_auc"),
        "task 'age', metric 'pr_auc': labels hold .* expected 0 and 1",
    ),
    "thresholds of other models": (
        (LABELS, *MODELS, {**METRICS, "income": Metric("f1", threshold={"mmoe": 0.1})}),
        r"threshold has the keys \['mmoe'\]; expected 'baseline' and 'contender'",
    ),
    "thresholds of other seeds": (
        (LABELS, *MODELS, {**METRICS, "income": Metric("f1", threshold=[0.1, 0.2])}),
        "expected one finite number, or one per seed",
    ),
    "a function of no number": (
        (LABELS, *MODELS, Metric("mine", lambda y, p: np.nan, mode="max")),
        "the scores of the baseline are .*; expected finite numbers",
    ),
}


@pytest.mark.parametrize("name", BAD_VALUES)
def test_bad_values_are_refused(name):
    arguments, error = BAD_VALUES[name]
    with pytest.raises(ValueError, match=error):
        compare(*arguments)


BAD_TYPES = {
    "labels of one task": ((LABELS["age"], *MODELS, "mae"), "labels is a ndarray; expected a dict"),
    "classes as text": (
        change(income=np.where(YES_OR_NO, ">50K", "<=50K")),
        "labels of task 'income' has dtype .* Classes are passed by their numbers, in the order",
    ),
    "predictions of one task": (
        (LABELS, MODELS[0]["age"], MODELS[1], METRICS),
        "predictions of the baseline are a ndarray; expected a dict of arrays .* only task",
    ),
    "runs that are arrays": (
        (LABELS, MODELS[0], [MODELS[1]["age"]], METRICS),
        "predictions of the contender are a ndarray",
    ),
    "predicted text": (change_model(age=[["old"] * 80] * 3), "have dtype .* expected numbers"),
    "a function as it is": ((LABELS, *MODELS, np.mean), r"Metric\('name', function, mode='max'\)"),
}


@pytest.mark.parametrize("name", BAD_TYPES)
def test_wrong_types_are_refused(name):
    arguments, error = BAD_TYPES[name]
    with pytest.raises(TypeError, match=error):
        compare(*arguments)


@pytest.mark.parametrize(
    ("blocks", "error"),
    [
        (np.zeros(80), "blocks has one value alone"),
        (np.arange(79), r"blocks has shape \(79,\); expected \[80\]"),
        ([None] + ["day"] * 79, "blocks is missing in 1 rows"),
        (np.array([np.nan] * 2 + [0.0] * 78), "blocks is missing in 2 rows"),
    ],
)
def test_bad_blocks_are_refused(blocks, error):
    with pytest.raises(ValueError, match=error):
        compare(LABELS, *MODELS, METRICS, blocks=blocks)


@pytest.mark.parametrize(
    ("labels", "note"),
    [
        (np.full(80, np.nan), "too few labeled rows: 0"),
        (np.where(np.arange(80) == 3, 1.0, np.nan), "too few labeled rows: 1"),
        (np.zeros(80), "fewer than 10 positives: 0"),
        (np.ones(80), "fewer than 10 negatives: 0"),
    ],
)
def test_labels_without_a_test_leave_the_other_tasks_their_verdicts(labels, note):
    result = compare({**LABELS, "income": labels}, *MODELS, METRICS)
    assert result.row("income").note == note and result.row("income").verdict == "undecided"
    expected = EXPECTED.row("age")
    assert (result.row("age").p, result.row("age").gain) == (expected.p, expected.gain)
    assert result.gain == pytest.approx(expected.gain)
    assert result.row("age").corrected_p == expected.p  # one test alone
    assert f"income, auc: {note}" in str(result)


def test_constant_labels_have_no_r2():
    labels = {"age": np.ones(80)}
    result = compare(labels, {"age": MODELS[0]["age"]}, {"age": MODELS[1]["age"]}, "r2")
    assert result.rows[0].note == "all labels are equal"


def test_labeled_rows_of_one_block_have_no_test():
    labels = {"age": np.where(np.arange(80) < 40, 1.0, np.nan)}
    models = [{"age": model["age"]} for model in MODELS]
    result = compare(labels, *models, "mae", blocks=np.arange(80) // 40)
    assert result.rows[0].note == "all labeled rows are in one block"


def test_two_rows_are_enough_for_an_error():
    labels = {"age": [1.0, 2.0]}
    result = compare(labels, {"age": [[1.0, 3.0]]}, {"age": [[1.5, 2.0]]}, "mae")
    assert result.rows[0].difference == pytest.approx(-0.25)
    assert result.rows[0].verdict == "undecided"
