"""`GradientModulation`: factors and noise by hand, refusals, logs and saving."""

import keras
import modulated_problem as modulated
import numpy as np
import pytest
import small_problem as problem
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl.training import GradientModulation
from keras_mtl.training._modulation._gradient_modulation import factor_of

TASKS = [mtl.Task.binary(name) for name in ("one", "two", "three")]


def of_heads(modulation, kinds=("yes", "yes", "yes")):
    """Returns a model of three heads, each of which reads an encoder of its own."""
    inputs = keras.Input((6,))
    outputs = {}
    for i, task in enumerate(TASKS):
        features = keras.layers.Dense(3, name=f"{task.name}_encoder")(inputs[:, 2 * i : 2 * i + 2])
        outputs[task.name] = task.head(features, task.name)
    model = mtl.BalancedModel(
        keras.Model(inputs, outputs), TASKS, mtl.balancers.Equal(), modulate=modulation
    )
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    return model


def moved(model, batch):
    """Returns how far a step moves each variable, by its path."""
    before = [np.array(v, "float64") for v in model.network.trainable_variables]
    logs = model.train_on_batch(*batch, return_dict=True)
    pairs = zip(model.network.trainable_variables, before, strict=True)
    return {v.path: np.array(v, "float64") - old for v, old in pairs}, logs


def factors_by_hand(network, alpha):
    """Returns the factors of the two encoders on the first batch, with NumPy."""
    x, y, w = problem.batch(0)
    predictions = network.predict(x, verbose=0)
    z = np.where(y["z"] > 0, predictions["z"][:, 0], 1 - predictions["z"][:, 0])
    b = predictions["b"][np.arange(len(x)), y["b"]]
    scores = [np.average(p, weights=w[name]) for name, p in (("z", z), ("b", b))]
    ratios = [scores[0] / scores[1], scores[1] / scores[0]]
    return [1 - np.tanh(alpha * ratio) if ratio > 1 else 1.0 for ratio in ratios]


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [(0.3, (0.7059, 0.4630, 0.0949)), (0.8, (0.3315, 0.0783, 0.0007)), (0.0, (1.0, 1.0, 1.0))],
)
def test_factors_have_their_golden_values(alpha, expected):
    ratios = tf.constant([1.01, 2.0, 5.0])
    np.testing.assert_allclose(factor_of(ratios, alpha), expected, atol=5e-4)
    np.testing.assert_array_equal(factor_of(1.0 / ratios, alpha), 1.0)


def test_the_encoder_that_is_ahead_is_slowed_down_and_nothing_else():
    plain, _ = moved(modulated.model(modulate=None), problem.batch(0))
    model = modulated.model()
    left, right = factors_by_hand(model.network, 0.5)
    assert min(left, right) < 1 == max(left, right)
    steps, logs = moved(model, problem.batch(0))
    for path, step in plain.items():
        factor = {"left": left, "right": right}.get(path.split("_")[0], 1.0)
        np.testing.assert_allclose(steps[path], factor * step, rtol=0, atol=1e-7, err_msg=path)
    assert logs["z_factor"] == pytest.approx(left, abs=1e-6)
    assert logs["b_factor"] == pytest.approx(right, abs=1e-6)


def test_each_of_three_is_compared_with_the_mean_of_the_others():
    modulation = GradientModulation({t.name: f"{t.name}_encoder" for t in TASKS}, alpha=0.4)
    model = of_heads(modulation)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 6)).astype("float32")
    y = {task.name: (x[:, 2 * i] > 0).astype("float32") for i, task in enumerate(TASKS)}
    y["two"][::2] = np.nan
    weights = {name: np.isfinite(label).astype("float32") for name, label in y.items()}
    predictions = model.predict(x, verbose=0)
    scores = []
    for name, label in y.items():
        known = np.isfinite(label)
        p = predictions[name][known, 0]
        scores.append(np.mean(np.where(label[known] > 0, p, 1 - p)))
    labels = {name: np.nan_to_num(label) for name, label in y.items()}
    logs = model.train_on_batch(x, labels, weights, return_dict=True)
    for i, task in enumerate(TASKS):
        ratio = scores[i] / np.mean(np.delete(scores, i))
        expected = 1 - np.tanh(0.4 * ratio) if ratio > 1 else 1.0
        assert logs[f"{task.name}_factor"] == pytest.approx(expected, abs=1e-5)


def test_a_head_without_labels_slows_nothing_down():
    x, y, w = problem.batch(0)
    model = modulated.model()
    logs = model.train_on_batch(x, y, {**w, "b": np.zeros_like(w["b"])}, return_dict=True)
    assert (logs["z_factor"], logs["b_factor"]) == (1.0, 1.0)


