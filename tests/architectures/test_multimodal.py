"""multimodal: its equations, missing modalities in training and serving, and its doors."""

import keras
import numpy as np
import pytest
import tensorflow as tf

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
        ({"fusion": "bottleneck", "encoders": {**ENCODERS, "table": (5,)}}, "as many channels"),
    ],
)
def test_options_that_cannot_be_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        mtl.architectures.multimodal(make_inputs(), TASKS, **{"encoders": ENCODERS, **arguments})


def test_encoders_that_are_no_dict_are_refused():
    with pytest.raises(TypeError, match="encoders must be a dict by modality"):
        mtl.architectures.multimodal(keras.Input((3,)), TASKS, encoders=(4,))


def make_halves(tasks, fusion, **arguments):
    """Returns a network of two modalities, of which both may be missing."""
    inputs = {name: keras.Input((3,), name=name) for name in ("left", "right")}
    inputs |= {f"{name}_present": keras.Input((), name=f"{name}_present") for name in inputs}
    keras.utils.set_random_seed(0)
    return mtl.architectures.multimodal(
        inputs,
        tasks,
        encoders={"left": (4,), "right": (4,)},
        fusion=fusion,
        tower=(6,),
        **arguments,
    )


def answer_to_nothing(network):
    """Returns the logits of `ill` of an example without any modality."""
    fusion = network.get_layer("shared_fusion")
    if not isinstance(fusion, keras.layers.Concatenate):
        vector = np.asarray(fusion.vector)
    else:
        layers = [network.get_layer(f"shared_{name}_features") for name in ("left", "right")]
        vector = np.concatenate([np.asarray(layer.vector) for layer in layers])
    return dense(network, "ill_logits", np.maximum(dense(network, "ill_tower_0", vector), 0))


@pytest.mark.parametrize(
    "fusion", ["late", "gated", pytest.param("bottleneck", marks=pytest.mark.slow)]
)
def test_what_is_exported_has_one_finite_answer_for_rows_without_any_modality(fusion, tmp_path):
    network = make_halves(TASKS, fusion, dropout=0.2, dropout_of_all=0.1)
    rng = np.random.default_rng(0)
    for variable in network.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    rows = {name: rng.normal(size=(6, 3)).astype("float32") for name in ("left", "right")}
    rows["left_present"] = np.array([1, 0, 0, 0, 0, 1], "float32")
    rows["right_present"] = np.array([1, 0, 0, -1, 1, 0], "float32")
    rows["left"][1], rows["right"][1] = 0, 0
    rows["left"][2], rows["right"][2] = 1e30, -1e30
    mtl.export.saved_model(network, TASKS, tmp_path / "1")
    loaded = tf.saved_model.load(tmp_path / "1")
    expected = 1 / (1 + np.exp(-answer_to_nothing(network)))
    with_all = rows | {name: rows[name][:1] for name in rows}
    for name in ("serving_default", "ill"):
        served = loaded.signatures[name](**{k: tf.constant(v) for k, v in rows.items()})
        answers = served["ill"].numpy()
        np.testing.assert_allclose(answers[1:4], np.tile(expected, (3, 1)), rtol=1e-5)
        assert (abs(answers[[0, 4, 5]] - expected) > 1e-3).all()
        np.testing.assert_allclose(answers, network(rows)["ill"], rtol=1e-5)
        alone = loaded.signatures[name](**{k: tf.constant(v) for k, v in with_all.items()})
        np.testing.assert_allclose(alone["ill"][0], answers[0], rtol=1e-5)
        # As all that is exported, it says NaN where a number is NaN, also where nobody reads it.
        rows_with_nan = rows | {"left": np.where(rows["left"] == 1e30, np.nan, rows["left"])}
        served = loaded.signatures[name](**{k: tf.constant(v) for k, v in rows_with_nan.items()})
        assert (
            np.isnan(served["ill"].numpy()).ravel().tolist() == [False] * 2 + [True] + [False] * 3
        )


