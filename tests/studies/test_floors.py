"""The scores of constant answers, the cost of steps, and batches of labeled rows alone."""

import keras
import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf
from small_study import ROWS, make_arrays, make_part, make_tasks, parts, run, shared

import keras_mtl as mtl
from keras_mtl import BalancedModel, Task, balancers, studies
from keras_mtl.studies._contenders._contender import BASELINE
from keras_mtl.studies._data._labeled_batches import count_labeled
from keras_mtl.studies._data._parts import StudyData
from keras_mtl.studies._data._test_rows import read_test_rows
from keras_mtl.studies._trainings._passes import passes_per_step
from keras_mtl.studies._verdicts._floors import score_constants

RNG = np.random.default_rng(0)


def make_labels(rows):
    tox = (RNG.random((rows, 3)) < [0.2, 0.7, 0.5]).astype("float32")
    tox[RNG.random((rows, 3)) < 0.3] = np.nan
    click = (RNG.random(rows) < 0.3).astype("float32")
    click[::5] = np.nan
    return {
        "topic": RNG.choice(4, rows, p=[0.1, 0.5, 0.2, 0.2]),
        "price": RNG.exponential(size=rows).astype("float32"),
        "click": click,
        "tox": tox,
    }


LABELS = {part: make_labels(rows) for part, rows in ROWS.items()}
KNOWN = {name: values[~np.isnan(values)] for name, values in LABELS["train"].items()}
TESTED = {name: values[~np.isnan(values)] for name, values in LABELS["test"].items()}


def floors(*tasks, data=LABELS):
    def part(name):
        x = np.zeros((ROWS[name], 2), "float32")
        labels = {task.name: data[name][task.name] for task in tasks}
        return tf.data.Dataset.from_tensor_slices((x, labels)).batch(32)

    held = StudyData(*(part(name) for name in ("train", "validation", "test")))
    names = {task.name: task.metric_names[0] for task in tasks}
    rows = read_test_rows(held.open("test", tasks), tasks, names)
    return score_constants(held, tasks, rows)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (Task.binary("click", metrics=["auc"]), 0.5),
        (Task.binary("click", metrics=["pr_auc"]), TESTED["click"].mean()),
        (Task.binary("click", metrics=["accuracy"]), 1 - TESTED["click"].mean()),
        (Task.binary("click", metrics=["f1"]), 0.0),
        (
            Task.binary("click", metrics=["log_loss"]),
            sklearn.metrics.log_loss(
                TESTED["click"], np.full(len(TESTED["click"]), KNOWN["click"].mean())
            ),
        ),
        (Task.multiclass("topic", 4, metrics=["accuracy"]), np.mean(TESTED["topic"] == 1)),
        (Task.multiclass("topic", 4, metrics=["balanced_accuracy"]), 0.25),
        (
            Task.regression("price", metrics=["mae"]),
            np.abs(TESTED["price"] - np.median(KNOWN["price"])).mean(),
        ),
        (
            Task.regression("price", metrics=["rmse"]),
            np.sqrt(((TESTED["price"] - KNOWN["price"].mean()) ** 2).mean()),
        ),
    ],
    ids=lambda value: value.metric_names[0] if isinstance(value, Task) else "",
)
def test_a_constant_scores_what_its_answer_deserves(task, expected):
    assert floors(task) == {task.name: pytest.approx(expected, rel=1e-5)}


def test_each_column_has_a_constant_and_what_has_no_score_is_left_out():
    task = Task.multilabel("tox", columns=["a", "b", "c"], metrics=["accuracy"])
    train, test = LABELS["train"]["tox"], LABELS["test"]["tox"]
    expected = {}
    for i, column in enumerate("abc"):
        known = test[~np.isnan(test[:, i]), i]
        answer = np.nanmean(train[:, i]) > 0.5
        expected[f"tox[{column}]"] = pytest.approx(np.mean(known == answer))
    assert floors(task) == expected
    unseen = {part: {"tox": values["tox"].copy()} for part, values in LABELS.items()}
    unseen["train"]["tox"][:, 1] = np.nan
    del expected["tox[b]"]
    assert floors(task, data=unseen) == expected
    assert floors(Task.regression("price", metrics=["spearman"])) == {}
    assert floors(Task.regression("price", metrics=[keras.metrics.MeanAbsoluteError()])) == {}


