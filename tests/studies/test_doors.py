"""What a study refuses before it trains."""

import re

import keras
import pytest
import tensorflow as tf
from small_study import make_arrays, make_part, make_tasks, parts, shared

from keras_mtl import Task, architectures, studies

CONTENDERS = {"sharing": shared}


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("it trains")

    monkeypatch.setattr(keras.Model, "fit", fail)


def compare(contenders=CONTENDERS, tasks=None, **arguments):
    train, validation, test = parts()
    settings = {"train": train, "validation": validation, "test": test, **arguments}
    return studies.compare(contenders, tasks or make_tasks(), verbose=False, **settings)


def refused(error, words, *args, **arguments):
    with pytest.raises(error, match=re.escape(words)):
        compare(*args, **arguments)


def test_no_validation_data():
    refused(TypeError, "validation is None; expected a batched tf.data.Dataset", validation=None)


def test_arrays_are_refused_with_the_cure():
    refused(TypeError, "from_tensor_slices((x, y)).batch(64)", train=([[1.0]], {}))


def test_test_data_used_for_selection():
    refused(
        ValueError,
        "validation and test hold the same rows",
        validation=lambda: make_part("test"),
    )


@pytest.mark.parametrize("part", ["validation", "test"])
def test_training_rows_used_for_judging(part):
    refused(
        ValueError,
        f"train and {part} begin with the same batch",
        **{part: lambda: make_part("train")},
    )


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_part_that_changes_its_order(part):
    shuffled = tf.data.Dataset.from_tensor_slices(make_arrays(part)).shuffle(200).batch(32)
    refused(ValueError, f"{part} yields other batches each time", **{part: shuffled})


def test_endless_test_data():
    refused(ValueError, "test cannot be used: ", test=make_part("test").repeat())


def test_labels_of_other_tasks():
    tasks = [*make_tasks(), Task.binary("buy")]
    refused(ValueError, "train cannot be used: the dataset has no label", tasks=tasks)


def test_a_metric_without_a_direction():
    def spread(y, p):
        return keras.ops.squeeze(y - p, -1)

    tasks = [make_tasks()[0], Task.regression("price", metrics=[spread])]
    refused(ValueError, "task 'price'", tasks=tasks, metrics={"price": "spread"})


def test_a_metric_that_no_task_has():
    refused(ValueError, "'f1'", metrics={"click": "f1"})


def test_contenders_in_a_list():
    refused(TypeError, "contenders is a list; expected a dict", [shared])


def test_no_contender():
    refused(ValueError, "expected at least one", {})


def test_a_contender_named_as_the_baseline():
    refused(ValueError, "which is the baseline", {"one network per task": shared})


def test_a_network_that_is_built_already():
    refused(TypeError, "each training needs a new one", {"sharing": shared(make_tasks())})


def test_a_function_of_other_arguments():
    refused(TypeError, "contender 'sharing'", {"sharing": lambda x, tasks, more: None})


def test_a_builder_that_returns_no_model():
    refused(TypeError, "returned a NoneType", {"sharing": lambda tasks: None}, baseline=shared)


def test_other_outputs_than_the_tasks():
    def other(tasks):
        return shared([Task.binary("click"), Task.binary("buy")])

    words = "contender 'sharing': build(tasks) for ['click', 'price'] returned a network with"
    refused(ValueError, words, {"sharing": other}, baseline=shared)


def test_a_builder_that_returns_the_same_network_again():
    network = shared(make_tasks())
    words = "two calls of its build(tasks) share the variable"
    refused(ValueError, words, {"sharing": lambda tasks: network}, baseline=shared)


def test_a_shared_layer_that_is_frozen_is_no_fault():
    body = keras.layers.Dense(4, trainable=False)

    def build(tasks):
        x = keras.Input((8,))
        return keras.Model(x, {task.name: task.output(body(x)) for task in tasks})

    with pytest.raises(RuntimeError, match="all trainings of the baseline"):
        compare({"frozen": build}, budget=studies.Budget(1, 1, 1))  # fit is forbidden here


def test_an_error_of_a_builder_names_contender_and_tasks():
    def chain(tasks):
        return architectures.esmm(keras.Input((8,)), tasks)

    with pytest.raises(ValueError, match=r".") as caught:
        compare({"chain": chain})
    assert "pass baseline=build" in caught.value.__notes__[0]


