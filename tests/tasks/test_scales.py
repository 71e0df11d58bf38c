"""Scales of labels: what is learned is scaled, what is served and measured is not."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

import keras_mtl as mtl
from keras_mtl import Head, Labels, Scale, Task
from keras_mtl.data import fit_scales

METHODS = ["standard", "robust", "minmax", "log", "log1p"]
DOORS = ["compile_args", "Equal", "PCGrad", "representation"]
ROWS = 24
X = np.random.default_rng(0).normal(size=(ROWS, 4)).astype("float32")
PRICE = np.exp(X[:, 0] + 6.0).astype("float32")  # from 100 to 2,000


def weights_with_gaps(seed=1):
    return (np.random.default_rng(seed).random(ROWS) < 0.7).astype("float32")


def scaled_by_numpy(method, labels, valid):
    """Returns scaled labels, computed by scikit-learn and NumPy."""
    labels = np.asarray(labels, "float64").reshape(len(labels), -1)
    if method in ("log", "log1p"):
        labels = getattr(np, method)(labels)
    scalers = {"robust": RobustScaler(unit_variance=True), "minmax": MinMaxScaler()}
    scaler = scalers.get(method, StandardScaler()).fit(labels[valid])
    return scaler.transform(labels)


def build(tasks, shared=(8,)):
    keras.utils.set_random_seed(0)
    return mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=shared, tower=(5,))


def through(door, tasks, network=None, **options):
    """Returns a compiled model for one of the ways to train, and its network.

    It runs eagerly: for a few steps, tracing takes longer.
    """
    options = {"run_eagerly": True} | options
    network, optimizer = network or build(tasks), keras.optimizers.SGD(0.1)
    if door == "compile_args":
        network.compile(optimizer, **mtl.compile_args(tasks), **options)
        return network, network
    balancer = getattr(mtl.balancers, "PCGrad" if door == "representation" else door)()
    at = door if door == "representation" else "parameters"
    model = mtl.BalancedModel(network, tasks, balancer, at=at)
    model.compile(optimizer, **options)
    return model, network


def variables_of(network):
    """Returns the variables by name; Keras orders layers by depth, which a scale changes."""
    variables = sorted(network.trainable_variables, key=lambda variable: variable.path)
    return [variable.numpy() for variable in variables]


@pytest.mark.parametrize("method", METHODS)
def test_scales_are_those_of_scikit_learn(method):
    weights = weights_with_gaps()
    labels = PRICE.astype("float64")
    labels[3] = np.nan
    valid = (weights != 0) & ~np.isnan(labels)
    scale = Task.regression("price", scale=method).fit_scale(labels, weights).scale
    expected = scaled_by_numpy(method, labels, valid)[:, 0]
    np.testing.assert_allclose(scale.forward(labels)[valid], expected[valid], atol=1e-9)
    np.testing.assert_allclose(scale.inverse(expected)[valid], labels[valid], rtol=1e-9)


EVERYDAY = {("standard", "compile_args"), ("standard", "representation"), ("log", "PCGrad")}
EVERY_WAY = [
    pytest.param(
        method,
        door,
        marks=() if (method, door) in EVERYDAY else pytest.mark.slow,
    )
    for method in METHODS
    for door in DOORS
]


@pytest.mark.parametrize(("method", "door"), EVERY_WAY)
def test_a_network_with_a_scale_learns_as_one_with_scaled_labels(method, door):
    weights = weights_with_gaps()
    scaled = scaled_by_numpy(method, PRICE, weights != 0)[:, 0].astype("float32")
    task = Task.regression("price", scale=method, metrics=[]).fit_scale(PRICE, weights)
    results = []
    for first, labels in (
        (task, PRICE),
        (dataclasses.replace(task, scale=None, labels=None), scaled),
    ):
        tasks = [first, Task.binary("buy", metrics=[])]
        model, network = through(door, tasks)
        y = {"price": np.where(weights, labels, 0.0), "buy": (X[:, 1] > 0).astype("float32")}
        w = {"price": weights, "buy": np.ones(ROWS, "float32")}
        history = model.fit(X, y, sample_weight=w, epochs=2, batch_size=8, shuffle=False, verbose=0)
        losses = history.history["price_mean_loss"]
        results.append((variables_of(network), losses, network(X)["price"]))
    (ours, losses, prices), (stock, expected, z) = results
    for variable, reference in zip(ours, stock, strict=True):
        np.testing.assert_allclose(variable, reference, atol=2e-6)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    np.testing.assert_allclose(prices, task.scale.inverse(z), rtol=1e-4)


@pytest.mark.parametrize("door", ["compile_args", "PCGrad"])
def test_metrics_are_in_the_unit_of_the_labels(door):
    metrics = ["mae", "rmse", "r2", "spearman", keras.metrics.MeanAbsolutePercentageError("mape")]
    task = Task.regression("price", scale="log", metrics=metrics).fit_scale(PRICE)
    tasks = [task, Task.binary("buy")]
    model, network = through(door, tasks)
    weights = weights_with_gaps()
    y = {"price": np.where(weights, PRICE, 0.0), "buy": (X[:, 1] > 0).astype("float32")}
    w = {"price": weights, "buy": np.ones(ROWS, "float32")}
    logs = model.evaluate(X, y, sample_weight=w, batch_size=10, verbose=0, return_dict=True)
    labels, p = PRICE[weights != 0], network(X)["price"].numpy()[weights != 0, 0]
    error = (labels - p).astype("float64")
    assert logs["price_mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
    assert logs["price_rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-5)
    assert logs["price_mape"] == pytest.approx(100 * np.abs(error / labels).mean(), rel=1e-4)
    r2 = 1 - (error**2).sum() / ((labels - labels.mean()) ** 2).sum()
    assert logs["price_r2"] == pytest.approx(r2, abs=1e-4)
    z = (np.log(labels) - np.log(p)) / task.scale.spread
    assert logs["price_mean_loss"] == pytest.approx((z**2).mean(), rel=1e-4)


def test_digits_that_a_large_center_would_cost_are_kept():
    """Checks years as seconds: float32 has no number between two minutes, z has many."""
    seconds = 1.6e9 + 1e7 * X[:, :1].astype("float64")
    task = Task.regression("time", scale="standard", metrics=[]).fit_scale(seconds[:, 0])
    network = build([task])
    prediction = network(X)["time"]
    z = keras.Model(network.input, network.get_layer("time_scale").input)(X).numpy()
    labels = task.scale.forward(seconds.astype("float32")).numpy()
    loss = task.make_loss()(seconds[:, 0].astype("float32"), prediction)
    assert float(loss) == pytest.approx(float(np.mean((labels - z) ** 2)), rel=1e-6)


@pytest.mark.parametrize(
    "door", ["compile_args", pytest.param("Equal", marks=pytest.mark.slow), "PCGrad"]
)
@pytest.mark.slow
def test_each_column_has_a_scale_of_its_own(door):
    units = np.array([1.0, 1e3, 1e-3], "float32")
    labels = (X[:, :3] + 5.0) * units
    weights = (np.random.default_rng(2).random((ROWS, 3)) < 0.7).astype("float32")
    columns = ["no2", "co", "o3"]
    task = Task.regression("air", columns=columns, scale="standard", log_columns=["co"])
    task = task.fit_scale(labels, weights)
    scaled = np.stack(
        [scaled_by_numpy("standard", labels[:, i], weights[:, i] != 0)[:, 0] for i in range(3)], 1
    )
    results = []
    for first, targets in ((task, labels), (dataclasses.replace(task, scale=None), scaled)):
        tasks = [first, Task.binary("smog", metrics=[])]
        model, network = through(door, tasks)
        y = {"air": targets * weights, "smog": (X[:, 3] > 0).astype("float32")}
        w = {"air": weights, "smog": np.ones(ROWS, "float32")}
        model.fit(X, y, sample_weight=w, epochs=2, batch_size=8, shuffle=False, verbose=0)
        logs = model.evaluate(X, y, sample_weight=w, verbose=0, return_dict=True)
        results.append((variables_of(network), logs, network(X)["air"]))
    for variable, reference in zip(results[0][0], results[1][0], strict=True):
        np.testing.assert_allclose(variable, reference, atol=2e-6)
    logs, p = results[0][1:]
    errors = [np.abs(labels - p)[weights[:, i] != 0, i].mean() for i in range(3)]
    assert logs["air_mae_co"] == pytest.approx(errors[1], rel=1e-4)
    assert logs["air_mae"] == pytest.approx(np.mean(errors), rel=1e-4)


def test_the_columns_of_a_scaled_task_part_at_one_layer():
    task = Task.regression("air", columns=["no2", "co"], scale="log").fit_scale(
        PRICE.reshape(-1, 2)
    )
    model = mtl.BalancedModel(build([task]), [task], mtl.balancers.PCGrad())
    assert [layer.node.operation.name for layer in model.frontier.joint_layers] == ["air_logits"]


def test_a_model_with_scales_is_saved_served_and_trained_on(tmp_path):
    tasks = fit_scales(
        (X, {"price": PRICE, "rent": PRICE / 100}),
        [Task.regression("price", scale="log"), Task.regression("rent", scale=Scale("robust"))],
    )
    y = {"price": PRICE, "rent": PRICE / 100}
    model, network = through("PCGrad", tasks, run_eagerly=False)
    model.fit(X, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [task.scale for task in loaded.tasks] == [task.scale for task in tasks]
    ours, theirs = (m.train_on_batch(X, y, return_dict=True) for m in (model, loaded))
    assert ours == theirs
    np.testing.assert_array_equal(loaded.predict(X, verbose=0)["rent"], model(X)["rent"])
    served = tf.saved_model.load(mtl.export.saved_model(network, tasks, tmp_path / "served" / "1"))
    signature = served.signatures["price"]
    (name,) = signature.structured_input_signature[1]
    (answer,) = signature(**{name: tf.constant(X)}).values()
    np.testing.assert_allclose(answer, network(X)["price"], rtol=1e-6)
    plain, _ = through("compile_args", tasks, run_eagerly=False)
    plain.fit(X, y, verbose=0)
    plain.save(tmp_path / "plain.keras")
    again = keras.saving.load_model(tmp_path / "plain.keras")
    assert again.evaluate(X, y, verbose=0) == plain.evaluate(X, y, verbose=0)


@pytest.mark.parametrize("name", ["joint_network", "cascade", "mmoe"])
def test_every_way_to_end_a_tower_has_the_scale(name):
    """Checks a joint head, a prediction that feeds others, and many equal towers."""
    tasks = [
        Task.regression(f"price{i}", scale=Scale("standard", 1000.0 * i, 1.0 + i), metrics=[])
        for i in range(9)
    ]
    results = []
    for scaled in (True, False):
        of_run = tasks if scaled else [dataclasses.replace(task, scale=None) for task in tasks]
        keras.utils.set_random_seed(0)
        network = getattr(mtl.architectures, name)(keras.Input((4,)), of_run)
        model, _ = through("PCGrad", of_run, network)
        labels = {task.name: X[:, 0] * i for i, task in enumerate(of_run)}
        if scaled:
            labels = {task.name: task.scale.inverse(labels[task.name]) for task in tasks}
        logs = model.evaluate(X, labels, verbose=0, return_dict=True)
        model.fit(X, labels, verbose=0)
        results.append((variables_of(network), logs["loss"], network(X)))
    for variable, reference in zip(results[0][0], results[1][0], strict=True):
        np.testing.assert_allclose(variable, reference, atol=1e-4)
    assert results[0][1] == pytest.approx(results[1][1], rel=1e-4)
    p, z = results[0][2]["price8"], results[1][2]["price8"]
    np.testing.assert_allclose(p, 8000.0 + 9.0 * z, rtol=1e-5)


def test_a_prediction_of_a_served_model_has_the_same_loss():
    task = Task.regression("price", scale="log", metrics=["mae"]).fit_scale(PRICE)
    network = build([task])
    loss = task.make_loss()
    as_trained = float(loss(PRICE, network(X)["price"]))
    assert float(loss(PRICE, network(X)["price"].numpy())) == pytest.approx(as_trained, rel=1e-4)


def test_sequences_and_maps_have_one_scale():
    labels = np.arange(24.0).reshape(2, 12)
    task = Task("load", head=Head(1), loss="mse", labels=Labels((None,)), scale=Scale("standard"))
    task = task.fit_scale(labels)
    assert task.scale == Scale("standard", 11.5, float(np.std(np.arange(24.0))))
    inputs = keras.Input((None, 4))
    network = keras.Model(inputs, {"load": task.output(keras.layers.Dense(3)(inputs))})
    network.compile("sgd", **mtl.compile_args([task]))
    network.train_on_batch(np.zeros((2, 12, 4)), {"load": labels})


def test_scales_are_fitted_from_every_kind_of_data():
    class Rows(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            part = slice(8 * index, 8 * index + 8)
            y = {"price": PRICE[part], "buy": np.ones(8)}
            return X[part], y, {"price": weights[part]}

    weights = weights_with_gaps()
    tasks = [Task.binary("buy"), Task.regression("price", scale="standard")]
    y = {"price": PRICE, "buy": np.ones(ROWS, "float32")}
    dataset = tf.data.Dataset.from_tensor_slices((X, y, {"price": weights}))
    kept = PRICE[weights != 0].astype("float64")
    missing = {"price": np.where(weights, PRICE, np.nan), "buy": y["buy"]}
    for data in (
        dataset,
        dataset.batch(5),
        Rows(),
        (X, y, {"price": weights}),
        (X, missing),
        mtl.data.mask_missing(tf.data.Dataset.from_tensor_slices((X, missing)).batch(7), tasks),
    ):
        first, second = fit_scales(data, tasks)
        assert first is tasks[0]
        assert second.scale.center == pytest.approx([kept.mean()], rel=1e-9)
        assert second.scale.spread == pytest.approx([kept.std()], rel=1e-9)
    assert fit_scales((X, y), [first, second])[1] is second  # fitted already


def test_single_examples_of_several_columns_are_read_as_batches_are():
    labels = np.stack([PRICE, X[:, 0]], 1)
    labels[3, 1] = np.nan
    task = Task.regression("pair", columns=["a", "b"], scale="standard")
    single = tf.data.Dataset.from_tensor_slices((X, {"pair": labels}, {"pair": np.ones(ROWS)}))
    (of_single,), (of_batches,) = (fit_scales(data, [task]) for data in (single, single.batch(5)))
    np.testing.assert_allclose(of_single.scale.center, of_batches.scale.center, rtol=1e-9)
    np.testing.assert_allclose(of_single.scale.spread, of_batches.scale.spread, rtol=1e-9)


@pytest.mark.parametrize("build_or_train", ["builder", "output", "compile_args", "BalancedModel"])
def test_a_scale_that_is_not_fitted_is_refused_with_what_to_call(build_or_train):
    task = Task.regression("price", scale="standard")
    fitted = task.fit_scale(PRICE)
    attempts = {
        "builder": lambda: build([task]),
        "output": lambda: task.output(keras.Input((4,))),
        "compile_args": lambda: mtl.compile_args([task]),
        "BalancedModel": lambda: mtl.BalancedModel(build([fitted]), [task], mtl.balancers.Equal()),
    }
    with pytest.raises(ValueError, match=r"task 'price': its scale 'standard' .*fit_scales\(train"):
        attempts[build_or_train]()


@pytest.mark.parametrize("door", ["compile_args", "Equal"])
def test_a_network_of_other_scales_is_refused(door):
    task = Task.regression("price", scale="standard", metrics=[]).fit_scale(PRICE)
    for other in (task.fit_scale(PRICE[:5]), dataclasses.replace(task, scale=None)):
        model, _ = through(door, [other], build([task]))
        with pytest.raises(ValueError, match="Train with the tasks that the network was built"):
            model.train_on_batch(X, {"price": PRICE})


REFUSED = {
    "classes": (lambda: dataclasses.replace(Task.multiclass("t", 3), scale="log"), "real-valued"),
    "binary": (lambda: dataclasses.replace(Task.binary("t"), scale="log"), "kind 'yes or no'"),
    "counts": (lambda: dataclasses.replace(Task.count("t"), scale="log"), "'exponential'"),
    "tags": (lambda: dataclasses.replace(Task.tagging("t", 3), scale="log"), "real-valued"),
    "poisson": (lambda: Task.regression("t", scale="log", loss="poisson"), "their own unit"),
    "mape": (lambda: Task.regression("t", scale="log", loss="mape"), "their own unit"),
    "head": (lambda: Task("t", head=Head(1, "relu"), loss="mse", scale=Scale("log")), "'relu'"),
    "name": (lambda: Task.regression("t", scale="zscore"), "task 't': scale is one of"),
    "size": (lambda: Task.regression("t", 2, scale=Scale("log", [1, 2, 3], [1, 1, 1])), "3 cent"),
    "no scale": (lambda: Task.regression("t").fit_scale(PRICE), "has no scale to fit"),
    "columns": (lambda: Task.regression("t", 3, columns=["a", "b"]), "units=3 does not fit 2"),
    "zeros": (lambda: Task.regression("t", scale="log").fit_scale([0.0, 1.0]), "'log1p' for zer"),
    "negative": (lambda: Task.regression("t", scale="log1p").fit_scale([-1.0, 1]), "at least 0"),
    "infinite": (lambda: Task.regression("t", scale="standard").fit_scale([np.inf]), "infinite"),
    "empty": (lambda: Task.regression("t", scale="standard").fit_scale([np.nan]), "no valid lab"),
    "half": (lambda: Task.regression("t", scale="robust").fit_scale([0, 0, 0, 0, 9]), "one value"),
    "shape": (lambda: Task.regression("t", 2, scale="log").fit_scale([1.0, 2.0]), "2 entries"),
    "strings": (lambda: Task.regression("t", scale="log").fit_scale(["a"]), "no dense numbers"),
    "weights": (lambda: Task.regression("t", scale="log").fit_scale([1, 2], [1] * 3), "do not fit"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_scaled_is_refused_by_the_name_of_the_task(case):
    attempt, message = REFUSED[case]
    with pytest.raises(ValueError, match="task 't'") as error:
        attempt()
    assert message in str(error.value)


@pytest.mark.parametrize(
    "arguments",
    [("standard", 1.0), ("standard", 1.0, 0.0), ("standard", 1.0, -1.0), ("log", np.nan, 1.0),
     ("log", [1.0, 2.0], 1.0)],
)  # fmt: skip
def test_numbers_of_scales_are_checked(arguments):
    with pytest.raises(ValueError, match=r"a scale|of a scale"):
        Scale(*arguments)


@pytest.mark.parametrize("data", [[X], X, (X, PRICE), (X, {"rent": PRICE})])
def test_data_of_another_form_are_refused(data):
    with pytest.raises((TypeError, ValueError), match=r"dicts by task|no label for task 'price'"):
        fit_scales(data, [Task.regression("price", scale="log")])


def test_constant_labels_are_warned_of_and_keep_their_unit():
    with pytest.warns(UserWarning, match="task 'price': all its labels are one value"):
        task = Task.regression("price", scale="standard").fit_scale([0.1] * 7)
    assert task.scale.center == pytest.approx([0.1]) and task.scale.spread == (1.0,)
    labels = np.array([[1.0, 5.0, np.nan], [3.0, 5.0, np.nan]])
    with pytest.warns(UserWarning, match=r"2 column\(s\) \(b, c\) have no label, or one value"):
        task = Task.regression("x", columns=["a", "b", "c"], scale="standard").fit_scale(labels)
    assert task.scale == Scale("standard", [2.0, 5.0, 0.0], [1.0, 1.0, 1.0])


def test_labels_below_the_range_of_a_scale_are_found_before_training():
    task = Task.regression("price", scale="log").fit_scale(PRICE)
    model, _ = through("Equal", [task])
    y = {"price": np.where(np.arange(ROWS) == 5, -1.0, PRICE)}
    with pytest.raises(ValueError, match="price"):
        model.fit(X, y, verbose=0)


@pytest.mark.slow
def test_two_replicas_learn_scaled_labels_as_one_device():
    import scale_replica_runs

    assert max(scale_replica_runs.run().values()) < 2e-6
