"""Layers get values by name, or nothing changes."""

import keras
import numpy as np
import pytest

import keras_mtl as mtl
from keras_mtl import Task, transfer

layers = keras.layers
OLD = [Task.binary("z"), Task.regression("a")]
NEW = [Task.regression("q"), Task.binary("b")]


def build(tasks, shared=(6, 5), name="net"):
    inputs = keras.Input((4,), name="x")
    return mtl.architectures.hard_sharing(inputs, tasks, shared=shared, tower=(3,), name=name)


def nested(width=4, names=("stem", "block"), vocabulary=("a", "b")):
    """Builds two inputs, a model inside with automatic names, and batch normalization."""
    inner = keras.Input((width,))
    hidden = layers.BatchNormalization()(layers.Dense(3)(inner))
    encoder = keras.Model(inner, layers.Dense(3)(hidden), name=names[0])
    word, x = keras.Input((1,), name="word", dtype="string"), keras.Input((width,), name="x")
    codes = layers.StringLookup(vocabulary=list(vocabulary), name="shared_words")(word)
    embedded = layers.Flatten()(layers.Embedding(4, 3, name="shared_table")(codes))
    block = keras.Sequential([layers.Dense(3), layers.Dense(2)], name=names[1])
    features = block(layers.Add()([encoder(x), embedded]))
    outputs = {task.name: task.output(features) for task in NEW}
    return keras.Model({"word": word, "x": x}, outputs)


def values(network):
    return [variable.numpy() for variable in network.weights]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    network = build(OLD)
    for variable in network.weights:
        variable.assign(np.random.default_rng(1).normal(size=variable.shape))
    path = tmp_path_factory.mktemp("trunk") / "balanced.keras"
    model = mtl.BalancedModel(network, OLD, mtl.balancers.DWA())
    model.compile("adam")
    model.save(path)
    return network, path


def test_a_trunk_comes_from_the_file_of_a_balanced_model(saved):
    old, path = saved
    network = build(NEW)
    before = {v.path: v.numpy() for v in network.weights}
    report = transfer.load_trunk(network, path)
    assert dict(report.taken) == {"shared_body_0": 2, "shared_body_1": 2}
    assert not report.missing and not report.unlike and not report.unused
    source = {v.path: v.numpy() for v in old.weights}
    for variable in network.weights:
        shared = variable.path.startswith("shared_")
        expected = source if shared else before
        np.testing.assert_array_equal(variable, expected[variable.path])


def test_layers_go_by_name_where_their_order_differs():
    x = keras.Input((3,))
    first = layers.Dense(3, name="shared_one")(x)
    source = keras.Model(x, layers.Dense(3, name="shared_two")(first))
    y = keras.Input((3,))
    second = layers.Dense(3, name="shared_two")(y)
    network = keras.Model(y, layers.Dense(3, name="shared_one")(second))
    transfer.load_trunk(network, source)
    for name in ("shared_one", "shared_two"):
        np.testing.assert_array_equal(network.get_layer(name).kernel, source.get_layer(name).kernel)


def test_models_inside_are_loaded_whatever_their_layers_are_called():
    source, network = nested(), nested()
    source.get_layer("stem").layers[2].moving_mean.assign([1.0, 2.0, 3.0])
    assert source.get_layer("stem").layers[1].name != network.get_layer("stem").layers[1].name
    report = transfer.load_trunk(network, source, ["stem", "block", "shared_*"])
    assert report.taken == {"stem": 8, "block": 4, "shared_words": 0, "shared_table": 1}
    for name in ("stem", "block", "shared_table"):
        pairs = zip(network.get_layer(name).weights, source.get_layer(name).weights, strict=True)
        for variable, other in pairs:
            np.testing.assert_array_equal(variable, other)


def test_a_layer_inside_of_a_model_goes_by_its_path():
    def outer():
        inner = keras.Input((3,))
        encoder = keras.Model(inner, layers.Dense(3, name="shared_0")(inner), name="encoder")
        x = keras.Input((3,))
        return keras.Model(x, layers.Dense(1, name="head")(encoder(x)))

    source, network = outer(), outer()
    assert transfer.load_trunk(network, source).taken == {"encoder/shared_0": 2}
    np.testing.assert_array_equal(network.weights[0], source.weights[0])


def test_what_only_one_side_has_is_reported(saved):
    report = transfer.load_trunk(build(NEW, shared=(6, 5, 4)), saved[0])
    assert report.missing == ("shared_body_2",)
    assert "missing in the source: shared_body_2" in str(report)
    report = transfer.load_trunk(build(NEW, shared=(6,)), saved[0])
    assert report.unused == ("shared_body_1",)


def test_other_shapes_and_vocabularies_are_listed_and_nothing_changes():
    source, network = nested(5, vocabulary=("b", "a")), nested()
    before, stem = values(network), network.get_layer("stem").weights[0].numpy()
    with pytest.raises(ValueError) as error:
        transfer.load_trunk(network, source, ["stem", "shared_*"])
    for part in (
        r"(4, 3) here and (5, 3)",
        "the first that differ being ('a', 'b')",
        "skip_unlike=True",
    ):
        assert part in str(error.value)
    assert all((old == new).all() for old, new in zip(before, values(network), strict=True))
    report = transfer.load_trunk(network, source, ["stem", "shared_*"], skip_unlike=True)
    assert set(report.unlike) == {"stem", "shared_words"} and report.taken == {"shared_table": 1}
    assert "stem (dense" in str(report).partition("unlike, not taken: ")[2]
    np.testing.assert_array_equal(network.get_layer("stem").weights[0], stem)


def test_layers_of_another_kind_are_unlike():
    x, y = keras.Input((3,)), keras.Input((3,))
    network = keras.Model(x, layers.Dense(3, use_bias=False, name="shared_0")(x))
    source = keras.Model(y, layers.Dense(3, name="shared_0")(y))
    with pytest.raises(ValueError, match=r"variables \['kernel'\], and the source .*'bias'"):
        transfer.load_trunk(network, source)


@pytest.mark.parametrize(
    ("path", "patterns", "error", "message"),
    [
        ("absent.keras", "shared_*", ValueError, "a .keras file that exists"),
        ("net.weights.h5", "shared_*", ValueError, "network.load_weights"),
        (None, "trunk_*", ValueError, r"layers='trunk_\*' matches no layer .*shared_body_0"),
        (None, ["shared_*", "x"], ValueError, "have no variables|none of the layers|taken"),
        (None, ["b_*", 3], TypeError, "pattern of layer names"),
        (None, [], ValueError, "at least one pattern"),
        (None, "x", ValueError, r"\['x'\] have no variables"),
        (None, "b_*", ValueError, "has none of the layers"),
    ],
)
def test_bad_input_is_refused(saved, path, patterns, error, message):
    if message.endswith("taken"):  # an input has no variables, and is passed over
        assert len(transfer.load_trunk(build(NEW), saved[0], patterns).taken) == 2
        return
    with pytest.raises(error, match=message):
        transfer.load_trunk(build(NEW), path or saved[0], patterns)


def test_a_network_without_a_graph_is_refused():
    with pytest.raises(TypeError, match=r"functional keras\.Model"):
        transfer.load_trunk(keras.Sequential([layers.Dense(1)]), "some.keras")
