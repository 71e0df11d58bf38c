import keras
import numpy as np
import pytest
import tensorflow as tf
from funnel import SIZE, impressions, predict, randomize, relu, tower, value
from scipy import special

from keras_mtl import Task, architectures

TASKS = [Task.regression("zeta"), Task.binary("alpha"), Task.multiclass("mid", 3)]
OWNERS = ["zeta", "alpha", "mid", "shared"]


def build(tasks=TASKS, **arguments):
    arguments = {"embedding": (4,), "num_experts": 2, "expert": (3,), "tower": ()} | arguments
    network = architectures.stem(keras.Input((SIZE,)), tasks, **arguments)
    randomize(network)
    return network


def test_the_outputs_equal_the_papers_equation():
    network, (x, _) = build(), impressions()
    embeddings, experts = {}, {}
    for owner in OWNERS:
        layer = network.get_layer(f"{owner}_embedding_0")
        embeddings[owner] = x @ value(layer.kernel) + value(layer.bias)
        layer = network.get_layer(f"{owner}_experts")
        hidden = np.einsum("bi,ieo->beo", embeddings[owner], value(layer.kernels[0]))
        experts[owner] = relu(hidden + value(layer.biases[0]))
    all_experts = np.concatenate([experts[owner] for owner in OWNERS], 1)
    outputs = predict(network, x)
    ends = {"alpha": special.expit, "mid": lambda y: special.softmax(y, -1)}
    for task in TASKS:
        gate = network.get_layer(f"{task.name}_gate")
        read = embeddings[task.name] + embeddings["shared"]
        weights = special.softmax(read @ value(gate.kernel), -1)
        layer = network.get_layer(f"{task.name}_logits")
        mixture = np.einsum("be,beo->bo", weights, all_experts)
        expected = mixture @ value(layer.kernel) + value(layer.bias)
        expected = ends.get(task.name, lambda y: y)(expected)
        np.testing.assert_allclose(outputs[task.name], expected, rtol=1e-3, atol=1e-4)


def test_all_forward_task_specific_backward():
    # Every task reads the tables and experts of all tasks, and trains only its own and the
    # shared ones.
    network, (x, _) = build(), impressions()
    kernels = {
        owner: [
            network.get_layer(f"{owner}_embedding_0").kernel,
            network.get_layer(f"{owner}_experts").kernels[0],
        ]
        for owner in OWNERS
    }
    for task in TASKS:
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(network(x)[task.name] ** 2)
        values = {owner: [variable.value for variable in pair] for owner, pair in kernels.items()}
        gradients = tape.gradient(total, values)
        trained = {owner for owner, pair in gradients.items() if all(g is not None for g in pair)}
        assert trained == {task.name, "shared"}
        assert all(np.any(g) for owner in trained for g in gradients[owner])
    for owner, pair in kernels.items():
        for kernel in pair:
            before = predict(network, x)
            kernel.assign(kernel.value + 0.5)
            after = predict(network, x)
            assert all(np.abs(after[t.name] - before[t.name]).max() > 1e-4 for t in TASKS), owner


def test_identifiers_have_a_table_per_task_and_a_shared_one():
    def embed(inputs):
        user = keras.layers.Embedding(7, 3)(inputs["user"])
        item = keras.layers.Embedding(9, 2)(inputs["item"])
        price = keras.layers.Reshape((1,))(inputs["price"])
        return keras.layers.Concatenate()([user, item, price])

    inputs = {key: keras.Input((), name=key, dtype="int32") for key in ("user", "item")}
    inputs["price"] = keras.Input((), name="price")
    network = architectures.stem(inputs, TASKS, embedding=embed, expert=(4,), tower=())
    assert set(network.input) == {"user", "item", "price"}
    tables = [layer for layer in network.layers if isinstance(layer, keras.layers.Embedding)]
    assert len(tables) == 2 * (len(TASKS) + 1)
    values = [np.asarray(table.embeddings) for table in tables if table.input_dim == 7]
    assert all(np.abs(a - b).max() > 1e-3 for i, a in enumerate(values) for b in values[:i])
    batch = {"user": np.array([1, 6]), "item": np.array([0, 8]), "price": np.array([1.0, 2.0])}
    batch = {key: tf.convert_to_tensor(values) for key, values in batch.items()}
    assert network(batch)["mid"].shape == (2, 3)


def test_one_table_of_identifiers():
    def embed(ids):
        return keras.layers.Flatten()(keras.layers.Embedding(9, 2)(ids))

    network = architectures.stem(keras.Input((3,), dtype="int32"), TASKS, embedding=embed)
    assert network(np.array([[1, 2, 8]]))["zeta"].shape == (1, 1)


def test_an_embedding_that_two_tasks_share_is_refused():
    live = keras.layers.Dense(4)
    with pytest.raises(ValueError, match="'zeta' and 'alpha' share the layer"):
        build(embedding=lambda x: live(x))
    with pytest.raises(TypeError, match="zeta_embedding: received the live layer"):
        build(embedding=live)


def test_inputs_of_a_recipe_are_checked():
    def embed(inputs):
        return inputs["b"]

    with pytest.raises(ValueError, match=r"write keras.Input\(..., name='b'\)"):
        architectures.stem({"b": keras.Input((4,), name="c")}, TASKS, embedding=embed)
    with pytest.raises(ValueError, match="inputs is an empty dict"):
        architectures.stem({}, TASKS, embedding=embed)
    with pytest.raises(ValueError, match="task 'zeta': an input has this name too"):
        architectures.stem({"zeta": keras.Input((4,), name="zeta")}, TASKS, embedding=embed)


@pytest.mark.parametrize("num_experts", [0, 1.0, True])
def test_the_number_of_experts_is_checked(num_experts):
    with pytest.raises(ValueError, match="num_experts"):
        build(num_experts=num_experts)


def test_the_depth_of_a_tower_is_the_caller_s():
    network, (x, _) = build(tower=(5, 4)), impressions()
    assert network.get_layer("mid_tower_1").units == 4
    assert tower(network, "mid_tower", np.ones((2, 3)), depth=2).shape == (2, 4)
    assert predict(network, x)["mid"].shape == (len(x), 3)
