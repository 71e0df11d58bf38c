"""What `quantize` of Keras does to networks of this package: its layers stay in float."""

import keras
import numpy as np
import pytest

from keras_mtl import Task, architectures, export, layers

TASKS = [Task.binary("zeta"), Task.binary("alpha")]
X = np.random.default_rng(0).normal(size=(32, 12)).astype("float32")
# Keras names each class that stays as it is.
pytestmark = pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")


def quantized(mode, builder=architectures.mmoe, **arguments):
    """Returns a quantized network, its predictions before, and the classes that Keras left out."""
    network = builder(keras.Input((12,)), TASKS, **arguments)
    before = {name: np.asarray(output) for name, output in network(X).items()}
    with pytest.warns(UserWarning, match="does not have a `quantize` method") as warned:
        network.quantize(mode)
    return network, before, {str(warning.message).split()[1] for warning in warned}


def test_no_layer_of_this_package_has_a_mode_of_its_own():
    for name in layers.__all__:
        if issubclass(getattr(layers, name), keras.layers.Layer):
            assert getattr(layers, name).quantize is keras.layers.Layer.quantize, name


@pytest.mark.parametrize(
    ("mode", "bound"),
    [
        ("int8", 0.02),
        pytest.param("int4", 0.2, marks=pytest.mark.slow),
        pytest.param("float8", 0.1, marks=pytest.mark.slow),
    ],
)
def test_dense_layers_are_quantized_and_experts_stay_in_float(mode, bound):
    network, before, left_out = quantized(mode, num_experts=3, expert=(16,), tower=(8,))
    modes = {type(layer).__name__: layer.quantization_mode for layer in network.layers}
    assert modes["Dense"] == mode
    assert modes["Experts"] is None
    assert {"Experts", "Mixture"} <= left_out  # Keras says so
    assert {v.dtype for v in network.get_layer("shared_experts").variables} == {"float32"}
    after = network(X)
    for name, output in before.items():
        difference = np.abs(after[name] - output).max()
        assert 0 < difference < bound, name
    cut = export.single_task(network, "alpha")
    assert cut.get_layer("alpha_tower_0").quantization_mode == mode
    np.testing.assert_array_equal(cut(X)["alpha"], after["alpha"])


def test_a_quantized_body_with_updates_is_refused():
    network, *_ = quantized("int8", architectures.lora, body=(4,), rank=2)
    with pytest.raises(ValueError, match=r"their updates would be lost.* export\.merge"):
        network(X)


@pytest.mark.slow
def test_updates_are_kept_if_they_are_merged_or_the_body_is_left_out():
    network = architectures.lora(keras.Input((12,)), TASKS, body=(8, 6), rank=2)
    for i, variable in enumerate(network.trainable_variables):
        variable.assign(np.random.default_rng(i).normal(size=variable.shape) / 3)
    before = network(X)
    plain = export.merge(network)
    plain.quantize("int8")
    network.quantize("int8", filters=lambda layer: "logits" in layer.name)
    assert network.get_layer("alpha_logits").quantization_mode == "int8"
    for after in (plain(X), network(X)):
        for name, output in before.items():
            np.testing.assert_allclose(after[name], output, atol=0.05)
