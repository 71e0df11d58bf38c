"""Texts with a topic and a sentiment: product reviews, or made-up ones."""

import dataclasses
import tempfile

import numpy as np
import tensorflow_datasets as tfds

from keras_mtl import datasets

TOPICS = ("books", "dvd", "electronics", "kitchen_housewares", "music", "toys_games")
_SUBJECTS = ("novel author page", "film actor scene", "cable screen plug", "pan lid oven")
_SUBJECTS += ("song album singer", "doll puzzle game")
_MOODS = ("awful dull broken bad poor sad", "great fine solid good loved happy")
_REST = ["the", "it", "was", "of", "a", "this", "my", "very", "and", "with", "for", "some"]


@dataclasses.dataclass
class Texts:
    """Holds texts with their topic (a class) and whether they are positive."""

    text: np.ndarray
    topic: np.ndarray
    positive: np.ndarray

    def __getitem__(self, rows):
        return Texts(self.text[rows], self.topic[rows], self.positive[rows])

    def __len__(self):
        return len(self.text)


def read(split, folder):
    """Reads the reviews of six kinds of products in FDU-MTL."""
    tfds.disable_progress_bar()
    with tempfile.TemporaryDirectory() as prepared:
        sets = datasets.fdu_mtl(split, domains=TOPICS, data_dir=prepared, manual_dir=folder)
        rows = [
            (text.decode(), topic, int(labels[name]))
            for topic, name in enumerate(TOPICS)
            for text, labels in sets[name].as_numpy_iterator()
            if text.strip()
        ]
    text, topic, positive = zip(*rows, strict=True)
    return Texts(np.array(text, object), np.array(topic), np.array(positive))


def make(rows, seed):
    """Makes short texts: a word of the topic, one of the mood, and words that say nothing.

    One word of the mood in four, and one of the topic in eight, is of the wrong kind.
    """
    rng = np.random.default_rng(seed)
    topic, positive = rng.integers(0, len(TOPICS), rows), rng.integers(0, 2, rows)

    def draw(kinds, classes, wrong):
        wrong_kind = rng.integers(0, len(kinds), rows)
        chosen = np.where(rng.random(rows) < wrong, wrong_kind, classes)
        return [rng.choice(kinds[k].split()) for k in chosen]

    columns = [draw(_MOODS, positive, 0.25) for _ in range(3)]
    columns += [draw(_SUBJECTS, topic, 0.125) for _ in range(2)]
    columns += [rng.choice(_REST, rows).tolist() for _ in range(4)]
    text = [" ".join(rng.permutation(words)) for words in zip(*columns, strict=True)]
    return Texts(np.array(text, object), topic, positive)


def load(folder=None, rows=1500):
    """Returns texts for training, for the reference of the alarms, and for the stream."""
    if folder is None:
        train, stream = make(rows, 0), make(rows, 1)
    else:
        train, stream = read("train", folder), read("test", folder)
    order = np.random.default_rng(0).permutation(len(train))
    held_out = len(train) // 4  # the network must not have seen the reference
    return train[order[held_out:]], train[order[:held_out]], stream
