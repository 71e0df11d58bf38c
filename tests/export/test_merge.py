"""Networks with low-rank updates become plain networks with the same predictions."""

import keras
import numpy as np
import pytest

from keras_mtl import Task, architectures, export

TASKS = [Task.regression("zeta"), Task.multiclass("alpha", 3)]


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def randomize(network):
    for i, variable in enumerate(network.trainable_variables):
        variable.assign(draw(*variable.shape, seed=i) / 4)


def check_equal(network, plain, x):
    before, after = network(x), plain(x)
    assert list(before) == list(after)
    for name, output in before.items():
        np.testing.assert_allclose(after[name], output, rtol=1e-4, atol=1e-5)


def modules(model):
    return {type(layer).__module__.split(".")[0] for layer in model._flatten_layers()}


@pytest.mark.parametrize("builder", [architectures.lora, architectures.low_rank])
def test_updates_are_added_to_the_kernels_of_plain_layers(builder, tmp_path):
    network = builder(keras.Input((5,)), TASKS, body=(6, 4), tower=(3,))
    randomize(network)
    plain = export.merge(network)
    x = draw(7, 5)
    check_equal(network, plain, x)
    assert modules(plain) == {"keras"}
    plain.save(tmp_path / "plain.keras")
    check_equal(network, keras.models.load_model(tmp_path / "plain.keras"), x)


def test_one_task_alone_is_as_small_as_the_body():
    network = architectures.lora(keras.Input((5,)), TASKS, body=(6, 4), alpha=3.0)
    randomize(network)
    part = keras.Model(network.input, {"alpha": network.output["alpha"]})
    plain = export.merge(part)
    check_equal(part, plain, draw(7, 5))
    assert plain.count_params() == 5 * 6 + 6 + 6 * 4 + 4 + 4 * 3 + 3


def test_training_the_merged_network_does_not_change_the_original():
    network = architectures.low_rank(keras.Input((5,)), TASKS, body=(6,))
    x = draw(7, 5)
    before = np.asarray(network(x)["alpha"])
    plain = export.merge(network)
    original = {id(variable) for variable in network.variables}
    assert not original & {id(variable) for variable in plain.variables}
    for variable in plain.variables:
        variable.assign(variable.value + 1.0)
    np.testing.assert_array_equal(network(x)["alpha"], before)


def test_statistics_and_preprocessing_are_kept():
    raw = {"wage": keras.Input((2,), name="wage"), "age": keras.Input((1,), name="age")}
    encoder = keras.layers.Normalization(mean=[1.0], variance=[4.0])
    features = keras.layers.Concatenate()([raw["wage"], encoder(raw["age"])])
    body = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(6),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(4),
        ]
    )
    network = architectures.low_rank(features, TASKS, body=body)
    randomize(network)
    body.layers[1].moving_mean.assign(draw(6))
    plain = export.merge(network)
    assert set(plain.input) == {"wage", "age"}
    check_equal(network, plain, {"wage": draw(7, 2), "age": draw(7, 1)})


def test_a_keras_hub_backbone_is_merged():
    keras_hub = pytest.importorskip("keras_hub")
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=20,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=12,
    )
    body = keras.Model(backbone.input, backbone.output["pooled_output"])
    network = architectures.lora(body.input, TASKS, body=body)
    randomize(network)
    plain = export.merge(network)
    tokens = np.array([[3, 1, 4, 1], [5, 9, 0, 0]])
    x = {"token_ids": tokens, "padding_mask": np.sign(tokens), "segment_ids": 0 * tokens}
    check_equal(network, plain, x)
    assert modules(plain) == {"keras", "keras_hub"}


def test_a_network_without_updates_is_refused():
    network = architectures.hard_sharing(keras.Input((5,)), TASKS)
    with pytest.raises(ValueError, match="'hard_sharing' has no low-rank updates"):
        export.merge(network)
