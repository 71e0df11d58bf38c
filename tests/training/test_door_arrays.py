"""Arrays of any library train as in plain Keras, or are refused by name where Keras cannot."""

import time

import door_cases as door
import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

from keras_mtl.training._checks import check_arrays

pd = pytest.importorskip("pandas")
X, Y = door.X, door.Y
FRAME = pd.DataFrame(X, columns=list("pqr"))
MIXED = pd.DataFrame(
    {"real": X[:, 0].astype("float64"), "whole": np.arange(16), "yes": X[:, 1] > 0}
)


def dense():
    return door.dense()


def two_inputs():
    keras.utils.set_random_seed(0)
    inputs = [keras.Input((1,), name="p"), keras.Input((2,), name="q")]
    return door.heads(inputs, keras.layers.Dense(4)(keras.layers.Concatenate()(inputs)))


def two_named_inputs():
    network = two_inputs()
    return keras.Model(dict(zip("pq", network.inputs, strict=True)), network.output)


def sparse():
    keras.utils.set_random_seed(0)
    x = keras.Input((3,), sparse=True)
    return door.heads(x, keras.layers.Dense(4)(x))


def text():
    keras.utils.set_random_seed(0)
    x = keras.Input((1,), dtype="string")
    codes = keras.layers.StringLookup(vocabulary=["u", "v", "w"])(x)
    return door.heads(x, keras.layers.Dense(4)(keras.layers.CategoryEncoding(4)(codes)))


def ragged():
    keras.utils.set_random_seed(0)
    x = keras.Input((None,), dtype="int64")
    return door.heads(x, keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(5, 4)(x)))


P, Q, WORDS = X[:, :1], X[:, 1:], ["u", "v"] * 8
TAKEN = {
    "float64": (dense, X.astype("float64")),
    "float16": (dense, X.astype("float16")),
    "whole numbers": (dense, (3 * X).astype("int64")),
    "booleans": (dense, X > 0),
    "columns first": (dense, np.asfortranarray(X)),
    "every other row": (dense, np.repeat(X, 2, axis=0)[::2]),
    "tensor": (dense, tf.constant(X)),
    "bfloat16": (dense, tf.cast(X, "bfloat16")),
    "list of inputs": (two_inputs, [P, Q]),
    "tuple of inputs": (two_inputs, (P, Q)),
    "dict for a list": (two_inputs, {"q": Q, "p": P}),
    "dict": (two_named_inputs, {"q": Q, "p": P}),
    "dict with more for a list": (two_inputs, {"q": Q, "p": P, "any": X}),
    "dict of a frame": (two_named_inputs, {"p": FRAME["p"], "q": FRAME[["q", "r"]]}),
    "csr": (sparse, scipy.sparse.csr_matrix(X)),
    "coo of float64": (sparse, scipy.sparse.coo_matrix(X.astype("float64"))),
    "csr array": (sparse, scipy.sparse.csr_array(X)),
    "sparse tensor": (sparse, tf.sparse.from_dense(X)),
    "csr for a dense input": (dense, scipy.sparse.csr_matrix(X)),
    "frame": (dense, FRAME),
    "frame of float64": (dense, FRAME.astype("float64")),
    "mixed frame": (dense, MIXED),
    "Int64 after a float": (dense, MIXED.astype({"whole": "Int64"})),
    "categories after a float": (dense, MIXED.astype({"yes": "category"})),
    "frame of integers": (dense, (3 * FRAME).astype({"p": "int32", "q": "int64", "r": "int64"})),
    "strings": (text, np.array(WORDS, object)),
    "tensor of strings": (text, tf.constant(WORDS)),
    "ragged": (ragged, tf.ragged.constant([[1, 2], [3]] * 8)),
}
REFUSED = {
    "objects": (X.astype(object), "the input is an array of dtype object"),
    "dates": (np.ones((16, 3)).astype("datetime64[s]"), "dtype datetime64"),
    "list of numbers": (X.tolist(), "the inputs hold single numbers.*np.asarray"),
    "strings of NumPy": (np.array(WORDS), "dtype <U1"),
    "Int64 first": (MIXED[["whole", "real", "yes"]].astype({"whole": "Int64"}), "are Int64"),
    "all Int64": ((3 * FRAME).round().astype("Int64"), "DataFrame .* Int64.*astype.'float32'"),
    "Float64": (FRAME.astype("Float64"), "DataFrame .* Float64"),
    "whole numbers and booleans": (MIXED[["whole", "yes"]], "among their dtypes are bool, int64"),
    "float32 and booleans": (MIXED.astype({"real": "float32"}), "bool, float32, int64"),
    "frame of objects": (MIXED.astype(object), "are object"),
    "frame with a date": (MIXED.assign(yes=pd.Timestamp("2020-01-01")), "are datetime64"),
    "frame with strings": (MIXED.assign(yes="u"), "among their dtypes are (object|str)"),
    "Series of strings": (pd.Series(WORDS), "the input is a Series of (object|str)"),
}
LABELS_TAKEN = {
    "Series": pd.Series(Y["a"]),
    "frame": pd.DataFrame({"a": Y["a"]}),
    "booleans": Y["a"] > 0,
    "uint8": Y["a"].astype("uint8"),
    "tensor": tf.constant(Y["a"]),
    "column": Y["a"][:, None],
}
LABELS_REFUSED = {
    "Int64": (pd.Series(Y["a"]).astype("Int64"), "are a Series of the pandas dtype Int64"),
    "Int64 with gaps": (pd.Series([1, None] * 8, dtype="Int64"), "weights of 0"),
    "boolean": (pd.Series(Y["a"] > 0).astype("boolean"), "pandas dtype boolean"),
    "category": (pd.Series(Y["a"]).astype("category"), "pandas dtype category"),
    "objects": (Y["a"].astype(object), "are an array of dtype object"),
    "list": (Y["a"].tolist(), "are a list; expected an array"),
    "number": (np.float32(1), "are a float32; expected an array"),
    "strings": (np.array(["no", "yes"] * 8), "expected a dense tensor of numbers"),
    "sparse": (scipy.sparse.csr_matrix(Y["a"][:, None]), "are a csr_matrix; expected a dense"),
    "ragged": (tf.ragged.constant([[1], [0]] * 8), "are a RaggedTensor; expected a dense"),
    "dates": (Y["a"].astype("datetime64[s]"), "dtype datetime64"),
    "short": (Y["a"][:8], "there are 8 labels for 16 examples"),
}


