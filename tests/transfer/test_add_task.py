"""A new head changes nothing of the old tasks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task, transfer

layers = keras.layers
TASKS = [Task.binary("z"), Task.regression("a")]
NEW = Task.multiclass("m", 3)
RNG = np.random.default_rng(0)


def users_network(tied=False):
    """Builds two inputs in a dict, a model inside, batch normalization, outputs in a list."""
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    inner = keras.Input((3,))
    encoder = keras.Model(inner, layers.Dense(4)(layers.BatchNormalization()(inner)), name="enc")
    features = layers.Concatenate(name="both")([encoder(left), right])
    dropped = layers.Dropout(0.5)(layers.Dense(4, name="wide")(features))
    outputs = [layers.Dense(1, name=name)(dropped) for name in ("z", "a")]
    return keras.Model({"left": left, "right": right}, outputs)


X = {"left": RNG.normal(size=(8, 3)).astype("float32"), "right": np.ones((8, 2), "float32")}


def test_the_old_tasks_predict_as_before_and_layers_are_shared():
    network = users_network()
    larger = transfer.add_task(network, NEW, tower=(5,))
    assert list(larger.output) == ["z", "a", "m"] and set(larger.input) == {"left", "right"}
    before, after = network.predict(X, verbose=0), larger.predict(X, verbose=0)
    for name, prediction in zip(("z", "a"), before, strict=True):
        np.testing.assert_array_equal(after[name], prediction)
    assert {id(layer) for layer in network.layers} <= {id(layer) for layer in larger.layers}
    assert [layer.name for layer in larger.layers if layer.name.startswith("m_t")] == ["m_tower_0"]


@pytest.mark.parametrize("at", ["enc", "wide", "both", "tensor"])
def test_a_head_stands_where_it_is_told(at):
    network = users_network()
    place = network.get_layer("wide").output if at == "tensor" else at
    larger = transfer.add_task(network, NEW, at=place)
    kernel = next(v for v in larger.trainable_variables if v.path == "m_logits/kernel")
    assert tuple(kernel.shape) == ({"both": 6}.get(at, 4), 3)


def test_a_new_head_on_a_frozen_trunk_leaves_everything_else_as_it_was(tmp_path):
    network = users_network()
    tasks = [Task("z", head=mtl.Head(1), loss="mse"), Task("a", head=mtl.Head(1), loss="mse"), NEW]
    larger = transfer.add_task(network, NEW, freeze="*")
    model = mtl.BalancedModel(larger, tasks, mtl.balancers.Equal())
    model.compile(keras.optimizers.AdamW(0.1))
    before = {v.path: v.numpy() for v in network.weights}
    head = larger.get_layer("m_logits").kernel.numpy()
    labels = {"z": np.full(8, np.nan), "a": np.full(8, np.nan), "m": np.arange(8) % 3}
    data = mtl.data.mask_missing(_dataset(labels), tasks)
    model.fit(data, epochs=3, verbose=0)
    for variable in network.weights:  # moving averages of the normalization, too
        if "seed" not in variable.path:
            np.testing.assert_array_equal(variable, before[variable.path])
    assert np.abs(larger.get_layer("m_logits").kernel - head).max() > 0.1
    larger.save(tmp_path / "larger.keras")
    again = keras.saving.load_model(tmp_path / "larger.keras")
    np.testing.assert_allclose(
        again.predict(X, verbose=0)["m"], larger.predict(X, verbose=0)["m"], rtol=1e-5
    )


def _dataset(labels):
    return tf.data.Dataset.from_tensor_slices((X, labels)).batch(8)


def test_a_balancer_of_the_old_tasks_is_refused():
    tasks = [*TASKS, NEW]
    network = mtl.architectures.hard_sharing(keras.Input((4,)), TASKS, shared=(8,))
    old = mtl.BalancedModel(network, TASKS, mtl.balancers.DWA())
    model = mtl.BalancedModel(transfer.add_task(old, NEW), tasks, old.balancer)
    model.compile("adam")
    labels = {"z": np.ones(8), "a": np.ones(8), "m": np.zeros(8, int)}
    with pytest.raises(ValueError, match=r"expects 2 losses; received 3\. Make a new balancer"):
        model.fit(np.ones((8, 4), "float32"), labels, verbose=0)
    model = mtl.BalancedModel(model.network, tasks, mtl.balancers.DWA())
    model.compile("adam")
    model.fit(np.ones((8, 4), "float32"), labels, verbose=0)


def test_towers_together_and_columns_take_another_task():
    tasks = [Task.binary(f"t{i}") for i in reversed(range(9))]
    network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,), tower=(3,))
    larger = transfer.add_task(network, NEW)
    assert len(larger.output) == 10 and larger.get_layer("m_logits").kernel.shape == (8, 3)
    wide = transfer.add_task(network, Task.multilabel("w", 600, columns=[*map(str, range(600))]))
    assert wide.output["w"].shape == (None, 600)


ONE = mtl.architectures.single_task(keras.Input((4,)), TASKS[:1], tower=(3,))
SHARED = layers.Dense(4, name="twice")


def calls_twice():
    x = keras.Input((4,))
    features = SHARED(SHARED(x))
    return keras.Model(x, {name: layers.Dense(1, name=name)(features) for name in "ab"})


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (users_network, {"task": TASKS[0]}, "has an output of that name"),
        (users_network, {"task": Task.binary("wide")}, "has a layer of that name"),
        (users_network, {"at": "deep"}, r"at='deep' names no layer .*'enc'"),
        (users_network, {"at": "enc/dense"}, "name the outer one"),
        (users_network, {"at": keras.Input((3,))}, "is not computed in the network"),
        (users_network, {"freeze": "shared_*"}, r"freeze='shared_\*' matches no layer"),
        (users_network, {"tower": lambda f: layers.Dense(3, name="wide")(f)}, r"named \['wide'\]"),
        (lambda: ONE, {}, r"one task, \['z'\]"),
        (calls_twice, {"at": "twice"}, "called 2 times"),
        (
            lambda: mtl.architectures.mmoe(keras.Input((4,)), TASKS),
            {},
            "read 2 different tensors",
        ),
    ],
)
def test_bad_input_is_refused(make, options, message):
    with pytest.raises(ValueError, match=message):
        transfer.add_task(make(), **{"task": NEW, **options})


def test_a_name_is_no_task():
    with pytest.raises(TypeError, match=r"must be a keras_mtl\.Task"):
        transfer.add_task(ONE, "m")
