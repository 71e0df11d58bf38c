"""What belongs to tasks that take no part in a step does not move, nor its moments."""

import every_balancer
import keras
import numpy as np
import pytest
import rule_penalties as rules
import small_problem as problem
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl._keras_internals import slots_of
from keras_mtl.training._optimizer import inner_optimizers

ADAMW = "AdamW"
OPTIMIZERS = {
    "Adam": lambda: keras.optimizers.Adam(0.01),
    ADAMW: lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1, global_clipnorm=1.0),
    "momentum": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "EMA": lambda: keras.optimizers.Adam(
        0.01, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=1
    ),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)),
    "several": lambda: keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(
            keras.optimizers.Adam(0.01),
            {"r_tower/.*": keras.optimizers.AdamW(0.02, weight_decay=0.1)},
        )
    ),
    "Adafactor": lambda: keras.optimizers.Adafactor(0.01),
}
EVERYDAY = ("AdamW", "EMA")


def kept(model, variables):
    """Returns the values of variables, and of what the optimizer keeps for them."""
    slots = [
        slot
        for variable in variables
        for inner in inner_optimizers(model.optimizer)
        for slot in slots_of(inner, variable)
    ]
    return [np.array(value) for value in (*variables, *slots)]


def same(before, after):
    return [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]


def parts(model, names=("shared", "z", "b", "r")):
    return {name: kept(model, problem.variables_of(model.network, name)) for name in names}


def resting(model, data, steps=2):
    """Returns the parts of a model of which nothing moves in some steps, after one on all tasks."""
    model.train_on_batch(*problem.batch())
    before = parts(model)
    for _ in range(steps):
        model.train_on_batch(*data)
    after = parts(model)
    moved = {name: not all(same(before[name], after[name])) for name in before}
    return [name for name, value in moved.items() if not value]


def without(*tasks, index=1):
    x, y, w = problem.batch(index)
    return x, y, {name: 0 * weight if name in tasks else weight for name, weight in w.items()}


@pytest.mark.parametrize(
    "name", [n if n in EVERYDAY else pytest.param(n, marks=pytest.mark.slow) for n in OPTIMIZERS]
)
def test_an_absent_task_rests_to_the_last_bit(name):
    models = [
        problem.balanced(mtl.balancers.Equal(), optimizer=OPTIMIZERS[name](), absent=absent)
        for absent in ("rest", "drift")
    ]
    assert [resting(model, without("r", "b")) for model in models] == [["b", "r"], []]
    # The rest_of_them take the same steps.
    rest, drift = map(parts, models)
    for part in ("shared", "z"):
        assert all(same(rest[part], drift[part]))
    # It goes on when its labels come back.
    model = models[0]
    before = parts(model)
    model.train_on_batch(*problem.batch(1))
    assert not any(all(same(before[part], after)) for part, after in parts(model).items())


def test_nothing_moves_in_a_step_without_labels():
    model = problem.balanced(mtl.balancers.MGDA(), optimizer=OPTIMIZERS[ADAMW]())
    assert resting(model, without("z", "b", "r")) == ["shared", "z", "b", "r"]


def test_with_accumulation_a_task_moves_if_it_took_part_since_the_last_update():
    optimizer = keras.optimizers.Adam(0.01, gradient_accumulation_steps=3)
    model = problem.balanced(mtl.balancers.Equal(), optimizer=optimizer)
    moved = {}
    # Two updates of three steps: `r` takes part in one step of the first, `b` in none.
    before = parts(model)
    for step, absent in enumerate(["b", "rb", "rb", "r", "r", "r"]):
        model.train_on_batch(*without(*absent))
        if step % 3 == 2:
            after = parts(model)
            moved[step] = [name for name in after if not all(same(before[name], after[name]))]
            before = after
    assert moved == {2: ["shared", "z", "r"], 5: ["shared", "z", "b"]}
    unequal = keras.optimizers.MultiOptimizer(
        keras.optimizers.OptimizerMap(keras.optimizers.Adam(0.01), {"r_tower/.*": optimizer})
    )
    with pytest.raises(ValueError, match=r"gradient_accumulation_steps, \[0, 3\]; give all"):
        problem.balanced(mtl.balancers.Equal(), optimizer=unequal)


