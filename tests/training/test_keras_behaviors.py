"""A `BalancedModel` works with the features of Keras as any other model does."""

import csv

import keras
import numpy as np
import pytest
import small_problem as problem

import keras_mtl as mtl

TASKS = [task.name for task in problem.tasks()]


def steps(model, *indices):
    """Takes one step on each of these batches."""
    for index in indices:
        model.train_on_batch(*problem.batch(index))


def state(model):
    return problem.values([*model.variables, *model.optimizer.variables])


def identical(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", ["DWA", "Uncertainty", "GradDrop"])
@pytest.mark.slow
def test_a_saved_model_continues_as_if_it_had_not_been_interrupted(name, tmp_path):
    def make():
        options = {} if name == "DWA" else {"every": 2, "scale_towers": True}
        adam = keras.optimizers.Adam(0.01)
        return problem.balanced(getattr(mtl.balancers, name)(), optimizer=adam, **options)

    model = make()
    model.fit(problem.dataset(2), epochs=3, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.every == model.every and loaded.scale_towers == model.scale_towers
    assert [task.name for task in loaded.tasks] == TASKS
    assert [task.weight for task in loaded.tasks] == [task.weight for task in model.tasks]
    assert identical(state(loaded), state(model))
    assert loaded.run_eagerly
    for trained in (model, loaded):
        trained.fit(problem.dataset(2), verbose=0)
    assert identical(state(loaded), state(model))
    x = problem.batch()[0]
    for task in TASKS:
        np.testing.assert_array_equal(loaded(x)[task], model(x)[task])


def test_saved_weights_restore_the_balancer_and_the_optimizer(tmp_path):
    model, other = (
        problem.balanced(mtl.balancers.Uncertainty(), optimizer=keras.optimizers.Adam(0.01))
        for _ in range(2)
    )
    steps(model, 0, 1)
    model.save_weights(tmp_path / "some.weights.h5")
    other.optimizer.build(other.trainable_variables)
    other.load_weights(tmp_path / "some.weights.h5")
    steps(model, 3)
    steps(other, 3)
    assert identical(state(model), state(other))


def test_callbacks_of_keras_find_the_logs_they_read(tmp_path):
    task = problem.tasks()[0]
    name, mode = mtl.monitor(task, "auc")
    model = problem.balanced(mtl.balancers.PCGrad(), optimizer=keras.optimizers.SGD(0.1))
    best = tmp_path / "best.keras"
    rates = []

    def schedule(epoch, rate):
        rates.append(rate)
        return rate / 2

    history = model.fit(
        problem.dataset(2),
        validation_data=problem.dataset(1),
        epochs=4,
        verbose=0,
        callbacks=[
            keras.callbacks.ModelCheckpoint(best, name, mode=mode, save_best_only=True),
            keras.callbacks.EarlyStopping(name, mode=mode, patience=1, min_delta=2.0),
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            keras.callbacks.TensorBoard(tmp_path / "board"),
            keras.callbacks.LearningRateScheduler(schedule),
        ],
    ).history
    # No AUC rises by 2: training stops as soon as patience allows.
    assert len(history["loss"]) == 2
    assert rates == pytest.approx([0.1, 0.05])
    assert list((tmp_path / "board" / "train").iterdir())
    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 and {"z_weight", "val_z_auc", "val_b_mean_loss"} <= set(rows[0])
    kept = keras.models.load_model(best)
    scored = kept.evaluate(problem.dataset(1), verbose=0, return_dict=True)
    assert scored["z_auc"] == pytest.approx(max(history[name]))


def test_early_stopping_restores_the_best_weights():
    model = problem.balanced(mtl.balancers.Equal(), optimizer=keras.optimizers.SGD(50.0))
    name, mode = mtl.monitor(problem.tasks()[2], "loss")
    stop = keras.callbacks.EarlyStopping(name, mode=mode, patience=1, restore_best_weights=True)
    data = problem.dataset(1)
    history = model.fit(data, validation_data=data, epochs=3, verbose=0, callbacks=stop).history
    loss = model.evaluate(data, verbose=0, return_dict=True)["r_mean_loss"]
    assert loss == pytest.approx(min(history[name]), rel=1e-5)


def test_a_schedule_and_clipping_act_on_the_balanced_gradient():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0], [0.1, 0.0])
    model = problem.balanced(mtl.balancers.MGDA(), optimizer=keras.optimizers.SGD(schedule))
    steps(model, 0)
    before = problem.values(model.network.variables)
    steps(model, 1)
    assert identical(before, problem.values(model.network.variables))

    plain = problem.balanced(mtl.balancers.MGDA(), optimizer=keras.optimizers.SGD(1.0))
    clipped = problem.balanced(
        mtl.balancers.MGDA(), optimizer=keras.optimizers.SGD(1.0, global_clipnorm=0.01)
    )
    start = problem.values(plain.network.variables)
    moves = []
    for model in (plain, clipped):
        steps(model, 0)
        after = problem.values(model.network.variables)
        moves.append(np.concatenate([(a - s).ravel() for a, s in zip(after, start, strict=True)]))
    assert np.linalg.norm(moves[1]) == pytest.approx(0.01, rel=1e-3)
    np.testing.assert_allclose(moves[1], moves[0] * 0.01 / np.linalg.norm(moves[0]), atol=1e-6)


