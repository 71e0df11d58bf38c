"""Permutation importance: the definition by another road, and the laws."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.analysis import permutation_importance
from keras_mtl.architectures import hard_sharing

ROWS = 60


def linear_network(kernels):
    """Builds a network of one linear layer per task, with kernels by task."""
    size = len(next(iter(kernels.values())))
    inputs = keras.Input((size,), name="x")
    layers = {name: keras.layers.Dense(1, name=name) for name in kernels}
    network = keras.Model(inputs, {name: layer(inputs) for name, layer in layers.items()})
    for name, kernel in kernels.items():
        layers[name].set_weights([np.array(kernel, "float32")[:, None], np.zeros(1)])
    return network


def draw(size=3, seed=0):
    return np.random.default_rng(seed).normal(size=(ROWS, size)).astype("float32")


TASKS = [mtl.Task.regression("zeta", metrics=()), mtl.Task.regression("age", metrics=["mae"])]


def test_drops_are_those_of_the_definition():
    kernels = {"zeta": [1.0, 2.0, 0.0], "age": [0.0, 1.0, 1.0]}
    x = draw()
    y = {name: x @ np.array(kernel, "float32") for name, kernel in kernels.items()}
    y["age"][:25] = np.nan
    result = permutation_importance(linear_network(kernels), (x, y), TASKS, repeats=3, seed=4)
    assert result.metrics == {"zeta": "mean_loss", "age": "mae"}
    rng = np.random.default_rng(4)
    orders = [rng.permutation(ROWS) for _ in range(3)]
    for i in range(3):
        drops = []
        for order in orders:
            other = x.copy()
            other[:, i] = x[order, i]
            errors = [other @ np.array(kernels[name]) - y[name] for name in ("zeta", "age")]
            drops.append([np.mean(errors[0] ** 2), np.nanmean(np.abs(errors[1]))])
        np.testing.assert_allclose(result.drops[i], np.mean(drops, axis=0), atol=1e-5)
        np.testing.assert_allclose(result.deviations[i], np.std(drops, axis=0, ddof=1), atol=1e-5)
    # What a task does not read has exactly 0.
    assert result.drops[2, 0] == 0 and result.drops[0, 1] == 0
    assert result.drops[1, 0] > result.drops[0, 0] > 0
    assert result.contrast.argmin() == 1
    lines = str(result).splitlines()
    assert lines[0].split() == ["drop", "zeta", "(mean_loss)", "age", "(mae)", "contrast"]
    assert lines[-1].startswith("from 60 rows and 3 permutations; scores: zeta ")


def test_a_metric_that_is_better_high_drops_by_its_fall():
    x = draw()
    y = {"zeta": (x[:, 0] > 0).astype("float32")}
    task = mtl.Task(
        "zeta", head=mtl.Head(1), loss=keras.losses.BinaryCrossentropy(from_logits=True)
    )
    task = mtl.Task.binary("zeta", metrics=["accuracy"])
    inputs = keras.Input((3,), name="x")
    network = keras.Model(inputs, {"zeta": task.output(inputs)})
    network.set_weights([np.array([[9.0], [0], [0]]), np.zeros(1)])
    result = permutation_importance(network, (x, y), [task])
    assert result.scores == {"zeta": 1.0}
    assert 0.3 < result.drops[0, 0] < 0.7 and not result.drops[1:].any()
    loss = permutation_importance(network, (x, y), [task], metrics="loss")
    assert loss.drops[0, 0] > 0 and loss.metrics == {"zeta": "mean_loss"}
    assert "contrast" in str(result) and not result.contrast.any()


def test_groups_are_permuted_together_and_correlated_columns_offered():
    x = draw()
    x[:, 2] = -x[:, 1] + 0.01 * x[:, 2]
    kernels = {"zeta": [1.0, 1.0, 1.0], "age": [1.0, 0.0, 0.0]}
    y = {name: x @ np.array(kernel, "float32") for name, kernel in kernels.items()}
    network = linear_network(kernels)
    alone = permutation_importance(network, (x, y), TASKS)
    assert alone.correlated == (("x/1", "x/2"),)
    assert "correlated, to be grouped: x/1, x/2" in str(alone)
    grouped = permutation_importance(
        network, (x, y), TASKS, columns={"pair": ["x/1", "x/2"], "one": ["x/0"]}
    )
    assert grouped.columns == ("pair", "one") and grouped.correlated == ()
    # Together they are nearly constant; apart, each seems to matter.
    assert grouped.drops[0, 0] < 0.02 < 0.5 < alone.drops[1, 0]
    np.testing.assert_allclose(grouped.drops[1], alone.drops[0], atol=1e-6)
    whole = permutation_importance(network, (x, y), TASKS, columns=["x"])
    assert whole.drops[0, 0] > grouped.drops[0, 0] and whole.columns == ("x",)
    part = permutation_importance(network, (x, y), TASKS, columns=["x/0"])
    np.testing.assert_array_equal(part.drops, alone.drops[:1])


def test_raw_columns_are_permuted_before_their_preprocessing():
    draws = np.random.default_rng(0)
    columns = {
        "size": draws.normal(size=ROWS).astype("float32"),
        "city": np.array(["Rome", "Oslo", "Bari"])[draws.integers(0, 3, ROWS)],
        "noise": draws.normal(size=ROWS).astype("float32"),
    }
    columns["noise"][::4] = np.nan
    encoder = mtl.data.tabular_encoder(columns, missing="mean")
    network = hard_sharing(mtl.data.embed_columns(encoder), TASKS, shared=(8,))
    served = mtl.data.with_preprocessing(encoder, network)
    y = {"zeta": 5 * columns["size"], "age": (columns["city"] == "Oslo").astype("float32")}
    dataset = tf.data.Dataset.from_tensor_slices((columns, y)).batch(25)
    result = permutation_importance(served, dataset, TASKS, repeats=2)
    assert result.columns == ("city", "noise", "size")
    assert result.rows == ROWS and np.isfinite(result.drops).all() and result.drops.all()
    model = mtl.BalancedModel(served, TASKS, mtl.balancers.Equal())
    balanced = permutation_importance(model, dataset, TASKS[::-1], repeats=2)
    np.testing.assert_allclose(balanced.drops, result.drops[:, ::-1], atol=1e-6)
    model.compile("sgd")
    logs = model.evaluate(dataset, return_dict=True, verbose=0)
    assert result.scores["zeta"] == pytest.approx(logs["zeta_mean_loss"], rel=1e-5)
    assert result.scores["age"] == pytest.approx(logs["age_mae"], rel=1e-5)


def test_images_and_ids_are_one_column():
    inputs = {
        "image": keras.Input((3, 3, 1), name="image"),
        "ids": keras.Input((4,), dtype="int32", name="ids"),
        "unread": keras.Input((2,), name="unread"),
    }
    features = keras.layers.Concatenate()(
        [
            keras.layers.Flatten()(inputs["image"]),
            keras.layers.Flatten()(keras.layers.Embedding(5, 2)(inputs["ids"])),
        ]
    )
    network = keras.Model(inputs, {task.name: task.output(features) for task in TASKS})
    draws = np.random.default_rng(0)
    x = {
        "image": draws.normal(size=(ROWS, 3, 3, 1)),
        "ids": draws.integers(0, 5, (ROWS, 4)),
        "unread": draws.normal(size=(ROWS, 2)),
    }
    y = {"zeta": draws.normal(size=ROWS), "age": draws.normal(size=ROWS)}
    result = permutation_importance(network, (x, y), TASKS, repeats=1)
    assert result.columns == ("ids", "image", "unread/0", "unread/1")
    assert result.drops[:2].all() and not result.drops[2:].any()
    assert np.isnan(result.deviations).all()


def test_errors():
    x = draw()
    network = linear_network({"zeta": [1.0, 2.0, 0.0], "age": [0.0, 1.0, 1.0]})
    data = x, {"zeta": x[:, 0], "age": x[:, 1]}
    for arguments, message in [
        ({"columns": ["b"]}, r"columns: there is no column 'b'; expected some of \['x/0'"),
        ({"columns": {"g": ["x/7"]}}, "group 'g': there is no column 'x/7'"),
        ({"metrics": {"age": "auc"}}, "task 'age' has no metric 'auc'"),
        ({"metrics": {"b": "auc"}}, r"metrics name \['b'\]"),
        ({"repeats": 0}, "repeats is 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            permutation_importance(network, data, TASKS, **arguments)
