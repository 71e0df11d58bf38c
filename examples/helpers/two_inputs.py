"""Images with a digit and sentences with parts of speech: two sets whose inputs differ."""

import pathlib

import numpy as np
import tensorflow as tf

from helpers import comparison, scores, small_data
from keras_mtl import data, datasets

LENGTH, WORDS = 48, 8000  # words per sentence, and all that are known
LEFT, POS = datasets.multi_mnist_tasks()[0], datasets.ewt_pos_ner_tasks()[0]


def write(folder):
    """Writes small files in the formats of both sets."""
    small_data.write_treebank(folder, rows=256)  # as many as images, since sets take turns
    pathlib.Path(folder, "mnist").mkdir()
    # Columns, since a network that reads row by row sees them in any row.
    small_data.write_digits(pathlib.Path(folder, "mnist"), columns=True)


def _read_images(split, place, images):
    folders = place | {"manual_dir": f"{place['manual_dir']}/mnist"}
    digits = data.select_tasks(datasets.multi_mnist(split, **folders), [LEFT])
    digits = digits.take(images if split == "train" else -1).batch(512)
    return digits.map(lambda image, y: ({"image": tf.cast(image, tf.float32)}, y))


def _read_sentences(split, place):
    sentences = data.select_tasks(datasets.ewt_pos_ner(split, **place), [POS])
    return data.align_tokens(sentences, [POS], length=LENGTH).batch(512)


def load(options):
    """Returns by task the single examples of training, and the arrays of the test part."""
    with comparison.files(options, write) as place:
        texts = {split: _read_sentences(split, place) for split in ("train", "test")}
        encoder = data.text_encoder(texts["train"], length=LENGTH, max_tokens=WORDS)

        def encode(text, y, w):
            return {"words": encoder(text)}, y, w

        def read(split):
            yield "left", _read_images(split, place, options.images)
            yield "pos", texts[split].map(encode)

        test = {name: comparison.arrays(batches) for name, batches in read("test")}
        train = {}
        for name, batches in read("train"):
            rows = data.known_cardinality(batches.unbatch().cache())
            train[name] = rows.shuffle(20_000)
        return train, test


def accuracies(network, test, tasks):
    """Returns the accuracy of each task on its set; of the other input there are zeros."""
    figures = {}
    for task in tasks:
        x, y, *w = test[task.name]
        rows = len(next(iter(x.values())))
        blanks = {name: np.zeros((rows, *node.shape[1:])) for name, node in network.input.items()}
        predicted = network.predict(blanks | x, batch_size=512, verbose=0)[task.name]
        weights = w[0][task.name] if w else None
        figures[f"{task.name} accuracy"] = scores.accuracy(y[task.name], predicted, weights)
    return figures
