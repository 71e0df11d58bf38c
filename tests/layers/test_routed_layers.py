"""Laws that all layers of expert, conditioned and branching networks keep."""

import keras
import numpy as np
import pytest

from keras_mtl import layers

# For each layer: a function that makes it, and the shapes of its inputs.
CASES = {
    "ParallelDense": (lambda **k: layers.ParallelDense(4, "tanh", **k), (2, 3, 2, 5)),
    "StackBranches": (layers.StackBranches, [(2, 3, 5), (2, 3, 5)]),
    "PickBranch": (lambda **k: layers.PickBranch(1, **k), (2, 3, 2, 5)),
    "DSelectKGate": (lambda **k: layers.DSelectKGate(5, 2, entropy=0.1, **k), (2, 3, 4)),
    "MaskedGate": (lambda **k: layers.MaskedGate([True, False, True], **k), (2, 3, 4)),
    "TaskEmbedding": (lambda **k: layers.TaskEmbedding(4, **k), (2, 3, 5)),
    "FiLM": (layers.FiLM, [(2, 3, 5), (1, 4)]),
    "GateNU": (lambda **k: layers.GateNU(4, 3, 1.5, 2, **k), (2, 3, 5)),
    "FeatureGate": (lambda **k: layers.FeatureGate(3, **k), (2, 3, 5)),
    "ExpertNormalization": (layers.ExpertNormalization, (2, 3, 4, 5)),
    "Branching": (lambda **k: layers.Branching(3, 0.7, seed=1, **k), (2, 3, 2, 5)),
    "SelectOrSkip": (
        lambda **k: layers.SelectOrSkip(0.1, 0.2, 0.7, seed=1, **k),
        [(2, 3, 2, 5), (2, 3, 2, 5)],
    ),
    "SubNetworkRouting": (
        lambda **k: layers.SubNetworkRouting(3, 4, seed=1, **k),
        (2, 3, 2, 5),
    ),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def fill(shapes, dtype="float32"):
    rng = np.random.default_rng(0)
    arrays = keras.tree.map_shape_structure(
        lambda shape: keras.ops.convert_to_tensor(rng.normal(size=shape), dtype), shapes
    )
    return arrays


def test_a_layer_comes_back_from_its_config(case):
    make, shapes = case
    layer = make()
    inputs = fill(shapes)
    expected = layer(inputs)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again(inputs)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(inputs), expected)


def test_the_symbolic_shape_is_that_of_the_values(case):
    make, shapes = case
    layer = make()
    output = layer(fill(shapes))
    assert tuple(output.shape) == tuple(layer.compute_output_shape(shapes))
    symbolic = keras.tree.map_shape_structure(
        lambda shape: keras.KerasTensor((None, None, *shape[2:]) if len(shape) > 2 else shape),
        shapes,
    )
    assert make()(symbolic).shape[-1] == output.shape[-1]


def test_a_mask_is_passed_on(case):
    make, shapes = case
    layer = make()
    if isinstance(layer, layers.TaskEmbedding):
        pytest.skip("its output has no positions")
    inputs = fill(shapes)
    mask = keras.ops.convert_to_tensor([[True, True, False], [True, False, False]])
    (inputs[0] if isinstance(inputs, list) else inputs)._keras_mask = mask
    np.testing.assert_array_equal(layer(inputs)._keras_mask, mask)


def test_variables_stay_float32_under_mixed_precision(case):
    make, shapes = case
    layer = make(dtype="mixed_float16")
    output = layer(
        fill(shapes, "float16"), **({"training": True} if layer._call_has_training_arg else {})
    )
    assert keras.backend.standardize_dtype(output.dtype) == "float16"
    assert {variable.dtype for variable in layer.weights} <= {"float32"}
    assert np.isfinite(np.asarray(output)).all()
