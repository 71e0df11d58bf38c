"""The data: three sets, each with the labels of some tasks only, of one stream."""

import contextlib
import tempfile

import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

import keras_mtl as mtl
from keras_mtl import data, datasets

from . import tickets
from .retrieval import IN_BATCH

LENGTH, WORDS = 32, 12_000
DOMAINS = ("electronics", "camera_photo")
INTENT, SLOTS = datasets.snips_tasks()
TASKS = [
    INTENT,
    SLOTS,
    mtl.Task.binary("mood"),
    mtl.Task.multiclass("urgency", 3),
    IN_BATCH,
]
SETS = {"commands": ("intent", "slots"), "reviews": ("mood",), "tickets": ("urgency", "answer")}
_COMMANDS = {  # word/slot, for texts that are made up
    "PlayMusic": ("play/O some/O {}/B-genre", "jazz rock techno blues"),
    "GetWeather": ("will/O it/O rain/O in/O {}/B-city", "Rome Oslo Lima Bonn"),
    "RateBook": ("give/O {}/B-object_name four/B-rating_value stars/B-rating_unit", "Dune Emma"),
}


def make_commands(rows, seed):
    """Makes commands with an intent and the slots of their words, as SNIPS has them."""
    rng, snips = np.random.default_rng(seed), datasets.Snips(data_dir="/nowhere").info.features
    intents, slots = snips["labels"]["intent"], snips["labels"]["slots"].feature
    for _ in range(rows):
        intent = rng.choice(list(_COMMANDS))
        template, words = _COMMANDS[intent]
        pairs = [p.split("/") for p in template.format(rng.choice(words.split())).split()]
        words, tags = zip(*pairs, strict=True)
        tags = [slots.str2int(tag) for tag in tags]
        yield list(words), {"intent": intents.str2int(intent), "slots": tags}


def read_commands(split, folder, prepared, share):
    """Returns commands as sentences of words; labels of words are padded."""
    if folder is None:
        specs = {"intent": tf.TensorSpec((), tf.int64), "slots": tf.TensorSpec((None,), tf.int64)}
        rows = list(make_commands(200, len(split)))
        commands = tf.data.Dataset.from_generator(
            lambda: iter(rows), output_signature=(tf.TensorSpec((None,), tf.string), specs)
        ).apply(tf.data.experimental.assert_cardinality(len(rows)))
    else:
        part = f"train[:{share}%]" if split == "train" else split
        commands = datasets.snips(part, data_dir=prepared, manual_dir=folder)
    return data.align_tokens(commands, [INTENT, SLOTS], length=LENGTH).batch(512)


def read_reviews(split, folder, prepared):
    """Returns reviews, cut to their last words, and whether they are good."""
    if folder is None:
        rng = np.random.default_rng(len(split))
        mood = rng.integers(0, 2, 300)
        words = [("awful broken bad", "great solid fine")[k].split() for k in mood]
        texts = [f"the product is {rng.choice(w)} and {rng.choice(w)}" for w in words]
    else:
        place = {"data_dir": prepared, "manual_dir": folder}
        sets = datasets.fdu_mtl(split, domains=DOMAINS, **place)
        pairs = [
            (" ".join(text.decode().split()[-LENGTH:]), int(*labels.values()))
            for reviews in sets.values()
            for text, labels in reviews.as_numpy_iterator()
        ]
        texts, mood = (list(column) for column in zip(*pairs, strict=True))
    return tf.data.Dataset.from_tensor_slices((texts, {"mood": mood})).batch(512)


def read_tickets(split, rows):
    """Returns messages with their answers; those of the test may need answers that are new."""
    seen = [pair for pair in tickets.PAIRS if pair not in tickets.UNSEEN]
    train = split == "train"
    messages, answers, urgency = tickets.make(rows, 0 if train else 1, seen if train else None)
    best = np.array(tickets.ANSWERS)[answers]
    labels = {"urgency": urgency, "answer": answers.astype("int64")}
    return tf.data.Dataset.from_tensor_slices(((messages, best), labels)).batch(512)


def load(folder=None, share=30, rows=2000):
    """Returns the encoder of texts, training examples by set, and test arrays by set."""
    tfds.disable_progress_bar()
    with contextlib.ExitStack() as stack:
        prepared = stack.enter_context(tempfile.TemporaryDirectory())

        def raw(split):
            yield "commands", read_commands(split, folder, prepared, share)
            yield "reviews", read_reviews(split, folder, prepared)
            yield "tickets", read_tickets(split, rows if split == "train" else 1000)

        texts = tf.data.Dataset.from_tensors(tf.constant(tickets.ANSWERS))
        for _, batches in raw("train"):
            messages = batches.map(lambda x, *_: x[0] if isinstance(x, tuple) else x)
            texts = texts.concatenate(messages)
        encoder = data.text_encoder(texts, length=LENGTH, max_tokens=WORDS)

        def encode(x, *labels):
            if isinstance(x, tuple):
                return {"words": encoder(x[0]), "answer_words": encoder(x[1])}, *labels
            return {"words": encoder(x)}, *labels

        train = {
            name: data.known_cardinality(batches.map(encode).unbatch().cache()).shuffle(20_000)
            for name, batches in raw("train")
        }
        test = {name: to_arrays(batches.map(encode)) for name, batches in raw("test")}
    return encoder, train, test


def to_arrays(batches):
    """Reads batches to NumPy arrays, in the structure of the dataset."""
    parts = [keras.tree.map_structure(np.asarray, batch) for batch in batches]
    return keras.tree.map_structure(lambda *values: np.concatenate(values), *parts)
