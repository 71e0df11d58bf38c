"""Integrated gradients: golden values, completeness, and the laws of attributions."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.analysis import integrated_gradients
from keras_mtl.architectures import hard_sharing, mmoe


def make_tasks():
    return [mtl.Task.binary("zeta"), mtl.Task.regression("age"), mtl.Task.multiclass("mid", 3)]


def draw(rows=9, size=4, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, size)).astype("float32")


class Squares(keras.layers.Layer):
    """Computes x1 x2 + x1^2."""

    def call(self, x):
        """Computes the number of each row."""
        return x[:, :1] * x[:, 1:] + x[:, :1] ** 2


def test_golden_values():
    inputs = keras.Input((2,), name="x")
    steep = keras.layers.Dense(1, "sigmoid", name="dense")
    steep(inputs)
    steep.set_weights([np.full((2, 1), 10.0), np.array([-5.0])])
    # A layer behind it hides the logit: the golden value is that of the sigmoid itself.
    probability = keras.layers.Rescaling(1.0, name="zeta")(steep(inputs))
    network = keras.Model(inputs, {"age": Squares(name="age")(inputs), "zeta": probability})
    tasks = [mtl.Task.regression("age"), mtl.Task.regression("zeta")]
    result = integrated_gradients(network, np.array([[1.0, 2.0]]), tasks[:1], baseline=0.0, steps=1)
    assert [result.attributions["age"][name].tolist() for name in ("x/0", "x/1")] == [[2], [1]]
    row = np.array([[1.0, 0.5]])
    result = integrated_gradients(network, row, tasks, baseline=0.0)
    total = sum(values[0] for values in result.attributions["zeta"].values())
    assert total == pytest.approx(0.993262, abs=1e-3)
    assert result.numbers["zeta"] - result.baselines["zeta"] == pytest.approx(0.993262, abs=1e-6)
    assert result.kinds["zeta"] == "prediction"


def test_the_sum_is_the_change_of_the_logit():
    tasks, x = make_tasks(), draw()
    network = hard_sharing(keras.Input((4,), name="x"), tasks, shared=(16,))
    result = integrated_gradients(network, x, tasks, baseline=x.mean(axis=0), steps=256)
    logit = np.log(p := network.predict(x, verbose=0)["zeta"][:, 0]) - np.log1p(-p)
    np.testing.assert_allclose(result.numbers["zeta"], logit, rtol=1e-3, atol=1e-5)
    assert result.kinds == {"zeta": "logit", "age": "prediction", "mid": "logit"}
    for task in result.tasks:
        total = sum(result.attributions[task].values())
        change = result.numbers[task] - result.baselines[task]
        np.testing.assert_allclose(total, change, atol=0.02 * np.abs(change).mean())
        np.testing.assert_allclose(result.errors[task], np.abs(total - change), atol=1e-6)


def test_a_linear_network_is_explained_by_its_weights_and_baselines_are_averaged():
    tasks, x = make_tasks()[1:2], draw()
    inputs = keras.Input((4,), name="x")
    layer = keras.layers.Dense(1, name="age")
    network = keras.Model(inputs, {"age": layer(inputs)})
    starts = draw(rows=3, seed=1)
    result = integrated_gradients(network, x, tasks, baseline=starts, steps=2, batch_size=4)
    expected = (x - starts.mean(axis=0)) * layer.get_weights()[0][:, 0]
    values = np.stack([result.attributions["age"][name] for name in result.inputs], axis=1)
    np.testing.assert_allclose(values, expected, atol=1e-6)
    np.testing.assert_allclose(result.importance[:, 0], np.abs(expected).mean(axis=0), rtol=1e-5)


def test_classes_and_columns_are_chosen():
    x = draw(rows=6)
    tasks = [
        mtl.Task.multiclass("mid", 3, labels="one_hot"),
        mtl.Task.multilabel("tox", columns=["b", "a"]),
    ]
    network = hard_sharing(keras.Input((4,), name="x"), tasks, shared=(8,), tower=())
    logits = {task.name: logits_of(network, task.name, x) for task in tasks}
    result = integrated_gradients(network, x, tasks, baseline=0.0, steps=256)
    np.testing.assert_allclose(result.numbers["mid"], logits["mid"].max(axis=1), rtol=1e-5)
    np.testing.assert_allclose(result.numbers["tox"], logits["tox"].mean(axis=1), rtol=1e-4)
    targets = {"mid": 2, "tox": "a"}
    result = integrated_gradients(network, x, tasks, baseline=0.0, targets=targets, steps=256)
    np.testing.assert_allclose(result.numbers["mid"], logits["mid"][:, 2], rtol=1e-5)
    np.testing.assert_allclose(result.numbers["tox"], logits["tox"][:, 1], rtol=1e-4)


def layer_of(network, task):
    return next(layer for layer in network.layers if layer.name.startswith(task) and layer.weights)


def logits_of(network, task, x):
    """Computes the logits of a network with one shared layer and one layer per task."""
    kernel, bias = next(layer for layer in network.layers if layer.weights).get_weights()
    features = np.maximum(x @ kernel + bias, 0)
    kernel, bias = layer_of(network, task).get_weights()
    return features @ kernel + bias


def test_laws():
    tasks, x = make_tasks(), draw()
    inputs = {"b": keras.Input((4,), name="b"), "a": keras.Input((2,), name="a")}
    features = keras.layers.Dense(8, "relu")(inputs["b"])
    outputs = {task.name: task.output(features) for task in tasks}
    rows = {"b": x, "a": x[:, :2]}
    network = keras.Model(inputs, outputs)
    before = integrated_gradients(network, rows, tasks, baseline=0.0)
    # An input that no layer reads has exactly 0; a task whose head is zeroed has zeros.
    assert before.inputs == ("b/0", "b/1", "b/2", "b/3")
    head = layer_of(network, "age")
    head.set_weights([0 * value for value in head.get_weights()])
    after = integrated_gradients(network, rows, tasks, baseline=0.0)
    assert not any(values.any() for values in after.attributions["age"].values())
    assert any(values.any() for values in before.attributions["age"].values())
    # Another task's head changes nothing.
    for task in ("zeta", "mid"):
        for name, values in after.attributions[task].items():
            np.testing.assert_array_equal(values, before.attributions[task][name])
    order = integrated_gradients(network, rows, tasks[::-1], baseline={"b": 0.0, "a": 1.0})
    assert order.tasks == ("mid", "age", "zeta")
    np.testing.assert_allclose(order.importance, after.importance[:, ::-1], rtol=1e-5)
    alone = integrated_gradients(network, rows, tasks[:1], baseline=0.0)
    np.testing.assert_allclose(alone.importance[:, 0], after.importance[:, 0], rtol=1e-5)
    assert not alone.contrast.any()


def test_an_input_that_one_task_reads_is_exactly_zero_for_the_others():
    inputs = {"b": keras.Input((2,), name="b"), "a": keras.Input((), name="a")}
    tasks = make_tasks()[:2]
    column = keras.layers.Reshape((1,))(inputs["a"])
    network = keras.Model(
        inputs, {"zeta": tasks[0].output(inputs["b"]), "age": tasks[1].output(column)}
    )
    rows = {"b": draw(size=2), "a": draw(size=1)[:, 0]}
    result = integrated_gradients(network, rows, tasks, baseline=0.0)
    assert not result.attributions["zeta"]["a"].any()
    assert not result.attributions["age"]["b/0"].any()
    assert result.attributions["age"]["a"].all()
    assert result.importance[result.inputs.index("a"), 0] == 0


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_ids_are_attributed_at_their_vectors(dtype):
    tasks = make_tasks()[:2]
    tokens = keras.Input((5,), dtype=dtype, name="tokens")
    embedded = keras.layers.Embedding(7, 3, mask_zero=True)(tokens)
    features = keras.layers.GlobalAveragePooling1D()(embedded)
    network = keras.Model(tokens, {task.name: task.output(features) for task in tasks})
    ids = np.array([[3, 1, 4, 0, 0], [5, 6, 2, 5, 0]])
    result = integrated_gradients(network, ids, tasks, baseline=1)
    values = result.attributions["age"]
    if dtype == "float32":  # as those of a table, columns have names of their own
        values["tokens"] = np.stack([values[f"tokens/{i}"] for i in range(5)], axis=1)
    values = values["tokens"]
    assert values.shape == (2, 5)
    table = network.layers[1].get_weights()[0]
    kernel = layer_of(network, "age")
    kernel = kernel.get_weights()[0][:, 0]
    counts = (ids > 0).sum(axis=1, keepdims=True)
    expected = (table[ids] - table[1]) @ kernel / counts * (ids > 0)
    np.testing.assert_allclose(values, expected, atol=1e-6)


def test_masked_positions_are_not_explained():
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    embedded = keras.layers.Embedding(7, 3, mask_zero=True)(tokens)
    task = mtl.Task.tagging("pos", 2)
    network = keras.Model(tokens, {"pos": task.output(embedded)})
    ids = np.array([[3, 1, 0, 0], [5, 6, 2, 4]])
    arguments = {"baseline": 1, "targets": {"pos": 1}}
    result = integrated_gradients(network, ids, [task], **arguments)
    cut = integrated_gradients(network, ids[:1, :2], [task], **arguments)
    values = result.attributions["pos"]["tokens"]
    np.testing.assert_allclose(values[0, :2], cut.attributions["pos"]["tokens"][0], rtol=1e-5)
    assert values[0, 0] != 0 and not values[0, 2:].any() and values[1].all()
    np.testing.assert_allclose(result.numbers["pos"][0], cut.numbers["pos"][0], rtol=1e-5)


def encoded_network(tasks, in_graph):
    draws = np.random.default_rng(0)
    columns = {
        "size": draws.normal(size=40).astype("float32"),
        "city": np.array(["Rome", "Oslo", "Bari", ""])[draws.integers(0, 4, 40)],
        "years": draws.uniform(20, 60, 40).astype("float32"),
        "job": np.array(["a", "b"])[draws.integers(0, 2, 40)],
    }
    columns["years"][::5] = np.nan
    encoder = mtl.data.tabular_encoder(columns, missing="median")
    if in_graph:
        network = hard_sharing(mtl.data.embed_columns(encoder, encoder.output), tasks, shared=(8,))
        return network, columns
    network = hard_sharing(mtl.data.embed_columns(encoder), tasks, shared=(8,))
    return mtl.data.with_preprocessing(encoder, network), columns


@pytest.mark.parametrize("in_graph", [True, False])
def test_raw_columns_are_attributed_by_name(in_graph):
    tasks = make_tasks()
    network, columns = encoded_network(tasks, in_graph)
    baseline = {"size": 0.0, "city": "", "years": 40.0, "job": "a"}
    result = integrated_gradients(network, columns, tasks, baseline=baseline, steps=128)
    assert sorted(result.inputs) == ["city", "job", "size", "years"]
    values = result.attributions["age"]
    # What equals the baseline adds nothing; all the rest does.
    assert not values["job"][columns["job"] == "a"].any()
    assert values["job"][columns["job"] == "b"].all()
    assert not values["city"][columns["city"] == ""].any()
    assert values["years"][np.isnan(columns["years"])].all()
    total = sum(values.values())
    predicted = network.predict(
        {name: tf.constant(column) for name, column in columns.items()}, verbose=0
    )["age"]
    np.testing.assert_allclose(
        total, predicted[:, 0] - result.baselines["age"], atol=0.05 * np.abs(total).mean() + 1e-3
    )


def test_images_positions_and_a_balanced_model():
    inputs = keras.Input((4, 4, 2), name="image")
    features = keras.layers.Conv2D(3, 2, padding="same", activation="relu")(inputs)
    tasks = [mtl.Task.segmentation("parts", 3), mtl.Task.segmentation("depth", 2)]
    network = keras.Model(inputs, {task.name: task.output(features) for task in tasks})
    images = np.random.default_rng(0).uniform(size=(3, 4, 4, 2)).astype("float32")
    model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
    for looked_at in (network, model):
        result = integrated_gradients(looked_at, images, tasks, baseline=0.0)
        assert result.inputs == ("image",)
        assert result.attributions["depth"]["image"].shape == images.shape
        total = result.attributions["depth"]["image"].sum(axis=(1, 2, 3))
        change = result.numbers["depth"] - result.baselines["depth"]
        np.testing.assert_allclose(total, change, atol=0.05 * np.abs(change).mean())


def test_experts_are_no_obstacle_and_the_text_ranks_by_contrast():
    tasks, x = make_tasks(), draw()
    network = mmoe(keras.Input((4,), name="x"), tasks, num_experts=2, expert=(4,))
    result = integrated_gradients(network, x, tasks, baseline=x.mean(axis=0), steps=256)
    lines = str(result).splitlines()
    assert lines[0].split() == ["mean", "|attribution|", "zeta", "age", "mid", "contrast"]
    assert lines[1].split()[0] == result.inputs[int(np.argmax(result.contrast))]
    assert lines[-1].startswith("from 9 rows, largest error 0.0")


def test_errors():
    tasks, x = make_tasks(), draw()
    inputs = keras.Input((4,), name="x")
    network = hard_sharing(inputs, tasks, shared=(8,))

    def attribute(x=x, **arguments):
        integrated_gradients(network, x, tasks, **{"baseline": 0.0, **arguments})

    with pytest.raises(ValueError, match=r"baseline of the input has shape \(3,\).*one row \(4,\)"):
        attribute(baseline=np.zeros(3))
    with pytest.raises(ValueError, match=r"targets name \['b'\]"):
        attribute(targets={"b": 0})
    with pytest.raises(ValueError, match=r"task 'mid': the target is 3; expected.*0 to 2"):
        attribute(targets={"mid": 3})
    with pytest.raises(ValueError, match="at least one row"):
        attribute(x[:0])
    with pytest.raises(ValueError, match="steps and batch_size are 0 and 256"):
        attribute(steps=0)
    rounded = keras.Model(inputs, {"age": tasks[1].output(keras.ops.round(3 * inputs))})
    with pytest.raises(ValueError, match=r"task 'age': the attributions of .* lets no gradient"):
        integrated_gradients(rounded, x, tasks[1:2], baseline=0.0)
