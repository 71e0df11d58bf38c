import itertools

import keras
import numpy as np
import pytest
from funnel import randomize, relu, value

import keras_mtl as mtl
from keras_mtl import Task, architectures, layers

TASKS = [Task.regression("zeta"), Task.regression("alpha", 3)]
NAMES = ("zeta", "alpha")
SIZE = 5


def build(tasks=TASKS, inputs=(SIZE,), **arguments):
    arguments = {"body": (4, 4, 4), "tower": ()} | arguments
    return architectures.sluice(keras.Input(inputs), tasks, **arguments)


def test_the_output_equals_the_papers_equation():
    network = build()
    randomize(network)
    features = np.random.default_rng(0).normal(size=(7, SIZE))
    columns, levels = [features, features], []
    for i in range(3):
        bodies = [network.get_layer(f"shared_{name}_body_{i}") for name in NAMES]
        columns = [
            relu(x @ value(body.kernel) + value(body.bias))
            for body, x in zip(bodies, columns, strict=True)
        ]
        a1, a2, b1, b2 = (half for column in columns for half in np.split(column, 2, -1))
        alphas = value(network.get_layer(f"shared_stitch_{i}").alphas)
        mixed = [row[0] * a1 + row[1] * a2 + row[2] * b1 + row[3] * b2 for row in alphas]
        columns = [np.concatenate(mixed[:2], -1), np.concatenate(mixed[2:], -1)]
        levels.append(columns)
    outputs = network(features)
    for k, name in enumerate(NAMES):
        betas = value(network.get_layer(f"{name}_layers").betas)
        top = sum(beta * level[k] for beta, level in zip(betas, levels, strict=True))
        head = network.get_layer(f"{name}_logits")
        expected = top @ value(head.kernel) + value(head.bias)
        np.testing.assert_allclose(outputs[name], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("body", "expected"), [((4,), [1.0]), ((4, 4), [0.3, 0.7]), ((4, 4, 4), [0.15, 0.15, 0.7])]
)
def test_betas_begin_at_the_last_stage_and_sum_to_one(body, expected):
    network = build(body=body, beta=0.7)
    np.testing.assert_allclose(network.get_layer("zeta_layers").betas, expected, atol=1e-6)


def overlap(kernel, count):
    """Sums the squared entries of all products of two different subspaces, in float64."""
    parts = np.split(value(kernel).reshape(-1, kernel.shape[-1]), count, -1)
    return sum(np.sum((a.T @ b) ** 2) for a, b in itertools.combinations(parts, 2))


@pytest.mark.parametrize("count", [2, 4])
def test_the_penalty_is_the_overlap_of_the_subspaces(count):
    network = build(num_subspaces=count, orthogonality=0.5)
    randomize(network)
    kernels = [network.get_layer(f"shared_{n}_body_{i}").kernel for n in NAMES for i in range(3)]
    expected = 0.5 * sum(overlap(kernel, count) for kernel in kernels)
    np.testing.assert_allclose(network.get_layer("shared_subspaces").penalty(), expected, rtol=1e-4)


def test_each_gate_of_a_recurrent_stage_is_penalized_by_itself():
    def stage(features):
        x = keras.layers.LSTM(4, return_sequences=True)(features)
        return keras.layers.LayerNormalization()(x)

    tasks = [Task.tagging("zeta", 3), Task.tagging("alpha", 2)]
    network = build(tasks, (None, SIZE), body=[stage], orthogonality=1.0)
    randomize(network)
    cells = [layer for layer in network.layers if isinstance(layer, keras.layers.LSTM)]
    gates = [
        gate
        for cell in cells
        for kernel in (cell.cell.kernel, cell.cell.recurrent_kernel)
        for gate in np.split(value(kernel), 4, -1)
    ]
    expected = sum(overlap(gate, 2) for gate in gates)
    np.testing.assert_allclose(network.get_layer("shared_subspaces").penalty(), expected, rtol=1e-4)


def test_training_logs_the_penalty_and_parts_the_subspaces(tmp_path):
    x = np.random.default_rng(0).normal(size=(160, SIZE)).astype("float32")
    y = {"zeta": x[:, :1], "alpha": x[:, 1:4]}
    network = build(orthogonality=1.0)
    layer = network.get_layer("shared_subspaces")
    start = float(layer.penalty())
    network.compile(keras.optimizers.SGD(0.02), **mtl.compile_args(TASKS))
    logs = network.fit(x, y, batch_size=8, epochs=2, verbose=0).history
    assert float(layer.penalty()) < 0.5 * start
    np.testing.assert_allclose(logs["shared_subspaces_penalty"][-1], layer.penalty(), rtol=1e-4)
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras").get_layer("shared_subspaces")
    np.testing.assert_allclose(again.penalty(), layer.penalty(), rtol=1e-6)


def bidirectional(features):
    return keras.layers.Bidirectional(keras.layers.LSTM(2, return_sequences=True))(features)


def test_a_stage_that_has_no_kernel_to_cut_is_told_so():
    tasks = [Task.tagging("zeta", 3), Task.tagging("alpha", 2)]
    build(tasks, (None, SIZE), body=[bidirectional])
    with pytest.raises(ValueError, match=r"one-way recurrent layer.*\(Bidirectional\)"):
        build(tasks, (None, SIZE), body=[bidirectional], orthogonality=0.1)
    with pytest.raises(ValueError, match="received no such layer"):
        build(body=[keras.layers.Activation("tanh"), 4], orthogonality=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"body": (4, 6)}, "zeta_layers: features of all depths are added up"),
        ({"body": (4, 4), "num_subspaces": 3}, "shared_stitch_0: expected features of equal"),
        ({"orthogonality": -1.0}, "a strength of at least 0; received 2 and -1.0"),
        ({"orthogonality": 1.0, "num_subspaces": 1}, "num_subspaces of at least 2"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        build(**arguments)


def test_a_layer_stitch_passes_masks_on():
    tokens = np.array([[3, 1, 0], [2, 0, 0]])
    embedded = keras.layers.Embedding(5, 4, mask_zero=True)(tokens)
    stitch = layers.LayerStitch(0.6, name="stitch")
    np.testing.assert_array_equal(stitch([embedded, embedded])._keras_mask, tokens != 0)
    assert layers.LayerStitch.from_config(stitch.get_config()).get_config() == stitch.get_config()