def test_a_head_that_is_switched_off_slows_nothing_down():
    model = modulated.model()
    model.set_active(tasks=["z", "r"])
    logs = model.train_on_batch(*problem.batch(0), return_dict=True)
    assert (logs["z_factor"], logs["b_factor"]) == (1.0, 1.0)


def wide(noise, alpha=0.5):
    """Returns a model of two wide encoders."""
    tasks = TASKS[:2]
    keras.utils.set_random_seed(0)
    inputs = keras.Input((40,))
    outputs = {}
    for i, task in enumerate(tasks):
        encoder = keras.layers.Dense(200, activation="tanh", name=f"{task.name}_encoder")
        outputs[task.name] = task.head(encoder(inputs[:, 20 * i : 20 * i + 20]), task.name)
    encoders = {task.name: f"{task.name}_encoder" for task in tasks}
    modulate = GradientModulation(encoders, alpha=alpha, noise=noise)
    network = keras.Model(inputs, outputs)
    model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal(), modulate=modulate)
    model.compile(keras.optimizers.SGD(1.0), run_eagerly=True)
    return model


def wide_batch():
    x = np.random.default_rng(1).normal(size=(64, 40)).astype("float32")
    return x, {"one": (x[:, 0] > 0).astype("float32"), "two": (x[:, 20] > 0).astype("float32")}


def test_noise_has_the_deviation_of_each_gradient():
    plain, _ = moved(wide(False, alpha=0.0), wide_batch())
    slowed, _ = moved(wide(False), wide_batch())
    noisy, _ = moved(wide(True), wide_batch())
    encoders = [path for path in plain if "encoder" in path]
    for path in encoders:
        noise = noisy[path] - slowed[path]
        expected = np.std(plain[path], ddof=1)
        count = noise.size
        assert noise.std() == pytest.approx(expected, rel=4 / np.sqrt(2 * count))
        assert abs(noise.mean()) < 4 * expected / np.sqrt(count)
    kernels = [noisy[path] - slowed[path] for path in encoders if "kernel" in path]
    drawn = [kernel.ravel() / kernel.std() for kernel in kernels]
    assert abs(np.corrcoef(drawn)[0, 1]) < 0.1  # each has its own draws
    for path in plain.keys() - {*encoders}:
        np.testing.assert_array_equal(noisy[path], slowed[path])


def test_noise_differs_from_step_to_step_and_is_the_same_again():
    first, again = wide(True), wide(True)
    begun = first.network.get_weights()
    steps = [moved(model, wide_batch())[0] for model in (first, again)]
    first.network.set_weights(begun)  # the same gradient once more
    steps.append(moved(first, wide_batch())[0])
    path = next(path for path in steps[0] if path.endswith("one_encoder/kernel"))
    np.testing.assert_array_equal(steps[0][path], steps[1][path])
    assert np.abs(steps[2][path] - steps[0][path]).max() > 1e-4


def test_alpha_is_a_variable_and_zero_ends_factors_and_noise():
    plain, modulation = wide(False, alpha=0.0), wide(True)
    modulation.modulate.alpha.assign(0.0)
    one, other = (moved(model, wide_batch())[0] for model in (plain, modulation))
    for path, step in one.items():
        np.testing.assert_array_equal(other[path], step)


def test_regularizers_of_an_encoder_keep_their_gradient():
    def built(alpha):
        network = modulated.network()
        for side in ("left", "right"):
            network.get_layer(f"{side}_0").kernel_regularizer = keras.regularizers.L2(0.1)
        model = mtl.BalancedModel(
            network,
            problem.tasks(),
            mtl.balancers.Equal(),
            modulate=GradientModulation(modulated.ENCODERS, alpha=alpha),
        )
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        return model

    bare = {a: moved(modulated.model(modulate=GradientModulation(modulated.ENCODERS, alpha=a)),
                     problem.batch(0))[0] for a in (0.0, 0.5)}  # fmt: skip
    kept = {a: moved(built(a), problem.batch(0))[0] for a in (0.0, 0.5)}
    for path, step in kept[0.0].items():
        of_penalty = step - bare[0.0][path]
        np.testing.assert_allclose(kept[0.5][path] - bare[0.5][path], of_penalty, atol=1e-7)