def test_gradients_are_accumulated_over_steps():
    accumulating = problem.balanced(
        mtl.balancers.PCGrad(), optimizer=keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    )
    before = problem.values(accumulating.network.variables)
    steps(accumulating, 0)
    assert identical(before, problem.values(accumulating.network.variables))
    steps(accumulating, 1)
    assert not identical(before, problem.values(accumulating.network.variables))


@pytest.mark.slow
def test_steps_in_one_execution_compiled_by_xla_or_not_equal_eager_ones():
    results = []
    for compiling in (
        {"run_eagerly": True},
        {"steps_per_execution": 2, "jit_compile": False},
        {"jit_compile": True},
    ):
        model = problem.balanced(mtl.balancers.MGDA(), every=2)
        model.compile(keras.optimizers.SGD(0.01), **compiling)  # XLA takes long for Adam
        logs = model.fit(problem.dataset(4), verbose=0).history
        results.append((problem.values(model.variables), logs))
    for variables, logs in results[1:]:
        problem.assert_close(variables, results[0][0], 1e-5)
        for key, value in results[0][1].items():
            np.testing.assert_allclose(logs[key], value, rtol=1e-4, err_msg=key)


def test_arrays_train_like_a_dataset_and_may_be_split():
    x, y, w = problem.arrays()
    model, other = (problem.balanced(mtl.balancers.PCGrad()) for _ in range(2))
    arguments = {"batch_size": problem.BATCH, "shuffle": False, "verbose": 0}
    logs = model.fit(x, y, sample_weight=w, validation_split=0.4, **arguments).history
    other_logs = other.fit(problem.dataset(3), verbose=0).history
    problem.assert_close(problem.values(model.variables), problem.values(other.variables), 1e-6)
    rest = keras.tree.map_structure(lambda value: value[3 * problem.BATCH :], (x, y, w))
    arguments = {"batch_size": problem.BATCH, "sample_weight": rest[2], "verbose": 0}
    expected = other.evaluate(*rest[:2], return_dict=True, **arguments)
    for key, value in expected.items():
        assert logs[f"val_{key}"][0] == pytest.approx(value, rel=1e-5), key
    assert set(other_logs) == {k for k in logs if not k.startswith("val_")}
    assert len(other.evaluate(*rest[:2], **arguments)) == len(expected)


def test_evaluation_changes_nothing_and_logs_no_weights():
    model = problem.balanced(mtl.balancers.DWA(window=1), tasks=problem.tasks)
    steps(model, 0, 1)
    before = problem.values([*model.network.variables, *model.balancer.variables])
    logs = model.evaluate(problem.dataset(2), verbose=0, return_dict=True)
    assert identical(before, problem.values([*model.network.variables, *model.balancer.variables]))
    assert not any(key.endswith("_weight") for key in logs)
    tested = model.test_on_batch(*problem.batch(), return_dict=True)
    assert not any(key.endswith("_weight") for key in tested)


def test_predictions_are_those_of_the_network_by_name():
    model = problem.balanced(mtl.balancers.Equal())
    x = problem.arrays()[0]
    predictions = model.predict(x, batch_size=7, verbose=0)
    expected = model.network.predict(x, verbose=0)
    assert set(predictions) == set(TASKS)
    for name in TASKS:
        np.testing.assert_allclose(predictions[name], expected[name], rtol=1e-5, atol=1e-7)


