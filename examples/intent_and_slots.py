"""The intent of a voice command and the slots of its words, on bidirectional LSTMs.

    python examples/intent_and_slots.py                                # made-up commands
    python examples/intent_and_slots.py --data-dir FOLDER --seeds 3    # SNIPS: snips.tar.xz

One label a sentence beside one label a word: the intent's head pools over the words. Nothing is
pre-trained.
"""

import dataclasses

import comparison
import keras
import scores
import small_data
import words

from keras_mtl import architectures, balancers, data, datasets

LENGTH, WORDS = 35, 6000  # rarer words count as unknown, so that the unknown word is learned


def make_tasks():
    """The tasks of SNIPS, whose intent reads the words' features pooled."""
    intent, slots = datasets.snips_tasks()

    def pooled(features):
        pool = keras.layers.GlobalAveragePooling1D(name="intent_pool")
        return intent.head(pool(features), "intent")

    return [dataclasses.replace(intent, head=pooled), slots]


def read(split, tasks, place):
    """Batches of sentences as strings; labels of words are padded."""
    commands = datasets.snips(split, **place)
    return data.align_tokens(commands, tasks, length=LENGTH).batch(1024)


def body(features):
    """Two bidirectional LSTMs; the second one knows what the whole sentence is about."""
    features = words.bidirectional(100)(features)
    pool = keras.layers.GlobalAveragePooling1D(keepdims=True, name="shared_pool")
    about = keras.layers.Dense(200, name="shared_about")(pool(features))
    return words.bidirectional(100)(keras.layers.Add(name="shared_sum")([features, about]))


def build(tasks):
    """One body under all heads."""
    features = words.word_features(max_tokens=WORDS)
    return architectures.hard_sharing(features, tasks, shared=body, tower=())


def main(options):
    tasks = make_tasks()
    with comparison.files(options, small_data.write_snips) as place:
        batches = read("train", tasks, place)
        encode = words.word_encoder(batches, length=LENGTH, max_tokens=WORDS)
        sets = {
            split: read(split, tasks, place).map(lambda text, y, w: (encode(text), y, w))
            for split in ("train", options.split)
        }
        train = comparison.shuffled(sets["train"], options).map(words.trim)
        x, y, w = comparison.arrays(sets[options.split])
        slots = datasets.Snips(data_dir=place["data_dir"]).info.features["labels"]["slots"]

        def run(own, balancer=None):
            model = comparison.fit(build(own), own, train, options, balancer)
            predicted = model.predict(x, batch_size=256, verbose=0)
            figures = {}
            if "intent" in predicted:
                figures["intent accuracy"] = scores.accuracy(y["intent"], predicted["intent"])
            if "slots" in predicted:
                arguments = (y["slots"], predicted["slots"], w["slots"])
                figures["slot F1"] = scores.span_f1(slots.feature.names, *arguments)
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
    parser = comparison.parser(__doc__, epochs=12, learning_rate=2e-3)
    parser.add_argument("--split", default="test", choices=["validation", "test"])
    main(parser.parse_args())
