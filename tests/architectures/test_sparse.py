import keras
import numpy as np
import pytest
from expert_references import draw, randomize, value

import keras_mtl as mtl
from keras_mtl import Task, architectures, layers

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3)]


def build(**arguments):
    return architectures.sparse(keras.Input((5,)), TASKS, **{"tower": (4,)} | arguments)


def test_the_penalty_is_the_norm_of_all_tasks_weights_of_each_feature():
    network = build(strength=0.3)
    randomize(network)
    kernels = [value(network.get_layer(f"{task}_tower_0").kernel) for task in ("zeta", "alpha")]
    selection = network.get_layer("shared_selection")
    expected = 0.3 * sum(np.sqrt(sum(np.sum(k[i] ** 2) for k in kernels)) for i in range(5))
    np.testing.assert_allclose(selection.penalty(), expected, rtol=1e-5)
    norms = [np.linalg.norm(kernel, axis=1) for kernel in kernels]
    np.testing.assert_allclose(selection.norms(), norms, rtol=1e-5)


def test_without_towers_the_heads_choose_and_with_recipes_the_first_layer_with_weights():
    def pooled(features):
        x = keras.layers.GlobalAveragePooling2D()(keras.layers.Dropout(0.1)(features))
        return keras.layers.Dense(2, name=f"d{features.shape[-1]}_{next(count)}")(x)

    def convolved(features):
        x = keras.layers.Conv2D(4, 3, name=f"c{next(count)}")(features)
        return keras.layers.GlobalAveragePooling2D()(x)

    count = iter(range(9))
    image = keras.Input((4, 4, 5))
    selections = [
        build(tower=()).get_layer("shared_selection"),
        architectures.sparse(image, TASKS, tower=pooled).get_layer("shared_selection"),
        architectures.sparse(image, TASKS, tower=convolved).get_layer("shared_selection"),
    ]
    assert selections[0].branches == [["zeta_logits"], ["alpha_logits"]]
    assert selections[1].branches == [["d5_0"], ["d5_1"]]
    assert selections[2].branches == [["c2"], ["c3"]]
    assert selections[2].norms().shape == (2, 5)


def orthonormal_regression():
    """Draws two linear tasks of orthonormal features: both use 0 and 3, one uses a bit of 1."""
    rng = np.random.default_rng(0)
    x = np.linalg.qr(np.c_[np.ones(60), rng.normal(size=(60, 6))])[0][:, 1:] * np.sqrt(60)
    truth = np.zeros((2, 6))
    truth[:, 0], truth[:, 3], truth[0, 1] = (2.0, -1.0), (0.5, 1.5), 0.2
    y = truth @ x.T + 0.1 * rng.normal(size=(2, 60))
    return x.astype("float32"), y.astype("float32")


def test_training_ends_at_the_closed_form_of_orthonormal_features():
    x, y = orthonormal_regression()
    tasks = [Task.regression("zeta"), Task.regression("alpha")]
    network = architectures.sparse(keras.Input((6,)), tasks, tower=(), strength=0.6)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.2, 20, 0.7)
    network.compile(keras.optimizers.SGD(schedule), **mtl.compile_args(tasks))
    many = np.tile(x, (150, 1)), {"zeta": np.tile(y[0], 150), "alpha": np.tile(y[1], 150)}
    logs = network.fit(*many, batch_size=60, shuffle=False, verbose=0).history

    # mean((y - x w)^2) with x'x = 60: least squares, shrunk by strength / 2 as a group.
    least_squares = y.astype("float64") @ x / 60
    norms = np.linalg.norm(least_squares, axis=0)
    expected = least_squares * np.maximum(0, 1 - 0.3 / norms)
    np.testing.assert_array_equal(expected.any(0), [1, 0, 0, 1, 0, 0])
    kernels = [value(network.get_layer(f"{task.name}_logits").kernel)[:, 0] for task in tasks]
    np.testing.assert_allclose(kernels, expected, atol=0.01)
    selection = network.get_layer("shared_selection")
    np.testing.assert_array_equal(selection.pattern(), [expected.any(0)] * 2)
    penalty = 0.6 * np.linalg.norm(expected, axis=0).sum()
    np.testing.assert_allclose(logs["shared_selection_penalty"], [penalty], rtol=0.02)


def test_a_saved_network_has_the_same_penalty_and_pattern(tmp_path):
    network = build(strength=0.3)
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras").get_layer("shared_selection")
    selection = network.get_layer("shared_selection")
    np.testing.assert_allclose(again.penalty(), selection.penalty(), rtol=1e-6)
    np.testing.assert_array_equal(again.norms(), selection.norms())


def test_features_that_no_task_reads_have_a_finite_gradient():
    network = build(tower=(), strength=1.0)
    for task in ("zeta", "alpha"):
        network.get_layer(f"{task}_logits").kernel.assign(
            0 * network.get_layer(f"{task}_logits").kernel
        )
    network.compile("sgd", **mtl.compile_args(TASKS), run_eagerly=True)
    network.train_on_batch(draw(8, 5), {"zeta": np.ones(8), "alpha": np.ones((8, 3))})
    assert all(np.isfinite(value(variable)).all() for variable in network.weights)


def test_a_tower_that_reads_features_otherwise_is_refused():
    def normalized(features):
        return keras.layers.LayerNormalization(name=f"n{next(count)}")(features)

    count = iter(range(9))
    with pytest.raises(ValueError, match=r"task 'zeta'.*through 'n0', a LayerNormalization"):
        build(tower=normalized)
    for strength in (-1, "much", float("nan")):
        with pytest.raises(ValueError, match="strength must be a number of at least 0"):
            layers.GroupSparsity([], strength)