def test_one_task_logs_under_the_same_names_as_many():
    def logs(tasks):
        x = keras.Input((4,))
        h = keras.layers.Dense(4)(x)
        network = keras.Model(x, {task.name: task.output(h) for task in tasks})
        model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
        model.compile("sgd", run_eagerly=True)
        data = problem.dataset(1).map(lambda x, y, w: (x, {t.name: y[t.name] for t in tasks}))
        return model.fit(data, validation_data=data, verbose=0).history

    many, one = logs(problem.tasks()), logs(problem.tasks()[:1])
    assert set(one) == {key for key in many if "z_" in key} | {"loss", "val_loss"}
    assert one["z_loss"] == pytest.approx(one["loss"])


def half_precision(rule, optimizer=None):
    """Builds and compiles a model of the small problem in mixed precision."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return problem.balanced(rule, optimizer=optimizer)
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("name", ["MGDA", "Uncertainty", "GradDrop"])
def test_half_precision_takes_nearly_the_same_step(name):
    full = problem.balanced(getattr(mtl.balancers, name)())
    half = half_precision(getattr(mtl.balancers, name)())
    assert isinstance(half.optimizer, keras.optimizers.LossScaleOptimizer)
    assert half.network.get_layer("shared_0").compute_dtype == "float16"
    for model in (full, half):
        model.train_on_batch(*problem.batch())
    if name != "GradDrop":  # it decides by signs, and the sign of an entry may be rounding
        np.testing.assert_allclose(
            list(half.task_weights.values()), list(full.task_weights.values()), rtol=0.02
        )
        problem.assert_close(
            problem.values(half.network.variables), problem.values(full.network.variables), 3e-3
        )
    assert all(np.isfinite(v).all() for v in problem.values(half.variables))


def test_a_rule_sees_the_gradients_of_the_unscaled_loss():
    seen = []

    class Spy(mtl.balancers.GramianBalancer):
        def weigh(self, gramian, losses):
            if self._indices is None and not keras.backend.is_keras_tensor(gramian):
                seen.append(np.array(gramian))
            return keras.ops.ones_like(losses)

    for model in (problem.balanced(Spy()), half_precision(Spy())):
        model.train_on_batch(*problem.batch())
    np.testing.assert_allclose(seen[1], seen[0], rtol=0.05, atol=1e-3 * seen[0].max())


@pytest.mark.parametrize("name", ["Fixed", "MGDA"])
def test_an_overflow_skips_the_step_and_lowers_the_scale(name):
    rule = mtl.balancers.Fixed([1.0, 1.0, 1.0]) if name == "Fixed" else mtl.balancers.MGDA()
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=2.0**30
    )
    model = half_precision(rule, optimizer)
    before = problem.values(model.network.variables)
    model.train_on_batch(*problem.batch())
    assert identical(before, problem.values(model.network.variables))
    assert float(optimizer.dynamic_scale) == 2.0**29
    assert set(model.left_out.values()) == {0}  # an overflow is no fault of the task


def test_a_loss_that_is_infinite_does_not_lower_the_scale():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    model = half_precision(mtl.balancers.MGDA(), optimizer)
    before = problem.values(problem.variables_of(model.network, "shared"))
    x, y, w = problem.batch()
    y["r"][0] = 1e30
    model.train_on_batch(x, y, w)
    after = problem.values(problem.variables_of(model.network, "shared"))
    assert not identical(before, after) and all(np.isfinite(v).all() for v in after)
    assert float(optimizer.dynamic_scale) == 2.0**15
    assert model.left_out == {"z": 0, "b": 0, "r": 1}


def test_the_step_is_traced_once(monkeypatch):
    traced = []
    step = mtl.BalancedModel.train_step
    monkeypatch.setattr(
        mtl.BalancedModel, "train_step", lambda self, data: traced.append(1) or step(self, data)
    )
    tasks = [mtl.Task.binary("z"), mtl.Task.regression("r")]
    network = mtl.architectures.hard_sharing(keras.Input((4,)), tasks, shared=(4,), tower=())
    model = mtl.BalancedModel(network, tasks, mtl.balancers.Uncertainty())
    model.compile("adam")
    x, y, _ = problem.batch()
    model.fit(x, {"z": y["z"], "r": y["r"]}, batch_size=8, verbose=0)
    assert traced == [1]  # variables made in the first trace would cost a second trace
