import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import Task, architectures, export
from keras_mtl.data import align_tokens, check_dataset, text_encoder, with_preprocessing

TASKS = [Task.tagging("slots", 5), Task.multiclass("intent", 3)]
SENTENCES = [
    (["play", "Some", "New York", "jazz", "!"], [0, 1, 2, 3, 4], 2),
    (["play", ""], [4, 3], 0),
]


def sentences(weights=False):
    def rows():
        for words, slots, intent in SENTENCES:
            pair = (words, {"slots": slots, "intent": intent})
            yield (*pair, {"slots": [0.5] * len(words)}) if weights else pair

    spec = (
        tf.TensorSpec([None], "string"),
        {"slots": tf.TensorSpec([None], "int64"), "intent": tf.TensorSpec([], "int64")},
    )
    if weights:
        spec += ({"slots": tf.TensorSpec([None], "float32")},)
    return tf.data.Dataset.from_generator(rows, output_signature=spec).apply(
        tf.data.experimental.assert_cardinality(2)
    )


def only(dataset, size=2):
    (element,) = list(dataset.batch(size))
    return keras.tree.map_structure(np.asarray, element)


@pytest.mark.parametrize("length", [4, 7])
def test_labels_stand_where_the_encoder_puts_their_words(length):
    aligned = align_tokens(sentences(), TASKS, length=length)
    assert aligned.cardinality() == 2
    encoder = text_encoder(aligned.batch(2), length=length, standardize=None)
    lookup = encoder.get_layer("words")
    vocabulary = lookup.get_vocabulary()
    texts, y, w = only(aligned)
    codes = np.asarray(encoder(tf.constant(texts)))
    for row, (words, slots, intent) in enumerate(SENTENCES):
        encoded = [vocabulary[code] for code in codes[row] if code]
        assert encoded == [word.replace(" ", "_") or "_" for word in words][:length]
        assert y["slots"][row].tolist() == (slots + [0] * length)[:length]
        assert w["slots"][row].tolist() == ([1] * len(words) + [0] * length)[:length]
        assert (y["intent"][row], w["intent"][row]) == (intent, 1)
    check_dataset(aligned.batch(2, drop_remainder=True), TASKS)


def letters(words):
    """Breaks words into letters; a tokenizer."""
    return tf.strings.unicode_split(words, "UTF-8")


def test_the_first_piece_of_a_word_has_its_label_and_the_others_none():
    _, y, w = only(align_tokens(sentences(), TASKS, length=13, tokenizer=letters, first=1))
    # [CLS] p l a y S o m e N e w _ ...
    assert w["slots"][0].tolist() == [0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
    assert y["slots"][0].tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]
    assert w["slots"][1].tolist() == [0, 1, 0, 0, 0, 1] + [0] * 7
    assert y["slots"][1][[1, 5]].tolist() == [4, 3]


def test_weights_of_words_move_with_them():
    _, _, w = only(align_tokens(sentences(weights=True), TASKS, length=3))
    assert w["slots"].tolist() == [[0.5, 0.5, 0.5], [0.5, 0.5, 0]]


def test_text_is_encoded_by_frequency_and_unknown_words_are_one():
    train = tf.data.Dataset.from_tensor_slices(["b b a", "B a c"]).batch(1)
    encoder = text_encoder(train, length=3, max_tokens=4)
    codes = encoder(tf.constant(["A b zzz b", "c"])).numpy().tolist()
    assert codes[0] == [3, 2, 1]
    assert codes[1] == [1, 0, 0]
    assert encoder.trainable_variables == []


def test_a_saved_model_takes_raw_text(tmp_path):
    aligned = align_tokens(sentences(), TASKS, length=4)
    encoder = text_encoder(aligned.batch(2), length=4)
    codes = keras.Input((4,), dtype="int64", name="codes")
    words = keras.layers.Embedding(8, 3, name="shared_words")(codes)
    pooled = keras.layers.GlobalAveragePooling1D(name="intent_pool")(words)
    outputs = {"slots": TASKS[0].output(words), "intent": TASKS[1].output(pooled)}
    served = with_preprocessing(encoder, keras.Model(codes, outputs))
    served.export(tmp_path / "served", verbose=False)
    texts = ["play some jazz", "?"]
    loaded = tf.saved_model.load(tmp_path / "served")
    expected = served(tf.constant(texts))
    for name, prediction in loaded.serve(tf.constant(texts)).items():
        np.testing.assert_allclose(expected[name], prediction, atol=1e-6)
    served.save(tmp_path / "served.keras")
    loaded = keras.models.load_model(tmp_path / "served.keras")
    np.testing.assert_allclose(loaded(tf.constant(texts))["slots"], expected["slots"], atol=1e-6)


def test_what_is_served_with_an_encoder_passes_the_audit_of_servers(tmp_path):
    texts = tf.data.Dataset.from_tensor_slices(["play some jazz", "play it"]).batch(2)
    encoder = text_encoder(texts, length=3)
    codes = keras.Input((3,), dtype="int64", name="codes")
    pooled = keras.layers.GlobalMaxPooling1D()(keras.layers.Embedding(8, 3)(codes))
    network = keras.Model(codes, {"intent": TASKS[1].output(pooled)})
    served = with_preprocessing(encoder, network)
    folder = export.saved_model(served, TASKS[1:], tmp_path / "talk" / "1")
    export.audit(folder).check()  # an adapted layer would keep a table that can be changed


def test_text_may_be_one_of_several_inputs():
    rows = tf.data.Dataset.from_tensor_slices(({"text": ["a b"], "age": [3.0]}, {"intent": [1]}))
    encoder = text_encoder(rows.batch(1), length=2, key="text")
    assert encoder.input.name == "text"
    network = architectures.hard_sharing(keras.Input((2,)), TASKS[1:], shared=(2,), tower=(2,))
    assert with_preprocessing(encoder, network).output.keys() == {"intent"}


def test_other_inputs_are_refused():
    numbers = tf.data.Dataset.from_tensor_slices([1.0]).batch(1)
    with pytest.raises(TypeError, match="expected batches of texts"):
        text_encoder(numbers, length=2)
    with pytest.raises(TypeError, match="expected batches of texts"):
        text_encoder(tf.data.Dataset.from_tensor_slices(["a"]), length=2)
    joined = tf.data.Dataset.from_tensors(("play it", {"slots": [0], "intent": 1}))
    with pytest.raises(TypeError, match="expected the words of one sentence"):
        align_tokens(joined, TASKS, length=2)
    with pytest.raises(ValueError, match="no label for task 'slots'"):
        align_tokens(sentences().map(lambda x, y: (x, {"intent": 0})), TASKS, length=2)
