"""Inner products of many gradients from sketches: their means and errors, and steps by them."""

import itertools

import keras
import numpy as np
import pytest
import small_problem as problem
import tensorflow as tf
import test_column_layers as small
from keras import layers

import keras_mtl as mtl
from keras_mtl import balancers
from keras_mtl.training._gradients import gramian, gramian_of_sketch, sketch

K, BATCH, WIDTH, UNITS = 130, 20, 32, 3
M = 2 * K + 3  # blocks that end in the middle of a row


def sketched(arrays, size, seed=0, starts=None):
    starts = [None] * len(arrays) if starts is None else starts
    return sketch(
        [tf.constant(a, "float32") for a in arrays], size, tf.convert_to_tensor(seed), starts
    )


def gradients(kind, n=500):
    """Returns three gradients whose numbers lie where a sketch without turns would fail."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3, n))
    rows[1] += 0.7 * rows[0]
    if kind == "every 50th":
        rows[:, np.arange(n) % 50 > 0] = 0
    if kind == "few":
        rows[:, 7:] = 0
    return rows


@pytest.mark.parametrize("kind", ["all", "every 50th", "few"])
def test_products_of_sketches_have_the_right_mean_and_variance(kind):
    rows, size, draws = gradients(kind), 50, 300
    exact = rows @ rows.T
    parts = [rows[:, :140], rows[:, 140:]]  # two sources: 140 and 360 numbers
    compute = tf.function(lambda seed: sketched(parts, size, seed))
    numbers = np.stack([compute(tf.constant(seed)).numpy()[:, :-1] for seed in range(draws)])
    products = numbers @ numbers.transpose(0, 2, 1)
    diagonal = np.diag(exact)
    bound = (diagonal[:, None] * diagonal + exact**2) / size
    assert np.all(np.abs(products.mean(0) - exact) < 4.5 * np.sqrt(bound / draws) + 1e-4)
    # The variance of 300 draws has itself an error of 8 % and more.
    assert np.all(products.var(0) < 1.4 * bound)


def test_lengths_are_exact_and_the_matrix_is_a_gramian():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(K, 4000)).astype("float32") * np.geomspace(1e-3, 1e3, K)[:, None]
    rows[5] = 0
    matrix = gramian_of_sketch(sketched([rows], M)).numpy().astype("float64")
    np.testing.assert_allclose(np.diag(matrix), (rows.astype("float64") ** 2).sum(1), rtol=1e-5)
    assert not matrix[5].any()
    np.testing.assert_array_equal(matrix, matrix.T)
    lengths = np.sqrt(np.maximum(np.diag(matrix), 1e-30))
    assert np.linalg.eigvalsh(matrix / lengths / lengths[:, None]).min() > -1e-5


@pytest.mark.parametrize("cosine", [-1.0, -0.8, 0.0, 0.95])
def test_a_cosine_has_the_stated_error(cosine):
    rng = np.random.default_rng(0)
    x, y = np.linalg.qr(rng.normal(size=(2000, 2)))[0].T
    rows = np.stack([3 * x, 2 * (cosine * x + np.sqrt(1 - cosine**2) * y)])
    compute = tf.function(lambda seed: gramian_of_sketch(sketched([rows], 200, seed)))
    cosines = np.array([compute(tf.constant(seed))[0, 1] / 6 for seed in range(300)])
    error = (1 - cosine**2) / np.sqrt(200)
    assert abs(cosines.mean() - cosine) <= 4 * error / np.sqrt(300) + (1 - cosine**2) / 200 + 1e-6
    assert abs(cosines.std() - error) <= 0.17 * error + 1e-6


def test_gradients_of_no_more_numbers_than_the_sketch_are_exact():
    rows = np.random.default_rng(0).normal(size=(K, 263)).astype("float32")
    actual = gramian_of_sketch(sketched([rows], 263))
    expected = gramian([tf.constant(rows)])
    np.testing.assert_allclose(actual, expected, atol=1e-3)


def test_the_sketch_is_the_sum_of_the_sketches_of_the_replicas():
    rows = [np.random.default_rng(i).normal(size=(K, 20 * n)) for i, n in enumerate((32, 7))]
    whole = sketched(rows, M, seed=3)
    ends = [0, 3, 12, 20]  # of each replica's rows
    parts = [
        sketched(
            [rows[0][:, 32 * low : 32 * high], rows[1][:, 7 * low : 7 * high]],
            M,
            seed=3,
            starts=[tf.constant(32 * low), tf.constant(7 * low)],
        )
        for low, high in itertools.pairwise(ends)
    ]
    np.testing.assert_allclose(sum(parts), whole, rtol=1e-5, atol=1e-4)


def towers(features):
    hidden = layers.EinsumDense("bi,iku->bku", (K, UNITS), "tanh", bias_axes="ku")(features)
    return layers.EinsumDense("bku,ku->bk", (K,), "sigmoid", bias_axes="k", name="end")(hidden)


def tasks():
    loss = keras.losses.BinaryCrossentropy()
    names = [f"c{k}" for k in range(K)]
    assays = mtl.Task("assays", head=towers, loss=loss, metrics=(), columns=names)
    return [mtl.Task.binary("z", metrics=(), weight=0.5), assays]


def network(of_tasks):
    keras.utils.set_random_seed(0)
    x = keras.Input((4,))
    features = layers.Dense(WIDTH, "tanh", name="body")(x)
    return keras.Model(x, {task.name: task.output(features) for task in of_tasks})


def batch():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, 4)).astype("float32")
    y = {"z": (x[:, 1] > 0).astype("float32")}
    y["assays"] = (rng.random((BATCH, K)) < 0.5).astype("float32")
    w = {"z": np.ones(BATCH, "float32")}
    w["assays"] = (rng.random((BATCH, K)) < 0.7).astype("float32")
    w["assays"][:, 1] = 0  # a column without labels
    return x, y, w


def build(rule, jit_compile=False, eager=True, **options):
    of_tasks = tasks()
    model = mtl.BalancedModel(network(of_tasks), of_tasks, rule, at="representation", **options)
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=eager, jit_compile=jit_compile)
    return model


def seen(**options):
    """Returns the matrices that a rule sees in two steps."""
    rule = small.Remembers()
    model = build(rule, **options)
    model.optimizer.learning_rate = 0.0
    matrices = []
    for _ in range(2):
        model.train_on_batch(*batch())
        matrices.append(np.array(rule.matrix.variable))
    return matrices


def test_a_rule_sees_an_estimate_that_is_drawn_anew_in_each_step():
    exact, estimates = seen()[0], seen(sketch=M)
    lengths = np.sqrt(np.diag(exact))
    lengths = np.where(lengths > 0, lengths, 1)
    errors = [(matrix - exact) / np.outer(lengths, lengths) for matrix in estimates]
    off_diagonal = ~np.eye(len(exact), dtype=bool)
    for error in errors:
        assert np.abs(np.diag(error)).max() < 1e-5
        # Gradients are far from orthogonal here, and cosines c have errors of 1 - c^2.
        assert 0.2 < error[off_diagonal].std() * np.sqrt(M) < 1.1
        assert np.abs(error).max() < 5.5 / np.sqrt(M)
    assert np.abs(errors[0] - errors[1]).max() > 0.5 / np.sqrt(M)
    np.testing.assert_array_equal(estimates, seen(sketch=M))  # and again the same


def test_the_largest_sketch_takes_the_exact_step():
    ends = []
    for options in ({}, {"sketch": BATCH * WIDTH}):
        model = build(balancers.MGDA(), **options)
        model.train_on_batch(*batch())
        ends.append(problem.values(model.variables))
    for actual, expected in zip(*ends, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"every": 2},
        pytest.param({"unbalanced": ["z"]}, marks=pytest.mark.slow),
        pytest.param({"scale_towers": True}, marks=pytest.mark.slow),
    ],
)
def test_steps_are_finite_with_other_options(options):
    model = build(balancers.CAGrad(), sketch=M, **options)
    for _ in range(3):
        logs = model.train_on_batch(*batch(), return_dict=True)
    assert np.isfinite(logs["loss"])
    assert all(np.isfinite(value).all() for value in problem.values(model.variables))


def test_a_task_that_is_not_finite_is_left_out():
    model = build(balancers.MGDA(), sketch=M)
    layer = model.network.get_layer("z_logits")
    kernel, bias = layer.get_weights()
    kernel[0, 0] = np.nan
    layer.set_weights([kernel, bias])
    model.train_on_batch(*batch())
    assert {name.partition("/")[0] for name, count in model.left_out.items() if count} == {"z"}
    assert np.isfinite(model.network.get_layer("body").get_weights()[0]).all()
    assert np.isfinite([*model.task_weights.values()]).all()


@pytest.mark.slow
def test_xla_draws_the_same():
    plain, compiled = seen(sketch=M, eager=False), seen(sketch=M, eager=False, jit_compile=True)
    largest = np.abs(plain[0]).max()
    np.testing.assert_allclose(compiled, plain, rtol=1e-4, atol=1e-5 * largest)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_rule_sees_the_same_in_mixed_precision(policy):
    expected = seen(sketch=M)[0]
    keras.config.set_dtype_policy(policy)
    try:
        actual = seen(sketch=M)[0]
    finally:
        keras.config.set_dtype_policy("float32")
    largest = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, atol=0.03 * largest)


@pytest.mark.parametrize(
    ("rule", "options", "message"),
    [
        (balancers.MGDA, {"sketch": 0}, "sketch must be a whole number above 0, or None"),
        (balancers.MGDA, {"sketch": True}, "received True"),
        (balancers.MGDA, {"sketch": 400.0}, "received 400.0"),
        (balancers.MGDA, {"sketch": 200}, "too little for 131 losses.*Use 262 or more"),
        (balancers.Equal, {"sketch": 400}, "Equal reads none. Leave it out"),
        (balancers.GradDrop, {"sketch": 400}, "GradDrop reads none"),
        (balancers.GradNorm, {"sketch": 400}, "GradNorm reads none"),
        (balancers.MGDA, {"sketch": 400, "at": "parameters"}, "is for at='representation'"),
    ],
)
def test_a_sketch_without_a_meaning_is_refused(rule, options, message):
    of_tasks = tasks()
    with pytest.raises(ValueError, match=message):
        mtl.BalancedModel(
            network(of_tasks), of_tasks, rule(), **{"at": "representation", **options}
        )


def test_a_sketch_of_few_tasks_is_refused():
    with pytest.raises(ValueError, match="below 128 losses; the tasks have 3"):
        problem.balanced(balancers.MGDA(), at="representation", sketch=64)


def test_a_saved_model_keeps_its_sketch(tmp_path):
    columns = [f"c{k}" for k in range(K)]
    of_tasks = [mtl.Task.multilabel("assays", columns=columns, metrics=())]
    body = mtl.architectures.hard_sharing(keras.Input((4,)), of_tasks, shared=(8,), tower=())
    model = mtl.BalancedModel(body, of_tasks, balancers.MGDA(), at="representation", sketch=300)
    model.compile("sgd")
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").sketch == 300
    config = model.get_config()
    del config["sketch"]  # of a model that was saved before there was one
    assert mtl.BalancedModel.from_config(config).sketch is None
