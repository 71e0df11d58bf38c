"""Networks built without this package: their graphs and gradients tell what their tasks share."""

import keras
import numpy as np
import pytest
import small_problem as problem
import tensorflow as tf

import keras_mtl as mtl

layers = keras.layers
RATE = 0.1
MSE = {"loss": "mse", "head": mtl.Head(1)}
PAIR = [mtl.Task("z", **MSE), mtl.Task("a", weight=0.5, **MSE)]


def squared_errors(predictions, y):
    """Computes the mean squared error of each task, times the task's weight."""
    return {
        task.name: task.weight
        * tf.reduce_mean((predictions[task.name][..., 0] - y[task.name]) ** 2)
        for task in PAIR
    }


def data(inputs=4, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(8, inputs)).astype("float32")
    return x, {"z": x[:, 0], "a": np.abs(x[:, 1])}


def jacobian(network, variables, x, y):
    """Computes each task's gradients, with one tape per task over the whole network."""
    rows = []
    for task in PAIR:
        with tf.GradientTape() as tape:
            out = network(keras.tree.map_structure(tf.constant, x), training=True)
            if not isinstance(out, dict):
                out = dict(zip(network.output_names, out, strict=True))
            loss = squared_errors(out, y)[task.name]
        rows.append(
            [
                np.array(tf.convert_to_tensor(gradient), "float64")
                for gradient in tape.gradient(
                    loss, [v.value for v in variables], unconnected_gradients="zero"
                )
            ]
        )
    return rows


def check_step(network, balancer, shared, batch=None, at="parameters"):
    """Checks one step against the rule on the Jacobian of the variables that both tasks use.

    At `"representation"` the weights are the model's: only their use is checked.
    """
    x, y = batch or data()
    rule = type(balancer).from_config(balancer.get_config())
    variables = list(network.trainable_variables)
    before, rows = problem.values(variables), jacobian(network, variables, x, y)
    both = [all(np.any(row[i]) for row in rows) for i in range(len(variables))]
    assert {v.path for v, b in zip(variables, both, strict=True) if b} == {
        v.path for layer in shared for v in network.get_layer(layer).trainable_variables
    }
    model = mtl.BalancedModel(network, PAIR, balancer, at=at)
    model.compile(keras.optimizers.SGD(RATE), run_eagerly=True)
    model.train_on_batch(x, y)
    if isinstance(balancer, mtl.balancers.LossBalancer):
        weights = np.array([1.0, 3.0])
        factors_of_towers = weights
    else:
        of_shared = [[g for g, b in zip(row, both, strict=True) if b] for row in rows]
        matrix = problem.joined(of_shared)
        gramian = (matrix @ matrix.T).astype("float32")
        weights = np.array(rule.weigh(gramian, np.ones(2, "float32")), "float64")
        factors_of_towers = np.ones(2)
        if at == "parameters":
            np.testing.assert_allclose(list(model.task_weights.values()), weights, rtol=1e-4)
        else:
            weights = np.array(list(model.task_weights.values()))
    for i, variable in enumerate(variables):
        factors = weights if both[i] else factors_of_towers
        step = sum(factor * row[i] for factor, row in zip(factors, rows, strict=True))
        problem.assert_close([np.array(variable)], [before[i] - RATE * step], 5e-6)
    return model


def two_towers(as_list=False):
    x = keras.Input((4,))
    h = layers.Dense(8, activation="tanh", name="trunk")(x)
    z = layers.Dense(1, name="z")(h)
    a = layers.Dense(1, name="a")(layers.Dense(4, activation="tanh", name="a_tower")(h))
    return keras.Model(x, [z, a] if as_list else {"z": z, "a": a})


@pytest.mark.parametrize("as_list", [False, True])
def test_outputs_are_matched_by_name_in_any_order(as_list):
    network = two_towers(as_list)
    model = check_step(network, mtl.balancers.PCGrad(), ["trunk"])
    x, _ = data()
    predictions, outputs = model.predict(x, verbose=0), network.predict(x, verbose=0)
    assert list(predictions) == ["z", "a"]
    for name, index in (("z", 0), ("a", 1)):
        expected = outputs[index] if as_list else outputs[name]
        np.testing.assert_allclose(predictions[name], expected, rtol=1e-5)


