"""Towers that one joint layer computes are trained as towers of separate layers are."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import architectures, balancers, layers

TASKS = [
    mtl.Task.binary("z"),
    mtl.Task.regression("r", weight=0.5),
    mtl.Task.multiclass("m", 3),  # has a tower of its own
    mtl.Task.binary("a"),
]
SIDE_BY_SIDE = ["z", "r", "a"]


def body(stopped=False):
    """Builds the inputs and each task's features; `stopped` stops the gradients of the gates."""
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    features = keras.layers.Dense(8, activation="tanh", name="shared_0")(x)
    features = keras.layers.Dense(8, activation="tanh", name="shared_1")(features)
    gates = {
        t.name: keras.layers.Dense(8, activation="sigmoid", name=f"{t.name}_gate") for t in TASKS
    }
    # Where the gates read the shared features through a stopped gradient, the graph does not tell
    # which variables are shared: only the gradients do.
    source = layers.StopGradient()(features) if stopped else x
    return x, {name: features * gate(source) for name, gate in gates.items()}


def separate_tower(task, features):
    features = keras.layers.Dense(5, activation="tanh", name=f"{task.name}_tower")(features)
    return task.output(features)


def separate(stopped=False):
    """Builds the network whose towers are layers of their own."""
    x, features = body(stopped)
    return keras.Model(x, {task.name: separate_tower(task, features[task.name]) for task in TASKS})


def together(stopped=False):
    """Builds the same network, with the same values, with three of its towers in one layer."""
    x, features = body(stopped)
    towers = layers.Towers((5, 1), "tanh", name="towers")
    logits = dict(zip(SIDE_BY_SIDE, towers([features[n] for n in SIDE_BY_SIDE]), strict=True))
    outputs = {}
    for task in TASKS:
        if task.name in logits:
            prediction = task.head.activate(logits[task.name], task.name)
            outputs[task.name] = keras.layers.Identity(name=task.name)(prediction)
        else:
            outputs[task.name] = separate_tower(task, features[task.name])
    network = keras.Model(x, outputs)
    reference = separate(stopped)
    for variable in network.trainable_variables:
        if "towers" not in variable.path:
            layer, name = variable.path.split("/")
            variable.assign(getattr(reference.get_layer(layer), name))
    towers.set_weights(towers_of(reference))
    return network


def towers_of(network):
    """Returns the variables of separate towers, stacked as `Towers` has them."""
    places = [(layer, kind) for layer in ("tower", "logits") for kind in ("kernel", "bias")]
    return [
        np.stack([np.array(getattr(network.get_layer(f"{n}_{layer}"), k)) for n in SIDE_BY_SIDE])
        for layer, k in places
    ]


def data(batches=3):
    """Yields batches in which most labels of r are missing, and in the second all of z."""
    rng = np.random.default_rng(1)
    for i in range(batches):
        x = rng.normal(size=(16, 4)).astype("float32")
        y = {
            "z": (x[:, :1] > 0).astype("float32"),
            "r": x[:, 1:2] - x[:, 2:3],
            "m": rng.integers(0, 3, 16),
            "a": (x[:, 3:] > x[:, :1]).astype("float32"),
        }
        w = {name: np.ones(16, "float32") for name in y}
        w["r"][i + 2 :] = 0.0
        w["z"][:] = float(i != 1)
        yield x, y, w


def train(network, balancer, broken=False, **options):
    model = mtl.BalancedModel(network, TASKS, balancer, **options)
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    for i, (x, y, w) in enumerate(data()):
        if broken and i == 1:
            y["r"][0] = 1e30  # its square is infinite; NaN would be refused before the step
        model.train_on_batch(x, y, w)
    return model


def check_equal(one, other, tolerance=2e-5):
    """Checks that a network with separate towers and one with joint towers have equal values."""
    for variable in one.trainable_variables:
        layer = variable.path.split("/")[0]
        if layer.endswith("_gate") or not any(layer.startswith(f"{n}_") for n in SIDE_BY_SIDE):
            same = getattr(other.get_layer(layer), variable.name)
            np.testing.assert_allclose(same, variable, atol=tolerance, err_msg=variable.path)
    joint = other.get_layer("towers").get_weights()
    for actual, expected in zip(joint, towers_of(one), strict=True):
        np.testing.assert_allclose(actual, expected, atol=tolerance)


CASES = {
    "Equal": (balancers.Equal, {}),
    "MGDA": (balancers.MGDA, {}),
    "PCGrad, representation": (balancers.PCGrad, {"at": "representation", "every": 2}),
    "CAGrad, scaled": (balancers.CAGrad, {"scale_towers": True, "every": 2}),
    "GradDrop": (balancers.GradDrop, {}),
    "SDMGrad": (balancers.SDMGrad, {}),
    "DWA": (balancers.DWA, {}),
}


EVERYDAY = [("MGDA", False), ("DWA", False), ("MGDA", True)]
LONG = [*((case, False) for case in CASES), ("GradDrop", True), ("DWA", True)]