def weights_after(make, x, y):
    weights = []
    for compile_network in (door.balanced, door.plain):
        network = make()
        compile_network(network).fit(x, y, batch_size=16, shuffle=False, verbose=0)
        weights.append(network.get_weights())
    return weights


EVERYDAY = {"float64", "list of inputs", "dict for a list", "csr", "mixed frame", "ragged"}


@pytest.mark.parametrize(
    "kind",
    [kind if kind in EVERYDAY else pytest.param(kind, marks=pytest.mark.slow) for kind in TAKEN],
)
def test_inputs_train_as_in_plain_keras(kind):
    make, x = TAKEN[kind]
    for ours, theirs in zip(*weights_after(make, x, Y), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "kind",
    [
        kind if kind == "Series" else pytest.param(kind, marks=pytest.mark.slow)
        for kind in LABELS_TAKEN
    ],
)
def test_labels_train_as_in_plain_keras(kind):
    y = {**Y, "a": LABELS_TAKEN[kind]}
    for ours, theirs in zip(*weights_after(dense, X, y), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture(scope="module")
def models():
    return door.balanced(), door.plain()


@pytest.mark.parametrize("kind", REFUSED)
def test_inputs_that_keras_cannot_read_are_refused_by_name(models, kind):
    balanced, plain = models
    x, message = REFUSED[kind]
    with pytest.raises((TypeError, ValueError)):
        plain.fit(x, Y, verbose=0)
    for enter in (balanced.fit, balanced.evaluate, balanced.train_on_batch):
        with pytest.raises(ValueError, match=message):
            enter(x, Y)
    with pytest.raises(ValueError, match=message):
        balanced.predict(x, verbose=0)


@pytest.mark.parametrize("kind", LABELS_REFUSED)
def test_labels_that_keras_cannot_read_are_refused_by_task(models, kind):
    balanced, plain = models
    labels, message = LABELS_REFUSED[kind]
    with pytest.raises((TypeError, ValueError, IndexError)):
        plain.fit(X, {**Y, "a": labels}, verbose=0)
    for enter in (balanced.fit, balanced.evaluate, balanced.train_on_batch):
        with pytest.raises(ValueError, match=f"task 'a': .*{message}"):
            enter(X, {**Y, "a": labels})


def test_what_keras_takes_without_a_word_is_refused_too(models):
    balanced, _ = models
    with pytest.raises(ValueError, match="task 'b': labels are an array of dtype complex"):
        balanced.fit(X, {**Y, "b": Y["b"] * 1j}, verbose=0)
    with pytest.raises(ValueError, match="there are no examples"):
        balanced.fit(X[:0], {name: labels[:0] for name, labels in Y.items()}, verbose=0)
    with pytest.raises(ValueError, match="there are no examples"):
        balanced.predict(X[:0], verbose=0)
    with pytest.raises(ValueError, match=r"Pass \{name: frame\[name\] for name in \['a', 'b'\]\}"):
        balanced.fit(X, pd.DataFrame(Y), verbose=0)
    with pytest.raises(ValueError, match=r"for all tasks, pass \{'a': weights, 'b': weights\}"):
        balanced.fit(X, Y, sample_weight=np.ones(16), verbose=0)


def test_an_input_that_the_network_has_not_is_refused():
    model = door.balanced(two_named_inputs())
    x = {"a": P, "p": P, "q": Q}
    for enter in (model.fit, model.evaluate, model.train_on_batch):
        with pytest.raises(ValueError, match=r"no input 'a'; its inputs are \['p', 'q'\]"):
            enter(x, Y)
    for data in (door.as_dataset(door.cut((x, Y))), door.Batches(door.cut((x, Y)))):
        for enter in (model.fit, model.evaluate, model.predict):
            with pytest.raises(ValueError, match="no input 'a'"):
                enter(data, verbose=0)


def test_inputs_are_not_copied_to_check_labels():
    rows = 100_000
    x = np.zeros((rows, 250))
    y = {"a": np.zeros(rows), "b": np.zeros(rows)}
    check_arrays(x, y, None, door.tasks())
    start = time.process_time()
    check_arrays(x, y, None, door.tasks())
    assert time.process_time() - start < 0.1  # 2 s when they were copied


def test_labels_are_looked_at_once_and_not_copied(monkeypatch):
    class Watched(np.ndarray):
        copies = 0

        def __array_finalize__(self, source):
            Watched.copies += self.base is None

    labels = np.zeros(16).view(Watched)
    check_arrays(X, {"a": labels, "b": labels}, None, door.tasks())
    assert Watched.copies == 0
