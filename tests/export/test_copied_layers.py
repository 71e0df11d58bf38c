"""Layers of a cut network hold all that those of the whole network hold."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_mtl as mtl
from keras_mtl import Task, architectures, export, layers

TASKS = [Task.regression("zeta"), Task.binary("alpha")]


def draw(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape).astype("float32")


def outputs_of(features):
    return {task.name: task.output(features) for task in TASKS}


def check_equal(network, cut, x):
    whole, part = network(x), cut(x)
    for name, output in part.items():
        np.testing.assert_array_equal(output, whole[name])


def test_tables_strings_and_statistics_are_kept(tmp_path):
    city = keras.Input((1,), dtype="string", name="city")
    age = keras.Input((1,), name="age")
    words = ["Oslo", "Rome", "New\u2028York", "Nuuk"]
    lookup = keras.layers.StringLookup(output_mode="one_hot")
    lookup.adapt(np.array(words))
    weighed = keras.layers.TextVectorization(output_mode="tf_idf")
    weighed.adapt(np.array(["Oslo Oslo Rome", "Rome Nuuk"]))
    scale, bins = keras.layers.Normalization(), keras.layers.Discretization(num_bins=3)
    scale.adapt(draw(50, 1))
    bins.adapt(draw(50, 1))
    encoded = [
        lookup(city),
        keras.layers.Flatten()(weighed(city)),
        scale(age),
        keras.ops.cast(bins(age), "float32"),
    ]
    network = keras.Model(
        {"city": city, "age": age}, outputs_of(keras.layers.Concatenate()(encoded))
    )
    x = {"city": tf.constant([[word] for word in [*words, "Bari"]]), "age": tf.constant(draw(5, 1))}
    cut = export.single_task(network, "zeta")
    check_equal(network, cut, x)
    folder = export.saved_model(cut, TASKS[:1], tmp_path / "1")
    served = tf.saved_model.load(folder).signatures["zeta"](**x)
    np.testing.assert_allclose(served["zeta"], network(x)["zeta"], atol=1e-5)


def test_flags_seeds_dtypes_and_penalties_are_kept():
    inner = keras.Sequential([keras.layers.Dense(4, name="cold"), keras.layers.Dense(4)])
    frozen = keras.layers.Dense(4, name="frozen", trainable=False)
    half = keras.layers.Dense(4, dtype="mixed_bfloat16", name="half", activity_regularizer="l2")
    noise = keras.layers.Dropout(0.5, seed=3, name="noise")
    x = keras.Input((4,), name="x")
    network = keras.Model(x, outputs_of(noise(half(frozen(inner(x))))))
    inner.layers[0].trainable = False
    inner.layers[1].bias.trainable = False
    rows = draw(6, 4)
    network(rows, training=True)  # the state of the seed moves
    cut = export.single_task(network, "alpha")
    names = [v.name for v in network.trainable_variables if "zeta" not in v.path]
    assert [v.name for v in cut.trainable_variables] == names
    assert len(names) == 1 + 2 + 2  # of the Sequential, `half` and the head
    assert not cut.get_layer("frozen").trainable
    assert [part.trainable for part in cut.get_layer(inner.name).layers] == [False, True]
    assert cut.get_layer("half").dtype_policy.name == "mixed_bfloat16"
    drawn = [model(rows, training=True)["alpha"] for model in (network, cut)]
    np.testing.assert_array_equal(*drawn)
    np.testing.assert_allclose(*[sum(map(float, model.losses)) for model in (network, cut)])
    network.trainable = False
    assert not export.single_task(network, "alpha").trainable_variables


def test_layers_and_functions_of_a_user_need_not_be_registered():
    class Shift(keras.layers.Layer):
        def __init__(self, by, **kwargs):
            super().__init__(**kwargs)
            self.by = by

        def call(self, inputs):
            return inputs + self.by

        def get_config(self):
            return {**super().get_config(), "by": self.by}

    def cube(values):
        return values**3

    class Odd(Shift):
        def get_config(self):
            return {"name": self.name}

    x = keras.Input((4,))
    hidden = keras.Sequential([Shift(2.0), keras.layers.Dense(3, activation=cube)])(x)
    hidden = keras.layers.Lambda(lambda values: 2 * values)(hidden)
    hidden = keras.layers.Dense(4, activation=lambda values: values / 3)(hidden)
    network = keras.Model(x, outputs_of(hidden))
    check_equal(network, export.single_task(network, "alpha"), draw(6, 4))
    network = keras.Model(x, outputs_of(Odd(1.0, name="odd")(x)))
    with pytest.raises(
        ValueError, match=r"the layer 'odd' \(Odd\) cannot be copied: (.|\n)*get_config"
    ):
        export.single_task(network, "alpha")


def test_variables_that_two_layers_share_are_not_parted():
    first = keras.layers.Dense(4, name="first")
    x = keras.Input((4,))
    wrapped = keras.layers.TimeDistributed(first, name="times")(
        keras.layers.Reshape((2, 4))(keras.layers.Concatenate()([x, x]))
    )
    hidden = keras.layers.Add()([first(x), layers.PickBranch(0)(wrapped)])
    with pytest.raises(ValueError, match="'first' and 'times' share the variable"):
        export.single_task(keras.Model(x, outputs_of(hidden)), "alpha")


def test_a_pretrained_body_that_was_compiled_and_trained():
    body = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dropout(0.1)])
    body.compile("adam", "mse", metrics=["mae"], run_eagerly=True)
    body.fit(draw(8, 4), draw(8, 3), verbose=0)
    x = keras.Input((4,))
    network = keras.Model(x, outputs_of(body(x)))
    check_equal(network, export.single_task(network, "zeta"), draw(5, 4))


def test_models_inside_of_a_network_are_cut():
    rows = {"age": keras.Input((1,), name="age"), "city": keras.Input((2,), name="city")}
    both = keras.layers.Concatenate()(list(rows.values()))
    encoded = {"young": keras.layers.Dense(2)(rows["age"]), "all": keras.layers.Dense(3)(both)}
    encoder = keras.Model(rows, encoded, name="encoder")
    x = {"age": keras.Input((1,), name="age"), "city": keras.Input((2,), name="city")}
    parts = encoder(x)
    outputs = {"zeta": TASKS[0].output(parts["young"]), "alpha": TASKS[1].output(parts["all"])}
    network = keras.Model(x, outputs)
    values = {"age": draw(5, 1), "city": draw(5, 2)}
    cut = export.single_task(network, "alpha")
    check_equal(network, cut, values)
    assert {*cut.get_layer("encoder").output} == {"all"}
    young = export.single_task(network, "zeta")
    assert {*young.input} == {*young.get_layer("encoder").input} == {"age"}
    assert young.count_params() == 1 * 2 + 2 + 2 + 1
    np.testing.assert_array_equal(young({"age": values["age"]})["zeta"], network(values)["zeta"])


def test_a_network_behind_a_preprocessing_model_is_cut(tmp_path):
    tasks = [Task.binary(f"assay_{i}") for i in range(8)]
    network = architectures.hard_sharing(keras.Input((3,)), tasks, shared=(4,), tower=(5,))
    raw = {name: keras.Input((size,), name=name) for name, size in (("age", 1), ("wage", 2))}
    encoder = keras.Model(raw, keras.layers.Concatenate()(list(raw.values())))
    served = mtl.data.with_preprocessing(encoder, network)
    cut = export.single_task(served, "assay_6")
    assert cut.get_layer("hard_sharing").get_layer("towers_0").kernels[0].shape == (1, 4, 5)
    x = {"age": draw(5, 1), "wage": draw(5, 2)}
    check_equal(served, cut, x)
    cut.save(tmp_path / "cut.keras")
    check_equal(cut, keras.models.load_model(tmp_path / "cut.keras"), x)


def test_a_model_that_is_called_twice_is_copied_once():
    inner_x = keras.Input((4,))
    inner = keras.Model(inner_x, keras.layers.Dense(3)(inner_x), name="inner")
    x = {name: keras.Input((4,), name=name) for name in ("left", "right")}
    both = keras.layers.Subtract()([inner(x["left"]), inner(x["right"])])
    network = keras.Model(x, outputs_of(both))
    cut = export.single_task(network, "zeta")
    assert cut.count_params() == 4 * 3 + 3 + 3 + 1
    check_equal(network, cut, {"left": draw(5, 4), "right": draw(5, 4) + 1})


@pytest.mark.parametrize(
    ("convert", "builder"),
    [(export.harden, architectures.ltb), (export.merge, architectures.lora)],
)
def test_tables_are_kept_where_branches_are_hardened_or_updates_merged(convert, builder):
    city = keras.Input((1,), dtype="string", name="city")
    lookup = keras.layers.StringLookup(output_mode="one_hot")
    lookup.adapt(np.array(["Oslo", "Rome"]))
    network = builder(lookup(city), TASKS, body=(4,), tower=(3,))
    x = tf.constant([["Rome"], ["Bari"], ["Oslo"]])
    before, after = network(x), convert(network)(x)
    for name, output in before.items():
        np.testing.assert_allclose(after[name], output, atol=1e-5)


@pytest.mark.slow
def test_raw_columns_with_gaps_are_served_by_one_task(tmp_path):
    rng = np.random.default_rng(0)
    ages = np.where(rng.random(50) < 0.2, np.nan, rng.normal(size=50))
    columns = {"age": ages, "city": rng.choice(["Rome", "Oslo", "Nuuk"], 50)}
    encoder = mtl.data.tabular_encoder(columns, missing="median")
    tasks = [Task.binary(f"assay_{i}") for i in range(8)]
    network = architectures.hard_sharing(mtl.data.embed_columns(encoder, units=4), tasks)
    served = mtl.data.with_preprocessing(encoder, network)
    cut = export.single_task(served, "assay_5")
    assert cut.count_params() < served.count_params() / 2
    rows = {"age": tf.constant([np.nan, 2.0, 0.5]), "city": tf.constant(["Oslo", "Bari", "Nuuk"])}
    check_equal(served, cut, rows)
    folder = export.saved_model(cut, [tasks[5]], tmp_path / "1")
    answers = tf.saved_model.load(folder).signatures["assay_5"](**rows)["assay_5"]
    np.testing.assert_allclose(answers, served(rows)["assay_5"], atol=1e-6)