@pytest.mark.parametrize("fusion", ["late", pytest.param("gated", marks=pytest.mark.slow)])
def test_with_dropout_of_all_the_answer_to_nothing_is_the_share_of_each_class(fusion):
    tasks = [Task.multiclass("ill", 3, metrics=())]
    network = make_halves(tasks, fusion, dropout_of_all=0.2)
    model = mtl.BalancedModel(network, tasks, mtl.balancers.Equal())
    model.compile(keras.optimizers.Adam(0.02), steps_per_execution=10)
    labels = np.tile(np.repeat([0, 1, 2], [70, 20, 10]), 10)
    x = {name: np.eye(3, dtype="float32")[labels] for name in ("left", "right")}
    there = {f"{name}_present": np.ones(1000, "float32") for name in x}
    model.fit(x | there, {"ill": labels}, batch_size=100, epochs=20, verbose=0)
    known = network(x | there)["ill"].numpy()
    assert (known.argmax(axis=1) == labels).all() and known.max(axis=1).min() > 0.8
    nothing = {name: np.zeros_like(flags) for name, flags in there.items()}
    np.testing.assert_allclose(network(x | nothing)["ill"][0], [0.7, 0.2, 0.1], atol=0.08)


def test_dropout_of_all_needs_a_flag_for_each_modality():
    with pytest.raises(ValueError, match=r"\['table'\] have no flag, .* input 'table_present'"):
        make_network(dropout_of_all=0.1)
    with pytest.raises(ValueError, match="rate_of_all must be from 0 to below 1"):
        make_halves(TASKS, "late", dropout_of_all=1.0)


def make_bottleneck():
    """Returns a network of patches, a vector and words, of which some are padding; and rows."""
    keras.utils.set_random_seed(0)

    def patches(image):
        return keras.layers.Dense(6)(keras.layers.Reshape((2, 2))(image))

    encoders = {
        "image": patches,
        "table": (6,),
        "words": lambda words: keras.layers.Embedding(9, 6, mask_zero=True)(words),
    }
    network = mtl.architectures.multimodal(
        make_inputs(), TASKS, encoders=encoders, fusion="bottleneck", dropout=0.2
    )
    rng = np.random.default_rng(0)
    return network, {
        "image": rng.normal(size=(3, 2, 2)).astype("float32"),
        "table": rng.normal(size=(3, 3)).astype("float32"),
        "words": np.array([[1, 2, 0, 0, 0], [3, 4, 5, 6, 7], [1, 1, 1, 1, 1]], "int32"),
        "image_present": np.array([1, 1, 0], "float32"),
        "words_present": np.array([1, 0, 1], "float32"),
    }


def test_a_bottleneck_reads_tokens_and_the_mask_of_texts():
    network, rows = make_bottleneck()
    assert not network.get_layer("shared_fusion").learned  # the table is always there
    expected = network(rows)["weight"]
    embedding = next(e for e in network.layers if isinstance(e, keras.layers.Embedding))
    vectors = np.array(embedding.embeddings)
    shift = np.arange(6.0)  # norms would take away an equal one
    embedding.embeddings.assign(vectors + shift * (np.arange(9) == 0)[:, None])
    np.testing.assert_allclose(network(rows)["weight"], expected, rtol=1e-5)  # padding is not read
    embedding.embeddings.assign(vectors + shift * (np.arange(9) == 2)[:, None])
    moved = np.abs(network(rows)["weight"] - expected)[:, 0] > 1e-4
    assert moved.tolist() == [True, False, False]


@pytest.mark.slow
def test_all_of_a_bottleneck_is_trained():
    network, rows = make_bottleneck()
    model = mtl.BalancedModel(network, TASKS, mtl.balancers.PCGrad())
    model.compile(keras.optimizers.SGD(0.1))
    blocks = network.get_layer("shared_fusion").blocks
    before = [np.array(block.wide.kernel) for block in blocks]
    model.fit(rows, {"weight": np.ones(3), "ill": np.array([0, 1, 1])}, verbose=0)
    after = [np.array(block.wide.kernel) for block in blocks]
    assert all((new != old).any() for new, old in zip(after, before, strict=True))