@pytest.mark.parametrize(
    ("balancer", "options", "expected"),
    [
        (balancers.Uncertainty(), {}, 1),
        (balancers.PCGrad(), {}, 3),
        (balancers.PCGrad(), {"every": 4}, (3 + 3) / 4),
        (balancers.PCGrad(), {"at": "representation"}, 1),
        (balancers.MoDo(), {}, 7),
    ],
)
def test_passes_per_step_are_those_of_the_table_of_steps(balancer, options, expected):
    tasks = [Task.regression(name) for name in ("c", "b", "a")]
    network = shared(tasks)
    assert passes_per_step(network) == 1
    assert passes_per_step(BalancedModel(network, tasks, balancer, **options)) == expected
    crossed = mtl.architectures.cross_stitch(keras.Input((4,)), tasks)
    assert passes_per_step(BalancedModel(crossed, tasks, balancers.PCGrad())) is None


def test_batches_are_full_of_the_labeled_rows_in_their_order():
    data = StudyData(*parts())
    counted = count_labeled(data, make_tasks())
    assert (counted["click"].batches, counted["price"].batches) == (3, 3)
    x, labels = make_arrays("train")
    known = ~np.isnan(labels["price"])
    task = make_tasks()[1]
    batches = list(counted["price"].of(data.open("train", [task])))
    assert [len(batch[0]) for batch in batches] == [32, 32, known.sum() - 64]
    np.testing.assert_array_equal(np.concatenate([batch[0] for batch in batches]), x[known])
    np.testing.assert_array_equal(
        np.concatenate([batch[1]["price"] for batch in batches]).ravel(), labels["price"][known]
    )
    assert int(counted["price"].of(data.open("train", [task])).cardinality()) == 3

    endless = StudyData(lambda: make_part("train").repeat(), *parts()[1:], steps=5)
    batches = count_labeled(endless, [task])["price"].of(endless.open("train", [task]))
    assert [len(batch[0]) for batch in batches.take(5)] == [32] * 5
    empty = StudyData(
        lambda: make_part("train").map(lambda x, y: (x, {**y, "price": y["price"] + np.nan})),
        *parts()[1:],
    )
    with pytest.raises(ValueError, match="task 'price': no training row has a label"):
        count_labeled(empty, make_tasks())


@pytest.mark.slow
def test_the_baseline_is_trained_on_its_labeled_rows_alone(tmp_path):
    def sparse():
        def hide(x, y):
            seen = tf.range(tf.shape(x)[0]) % 8 == 0
            return x, {**y, "price": tf.where(seen, y["price"], np.nan)}

        return make_part("train").map(hide)

    def study(rows, **arguments):
        return studies.compare(
            {"shared": shared}, make_tasks(), sparse, *parts()[1:],
            budget=studies.Budget(trials=1, epochs=2, seeds=2), verbose=False,
            baseline_rows=rows, directory=tmp_path / "study", **arguments,
        )  # fmt: skip

    result = study("labeled")
    steps = {(t.contender, t.tasks): t.steps for t in result.trainings}
    assert steps[BASELINE, ("click",)] == steps["shared", ("click", "price")] == 2 * 3
    assert steps[BASELINE, ("price",)] == 2 * 1
    assert "on the rows that have a label of it" in str(result)

    # By another road: arrays without the other rows, by plain Keras.
    (task,) = make_tasks()[1:]
    x, labels = make_arrays("train")
    price = np.where(np.arange(96) % 32 % 8 == 0, labels["price"], np.nan)
    known = ~np.isnan(price)
    keras.utils.set_random_seed(1)
    network = shared([task])
    network.compile(keras.optimizers.Adam(1e-3), **mtl.compile_args([task]))
    keras.utils.set_random_seed(1)
    curve = []
    for _ in range(2):
        network.fit(x[known], {"price": price[known]}, batch_size=32, shuffle=False, verbose=0)
        held, y = make_arrays("validation")
        seen = ~np.isnan(y["price"])
        curve.append(
            np.abs(network.predict(held, verbose=0)["price"][:, 0] - y["price"])[seen].mean()
        )
    (first,) = [
        t for t in result.trainings if (t.contender, t.tasks, t.number) == (BASELINE, ("price",), 0)
    ]
    np.testing.assert_allclose(first.curves["price"], curve, rtol=1e-5)

    # Again: nothing is trained twice, and the other rows are another study.
    assert [t.seconds for t in study("labeled").trainings] == [t.seconds for t in result.trainings]
    with pytest.raises(ValueError, match='baseline_rows was "labeled" and now is null'):
        study("all")
    with pytest.raises(ValueError, match="baseline_rows is 'own'; expected 'all' or 'labeled'"):
        run({"shared": shared}, baseline_rows="own")
    assert [t.passes for t in result.trainings] == [1.0] * len(result.trainings)