def test_groups_of_other_tasks():
    grouped = studies.grouped(shared, [["click"]])
    refused(ValueError, "contender 'groups' groups the tasks ['click']", {"groups": grouped})


@pytest.mark.parametrize(
    ("groups", "error", "words"),
    [
        ([["a", "b"], ["b"]], ValueError, "['b'] are in several"),
        ([[]], ValueError, "none of them empty"),
        ([], ValueError, "groups are []"),
        (["ab"], TypeError, "expected a list of names: ['ab']"),
    ],
)
def test_groups_that_are_none(groups, error, words):
    with pytest.raises(error, match=re.escape(words)):
        studies.grouped(shared, groups)


@pytest.mark.parametrize("ratio", [1.0, 0.5, float("inf"), "ten"])
def test_ratios_that_are_none(ratio):
    with pytest.raises(ValueError, match="ratio, the largest ratio"):
        studies.searched(shared, ratio=ratio)


@pytest.mark.parametrize("numbers", [{"trials": 0}, {"epochs": 2.5}, {"seeds": "five"}])
def test_budgets_that_are_none(numbers):
    with pytest.raises(ValueError, match=f"Budget: {next(iter(numbers))} is"):
        studies.Budget(**numbers)


def test_another_budget_than_a_budget():
    refused(TypeError, "expected studies.Budget", budget={"trials": 8})


def test_an_optimizer_that_is_made_already():
    refused(TypeError, "each training needs its own", optimizer=keras.optimizers.Adam())


@pytest.mark.parametrize("rate", [(1e-2, 1e-4), (0.0, 1e-2), (1e-3, 1e-2, 1e-1), "fast"])
def test_learning_rates_that_are_none(rate):
    refused(ValueError, "learning_rate", learning_rate=rate)


def test_a_baseline_that_is_no_contender():
    refused(ValueError, "baseline is 'mmoe'; expected the name of a contender", baseline="mmoe")


def test_a_folder_of_another_program(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    refused(ValueError, "it is no folder of a study", directory=tmp_path)


def test_a_folder_of_another_study(tmp_path):
    for epochs, words in ((1, "all trainings"), (2, "holds another study, whose epochs was")):
        with pytest.raises((RuntimeError, ValueError), match=words):
            compare(directory=tmp_path, budget=studies.Budget(trials=1, epochs=epochs, seeds=1))


def test_other_test_rows_are_another_study(tmp_path):
    for test, words in ((parts()[2], "all trainings"), (make_part("test").take(2), "whose data")):
        with pytest.raises((RuntimeError, ValueError), match=words):
            compare(directory=tmp_path, test=test, budget=studies.Budget(1, 1, 1))


def test_a_folder_in_use(tmp_path):
    import fcntl

    with pytest.raises(RuntimeError, match="all trainings"):
        compare(directory=tmp_path, budget=studies.Budget(1, 1, 1))
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused(
            RuntimeError,
            "another process runs the study",
            directory=tmp_path,
            budget=studies.Budget(1, 1, 1),
        )


def test_data_that_cannot_be_sent_to_other_processes():
    refused(
        TypeError,
        "Let train, validation and test be functions",
        train=make_part("train"),
        workers=2,
        budget=studies.Budget(2, 1, 1),
    )


def test_data_on_a_dataset_object_need_no_function():
    """The door takes datasets as they are; only training is forbidden here."""
    with pytest.raises(RuntimeError, match="all trainings of the baseline"):
        compare(
            train=make_part("train"),
            test=make_part("test").prefetch(tf.data.AUTOTUNE),
            budget=studies.Budget(1, 1, 1),
        )


@pytest.mark.parametrize("margin", [-0.1, float("nan"), {"click": 0.1}])
def test_margins_that_are_none(margin):
    with pytest.raises(ValueError, match="margin"):
        compare(margin=margin)


@pytest.mark.parametrize("blocks", [[1, 2, 3], [0] * 120])
def test_blocks_that_do_not_fit_the_test_rows(blocks):
    with pytest.raises(ValueError, match="blocks has"):
        compare(blocks=blocks)
