"""The intent of a voice command and the slots of its words, on gated convolutions.

    python examples/07_intent_and_slots.py                                # made-up commands
    python examples/07_intent_and_slots.py --data-dir FOLDER --seeds 3    # SNIPS: snips.tar.xz

One label per sentence beside one label per word: the intent's head pools over the words. Nothing
is pre-trained.
"""

import dataclasses

import keras
from helpers import comparison, scores, small_data, words

from keras_mtl import architectures, balancers, data, datasets

LENGTH, LETTERS = 35, 16  # words per command, letters per word
WORDS = 4400  # rarer words count as unknown, so that the unknown word is learned


def make_tasks():
    """Returns the tasks of SNIPS; the intent reads the pooled features of the words."""
    intent, slots = datasets.snips_tasks()

    def pooled(features):
        pool = keras.layers.GlobalAveragePooling1D(name="intent_pool")
        return intent.head(pool(features), "intent")

    return [dataclasses.replace(intent, head=pooled), slots]


def read(split, tasks, place):
    """Reads batches of sentences as strings; labels of words are padded."""
    commands = datasets.snips(split, **place)
    return data.align_tokens(commands, tasks, length=LENGTH).batch(1024)


def body(features):
    """Applies four convolutions; the last two also see a summary of the whole sentence."""
    features = keras.layers.Dense(128, name="shared_start")(features)
    for _ in range(2):
        features = words.gated_convolution(128)(features)
    pool = keras.layers.GlobalAveragePooling1D(keepdims=True, name="shared_pool")
    about = keras.layers.Dense(128, name="shared_about")(pool(features))
    features = words.AddToWords(name="shared_sum")([features, about])
    for _ in range(2):
        features = words.gated_convolution(128)(features)
    return keras.layers.LayerNormalization(name="shared_norm")(features)


def build(tasks):
    """Builds one body under all heads."""
    features = words.word_features(max_tokens=WORDS, spelling=LETTERS)
    return architectures.hard_sharing(features, tasks, shared=body, tower=())


def main(options):
    tasks = make_tasks()
    with comparison.files(options, small_data.write_snips) as place:
        batches = read("train", tasks, place)
        encode = words.word_encoder(batches, length=LENGTH, max_tokens=WORDS, letters=LETTERS)
        sets = {
            split: read(split, tasks, place).map(lambda text, y, w: (encode(text), y, w))
            for split in ("train", options.split)
        }
        train = words.similar_lengths(sets["train"], options.batch_size)
        x, y, w = comparison.arrays(sets[options.split])
        labels = datasets.Snips(data_dir=place["data_dir"]).info.features["labels"]
        tags = labels["slots"].feature.names

        def run(chosen, balancer=None):
            model = comparison.fit(build(chosen), chosen, train, options, balancer)
            predicted = model.predict(x, batch_size=256, verbose=0)
            figures = {}
            if "intent" in predicted:
                figures["intent accuracy"] = scores.accuracy(y["intent"], predicted["intent"])
            if "slots" in predicted:
                likely = scores.likely_tags(tags, predicted["slots"], w["slots"])
                figures["slot F1"] = scores.span_f1(tags, y["slots"], likely, w["slots"])
            return figures

        variants = {
            "one for each task": lambda: run(tasks[:1]) | run(tasks[1:]),
            "hard sharing": lambda: run(tasks),
            "hard sharing, Uncertainty": lambda: run(
                tasks, balancers.Uncertainty(regression=False)
            ),
        }
        return comparison.table(variants, options)


if __name__ == "__main__":
    parser = comparison.parser(__doc__, epochs=10, learning_rate=2e-3)
    parser.add_argument("--split", default="test", choices=["validation", "test"])
    main(comparison.parse(parser, epochs=20, learning_rate=3e-3))