def chained(through):
    """Builds a network in which the tower of `a` reads a hidden layer or the prediction of `z`."""
    x = keras.Input((4,))
    h = layers.Dense(8, activation="tanh", name="trunk")(x)
    hidden = layers.Dense(6, activation="tanh", name="hidden")(h)
    z = layers.Dense(1, name="z")(hidden)
    read = {"hidden": hidden, "prediction": z}[through]
    joined = layers.Concatenate()([h, read])
    return keras.Model(x, {"z": z, "a": layers.Dense(1, name="a")(joined)})


@pytest.mark.parametrize(
    ("through", "shared"),
    [("hidden", ["trunk", "hidden"]), ("prediction", ["trunk", "hidden", "z"])],
)
@pytest.mark.parametrize("at", ["parameters", "representation"])
def test_the_layers_that_a_chained_task_reads_are_shared(through, shared, at):
    check_step(chained(through), mtl.balancers.MGDA(), shared, at=at)


def tied():
    """Builds a network in which both towers call one layer."""
    x = keras.Input((4,))
    h = layers.Dense(8, activation="tanh", name="trunk")(x)
    twice = layers.Dense(6, activation="tanh", name="twice")
    ends = {
        name: layers.Dense(1, name=name)(twice(layers.Dense(5, name=f"{name}_tower")(h)))
        for name in ("z", "a")
    }
    return keras.Model(x, ends)


@pytest.mark.parametrize("balancer", [mtl.balancers.MGDA, mtl.balancers.Fixed])
def test_a_layer_that_two_towers_call_is_shared(balancer):
    balancer = balancer([1.0, 3.0]) if balancer is mtl.balancers.Fixed else balancer()
    check_step(tied(), balancer, ["trunk", "twice"])


def test_the_representation_is_refused_if_two_towers_call_one_layer():
    with pytest.raises(ValueError, match=r"towers of \['z', 'a'\] use the same layer"):
        mtl.BalancedModel(tied(), PAIR, mtl.balancers.MGDA(), at="representation")


def branched():
    """Builds a network around a nested model with two outputs, each of which one task reads."""
    inner = keras.Input((4,))
    h = layers.Dense(8, activation="tanh", name="stem")(inner)
    ends = [layers.Dense(5, activation="tanh", name=f"branch_{i}")(h) for i in range(2)]
    body = keras.Model(inner, ends, name="body")
    x = keras.Input((4,))
    left, right = body(x)
    outputs = {"z": layers.Dense(1, name="z")(left), "a": layers.Dense(1, name="a")(right)}
    return keras.Model(x, outputs), body


@pytest.mark.parametrize("balancer", [mtl.balancers.CAGrad, mtl.balancers.Fixed])
def test_branches_of_a_nested_model_are_not_shared_but_its_stem_is(balancer):
    network, body = branched()
    fixed = balancer is mtl.balancers.Fixed
    # get_layer looks on the outer level only; check_step wants the shared layers by name.
    network.get_layer = body.get_layer
    check_step(network, balancer([1.0, 3.0]) if fixed else balancer(), ["stem"])


@pytest.mark.parametrize("balancer", [mtl.balancers.MGDA, mtl.balancers.Fixed])
@pytest.mark.parametrize("at", ["parameters", "representation"])
def test_embeddings_in_the_trunk_and_in_a_tower_get_their_gradients(balancer, at):
    tokens = keras.Input((3,), dtype="int32")
    h = layers.Flatten()(layers.Embedding(9, 4, name="trunk")(tokens))
    of_tower = layers.Flatten()(layers.Embedding(9, 2, name="a_embedding")(tokens))
    z = layers.Dense(1, name="z")(h)
    a = layers.Dense(1, name="a")(layers.Concatenate()([h, of_tower]))
    network = keras.Model(tokens, {"z": z, "a": a})
    batch = np.random.default_rng(1).integers(0, 7, (8, 3)).astype("int32"), data()[1]
    fixed = balancer is mtl.balancers.Fixed
    check_step(network, balancer([1.0, 3.0]) if fixed else balancer(), ["trunk"], batch, at)