def columns_network():
    keras.utils.set_random_seed(0)
    tasks = [
        mtl.Task.multilabel("assays", columns=["c", "a", "b"]),
        *(mtl.Task.binary(f"t{k}") for k in range(8)),
    ]
    network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(8,), tower=(4,))
    return network, tasks


def columns_batch(network, *absent):
    rng = np.random.default_rng(0)
    y = {"assays": rng.integers(0, 2, (16, 3)).astype("float32")}
    w = {"assays": np.ones((16, 3), "float32")}
    for k in range(8):
        y[f"t{k}"] = rng.integers(0, 2, 16).astype("float32")
        w[f"t{k}"] = np.ones(16, "float32")
    for name in absent:
        task, _, column = name.partition("/")
        w[task][(slice(None), "cab".index(column)) if column else ...] = 0.0
    return rng.normal(size=(16, 4)).astype("float32"), y, w


def test_entries_of_joint_layers_and_columns_rest_apart():
    network, tasks = columns_network()
    model = mtl.BalancedModel(network, tasks, mtl.balancers.Uncertainty())
    model.compile(keras.optimizers.AdamW(0.01, weight_decay=0.1))
    model.train_on_batch(*columns_batch(network))
    data = columns_batch(network, "assays/a", "t2", "t5")
    variables = model.variables + model.optimizer.variables
    before = [np.array(variable) for variable in variables]
    model.train_on_batch(*data)
    still = {}
    for variable, old in zip(variables, before, strict=True):
        axis = 1 if "assays_logits_kernel" in variable.path.replace("/", "_") else 0
        if any(name in variable.path for name in ("towers_0", "assays_logits", "log_variance")):
            same = np.moveaxis(old == np.array(variable), axis, 0).reshape(old.shape[axis], -1)
            still[variable.path] = np.flatnonzero(same.all(axis=1)).tolist()
    of_columns = {path: entries for path, entries in still.items() if "assays" in path}
    of_tasks = {path: entries for path, entries in still.items() if "towers" in path}
    learned = {path: entries for path, entries in still.items() if "log_variance" in path}
    # Each with two moments: a kernel and a bias, two of each, and the numbers of all nine tasks.
    assert of_columns == {path: [1] for path in of_columns}
    assert of_tasks == {path: [2, 5] for path in of_tasks}
    assert learned == {path: [1, 3 + 2, 3 + 5] for path in learned}
    assert [*map(len, (of_columns, of_tasks, learned))] == [6, 12, 3]


def averaged_network():
    """Builds a network with moving averages in the trunk and in each tower."""
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    features = keras.layers.Dense(8, name="shared_0")(x)
    features = keras.layers.BatchNormalization(name="shared_1")(features)
    outputs = {}
    for task in problem.tasks():
        tower = keras.layers.Dense(8, name=f"{task.name}_tower")(features)
        tower = keras.layers.BatchNormalization(name=f"{task.name}_norm")(tower)
        outputs[task.name] = task.output(tower)
    return keras.Model(x, outputs)


def still(model, data):
    """Returns the layers of which a step changes nothing, neither moments nor moving averages."""
    layers = [layer for layer in model.network.layers if layer.variables]
    before = [kept(model, layer.variables) for layer in layers]
    model.train_on_batch(*data)
    pairs = zip(layers, before, strict=True)
    return [layer.name for layer, old in pairs if all(same(old, kept(model, layer.variables)))]


def test_flags_freeze_tasks_and_variables_with_moments_and_moving_averages(tmp_path):
    model = problem.balanced(
        mtl.balancers.MGDA(),
        averaged_network,
        optimizer=OPTIMIZERS[ADAMW](),
        absent="drift",
        every=3,
    )
    data = problem.batch()
    assert still(model, data) == []
    of_b = [
        layer.name for layer in model.network.layers if layer.name[0] == "b" and layer.variables
    ]
    model.set_active(tasks=["z", "r"])
    assert model.active_tasks == ["z", "r"]
    assert still(model, data) == of_b
    network = model.network
    trained = [v for layer in network.layers if layer.name[0] in "zb" for v in layer.variables]
    model.set_active(variables=trained)
    layers = [layer.name for layer in network.layers if layer.variables]
    assert still(model, data) == [name for name in layers if name[0] != "z"]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.run_eagerly = True
    assert loaded.active_tasks == ["z", "r"]
    assert still(loaded, data) == still(model, data)
    model.set_active(tasks=["z", "b", "r"], variables=network.variables)
    assert still(model, data) == []
    with pytest.raises(ValueError, match=r"names of \['z', 'b', 'r'\]; received \['q'\]"):
        model.set_active(tasks=["q"])
    with pytest.raises(ValueError, match=r"those of the network; received .*momentum"):
        model.set_active(variables=model.optimizer.variables[2:3])
    with pytest.raises(ValueError, match=r"absent must be .* received 'sleep'\."):
        problem.balanced(mtl.balancers.Equal(), absent="sleep")