@pytest.mark.parametrize("noise", [False, True])
def test_sparse_gradients_of_embeddings_are_changed_too(noise):
    tasks = TASKS[:2]
    results = []
    for alpha in (0.0, 0.5):
        keras.utils.set_random_seed(0)
        tokens, numbers = keras.Input((3,), dtype="int32"), keras.Input((2,))
        words = keras.layers.Embedding(9, 4, name="words")(tokens)
        outputs = {
            "one": tasks[0].head(keras.layers.GlobalAveragePooling1D()(words), "one"),
            "two": tasks[1].head(keras.layers.Dense(4, name="numbers")(numbers), "two"),
        }
        model = mtl.BalancedModel(
            keras.Model([tokens, numbers], outputs),
            tasks,
            mtl.balancers.Equal(),
            modulate=GradientModulation({"one": "words", "two": "numbers"}, alpha=alpha,
                                        noise=noise and alpha > 0),
        )  # fmt: skip
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        x = [np.arange(12).reshape(4, 3) % 5, np.eye(4, 2, dtype="float32")]
        y = {"one": np.ones(4, "float32"), "two": np.array([1, 0, 0, 1], "float32")}
        results.append(moved(model, (x, y)))
    (plain, _), (steps, logs) = results
    path = next(path for path in plain if path.startswith("words"))
    if noise:
        assert np.abs(steps[path][5:]).min() > 0  # rows of no token get noise too
    else:
        np.testing.assert_allclose(steps[path], logs["one_factor"] * plain[path], rtol=1e-5)


def test_factors_are_logged_by_training_alone_and_survive_saving(tmp_path):
    model = modulated.model()
    x, y, w = problem.arrays()
    history = model.fit(x, y, sample_weight=w, validation_data=(x, y, w), verbose=0).history
    assert {"z_factor", "b_factor"} <= history.keys()
    assert not {"val_z_factor", "val_b_factor"} & history.keys()
    assert "z_factor" not in model.evaluate(x, y, sample_weight=w, verbose=0, return_dict=True)
    model.modulate.alpha.assign(0.125)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.modulate.encoders == modulated.ENCODERS
    assert float(loaded.modulate.alpha) == 0.125
    one, other = (moved(m, problem.batch(0)) for m in (model, loaded))
    assert one[1]["z_factor"] == other[1]["z_factor"]
    for path, step in one[0].items():
        np.testing.assert_array_equal(other[0][path], step)


@pytest.mark.parametrize(
    ("encoders", "options", "message"),
    [
        ({"z": "left_*"}, {}, "at least two heads"),
        (["z", "b"], {}, "at least two heads"),
        (modulated.ENCODERS, {"alpha": -1.0}, "alpha is"),
        ({"z": "left_*", "q": "right_*"}, {}, r"\['q'\] are no tasks; the model has \['z'"),
        ({"z": "left_*", "r": "right_*"}, {}, r"\['r'\] predict none"),
        (
            {"z": "left_*", "b": "wrong_*"},
            {},
            "of 'b': no layer that is trained matches 'wrong_",
        ),
        ({"z": ["left_0"], "b": "right_*"}, {}, r"encoder of 'z' must be one string.*'left_0'"),
        ({"z": "left_*", "b": None}, {}, "encoder of 'b' must be one string"),
        ({"z": "left_*", "b": "left_0|right_*"}, {}, "the encoders of 'z' and 'b' both have"),
        ({"z": "right_*", "b": "left_*"}, {}, r"the head 'z' reads the encoders of \['b'\]"),
        ({"z": "r_logits", "b": "right_*"}, {}, r"the head 'z' reads the encoders of \[\]"),
    ],
)
def test_what_does_not_fit_is_refused(encoders, options, message):
    with pytest.raises(ValueError, match=message):
        modulated.model(modulate=GradientModulation(encoders, **options))


def test_a_head_that_reads_both_modalities_is_refused():
    tasks = problem.tasks()
    network = modulated.network()
    both = network.get_layer("both").output
    outputs = {**network.output, "z": tasks[0].head(both, "z_of_both")}
    with pytest.raises(ValueError, match=r"'z' reads the encoders of \['b', 'z'\]"):
        mtl.BalancedModel(
            keras.Model(network.input, outputs),
            tasks,
            mtl.balancers.Equal(),
            modulate=GradientModulation(modulated.ENCODERS),
        )


def test_one_object_serves_one_model():
    modulation = GradientModulation(modulated.ENCODERS)
    modulated.model(modulate=modulation)
    with pytest.raises(ValueError, match="belongs to another network already"):
        modulated.model(modulate=modulation)
    with pytest.raises(ValueError, match="modulate must be a keras_mtl"):
        modulated.model(modulate="left_*")
