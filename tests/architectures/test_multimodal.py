"""multimodal: its equations, missing modalities in training and serving, and its doors."""

import keras
import numpy as np
import pytest

import keras_mtl as mtl
from keras_mtl import Task

TASKS = [Task.regression("weight"), Task.binary("ill")]
FLAGS = ("image", "words")


def pooled(image):
    return keras.layers.Dense(4, name="image_dense")(keras.layers.Flatten()(image))


def embedded(words):
    vectors = keras.layers.Embedding(9, 4, name="word_vectors")(words)
    return keras.layers.GlobalAveragePooling1D()(vectors)


ENCODERS = {"image": pooled, "table": (4,), "words": embedded}


def make_inputs(flagged=FLAGS):
    inputs = {
        "image": keras.Input((2, 2), name="image"),
        "table": keras.Input((3,), name="table"),
        "words": keras.Input((5,), name="words", dtype="int32"),
    }
    flags = {f"{name}_present": keras.Input((), name=f"{name}_present") for name in flagged}
    return inputs | flags


def make_network(**arguments):
    keras.utils.set_random_seed(0)
    return mtl.architectures.multimodal(
        make_inputs(), TASKS, encoders=ENCODERS, tower=(6,), **arguments
    )


@pytest.fixture(scope="module")
def late():
    network = make_network(dropout=0.3)
    rng = np.random.default_rng(0)
    for variable in network.trainable_variables:  # zeros would hide faults
        variable.assign(rng.normal(size=variable.shape))
    return network


@pytest.fixture
def rows():
    rng = np.random.default_rng(1)
    return {
        "image": rng.normal(size=(4, 2, 2)).astype("float32"),
        "table": rng.normal(size=(4, 3)).astype("float32"),
        "words": rng.integers(1, 9, size=(4, 5)).astype("int32"),
        "image_present": np.array([1, 0, 1, 0], "float32"),
        "words_present": np.array([1, 1, 0, 0], "float32"),
    }


def dense(network, name, features):
    kernel, bias = (np.asarray(variable, "float64") for variable in network.get_layer(name).weights)
    return features @ kernel + bias


def encoded(network, rows):
    """Returns the features of each modality, with the learned vectors where it is missing."""
    vectors = np.asarray(network.get_layer("word_vectors").embeddings)
    features = {
        "image": dense(network, "image_dense", rows["image"].reshape(4, 4)),
        "table": np.maximum(dense(network, "shared_table_encoder_0", rows["table"]), 0),
        "words": vectors[rows["words"]].mean(axis=1),
    }
    for name in FLAGS:
        vector = np.asarray(network.get_layer(f"shared_{name}_features").vector)
        features[name] = np.where(rows[f"{name}_present"][:, None] > 0, features[name], vector)
    return features


def test_outputs_follow_the_equations_of_a_late_fusion(late, rows):
    fused = np.concatenate(list(encoded(late, rows).values()), axis=1)
    tower = np.maximum(dense(late, "weight_tower_0", fused), 0)
    expected = dense(late, "weight_logits", tower)
    np.testing.assert_allclose(late(rows)["weight"], expected, rtol=1e-4, atol=1e-5)


def test_the_numbers_of_a_missing_modality_count_as_nothing(late, rows):
    expected = late(rows)
    rows["image"][[1, 3]], rows["words"][[2, 3]] = np.nan, 7
    for task, prediction in late(rows).items():
        np.testing.assert_array_equal(prediction, expected[task])


def test_it_learns_from_rows_that_lack_modalities_and_nan_harms_no_variable(late, rows):
    rows["image"][[1, 3]] = np.nan
    network = keras.models.clone_model(late)
    model = mtl.BalancedModel(network, TASKS, mtl.balancers.MGDA())
    model.compile(keras.optimizers.SGD(0.1), check_inputs=False)  # which refuses NaN
    before = [np.array(variable) for variable in network.trainable_variables]
    labels = {"weight": np.ones(4), "ill": np.array([0, 1, 0, 1])}
    model.fit(rows, labels, batch_size=4, epochs=2, verbose=0)
    after = [np.array(variable) for variable in network.trainable_variables]
    assert all(np.isfinite(variable).all() for variable in after)
    moved = {
        variable.path: (new != old).any()
        for variable, new, old in zip(network.trainable_variables, after, before, strict=True)
    }
    assert moved["shared_image_features/vector"]
    assert moved["image_dense/kernel"]


@pytest.mark.parametrize("fusion", ["late", "gated"])
def test_a_served_network_answers_without_a_modality(fusion, rows, tmp_path):
    network = make_network(fusion=fusion, dropout=0.2)
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    rows["image"][[1, 3]] = 0
    alone = mtl.export.single_task(loaded, "ill")
    np.testing.assert_allclose(alone(rows)["ill"], network(rows)["ill"], rtol=1e-5)
    missing = rows | {"image_present": np.zeros(4, "float32"), "image": rows["image"] + 5}
    absent = missing | {"image": np.zeros_like(rows["image"])}
    np.testing.assert_array_equal(loaded(missing)["ill"], loaded(absent)["ill"])


def test_without_flags_and_dropout_nothing_is_added():
    network = mtl.architectures.multimodal(make_inputs(()), TASKS, encoders=ENCODERS)
    kinds = {type(layer).__name__ for layer in network.layers}
    assert not {"FillMissing", "PresenceFlags", "ModalityDropout"} & kinds


def test_zeros_stand_in_where_they_are_asked_for(rows):
    network = make_network(missing="zeros")
    assert not network.get_layer("shared_image_features").variables


@pytest.mark.parametrize(
    ("inputs", "encoders", "match"),
    [
        (make_inputs(), {**ENCODERS, "sound": (4,)}, r"encoders without an input: \['sound'\]"),
        (make_inputs(), {"image": pooled}, r"inputs without an encoder: \['table', 'words', 'wor"),
        (
            make_inputs() | {"sound_present": keras.Input((), name="sound_present")},
            ENCODERS,
            r"inputs without an encoder: \['sound_present'\]",
        ),
        (make_inputs(), {**ENCODERS, "image": lambda x: x}, "modality 'image': its encoder must"),
    ],
)
def test_modalities_that_do_not_fit_are_refused(inputs, encoders, match):
    with pytest.raises(ValueError, match=match):
        mtl.architectures.multimodal(inputs, TASKS, encoders=encoders)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"fusion": "early"}, "fusion must be one of"),
        ({"missing": "mean"}, "missing must be one of"),
        ({"dropout": 1.0}, "rate must be from 0 to below 1"),
        ({"fusion": "gated", "encoders": {**ENCODERS, "table": (5,)}}, "as many channels"),
    ],
)
def test_options_that_cannot_be_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        mtl.architectures.multimodal(make_inputs(), TASKS, **{"encoders": ENCODERS, **arguments})


def test_encoders_that_are_no_dict_are_refused():
    with pytest.raises(TypeError, match="encoders must be a dict by modality"):
        mtl.architectures.multimodal(keras.Input((3,)), TASKS, encoders=(4,))