@pytest.mark.parametrize(
    "name",
    [
        n if n == "PCGrad" else pytest.param(n, marks=pytest.mark.slow)
        for n in every_balancer.names()
    ],
)
def test_a_variable_that_rests_is_as_a_frozen_one_for_every_rule(name):
    models = []
    for flags in (True, False):
        balancer = every_balancer.make(name)
        network = every_balancer.network(balancer)
        shared = [layer.name for layer in network.layers if layer.name.startswith("shared_")]
        layer = network.get_layer(shared[0] if len(shared) > 1 else "z_tower")
        layer.trainable = flags
        model = mtl.BalancedModel(network, problem.tasks(), balancer)
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), run_eagerly=True)
        if flags:
            frozen = {id(variable) for variable in layer.variables}
            rest_of_them = {id(v): v for v in network.variables if id(v) not in frozen}
            model.set_active(variables=list(rest_of_them.values()))
        more = every_balancer.more_data(balancer)
        model.fit(problem.dataset(3), verbose=0, **more)
        models.append(model)
    one, other = models
    for a, b in zip(one.network.variables, other.network.variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6, err_msg=a.path)
    assert one.task_weights == pytest.approx(other.task_weights, rel=1e-4)


def test_a_change_of_flags_makes_the_next_step_compute_weights():
    model = problem.balanced(mtl.balancers.MGDA(), every=100)
    first = problem.batch()
    model.train_on_batch(*first)
    model.train_on_batch(*problem.batch(1))
    stale = model.task_weights
    model.set_active(tasks=["z", "b"])
    model.train_on_batch(*problem.batch(1))
    fresh = model.task_weights
    assert fresh["z"] + fresh["b"] == pytest.approx(1.0, abs=1e-5)
    assert fresh["z"] != stale["z"]


def flags_read(model):
    """Returns the flags that a step and an evaluation read, traced as they are now."""
    flags = {id(v.value.handle): v.name for v in model.variables if v.name.endswith("_active")}
    read = []
    for step in (model.train_step, model.test_step):
        traced = tf.function(step, autograph=False).get_concrete_function(problem.batch())
        read.append(sorted({flags[id(t)] for t in traced.captured_inputs if id(t) in flags}))
    return read


def test_flags_that_were_never_lowered_cost_nothing_and_evaluation_follows_the_first_change():
    model = problem.balanced(mtl.balancers.Equal())
    model.compile("adam")
    assert flags_read(model) == [[], []]
    x, y, w = problem.batch()
    loss = model.evaluate(x, y, sample_weight=w, verbose=0, return_dict=True)["loss"]
    model.set_active(tasks=["z", "r"])
    logs = model.evaluate(x, y, sample_weight=w, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(logs["z_loss"] + logs["r_loss"], rel=1e-5)
    assert logs["loss"] < loss - 0.1
    assert flags_read(model) == [["task_active", "variable_active"], ["task_active"]]


def test_a_rule_between_outputs_trains_the_tower_of_an_absent_task():
    model = rules.model(mtl.balancers.Equal(), prepare=None)
    assert resting(model, without("r", "b")) == ["b"]  # the rule reads `z` and `r`
    model.set_active(tasks=["z", "b"])
    assert resting(model, without("b")) == ["b", "r"]


@pytest.mark.slow
@pytest.mark.parametrize("jit", [False, True])
def test_the_same_in_a_graph(jit):
    models = [problem.balanced(mtl.balancers.MGDA(), optimizer=OPTIMIZERS[ADAMW]()) for _ in "ab"]
    models[1].compile(OPTIMIZERS[ADAMW](), jit_compile=jit)
    for model in models:
        assert resting(model, without("r", "b")) == ["b", "r"]
        model.set_active(variables=problem.variables_of(model.network, "z"))
        assert resting(model, problem.batch(1), 1) == ["shared", "b", "r"]
    for a, b in zip(models[0].network.variables, models[1].network.variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)
