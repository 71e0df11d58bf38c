"""Tasks: errors of the constructor, settings of the factories, and new objects in each build."""

import inspect
import re

import keras
import numpy as np
import pytest

import keras_mtl as mtl
from keras_mtl import Task

FACTORIES = {
    "binary": lambda name: Task.binary(name, weight=0.5),
    "multiclass": lambda name: Task.multiclass(name, 4),
    "multilabel": lambda name: Task.multilabel(name, columns=["one", "two"]),
    "regression": lambda name: Task.regression(name, 3),
    "count": Task.count,
    "tagging": lambda name: Task.tagging(name, 5, metrics=[]),
    "segmentation": lambda name: Task.segmentation(name, 6),
    "ordinal": lambda name: Task.ordinal(name, 4),
    "quantiles": Task.quantiles,
    "zero_inflated": Task.zero_inflated,
    "survival": lambda name: Task.survival(name, [1.0, 2.0, 4.0]),
    "ranking": Task.ranking,
    "generation": lambda name: Task.generation(name, 9),
}
FEATURES = {"tagging": (7, 4), "segmentation": (5, 6, 4), "ranking": (7, 4), "generation": (7, 4)}
LAST_AXIS = {
    "binary": 1,
    "multiclass": 4,
    "multilabel": 2,
    "regression": 3,
    "count": 1,
    "tagging": 5,
    "segmentation": 6,
    "ordinal": 4,
    "quantiles": 3,
    "zero_inflated": 1,
    "survival": 3,
    "ranking": 1,
    "generation": 9,
}

# A SavedModel has the last five names already.
UNUSABLE = ["", "1st", "_x", "a b", "a/b", "ä", "x\n", None, 3]
UNUSABLE += ["serve", "serving_default", "signatures", "variables", "trainable_variables"]


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_name_that_cannot_name_an_output_is_refused(name):
    with pytest.raises(ValueError, match=re.escape(f"task {name!r}: a task's name becomes")):
        Task.binary(name)


@pytest.mark.parametrize("name", ["a", "Z", "a_b", "a.b", "a-b", "nr-ahr.2"])
def test_a_name_with_characters_that_tensorflow_takes_is_accepted(name):
    assert Task.binary(name).name == name


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf"), -float("inf")])
def test_a_weight_that_is_negative_or_not_finite_is_refused(weight):
    with pytest.raises(ValueError, match="task 'click': weight must be finite and at least 0"):
        Task.binary("click", weight=weight)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metrics": ["acurracy"]}, "task 'click': .*acurracy"),
        ({"metrics": "auc"}, "task 'click': metrics is one string"),
        ({"metrics": [3]}, "task 'click': a metric is a name"),
        ({"metrics": ["auc", "auc"]}, "task 'click': two metrics share a name"),
    ],
)
def test_unknown_metrics_and_doubles_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Task.binary("click", **arguments)


@pytest.mark.parametrize("loss", ["crossentropie", 3, dict, {"class_name": "Huber"}])
def test_an_unknown_loss_is_refused(loss):
    with pytest.raises(ValueError, match="task 'click'"):
        Task("click", head=mtl.Head(1), loss=loss)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Task.multiclass("topic", 1), "task 'topic': num_classes must be at least 2"),
        (lambda: Task.multilabel("tox"), "task 'tox': give num_labels, or the names"),
        (lambda: Task.multilabel("tox", 3, columns=["a"]), "task 'tox': num_labels=3 does not"),
        (lambda: Task.multilabel("tox", 0), "task 'tox'"),
        (lambda: Task.multilabel("tox", columns="ab"), "task 'tox': columns is one string"),
    ],
)
def test_a_factory_refuses_sizes_that_do_not_fit(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_every_factory_is_tested_here():
    methods = {name for name, _ in inspect.getmembers(Task, inspect.ismethod)}
    assert methods - {"from_config", "marginal"} == set(FACTORIES) == set(LAST_AXIS)


@pytest.mark.parametrize("kind", FACTORIES)
def test_the_prediction_is_named_float32_and_a_probability_where_it_should_be(kind):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        features = keras.Input(FEATURES.get(kind, (4,)))
        prediction = FACTORIES[kind]("answer").output(features)
    finally:
        keras.config.set_dtype_policy("float32")
    assert prediction.shape == (None, *FEATURES.get(kind, (4,))[:-1], LAST_AXIS[kind])
    assert prediction.dtype == "float32"
    assert prediction._keras_history.operation.name == "answer"
    network = keras.Model(features, {"answer": prediction})
    values = np.random.default_rng(0).normal(size=(2, *features.shape[1:]), scale=5)
    outputs = np.array(network(values)["answer"])
    if kind in ("multiclass", "tagging", "segmentation", "ordinal", "generation"):
        np.testing.assert_allclose(outputs.sum(-1), 1.0, rtol=1e-5)
    if kind in ("binary", "multilabel", "survival"):
        assert outputs.min() >= 0 and outputs.max() <= 1
    if kind in ("count", "zero_inflated"):
        assert outputs.min() > 0


@pytest.mark.parametrize("kind", FACTORIES)
def test_a_task_comes_back_from_its_config(kind):
    task = FACTORIES[kind]("answer")
    config = keras.saving.serialize_keras_object(task)
    back = keras.saving.deserialize_keras_object(config)
    for field in ("name", "head", "metrics", "weight", "columns", "labels"):
        assert getattr(back, field) == getattr(task, field), field
    assert type(back.loss) is type(task.loss)
    assert back.loss.get_config() == task.loss.get_config()
    assert back.elementwise == task.elementwise
    assert keras.saving.serialize_keras_object(back) == config


def test_a_task_with_metric_objects_comes_back_from_its_config():
    metric = keras.metrics.AUC(curve="PR", name="pr")
    task = Task("a", head=mtl.Head(1, "sigmoid"), loss="binary_crossentropy", metrics=[metric])
    back = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(task))
    assert back.metric_names == ("pr",) == task.metric_names
    assert back.make_metrics()[0].metric.curve == metric.curve


def test_two_builds_share_no_variable_and_no_metric():
    tasks = [Task.binary("z", metrics=["auc", keras.metrics.AUC(name="own")]), Task.count("a")]
    networks = [mtl.architectures.mmoe(keras.Input((4,)), tasks) for _ in range(2)]
    identities = [{id(variable) for variable in network.variables} for network in networks]
    assert not identities[0] & identities[1]
    # Both lists are kept, since an object that is gone may leave its identity to the next one.
    metrics = [tasks[0].make_metrics()[:-1] for _ in range(2)]
    metric_identities = [{id(metric.metric) for metric in build} for build in metrics]
    assert not metric_identities[0] & metric_identities[1]
    assert tasks[0].make_loss() is not tasks[0].make_loss()


def test_a_task_is_frozen():
    with pytest.raises(AttributeError):
        Task.binary("a").weight = 2.0


def test_accuracy_is_the_one_of_the_kind_of_task():
    kinds = {
        kind: type(FACTORIES[kind]("a").make_metrics()[0].metric).__name__
        for kind in ("binary", "multiclass", "multilabel")
    }
    assert kinds == {
        "binary": "AUC",
        "multiclass": "SparseCategoricalAccuracy",
        "multilabel": "AUC",
    }
    accuracy = Task.binary("a", metrics=["accuracy"]).make_metrics()[0].metric
    assert isinstance(accuracy, keras.metrics.BinaryAccuracy)