def test_two_inputs_may_enter_the_trunk_and_a_tower():
    first, second = keras.Input((4,), name="first"), keras.Input((2,), name="second")
    h = layers.Dense(8, activation="tanh", name="trunk")(first)
    joined = layers.Concatenate()([h, layers.Dense(3, name="a_input")(second)])
    outputs = {"z": layers.Dense(1, name="z")(h), "a": layers.Dense(1, name="a")(joined)}
    network = keras.Model({"first": first, "second": second}, outputs)
    x, y = data()
    check_step(network, mtl.balancers.MGDA(), ["trunk"], ({"first": x, "second": x[:, :2]}, y))


def test_a_frozen_layer_is_not_balanced_and_an_unfrozen_one_is_again():
    network = two_towers()
    network.get_layer("trunk").trainable = False
    with pytest.raises(ValueError, match="share none"):
        mtl.BalancedModel(network, PAIR, mtl.balancers.MGDA())
    network.get_layer("trunk").trainable = True
    model = mtl.BalancedModel(network, PAIR, mtl.balancers.MGDA())
    moved = []
    for trainable in (True, False):
        network.get_layer("a_tower").trainable = trainable
        model.compile(keras.optimizers.SGD(RATE), run_eagerly=True)
        before = problem.values(network.get_layer("a_tower").weights)
        model.train_on_batch(*data())
        after = problem.values(network.get_layer("a_tower").weights)
        moved.append(any(np.any(b != a) for b, a in zip(before, after, strict=True)))
    assert moved == [True, False]


def test_tokens_that_the_network_masks_count_in_no_loss_metric_or_gradient():
    tasks = [mtl.Task.tagging("z", 3), mtl.Task.tagging("a", 2)]

    def network():
        keras.utils.set_random_seed(0)
        tokens = keras.Input((5,), dtype="int32")
        h = layers.Embedding(9, 4, mask_zero=True)(tokens)
        h = layers.Dense(6, activation="tanh")(h)
        ends = {t.name: t.output(layers.Dense(4, name=f"{t.name}_tower")(h)) for t in tasks}
        return keras.Model(tokens, ends)

    rng = np.random.default_rng(0)
    x = rng.integers(1, 9, (8, 5)).astype("int32")
    x[:4, 3:] = 0
    labels = {"z": rng.integers(0, 3, (8, 5)), "a": rng.integers(0, 2, (8, 5))}
    other = {name: np.where(x == 0, 0, value) for name, value in labels.items()}
    outcomes = []
    for y in (labels, other):
        model = mtl.BalancedModel(network(), tasks, mtl.balancers.MGDA())
        model.compile(keras.optimizers.SGD(RATE), run_eagerly=True)
        logs = model.train_on_batch(x, y, return_dict=True)
        outcomes.append((problem.values(model.trainable_variables), logs))
    problem.assert_close(outcomes[0][0], outcomes[1][0], 1e-9)
    assert outcomes[0][1] == outcomes[1][1]
    fresh = network()
    chance = np.array(fresh(x)["z"])
    picked = np.take_along_axis(chance, labels["z"][..., None], -1)[..., 0]
    expected = -np.log(picked)[x != 0].mean()
    assert outcomes[0][1]["z_loss"] == pytest.approx(expected, rel=1e-5)
    hits = (chance.argmax(-1) == labels["z"])[x != 0].mean()
    assert outcomes[0][1]["z_accuracy"] == pytest.approx(hits, rel=1e-5)


def test_dropout_and_normalization_train_in_towers_and_rest_in_evaluation():
    x = keras.Input((4,))
    h = layers.Dense(8, name="trunk")(x)
    tower = layers.BatchNormalization(name="normal")(layers.Dropout(0.5, seed=1)(h))
    network = keras.Model(x, {"z": layers.Dense(1, name="z")(tower), "a": layers.Dense(1)(h)})
    model = mtl.BalancedModel(network, PAIR, mtl.balancers.Equal())
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    batch = data()
    trained = [model.train_on_batch(*batch, return_dict=True)["z_loss"] for _ in range(2)]
    assert trained[0] != trained[1]
    tested = [model.test_on_batch(*batch, return_dict=True)["z_loss"] for _ in range(2)]
    assert tested[0] == tested[1]
    assert np.any(np.array(network.get_layer("normal").moving_mean))
