import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import layers

TOWERS = [["a"], ["b"], ["c"]]
STRENGTHS = [[0.0, 0.5, 0.1], [0.5, 0.0, 0.0], [0.1, 0.0, 0.0]]


def make(towers=TOWERS, units=4, **arguments):
    """Builds ties over towers of one dense layer each, with random weights."""
    ties = layers.WeightTies(towers, name="ties", **arguments)
    features = ties(keras.Input((3,)))
    dense = [keras.layers.Dense(units, name=name)(features) for (name,) in towers]
    network = keras.Model(ties.input, dense)
    rng = np.random.default_rng(0)
    network.set_weights([rng.normal(size=w.shape) for w in network.get_weights()])
    return network, ties


def vectors_by_variable(network):
    """Yields, for each variable of a tower, the flat vectors of all towers, in float64."""
    dense = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    for variables in zip(*[layer.variables for layer in dense], strict=True):
        yield [np.ravel(np.asarray(v, "float64")) for v in variables]


MEASURES = {
    "squared_l2": lambda a, b: np.sum((a - b) ** 2),
    "l1": lambda a, b: np.sum(np.abs(a - b)),
    "cosine": lambda a, b: 1 - a @ b / np.sqrt((a @ a) * (b @ b)),
}


@pytest.mark.parametrize("distance", [*MEASURES])
@pytest.mark.parametrize("strength", [0.3, STRENGTHS], ids=["number", "matrix"])
def test_the_penalty_sums_the_distances_of_all_pairs(distance, strength):
    network, ties = make(distance=distance, strength=strength)
    matrix = np.broadcast_to(strength, (3, 3))
    expected = sum(
        matrix[i, j] * MEASURES[distance](w[i], w[j])
        for w in vectors_by_variable(network)
        for i in range(3)
        for j in range(i)
    )
    np.testing.assert_allclose(ties.penalty(), expected, rtol=1e-5)


def test_the_trace_norm_is_the_sum_of_singular_values():
    network, ties = make(distance="trace_norm", strength=0.3)
    expected = sum(
        np.linalg.svd(np.stack(w), compute_uv=False).sum() for w in vectors_by_variable(network)
    )
    np.testing.assert_allclose(ties.penalty(), 0.3 * expected, rtol=1e-4)


def test_the_gradient_of_the_trace_norm_is_that_of_the_singular_vectors():
    network, ties = make(distance="trace_norm", strength=0.3)
    kernels = [layer.kernel.value for layer in network.layers[2:]]
    with tf.GradientTape() as tape:
        penalty = ties.penalty()
    gradient = np.stack(
        [np.ravel(kernel_gradient) for kernel_gradient in tape.gradient(penalty, kernels)]
    )
    left, _, right = np.linalg.svd(
        np.stack(next(vectors_by_variable(network))), full_matrices=False
    )
    np.testing.assert_allclose(gradient, 0.3 * left @ right, atol=1e-4)


@pytest.mark.parametrize("distance", [*MEASURES, "trace_norm"])
def test_equal_towers_give_finite_gradients(distance):
    network, ties = make(distance=distance)
    for kernel in ("zeros", "ones"):
        for layer in network.layers[2:]:
            layer.kernel.assign(getattr(np, kernel)((3, 4)))
            layer.bias.assign(np.zeros(4))
        variables = [v.value for v in network.trainable_variables]
        with tf.GradientTape() as tape:
            penalty = ties.penalty()
        for gradient in tape.gradient(penalty, variables):
            assert np.isfinite(gradient).all()


def test_the_penalty_is_part_of_the_loss_and_of_the_logs():
    network, ties = make()
    network.compile(keras.optimizers.SGD(0.0), loss=["mse"] * 3)
    x, y = np.ones((4, 3)), [np.zeros((4, 4))] * 3
    logs = network.fit(x, y, verbose=0).history
    penalty = float(ties.penalty())
    assert penalty > 0
    np.testing.assert_allclose(logs["ties_penalty"], [penalty], rtol=1e-6)
    losses = sum(np.mean(np.square(output)) for output in network(x))
    np.testing.assert_allclose(logs["loss"], [losses + penalty], rtol=1e-5)
    again = network.evaluate(x, y, verbose=0, return_dict=True)
    np.testing.assert_allclose(again["loss"], losses + penalty, rtol=1e-5)
    np.testing.assert_allclose(again["ties_penalty"], penalty, rtol=1e-6)


def test_ties_pull_towers_together():
    network, ties = make(strength=1.0)
    start = float(ties.penalty())
    network.compile(keras.optimizers.SGD(0.01), loss=["mse"] * 3, loss_weights=[0.0] * 3)
    network.fit(np.ones((80, 3)), [np.zeros((80, 4))] * 3, batch_size=2, verbose=0)
    assert float(ties.penalty()) < 0.1 * start


@pytest.mark.parametrize(
    "copy", [lambda n: n.from_config(n.get_config()), keras.models.clone_model]
)
def test_a_copied_network_is_tied_as_the_first(copy):
    network, ties = make(distance="l1", strength=STRENGTHS)
    again = copy(network)
    again.set_weights(network.get_weights())
    other = again.get_layer("ties")
    assert other is not ties
    np.testing.assert_allclose(other.penalty(), ties.penalty(), rtol=1e-6)
    assert other.get_config() == ties.get_config()


def test_a_tower_that_is_cut_out_is_not_penalized():
    network, _ = make(strength=STRENGTHS)
    a, b, _ = [np.asarray(layer.kernel) for layer in network.layers[2:]]
    biases = [np.asarray(layer.bias) for layer in network.layers[2:]]
    part = keras.Model(network.inputs, network.outputs[:2])
    part = keras.Model.from_config(part.get_config())
    part.set_weights([a, biases[0], b, biases[1]])
    expected = 0.5 * (np.sum((a - b) ** 2) + np.sum((biases[0] - biases[1]) ** 2))
    np.testing.assert_allclose(part.get_layer("ties").penalty(), expected, rtol=1e-5)
    alone = keras.Model.from_config(keras.Model(network.inputs, network.outputs[:1]).get_config())
    assert float(alone.get_layer("ties").penalty()) == 0.0
    assert alone.count_params() == 16


def test_ties_pass_any_inputs_on():
    tokens = np.array([[3, 1, 0], [2, 0, 0]])
    result = layers.WeightTies(TOWERS)(tokens)
    np.testing.assert_array_equal(result, tokens)
    embedded = keras.layers.Embedding(5, 4, mask_zero=True)(tokens)
    np.testing.assert_array_equal(layers.WeightTies(TOWERS)(embedded)._keras_mask, tokens != 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"distance": "l3"}, "distance must be one of"),
        ({"strength": -1.0}, "strength must be a number of at least 0"),
        ({"strength": float("nan")}, "strength must be a number of at least 0"),
        ({"strength": [[0.0, 1.0], [1.0, 0.0]]}, "a symmetric matrix of them, 3 x 3"),
        ({"strength": [[0, 1, 0], [0, 0, 0], [0, 0, 0]]}, "a symmetric matrix"),
        ({"strength": STRENGTHS, "distance": "trace_norm"}, "strength must be one number"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.WeightTies(TOWERS, **arguments)


def test_towers_that_differ_are_refused():
    ties = layers.WeightTies([["a"], ["b"]], name="ties")
    features = ties(keras.Input((3,)))
    for name, units in (("a", 2), ("b", 3)):
        keras.layers.Dense(units, name=name)(features)
    with pytest.raises(ValueError, match="ties: towers are tied weight by weight"):
        ties.penalty()
