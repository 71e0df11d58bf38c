"""Learning to adapt: golden values, a step by hand, normalization, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.training import MetaModel, adapt


def one_weight(task, activation=None, weight=0.0):
    x = keras.Input((1,))
    output = keras.layers.Dense(1, activation=activation, use_bias=False, name="a")(x)
    network = keras.Model(x, {"a": output})
    network.set_weights([np.array([[weight]])])
    return network, [task]


def element(support, query):
    """Returns a batch of one episode of one row each, from pairs of input and label."""
    pairs = {"support": support, "query": query}
    x = {part: tf.constant([[[pair[0]]]], tf.float32) for part, pair in pairs.items()}
    return x, {part: {"a": tf.constant([[pair[1]]], tf.float32)} for part, pair in pairs.items()}


def outer_gradient(network, tasks, data, **options):
    """Returns the gradient of the outer step: what SGD of rate 1 subtracts."""
    model = MetaModel(network, tasks, **options)
    model.compile(keras.optimizers.SGD(1.0), run_eagerly=True)
    before = [np.array(v) for v in network.trainable_variables]
    logs = model.train_step(data)
    after = [np.array(v) for v in network.trainable_variables]
    return [b - a for b, a in zip(before, after, strict=True)], logs


SQUARES = mtl.Task.regression("a", weight=0.5, metrics=())
LOGISTIC = mtl.Task.binary("a", metrics=())


@pytest.mark.parametrize(
    ("rule", "steps", "expected"),
    [
        ("maml", 1, -1.71),
        pytest.param("first_order", 1, -1.9, marks=pytest.mark.slow),
        pytest.param("maml", 5, -0.939168, marks=pytest.mark.slow),
        ("first_order", 5, -1.590490),
        ("reptile", 5, -0.40951),
        pytest.param("anil", 1, -1.71, marks=pytest.mark.slow),
        ("meta_sgd", 1, -1.71),
    ],
)
def test_golden_gradients_of_squares(rule, steps, expected):
    network, tasks = one_weight(SQUARES)
    (gradient,), _ = outer_gradient(
        network,
        tasks,
        element((1, 1), (1, 2)),
        rule=rule,
        inner_steps=steps,
        inner_learning_rate=0.1,
    )
    assert float(np.squeeze(gradient)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [pytest.param("first_order", 0.683292, marks=pytest.mark.slow), ("maml", 0.414605)],
)
def test_golden_gradients_of_a_logistic_regression(rule, expected):
    network, tasks = one_weight(LOGISTIC, "sigmoid", 0.5)
    (gradient,), logs = outer_gradient(
        network, tasks, element((2, 1), (-1, 1)), rule=rule, inner_learning_rate=0.5
    )
    assert float(np.squeeze(gradient)) == pytest.approx(expected, abs=1e-6)
    assert float(logs["loss"]) == pytest.approx(np.log1p(np.exp(0.768941)), abs=1e-5)


def test_the_rates_of_meta_sgd_are_learned():
    network, tasks = one_weight(SQUARES)
    model = MetaModel(network, tasks, rule="meta_sgd", inner_learning_rate=0.1)
    model.compile(keras.optimizers.SGD(1.0), run_eagerly=True)
    model.train_step(element((1, 1), (1, 2)))
    # t = 0 - a (0 - 1) = a, and dL/da = (a - 2) 1.
    assert [float(np.squeeze(rate)) for rate in model._rates] == [pytest.approx(0.1 + 1.9)]


TASKS = [mtl.Task.binary("z", metrics=["accuracy"]), mtl.Task.regression("r", weight=0.5)]


def body(norm=False):
    keras.utils.set_random_seed(0)
    x = keras.Input((3,), name="x")
    features = keras.layers.Dense(5, activation="tanh", name="shared_0")(x)
    if norm:
        features = keras.layers.BatchNormalization(name="shared_1")(features)
    return keras.Model(x, {task.name: task.output(features) for task in TASKS})


def batch(num_episodes=3, rows=4):
    """Draws episodes; `r` has no label in the support of the second one, and some others lack."""
    rng = np.random.default_rng(1)
    x, y, w = {}, {}, {}
    for part, size in (("support", rows), ("query", rows + 1)):
        x[part] = rng.normal(size=(num_episodes, size, 3)).astype("float32")
        y[part] = {
            "z": (x[part][..., 0] > 0).astype("float32"),
            "r": x[part][..., 1] * np.arange(1, num_episodes + 1, dtype="float32")[:, None],
        }
        w[part] = {name: np.ones((num_episodes, size), "float32") for name in y[part]}
        w[part]["r"][0, 1] = 0.0
    w["support"]["r"][1] = 0.0
    return keras.tree.map_structure(tf.constant, (x, y, w))


def goal_by_hand(values, x, y, w):
    """Computes the sum of the losses of the network `body()`, by formulas."""
    kernel, bias, kernel_r, bias_r, kernel_z, bias_z = values
    features = tf.tanh(x @ kernel + bias)
    logits, number = features @ kernel_z + bias_z, features @ kernel_r + bias_r
    rows = {
        "z": tf.nn.sigmoid_cross_entropy_with_logits(y["z"], logits[:, 0]),
        "r": 0.5 * tf.square(number[:, 0] - y["r"]),
    }
    return sum(
        tf.math.divide_no_nan(tf.reduce_sum(w[k] * v), tf.reduce_sum(w[k])) for k, v in rows.items()
    )


def by_hand(theta, data, steps, rate, order):
    """Takes the outer gradient with a Python loop over episodes."""
    x, y, w = data
    with tf.GradientTape() as outer:
        outer.watch(theta)
        total = 0.0
        for i in range(len(x["query"])):

            def rows(part, i=i):
                pick = {name: value[i] for name, value in y[part].items()}
                return x[part][i], pick, {name: value[i] for name, value in w[part].items()}

            values = theta
            for _ in range(steps):
                with tf.GradientTape() as inner:
                    inner.watch(values)
                    loss = goal_by_hand(values, *rows("support"))
                gradients = inner.gradient(loss, values)
                if order == 1:
                    gradients = [tf.stop_gradient(g) for g in gradients]
                values = [v - rate * g for v, g in zip(values, gradients, strict=True)]
            total += goal_by_hand(values, *rows("query")) / len(x["query"])
    return outer.gradient(total, theta), float(total)


@pytest.mark.parametrize(
    ("rule", "order"), [("maml", 2), pytest.param("first_order", 1, marks=pytest.mark.slow)]
)
def test_a_step_with_missing_labels_is_that_of_a_loop_by_hand(rule, order):
    network = body()
    theta = [tf.convert_to_tensor(v) for v in network.trainable_variables]
    names = [v.path.split("/")[0] for v in network.trainable_variables]
    assert names == ["shared_0"] * 2 + ["r_logits"] * 2 + ["z_logits"] * 2
    expected, goal = by_hand(theta, batch(), 2, 0.3, order)
    gradients, logs = outer_gradient(
        network, TASKS, batch(), rule=rule, inner_steps=2, inner_learning_rate=0.3
    )
    for gradient, reference in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, reference, rtol=0, atol=2e-6)
    assert float(logs["loss"]) == pytest.approx(goal, rel=1e-5)
    assert "z_accuracy" in logs


def gradients_by_task(network, data):
    """Returns the outer gradients of each query loss alone, by hand, `[K, entries]`."""
    theta = [tf.convert_to_tensor(v) for v in network.trainable_variables]
    x, y, w = data
    rows = []
    for name in ("z", "r"):
        query = {k: v if k == name else tf.zeros_like(v) for k, v in w["query"].items()}
        row, _ = by_hand(theta, (x, y, {**w, "query": query}), 1, 0.3, 2)
        rows.append(np.concatenate([np.ravel(gradient) for gradient in row]))
    return np.stack(rows)


@pytest.mark.parametrize(
    "kind", ["MGDA", *(pytest.param(k, marks=pytest.mark.slow) for k in ("Uncertainty", "broken"))]
)
def test_a_balancer_weighs_the_losses_of_the_queries(kind):
    """Compares with gradients by hand; in the third case, one of them is not finite."""
    network = body()
    rows = gradients_by_task(network, batch())
    balancer = getattr(mtl.balancers, kind, mtl.balancers.MGDA)()
    model = MetaModel(network, TASKS, inner_learning_rate=0.3, balancer=balancer)
    model.compile(keras.optimizers.SGD(1.0), run_eagerly=True)
    x, y, w = batch()
    expected = np.array([1.0, 0.5])  # Uncertainty begins with 1, and 1 / 2 for a regression
    if kind == "MGDA":
        difference = rows[1] - rows[0]
        share = np.clip(rows[1] @ difference / (difference @ difference), 0, 1)
        expected = np.array([share, 1 - share])
    elif kind != "Uncertainty":
        y["query"]["r"] = tf.where(w["query"]["r"] > 0, 1e30, 0.0)
        expected, rows[1] = np.array([1.0, 0.0]), 0.0
    before = np.concatenate([np.ravel(v) for v in network.trainable_variables])
    logs = model.train_step((x, y, w))
    after = np.concatenate([np.ravel(v) for v in network.trainable_variables])
    np.testing.assert_allclose(before - after, expected @ rows, rtol=0, atol=3e-6)
    np.testing.assert_allclose([logs["z_weight"], logs["r_weight"]], expected, atol=1e-5)
    assert int(balancer.iteration.value) == 1
    if kind == "Uncertainty":
        assert all(np.any(v != 0) for v in balancer.trainable_variables)


def test_equal_weights_are_the_plain_sum():
    plain, _ = outer_gradient(body(), TASKS, batch(), inner_learning_rate=0.3)
    equal, _ = outer_gradient(
        body(), TASKS, batch(), inner_learning_rate=0.3, balancer=mtl.balancers.Equal()
    )
    for a, b in zip(plain, equal, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_balancer_reads_epochs_and_is_saved_with_the_model(tmp_path):
    model = MetaModel(body(), TASKS, balancer=mtl.balancers.DWA())
    model.compile("adam")
    data = tf.data.Dataset.from_tensors(batch()).repeat(2)
    fit = {"epochs": 3, "verbose": 0, "validation_data": data.take(1)}
    history = model.fit(data, callbacks=[keras.callbacks.TerminateOnNaN()], **fit).history
    assert history["r_weight"][0] == 1 and history["r_weight"][2] != 1  # it has seen two epochs
    assert "val_r_weight" not in history and "val_r_loss" in history
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for one in (model, loaded):
        one.fit(data, verbose=0)
    for a, b in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"balancer": mtl.balancers.GradDrop()}, "received GradDrop, which does not weigh"),
        ({"balancer": "mgda"}, "such as .* received str"),
        ({"balancer": mtl.balancers.DTP()}, "DTP reads metrics by name"),
        ({"balancer": mtl.balancers.MoDo()}, "MoDo wants Needs"),
        ({"balancer": mtl.balancers.MGDA(), "rule": "reptile"}, "'reptile' reads no query"),
    ],
)
def test_balancers_that_need_more_than_the_losses_of_queries_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MetaModel(body(), TASKS, **options)


@pytest.mark.slow
def test_queries_are_no_source_of_statistics_and_adapted_copies_predict_the_same(tmp_path):
    network = body(norm=True)
    before = [np.array(v) for v in network.variables]
    model = MetaModel(network, TASKS, inner_steps=2, inner_learning_rate=0.3)
    model.compile("sgd", run_eagerly=True)
    x, y, w = batch()
    _, losses, _, outputs, _ = model._adapted(
        ((x["support"], y["support"], w["support"]), (x["query"], y["query"], w["query"]))
    )
    alone = {"support": x["support"], "query": x["query"][:, :1]}
    first = {name: value[:, :1] for name, value in y["query"].items()}
    one = {name: value[:, :1] for name, value in w["query"].items()}
    _, _, _, single, _ = model._adapted(
        ((alone["support"], y["support"], w["support"]), (alone["query"], first, one))
    )
    np.testing.assert_allclose(outputs["z"][:, :1], single["z"], atol=1e-6)
    for episode in range(3):
        rows = [
            keras.tree.map_structure(lambda v, i=episode: v[i], part["support"])
            for part in (x, y, w)
        ]
        adapted = model.adapt(*rows)
        np.testing.assert_allclose(
            adapted(x["query"][episode])["r"], outputs["r"][episode], atol=1e-5
        )
    for variable, value in zip(network.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    adapted.save(tmp_path / "adapted.keras")
    loaded = keras.saving.load_model(tmp_path / "adapted.keras")
    np.testing.assert_array_equal(loaded(x["query"][0])["z"], adapted(x["query"][0])["z"])
    assert losses.shape == (3, 2)


def test_a_saved_model_goes_on_as_if_it_had_not_stopped(tmp_path):
    model = MetaModel(body(), TASKS, rule="meta_sgd")
    model.compile(keras.optimizers.Adam(0.01))
    data = tf.data.Dataset.from_tensors(batch()).repeat(2)
    model.fit(data, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for one in (model, loaded):
        one.fit(data, verbose=0)
    for a, b in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)
    logs = loaded.evaluate(data, verbose=0, return_dict=True)
    assert {"loss", "z_loss", "r_loss", "z_accuracy"} <= set(logs)
    assert loaded.predict(np.zeros((2, 3), "float32"), verbose=0)["z"].shape == (2, 1)


def test_adapt_changes_the_layers_that_are_named_and_never_its_argument():
    network = body()
    before = [np.array(v) for v in network.variables]
    x, y, w = (keras.tree.map_structure(lambda v: v[0], part["support"]) for part in batch())
    heads = adapt(network, TASKS, (x, y, w), steps=2, learning_rate=0.3, layers="heads")
    moved = [
        a.path.split("/")[0]
        for a, b in zip(heads.variables, before, strict=True)
        if not np.array_equal(a, b)
    ]
    assert sorted(set(moved)) == ["r_logits", "z_logits"]
    for variable, value in zip(network.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    with pytest.raises(ValueError, match=r"rows have no labels of \['r'\]; they are"):
        adapt(network, TASKS, (x, {"z": y["z"]}))
    with pytest.raises(ValueError, match=r"no layer that is trained matches 'bod\*'; the network"):
        adapt(network, TASKS, (x, y), layers="bod*")


def test_dropout_draws_once_per_episode():
    keras.utils.set_random_seed(0)
    x = keras.Input((40,))
    output = keras.layers.Dense(1, use_bias=False, name="a")(keras.layers.Dropout(0.5)(x))
    network = keras.Model(x, {"a": output})
    network.set_weights([np.zeros((40, 1))])
    model = MetaModel(network, [SQUARES], inner_steps=2, inner_learning_rate=0.01)
    ones = tf.ones((2, 1, 40))
    rows = (ones, {"a": tf.ones((2, 1))}, {"a": tf.ones((2, 1))})
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    labels = {part: {"a": tf.ones((2, 1))} for part in ("support", "query")}
    masks = []
    for _ in range(2):
        *_, (after,) = model._adapted((rows, rows))
        masks.append(np.array(after)[:, :, 0] != 0)
        model.train_step(({"support": ones, "query": ones}, labels))
    # Two steps have moved the weights of one mask; another mask would have moved more of them.
    assert 8 < masks[0][0].sum() < 32
    assert (masks[0][0] != masks[0][1]).any()
    assert (masks[0][0] != masks[1][0]).any()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"rule must be one of .* received 'imaml'"):
        MetaModel(body(), TASKS, rule="imaml")
    with pytest.raises(ValueError, match="inner_steps is 0; expected a whole number >= 1"):
        MetaModel(body(), TASKS, inner_steps=0)
    with pytest.raises(ValueError, match="jit_compile=True: XLA would compile the episodes"):
        MetaModel(body(), TASKS).compile("adam", jit_compile=True)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = body()
    finally:
        keras.config.set_dtype_policy("float32")
    with pytest.raises(ValueError, match="the network computes in float16"):
        MetaModel(half, TASKS)
    with (
        tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope(),
        pytest.raises(ValueError, match="trains on one device; the strategy has 2 replicas"),
    ):
        MetaModel(body(), TASKS)
    words = keras.Input((2,), dtype="int32")
    embedded = keras.layers.Flatten()(keras.layers.Embedding(9, 3)(words))
    network = keras.Model(words, {"a": SQUARES.output(embedded)})
    model = MetaModel(network, [SQUARES])
    model.compile("sgd", run_eagerly=True)
    rows = {"support": tf.ones((1, 2, 2), tf.int32), "query": tf.ones((1, 2, 2), tf.int32)}
    labels = {part: {"a": tf.ones((1, 2))} for part in rows}
    with pytest.raises(ValueError, match=r"inner steps would make a dense copy of .*embeddings"):
        model.train_step((rows, labels))
    with pytest.raises(ValueError, match=r"episodes must be .* received EagerTensor and dict"):
        model.train_step((rows["query"], labels))


def test_rows_that_cannot_be_adapted_to_are_refused():
    network, tasks = one_weight(mtl.Task.regression("a"))
    x = np.ones((2, 1), "float32")
    with pytest.raises(ValueError, match="task 'a' has no row to adapt to"):
        adapt(network, tasks, (x[:0], {"a": np.ones(0)}))
    with pytest.raises(ValueError, match="labels of task 'a' hold NaN"):
        adapt(network, tasks, (x, {"a": np.array([1.0, np.nan])}))