@pytest.mark.parametrize(
    ("case", "stopped"),
    [
        *EVERYDAY,
        *(pytest.param(*row, marks=pytest.mark.slow) for row in LONG if row not in EVERYDAY),
    ],
)
def test_joint_towers_are_balanced_as_separate_towers_are(case, stopped):
    kind, options = CASES[case]
    models = [train(make(stopped), kind(), **options) for make in (separate, together)]
    check_equal(*(model.network for model in models))
    weights = [list(model.task_weights.values()) for model in models]
    np.testing.assert_allclose(*weights, rtol=1e-4)
    shared = [{variable.path for variable in model.frontier.shared} for model in models]
    assert shared[0] == shared[1]


@pytest.mark.parametrize(
    "at", ["parameters", pytest.param("representation", marks=pytest.mark.slow)]
)
def test_a_task_that_is_not_finite_leaves_the_other_towers_alone(at):
    models = [train(make(), balancers.MGDA(), True, at=at) for make in (separate, together)]
    assert [model.left_out["r"] for model in models] == [1, 1]
    check_equal(*(model.network for model in models))


@pytest.mark.slow
def test_the_step_that_is_looked_ahead_to_moves_all_towers():
    rows = keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *data())
    batches = tf.data.Dataset.from_tensor_slices(rows).batch(16)
    models = []
    for make in (separate, together):
        model = mtl.BalancedModel(make(), TASKS, balancers.MOML(), scale_towers=True)
        model.compile(keras.optimizers.SGD(0.5), run_eagerly=True)
        model.fit(batches, balance_data=batches, verbose=0)
        models.append(model)
    check_equal(*(model.network for model in models))
    weights = [list(model.task_weights.values()) for model in models]
    np.testing.assert_allclose(*weights, rtol=1e-5)


@pytest.mark.slow
def test_a_joint_layer_whose_output_several_tasks_read_is_no_tower():
    """If another task reads a tower's output as well, the variables of the layer are shared."""
    x, features = body()
    z, r, a = layers.Towers((1,), name="towers")([features[n] for n in SIDE_BY_SIDE])
    outputs = {"z": z, "r": r + a, "a": a}
    heads = {n: keras.layers.Identity(name=n)(output) for n, output in outputs.items()}
    tasks = [mtl.Task.regression(name) for name in outputs]
    model = mtl.BalancedModel(keras.Model(x, heads), tasks, balancers.MGDA())
    assert not model.frontier.joint_layers
    assert "towers/kernel_0" in {variable.path for variable in model.frontier.shared}


MANY = [mtl.Task.binary(f"task_{7 * i % 10}") for i in range(10)]


@pytest.mark.parametrize("builder", ["hard_sharing", "mmoe", "ple"])
def test_many_equal_towers_are_computed_together(builder):
    network = getattr(architectures, builder)(keras.Input((4,)), MANY, tower=(6,))
    kernels = [kernel.shape[0] for kernel in network.get_layer("towers_0").kernels]
    assert kernels == [10, 10]
    model = mtl.BalancedModel(network, MANY, balancers.MGDA())
    assert [layer.tasks for layer in model.frontier.joint_layers] == [tuple(t.name for t in MANY)]
    assert not any("towers" in variable.path for variable in model.frontier.shared)


def test_each_output_comes_from_its_own_tower():
    network = architectures.hard_sharing(keras.Input((4,)), MANY, tower=(6,))
    x = np.ones((2, 4), "float32")
    before = network.predict(x, verbose=0)
    bias = network.get_layer("towers_0").biases[-1]
    for i, task in enumerate(MANY):
        start = np.array(bias)
        bias.assign(start + np.eye(10, dtype="float32")[i][:, None])
        after = network.predict(x, verbose=0)
        bias.assign(start)
        assert {name for name in after if np.any(after[name] != before[name])} == {task.name}


def test_towers_of_other_kinds_stay_apart():
    kinds = [*MANY[:7], *(mtl.Task.multiclass(f"class_{i}", 3) for i in range(8))]
    network = architectures.hard_sharing(keras.Input((4,)), kinds, tower=(6,))
    towers = [layer for layer in network.layers if isinstance(layer, layers.Towers)]
    assert [(t.units, t.kernels[0].shape[0]) for t in towers] == [((6, 3), 8)]
    assert all(network.get_layer(f"{task.name}_tower_0") for task in MANY[:7])


def test_a_recipe_gives_each_of_many_tasks_separate_layers():
    def tower(features):
        return keras.layers.Dense(6)(features)

    network = architectures.hard_sharing(keras.Input((4,)), MANY, tower=tower)
    assert not any(isinstance(layer, layers.Towers) for layer in network.layers)


def test_a_network_of_many_towers_is_saved_and_served(tmp_path):
    network = architectures.mmoe(keras.Input((4,)), MANY, num_experts=2, expert=(6,), tower=(6,))
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    before = network.predict(x, verbose=0)
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras").predict(x, verbose=0)
    network.export(tmp_path / "1", verbose=False)
    served = tf.saved_model.load(tmp_path / "1")
    outputs = served.signatures["serving_default"](tf.constant(x))
    for task in MANY:
        np.testing.assert_array_equal(again[task.name], before[task.name])
        np.testing.assert_allclose(outputs[task.name], before[task.name], atol=1e-6)
