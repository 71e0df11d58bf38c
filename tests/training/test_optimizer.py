"""A step with any option of an optimizer, and any layer, equals the step computed by hand."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import optimizer_cases
import pytest
import small_problem as problem
from keras import layers

import keras_mtl as mtl
from keras_mtl.training import _checks, _optimizer

SCRIPT = pathlib.Path(__file__).with_name("optimizer_runs.py")
EVERYDAY = ("ema overwrites", "clipped accumulation", "clipped towers", "normalized and dropped")
ON_REPLICAS = [case for case in optimizer_cases.CASES if case not in optimizer_cases.ON_ONE_DEVICE]


@pytest.mark.parametrize(
    "case",
    [
        case if case in EVERYDAY else pytest.param(case, marks=pytest.mark.slow)
        for case in optimizer_cases.CASES
    ],
)
def test_training_on_one_device_equals_that_by_hand(case):
    actual = optimizer_cases.train(case, run_eagerly=True)
    optimizer_cases.check(actual, optimizer_cases.variables_by_hand(case))


@pytest.mark.slow
@pytest.mark.parametrize("compiling", [{"jit_compile": True}, {"steps_per_execution": 5}])
@pytest.mark.parametrize("case", optimizer_cases.CASES)
def test_compiled_training_on_one_device_equals_that_by_hand(case, compiling):
    if "dropped" in case and "jit_compile" in compiling:
        pytest.skip("XLA draws other numbers")
    actual = optimizer_cases.train(case, **compiling)
    optimizer_cases.check(actual, optimizer_cases.variables_by_hand(case))


def on_replicas(folder, replicas, *cases):
    """Trains cases in a process with replicas; returns the values of the variables of each case."""
    out = folder / f"{replicas}.npz"
    command = [sys.executable, str(SCRIPT), str(replicas), str(out), *cases]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(out) as values:
        return {
            case: {k.split(":")[1]: v for k, v in values.items() if k.split(":")[0] == case}
            for case in cases
        }


def check_replicas(folder, replicas, *cases):
    for case, values in on_replicas(folder, replicas, *cases).items():
        optimizer_cases.check(values, optimizer_cases.variables_by_hand(case))


@pytest.mark.slow
def test_clipping_and_normalization_on_two_replicas_equal_those_by_hand(tmp_path):
    check_replicas(tmp_path, 2, "normalized")


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [2, 3])
def test_training_on_replicas_equals_that_by_hand(replicas, tmp_path):
    check_replicas(tmp_path, replicas, *ON_REPLICAS)


@pytest.mark.slow
def test_each_replica_drops_different_units(tmp_path):
    results = on_replicas(tmp_path, 2, "masks")["masks"]
    kernel, (before, after) = results["kernel"][:, 0], results["seeds"]
    # Each example that keeps a unit adds the same amount to its entry of the kernel.
    shares = [np.mean(np.isclose(kernel, n * kernel.max() / 2)) for n in range(3)]
    assert sum(shares) == 1 and all(share > 0.1 for share in shares)
    np.testing.assert_array_equal(after - before, [[0, 1], [0, 1]])  # as on one device


@pytest.mark.slow
def test_replicas_agree_under_loss_scaling_and_see_each_others_overflow(tmp_path):
    cases = ("half precision", "overflow")
    one, two = (on_replicas(tmp_path, replicas, *cases) for replicas in (1, 2))
    for case in cases:
        optimizer_cases.check(two[case], one[case], 2e-3)
    assert one["half precision"]["scale"] == 2.0**8
    assert one["overflow"]["scale"] == 2.0**14


def test_accumulated_steps_are_refused_if_the_rule_compares_losses_after_the_update():
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    with pytest.raises(ValueError, match=r"FAMO compares .* gradient_accumulation_steps=2"):
        problem.balanced(mtl.balancers.FAMO(), optimizer=optimizer)


def test_a_look_ahead_by_several_optimizers_is_refused():
    optimizer = optimizer_cases.of_towers(keras.optimizers.SGD(), keras.optimizers.SGD())
    with pytest.raises(ValueError, match=r"MOML looks ahead .* MultiOptimizer"):
        problem.balanced(mtl.balancers.MOML(), optimizer=optimizer)


@pytest.mark.parametrize("wrap", [lambda optimizer: optimizer, keras.optimizers.LossScaleOptimizer])
def test_variables_of_a_balancer_do_not_decay_nor_those_that_the_user_excludes(wrap):
    decaying = keras.optimizers.AdamW(1e-9, weight_decay=1e8)
    decaying.exclude_from_weight_decay(var_names=["bias"])
    rule = mtl.balancers.Uncertainty()
    model = problem.balanced(rule, optimizer=wrap(decaying))
    rule.log_variance.variable.assign([1.0, 2.0, 3.0])
    for variable in model.network.trainable_variables:
        variable.assign(keras.ops.ones_like(variable))
    model.train_on_batch(*problem.batch())
    np.testing.assert_allclose(rule.log_variance.variable, [1.0, 2.0, 3.0], atol=1e-6)
    for variable in model.network.trainable_variables:
        expected = 1.0 if "bias" in variable.path else 0.9
        np.testing.assert_allclose(variable, expected, atol=1e-5, err_msg=variable.path)


def test_repeated_rows_of_an_embedding_are_clipped_by_their_sum():
    x = keras.Input((2,), dtype="int32")
    embed = layers.Embedding(3, 2, embeddings_initializer="zeros", name="b_embedding")
    tower = layers.Flatten()(embed(x))
    other = layers.Flatten()(layers.Embedding(3, 2, name="a_embedding")(x))
    tasks = [mtl.Task.regression(name, metrics=()) for name in ("b", "a")]
    ones = {"kernel_initializer": "ones", "use_bias": False}
    outputs = {
        task.name: layers.Dense(1, name=task.name, **ones)(h)
        for task, h in zip(tasks, (tower, other), strict=True)
    }
    network = keras.Model(x, outputs)
    network.get_layer("b").trainable = network.get_layer("a").trainable = False
    model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
    model.compile(keras.optimizers.SGD(1.0, clipnorm=0.5), run_eagerly=True)
    label = np.ones((1, 1), "float32")
    model.train_on_batch(np.ones((1, 2), "int32"), {"b": label, "a": label})
    # The prediction is 0, so both numbers of the row get the gradient -2 from each of two tokens.
    moved = np.array(network.get_layer("b_embedding").embeddings)
    np.testing.assert_allclose(moved, [[0, 0], [0.5 / np.sqrt(2)] * 2, [0, 0]], atol=1e-6)


def masked_network():
    tokens = keras.Input((5,), dtype="int32")
    h = layers.Embedding(9, 4, mask_zero=True)(tokens)
    h = layers.BatchNormalization(name="normal")(h)
    tasks = [mtl.Task.tagging("z", 3), mtl.Task.tagging("a", 2)]
    return keras.Model(tokens, {t.name: t.output(h) for t in tasks}), tasks


def test_statistics_that_replicas_cannot_share_are_refused(monkeypatch):
    model = mtl.BalancedModel(*masked_network(), mtl.balancers.MGDA())
    often = mtl.BalancedModel(
        optimizer_cases.network("normalized"), problem.tasks(), mtl.balancers.MGDA(), every=2
    )
    for accepted in (model, often):
        accepted.compile("sgd")
    for module in (_checks, _optimizer):
        monkeypatch.setattr(module, "num_replicas", lambda: 2)
    with pytest.raises(ValueError, match=r"on 2 replicas the layers \['normal'\] normalize masked"):
        model.compile("sgd")
    with pytest.raises(ValueError, match=r"on 2 replicas every=2 .* 'shared_normal'"):
        often.compile("sgd")


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"clipnorm": 1.0}, "clipnorm=1.0"),
        ({"global_clipnorm": 1.0}, "global_clipnorm=1.0"),
        ({"clipvalue": 1.0}, "clipvalue=1.0"),
        ({"gradient_accumulation_steps": 2}, "gradient_accumulation_steps=2"),
    ],
)
def test_an_optimizer_inside_of_another_is_checked_too(options, option, monkeypatch):
    model = problem.balanced(mtl.balancers.MGDA(), absent="drift")
    monkeypatch.setattr(_checks, "num_replicas", lambda: 2)
    inside = optimizer_cases.of_towers(keras.optimizers.SGD(**options), keras.optimizers.SGD())
    with pytest.raises(ValueError, match=f"on 2 replicas {option}"):
        model.compile(keras.optimizers.LossScaleOptimizer(inside))
